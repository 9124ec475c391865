"""Small networks on resource variables, for TensorFlow graph mode.

A network is a callable from tensors to tensors. It creates its variables at the
first call and shares them with every later call in the same graph. It uses
neither Keras nor `tf.layers`, and holds no values: those are in the session.

    encode = nets.LSTM(256, name="encoder")
    outputs, state = encode(embedded, lengths)     # makes encoder/kernel, bias
    outputs, state = encode(other, other_lengths)  # the same variables

Sequences are `[B, T, D]`, with `lengths` `[B]` or None.
"""

from tangle.nets.arrays import masked_softmax
from tangle.nets.attention import (
  AttentionalVector,
  AttentionResult,
  BahdanauAttention,
  LuongAttention,
)
from tangle.nets.base import Network
from tangle.nets.cells import CellResult, GRUCell, LSTMCell, LSTMState
from tangle.nets.composites import (
  Bidirectional,
  BidirectionalState,
  Composite,
  Stack,
)
from tangle.nets.feedforward import Dense, Embedding, dropout
from tangle.nets.losses import masked_cross_entropy
from tangle.nets.recurrent import (
  GRU,
  LSTM,
  RecurrentLayer,
  RecurrentResult,
)

__all__ = [
  "GRU",
  "LSTM",
  "AttentionResult",
  "AttentionalVector",
  "BahdanauAttention",
  "Bidirectional",
  "BidirectionalState",
  "CellResult",
  "Composite",
  "Dense",
  "Embedding",
  "GRUCell",
  "LSTMCell",
  "LSTMState",
  "LuongAttention",
  "Network",
  "RecurrentLayer",
  "RecurrentResult",
  "Stack",
  "dropout",
  "masked_cross_entropy",
  "masked_softmax",
]
