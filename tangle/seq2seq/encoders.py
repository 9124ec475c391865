"""A recurrent encoder, and its outputs for a decoder.

The encoder is a bidirectional recurrent layer with further layers above it. A
model has one encoder per source.
"""

import itertools
from typing import NamedTuple

from tangle.compat import tf1
from tangle.nets import composites, feedforward, recurrent


class Encoded(NamedTuple):
  """The outputs of an encoder that a decoder reads.

  Attributes:
    memory: `[B, T, D]`, zero beyond the lengths.
    lengths: `[B]` int32.
    summary: `[B, 2 U]`, the last outputs of both directions of the lowest
      layer, of U units each, forward first.
  """

  memory: tf1.Tensor
  lengths: tf1.Tensor
  summary: tf1.Tensor


class Encoder:
  """Networks of an encoder, created once and shared by all buckets.

  Source: a bidirectional encoder as in Bahdanau, Cho & Bengio 2015, "Neural
  Machine Translation by Jointly Learning to Align and Translate". It differs
  in that its cells are LSTMs, and in the further layers.

  Attributes:
    dtype: float type.
  """

  def __init__(
    self,
    source_size,
    units,
    layers,
    embedding_dim,
    dtype=tf1.float32,
    prefix="",
    masks=0,
  ):
    """Sets the networks up; makes neither ops nor variables.

    Args:
      source_size: number of source symbols.
      units: U, number of units in each recurrent layer.
      layers: number of recurrent layers.
      embedding_dim: length of an embedding vector.
      dtype: float type.
      prefix: prefix of the names of its variables, which distinguishes the
        encoders of a model.
      masks: number of its first dropout mask; masks with different numbers are
        drawn differently from one seed.

    Raises:
      ArgumentError: if `source_size`, `units` or `embedding_dim` is not a
        positive integer, or `prefix` cannot begin the name of a scope.
      DtypeError: if `dtype` is not a float type.
    """

    def lstm(name, reverse=False):
      return recurrent.LSTM(units, reverse=reverse, dtype=dtype, name=name)

    self.dtype = dtype
    self._masks = masks
    self._table = feedforward.Embedding(
      source_size, embedding_dim, dtype=dtype, name=f"{prefix}source_embedding"
    )
    self._both = composites.Bidirectional(
      lstm("lstm"),
      lstm("lstm", reverse=True),
      name=f"{prefix}encoder_bidirectional",
    )
    self._upper = [lstm(f"{prefix}encoder_lstm_{k}") for k in range(1, layers)]

  def __call__(self, source, lengths, dropout_rate=0, seed=None, name="encode"):
    """Encodes a batch.

    Args:
      source: `[B, T]` int32 ids.
      lengths: `[B]` int32, the number of real ids in each row.
      dropout_rate: rate for the embeddings and the layers' outputs, a number or
        a scalar.
      seed: `[2]` int32, of stateless masks; None for stateful ones.
      name: name scope of the new ops.

    Returns:
      An `Encoded`.

    Raises:
      ArgumentError: if `source` is None, or the number `dropout_rate` is not in
        `[0, 1)`.
      DtypeError: if `source` or `lengths` are neither int32 nor int64.
      GraphError: if a tensor is from another graph than the variables.
      ShapeError: if `source` is not of rank 2, `lengths` not of rank 1, or T is
        0, or unknown in float64.
    """
    with tf1.name_scope(name):
      drop = make_dropout(dropout_rate, seed, self._masks)
      found = self._both(drop(self._table(source)), lengths)
      outputs = found.outputs
      summary = tf1.concat([found.state.forward.h, found.state.backward.h], 1)
      for layer in self._upper:
        outputs = layer(drop(outputs), lengths).outputs
      return Encoded(outputs, lengths, summary)


def first_mask(k):
  """Returns the number of the first dropout mask of the encoder of source k.

  It is 0 for the first source, then 2000, 3000, ...; a decoder's is 1000.

  Args:
    k: the index of the source, from 0.

  Returns:
    An int.
  """
  return 1000 * (k + 1) if k else 0


def make_dropout(rate, seed, first):
  """Makes a dropout function that draws a new mask at each call.

  Args:
    rate: the dropout rate, a number or a scalar.
    seed: `[2]` int32, of stateless masks; None for stateful ones.
    first: number of its first mask; masks with different numbers are drawn
      differently from one seed.

  Returns:
    A function from a tensor to a tensor of the same shape. It raises
    `ArgumentError` if the number `rate` is not in `[0, 1)`.
  """
  numbers = itertools.count(first)

  def drop(x):
    own = feedforward.shift_seed(seed, next(numbers))
    return feedforward.dropout(x, rate, own)

  return drop
