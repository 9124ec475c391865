"""The real jobs: whole epochs, single steps and decoding of a translator.

The network is that of `scripts/train_g2p.py` and `scripts/train_seq2seq.py`,
`seq2seq.attention_model` with one layer: a bidirectional LSTM encoder, Luong
attention and an LSTM decoder. Other frameworks have their own implementations,
with the same weights. All contenders read the same examples, as ids, from one
file that `jobs_data` writes. Everything after that differs between contenders
and is part of the measurement: they plan buckets, or sort by length, and pad.
"""

import itertools
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import g2p, tasks
from tangle.seq2seq import rows, vocabulary


class Sizes(NamedTuple):
  """Sizes of a job.

  Attributes:
    examples: number of pairs of training data.
    decoded: number of sources to decode.
    source_symbols: size of the source vocabulary.
    target_symbols: V, size of the target vocabulary.
    batch: B, examples per step.
    units: U, depth of the layers.
    depth: D, of the embeddings.
    buckets: number of buckets per side, or of pairs.
    dropout_rate: of the embeddings and of the attentional vector.
    learning_rate: of Adam.
    decode_batch: number of sources that are decoded at once.
  """

  examples: int
  decoded: int
  source_symbols: int
  target_symbols: int
  batch: int
  units: int
  depth: int
  buckets: int
  dropout_rate: float
  learning_rate: float
  decode_batch: int = 256


_TINY = Sizes(24, 6, 9, 10, 4, 3, 2, 2, 0.5, 0.01, 4)
SIZES = {
  "g2p_demo": {
    "tiny": _TINY,
    "small": Sizes(8192, 512, 33, 43, 128, 128, 64, 5, 0.2, 3e-3),
    "design": Sizes(114889, 1024, 33, 43, 128, 128, 64, 5, 0.2, 3e-3),
  },
  "multi30k": {
    "tiny": _TINY,
    "small": Sizes(2048, 256, 10000, 10000, 64, 192, 192, 4, 0.3, 2e-3),
    "design": Sizes(29000, 1000, 10000, 10000, 64, 192, 192, 4, 0.3, 2e-3),
  },
}
"""Task → name → `Sizes`: those of the demo preset, and of the training on
Multi30k in BUILD_NOTES."""

NAMES = tuple(SIZES)
"""Names of the tasks."""

CLIP_NORM = 5.0
"""Global norm of the gradients in both scripts."""


def optimizer(sizes):
  """Returns the `tasks.Optimizer` of the scripts, Adam, for `Sizes`."""
  return tasks.Optimizer("adam", sizes.learning_rate, CLIP_NORM)


class Task(NamedTuple):
  """A job.

  Attributes:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    seed: of the weights, the order of the examples and dropout.
    train: the `rows.Examples` of an epoch.
    test: the `rows.Examples` that are decoded, with empty targets.
    words: examples per step, B.
    flops: operations of the matrix products of a step on `step_batch`.
  """

  name: str
  sizes: Sizes
  seed: int
  train: Any
  test: Any
  words: int
  flops: int

  @property
  def symbols(self):
    """The sizes of both vocabularies."""
    return self.sizes.source_symbols, self.sizes.target_symbols

  @property
  def longest(self):
    """The longest source, and the longest target with EOS, of any example."""
    return (
      int(max(part.sources.lengths.max() for part in (self.train, self.test))),
      int(self.train.target_lengths().max()),
    )

  def draw(self, shapes=None):
    """Draws the initial weights; each depends only on its name, seed and shape.

    Args:
      shapes: name → shape; by default those of the attention model.

    Returns:
      Name → float32 array. With 1,000 target symbols or more, `logits/bias` has
      the logs of their frequencies, as in the scripts.
    """
    found = g2p.draw(shapes or make_shapes(self.sizes), self.seed)
    size = self.sizes.target_symbols
    if "logits/bias" in found and size >= 1000:
      counts = np.full([size], 0.1)
      ids = np.array(list(itertools.chain(*self.train.targets)))
      counts += np.bincount(ids, minlength=size)
      counts[vocabulary.EOS_ID] += len(self.train)
      found["logits/bias"] = np.log(counts / counts.sum()).astype(np.float32)
    return found


def make_shapes(sizes):
  """Returns the shapes of the attention model's weights.

  Args:
    sizes: a `Sizes`.

  Returns:
    Name of the variable in `seq2seq.attention_model` → shape.
  """
  units, depth = sizes.units, sizes.depth
  lstm = {"kernel": (depth + units, 4 * units), "bias": (4 * units,)}
  found = {
    "source_embedding/table": (sizes.source_symbols, depth),
    "target_embedding/table": (sizes.target_symbols, depth),
    "decoder_bridge_0/kernel": (2 * units, 2 * units),
    "decoder_bridge_0/bias": (2 * units,),
    "attention/kernel": (units, 2 * units),
    "attentional/kernel": (3 * units, units),
    "logits/kernel": (units, sizes.target_symbols),
    "logits/bias": (sizes.target_symbols,),
  }
  for layer in LAYERS:
    found.update({f"{layer}/{key}": shape for key, shape in lstm.items()})
  return found


LAYERS = (
  "encoder_bidirectional/forward/lstm",
  "encoder_bidirectional/backward/lstm",
  "decoder_lstm_0",
)
"""Prefixes of the names of the LSTM layers' weights."""


def step_indices(examples, size):
  """Returns examples of the most frequent lengths, for the timed step.

  Args:
    examples: a `rows.Examples`.
    size: number of examples.

  Returns:
    `[size]` ints: the middle ones in order of target and source length.
  """
  order = np.lexsort((examples.sources.lengths, examples.targets.lengths))
  begin = (len(order) - size) // 2
  return order[begin : begin + size]


def step_batch(task, layout=rows.PLAIN):
  """Returns the batch of the timed step, padded to its longest example.

  Args:
    task: a `Task`.
    layout: a `rows.Layout`.

  Returns:
    A `rows.Batch` of B examples, the longest source first.
  """
  indices = step_indices(task.train, task.sizes.batch)
  return pad(task.train, indices, layout)


def pad(examples, indices, layout=rows.PLAIN):
  """Returns some examples as a batch, padded to its longest example.

  Args:
    examples: a `rows.Examples`.
    indices: their indices.
    layout: a `rows.Layout`.

  Returns:
    A `rows.Batch`, the longest source first.
  """
  lengths = examples.sources.lengths[indices]
  indices = indices[np.argsort(-lengths, kind="stable")]
  longest = examples.target_lengths(layout)[indices].max()
  cell = int(lengths.max()), int(longest)
  return examples.batch(indices, cell, layout)


def save(path, train, test):
  """Writes the examples of a job.

  Args:
    path: an `.npz` file to write.
    train: a `rows.Examples`.
    test: a `rows.Examples` with empty targets.
  """
  arrays: Dict[str, Any] = {}
  for name, part in (("train", train), ("test", test)):
    for side in ("sources", "targets"):
      found = getattr(part, side)
      arrays[f"{name}_{side}_lengths"] = found.lengths
      arrays[f"{name}_{side}_ids"] = np.array(
        list(itertools.chain(*found)), np.int32
      )
  np.savez(path, **arrays)


def make(name, sizes, seed, path):
  """Makes a job.

  Args:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    seed: of all that is drawn.
    path: the file that `save` has written.

  Returns:
    A `Task`.

  Raises:
    DataError: if the file does not exist.
  """
  try:
    with np.load(path) as file:
      train, test = (
        rows.Examples(
          *(
            rows.Rows(*(file[f"{part}_{side}_{k}"] for k in ("ids", "lengths")))
            for side in ("sources", "targets")
          )
        )
        for part in ("train", "test")
      )
  except OSError as error:
    raise errors.DataError(
      f"peers.jobs.make: the examples cannot be read from {path!r}: {error}. "
      f"Write them by jobs_data.write."
    ) from error
  found = Task(name, sizes, seed, train, test, sizes.batch, 0)
  batch = step_batch(found)
  cell = batch.source_bucket, batch.target_bucket
  return found._replace(flops=sizes.batch * count_flops(sizes, cell))


def count_flops(sizes, cell: Tuple[int, int]):
  """Counts the operations of the matrix products for one example.

  Args:
    sizes: a `Sizes`.
    cell: the lengths (S, T) of source and target.

  Returns:
    A number, forward and backward; a multiplication and an addition are two.
  """
  units, (steps, target_steps) = sizes.units, cell
  layer = (sizes.depth + units) * 4 * units
  encoder = steps * 2 * layer + 2 * units * 2 * units
  decoder = target_steps * (
    layer
    + units * 2 * units  # query
    + 2 * steps * 2 * units  # scores and context
    + 3 * units * units
    + units * sizes.target_symbols
  )
  return 3 * 2 * (encoder + decoder)
