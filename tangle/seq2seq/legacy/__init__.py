"""The models of `tf.contrib.legacy_seq2seq`, on either TensorFlow.

Same variables, same numbers: a checkpoint of 1.15's contrib code loads with a
plain `tf.compat.v1.train.Saver`, and the other way round.

- `cells`, `wrappers`: recurrent cells with the variable names of
  `tf.nn.rnn_cell` and `tf.contrib.rnn`.
- `decoders`, `models`, `losses`, `bucketing`: the functions of contrib, under
  contrib's names and with its arguments.
- `parts`, `builders`: the attention model as encoder and decoder apart, for a
  `tangle.Pipeline` with independent buckets.
- `tutorial`: what the translate tutorial's model adds to a checkpoint.
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
