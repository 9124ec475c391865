"""Examples with several sources and a target, and their batches.

An example is a tuple of sequences of ids: source 0, ..., source K - 1, target,
without GO and EOS. The descriptions of pairs in `rows` and `batches` apply to
these tuples; each side has its own buckets, in a `grids.GridBuckets`.
"""

import collections
import collections.abc

import numpy as np

from tangle import errors
from tangle.seq2seq import batches, bucketing, rows

_BATCH_FIELDS = (
  "sources source_lengths decoder_inputs targets weights "
  "source_buckets target_bucket indices examples symbols"
)

Waste = collections.namedtuple("Waste", ["sources", "target"])
"""The share of padding: a tuple of floats, one per source, and a float."""


class MultiSourceBatch(
  collections.namedtuple("MultiSourceBatch", _BATCH_FIELDS)
):
  """B examples; source k is padded to a bucket S_k, the target to a bucket T.

  Attributes:
    sources: a tuple of `[B, S_k]` int32, the sources and PAD.
    source_lengths: a tuple of `[B]` int32, without PAD.
    decoder_inputs: `[B, T]` int32, GO and the target, then PAD.
    targets: `[B, T]` int32, the target and EOS, then PAD.
    weights: `[B, T]` float32, 1 at the target and EOS, 0 at PAD.
    source_buckets: a tuple of the S_k, ints.
    target_bucket: T, an int.
    indices: `[B]` int64, the position of each example in the data.
    examples: B, the number of examples, an int.
    symbols: the sum of the weights, an int: target symbols, EOS among them.
  """

  __slots__ = ()


class MultiSourceExamples(collections.abc.Sequence):
  """Tuples of the ids of each source and of the target, without GO and EOS.

  A sequence: `examples[n]` is a tuple of lists of ints.

  Attributes:
    sources: the `Rows` of each source, a tuple.
    targets: the `Rows` of targets.
  """

  def __init__(self, sources, targets):
    """Joins the sides.

    Args:
      sources: `rows.Rows`, one per source.
      targets: `rows.Rows`, as many.
    """
    self.sources = tuple(sources)
    self.targets = targets

  def batch(self, indices, cell, layout=rows.PLAIN):
    """Returns some of the examples as a batch.

    Args:
      indices: `[B]` ints, the positions of the examples.
      cell: one bucket per side to pad to; the examples must fit.
      layout: a `rows.Layout`, the same for all sources.

    Returns:
      A `MultiSourceBatch`.
    """
    *source_buckets, target_bucket = cell
    settings = layout.reverse_source, layout.pad_left
    return MultiSourceBatch(
      sources=tuple(
        source.take(indices, bucket, *settings)
        for source, bucket in zip(self.sources, source_buckets)
      ),
      source_lengths=tuple(
        source.lengths[indices].astype(np.int32) for source in self.sources
      ),
      source_buckets=tuple(source_buckets),
      target_bucket=target_bucket,
      indices=np.array(indices, np.int64),
      examples=len(indices),
      **self.targets.as_targets(indices, target_bucket, layout)._asdict(),
    )

  def side_lengths(self, layout=rows.PLAIN):
    """Returns how many positions each side of each example needs.

    Args:
      layout: a `rows.Layout`, which says whether EOS is one of them.

    Returns:
      A dict from the name of a side to its lengths, `[N]` int64.
    """
    found = dict(_name_sources(self.sources))
    lengths = {name: source.lengths for name, source in found.items()}
    eos = int(layout.add_eos)
    lengths["target, with EOS,"] = self.targets.lengths + eos
    return lengths

  def digest(self):
    """Returns a checksum of all examples, equal on every machine.

    Returns:
      An int in 0..2^32 - 1.
    """
    digest = 0
    for side in self.sources + (self.targets,):
      digest = side.digest(digest)
    return digest

  def __len__(self):
    return len(self.targets)

  def __getitem__(self, index):
    sides = [side[index] for side in self.sources + (self.targets,)]
    return list(zip(*sides)) if isinstance(index, slice) else tuple(sides)


class MultiSourceBatches(batches.Batches):
  """Draws every example once per epoch; see `batches.Batches` for how.

  Attributes:
    examples: the `MultiSourceExamples`.
    buckets: as given.
  """

  def __init__(
    self, examples, buckets, batch_size, seed=0, layout=rows.PLAIN, pool=True
  ):
    """Plans the batches; takes time and memory linear in the symbols.

    Args:
      examples: a sequence of tuples (source 0 ids, ..., target ids), preferably
        the `MultiSourceExamples` of `encoding.encode_tuples`. The target may be
        empty, as when decoding; a source may not.
      buckets: a `grids.GridBuckets` with as many sides.
      batch_size: as of `batches.PairBatches`; a cell has a bucket for each
        side, the target's the last.
      seed: seed of the order of the examples, in 0..2^32 - 1.
      layout: a `rows.Layout`, the same for all sources.
      pool: whether a batch may join the remaining examples of several cells.

    Raises:
      ArgumentError: if there are no examples, or another argument is not as
        described.
      DataError: if an example is not a tuple of sequences of ids, or one of
        its sources is empty.
      BucketError: if an example fits no bucket.
    """
    caller = type(self).__name__
    bucketing.check_bucketing(buckets, caller, sides=None)
    examples = collect(examples, len(buckets.longest) - 1, caller)
    super().__init__(examples, buckets, batch_size, seed, layout, pool)

  @property
  def padding_waste(self):
    """The share of padding in an epoch's batches: `Waste(sources, target)`."""
    *sources, target = self._wastes()
    return Waste(tuple(sources), target)


def name_sides(sources):
  """Returns the names of the sides in messages.

  Args:
    sources: how many sources there are.

  Returns:
    A list of strings, the last of them "target".
  """
  return [f"source {k}" for k in range(sources)] + ["target"]


def _name_sources(sources):
  return zip(name_sides(len(sources)), sources)


def collect(examples, sources, caller="collect"):
  """Returns tuples of sequences of ids as `MultiSourceExamples`.

  Args:
    examples: tuples (source 0 ids, ..., target ids); `MultiSourceExamples` are
      returned as they are.
    sources: how many sources there are.
    caller: the function to name in a message.

  Returns:
    A `MultiSourceExamples`.

  Raises:
    ArgumentError: if there are none, or `MultiSourceExamples` have another
      number of sources.
    DataError: if one is not a tuple of sequences of ids, or a source is empty.
  """
  if not isinstance(examples, MultiSourceExamples):
    *found, targets = rows.lay_out(examples, name_sides(sources), caller)
    examples = MultiSourceExamples(found, targets)
  if len(examples.sources) != sources:
    raise errors.ArgumentError(
      f"{caller}: examples must have {sources} sources, as the buckets do, got "
      f"{len(examples.sources)}."
    )
  rows.check_sources(dict(_name_sources(examples.sources)), caller)
  return examples


def feeds(batch, encoders, decoder=None):
  """Returns the feeds of a pipeline of `attention_pieces` for a batch.

  Args:
    batch: a `MultiSourceBatch`.
    encoders: the names of the encoders' sub-models, in order of the sources.
    decoder: the name of the decoder that is trained; None to leave it out.

  Returns:
    A dict from sub-model to a dict from feed to array.
  """
  found = {
    name: {"source": source, "lengths": lengths}
    for name, source, lengths in zip(
      encoders, batch.sources, batch.source_lengths
    )
  }
  if decoder is not None:
    found[decoder] = {
      "inputs": batch.decoder_inputs,
      "targets": batch.targets,
      "weights": batch.weights,
    }
  return found
