"""The models of `tf.contrib.legacy_seq2seq`, on either TensorFlow.

Variables and results are the same: a checkpoint of 1.15's contrib code loads
with a plain `tf.compat.v1.train.Saver`, and vice versa.

- `cells`, `wrappers`: recurrent cells with the variable names of
  `tf.nn.rnn_cell` and `tf.contrib.rnn`.
- `decoders`, `models`, `losses`, `bucketing`: the functions of contrib, under
  contrib's names and with its arguments.
- `parts`, `builders`: the attention model as separate encoder and decoder, for
  a `tangle.Pipeline` with independent buckets.
- `tutorial`: the further variables in checkpoints of the translate tutorial.
"""

from tangle.seq2seq.legacy import (
  bucketing,
  builders,
  cells,
  decoders,
  losses,
  models,
  parts,
  tutorial,
  wrappers,
)

__all__ = [
  "bucketing",
  "builders",
  "cells",
  "decoders",
  "losses",
  "models",
  "parts",
  "tutorial",
  "wrappers",
]
