"""A recurrent encoder, and what a decoder reads of it.

The encoder is a bidirectional recurrent layer with more layers above it. A
model has one for each of its sources.
"""

import itertools
from typing import Any, NamedTuple

from tangle.compat import tf1
from tangle.nets import composites, feedforward, recurrent


class Encoded(NamedTuple):
  """What a decoder reads of an encoder.

  Attributes:
    memory: `[B, T, D]`, zero beyond the lengths.
    lengths: `[B]` int32.
    summary: `[B, S]`, the last states of both directions.
  """

  memory: Any
  lengths: Any
  summary: Any


class Encoder:
  """Networks of an encoder, made once and shared by all buckets.

  Source: a bidirectional encoder as in Bahdanau, Cho & Bengio 2015, "Neural
  Machine Translation by Jointly Learning to Align and Translate". It differs
  in that its cells are LSTMs, and in the layers above.
  """

  def __init__(
    self,
    source_size,
    units,
    layers,
    depth,
    dtype=tf1.float32,
    prefix="",
    masks=0,
  ):
    """Sets the networks up; makes neither ops nor variables.

    Args:
      source_size: number of source symbols.
      units: U, depth of each recurrent layer.
      layers: how many recurrent layers.
      depth: depth of the embeddings.
      dtype: float type.
      prefix: what the names of its variables begin with, to tell it from the
        other encoders of a model.
      masks: the number of its first dropout mask among those of one seed.
    """

    def lstm(name, reverse=False):
      return recurrent.LSTM(units, reverse=reverse, dtype=dtype, name=name)

    self._masks = masks
    self._table = feedforward.Embedding(
      source_size, depth, dtype=dtype, name=f"{prefix}source_embedding"
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
      lengths: `[B]` int32, how many of them are real.
      dropout_rate: of the embeddings and the layers' outputs, a number or a
        scalar.
      seed: `[2]` int32, of stateless masks; None for stateful ones.
      name: name scope of the new ops.

    Returns:
      An `Encoded`.
    """
    with tf1.name_scope(name):
      drop = dropper(dropout_rate, seed, self._masks)
      found = self._both(drop(self._table(source)), lengths)
      outputs = found.outputs
      summary = tf1.concat([found.state.forward.h, found.state.backward.h], 1)
      for layer in self._upper:
        outputs = layer(drop(outputs), lengths).outputs
      return Encoded(outputs, lengths, summary)


def dropper(rate, seed, first):
  """Makes dropout at one rate, which draws another mask at each call.

  Args:
    rate: a number or a scalar.
    seed: `[2]` int32, of stateless masks; None for stateful ones.
    first: the number of the first mask among those of the seed.

  Returns:
    A function of a tensor, which returns one like it.
  """
  numbers = itertools.count(first)

  def drop(x):
    own = feedforward.shift_seed(seed, next(numbers))
    return feedforward.dropout(x, rate, own)

  return drop
