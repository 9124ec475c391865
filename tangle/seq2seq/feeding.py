"""What encoders and decoders in a pipeline are fed for a batch."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from tangle import hints
from tangle.seq2seq import rows

Feeds = Sequence[Tuple[str, str]]
"""Pairs of a feed's name and the field of a `rows.Source`."""

FEEDS = (("source", "ids"), ("lengths", "lengths"))
"""The feeds of an encoder of `attention_model`."""


def feed(
  batch: rows.Batch,
  encoders: Sequence[str] = ("encoder",),
  decoder: Optional[str] = None,
  feeds: Feeds = FEEDS,
) -> Dict[str, Dict[str, Any]]:
  """Returns the feeds of encoders and a decoder for a batch.

  Args:
    batch: a `rows.Batch`.
    encoders: the names of the encoders' sub-models, in order of the sources,
      one for each. A name or a source beyond the shorter list is left out
      without an error.
    decoder: the name of the decoder that is trained; None to leave it out.
    feeds: the feeds of each encoder: pairs of a feed's name and a field of
      `rows.Source`, such as `FEEDS` or `legacy.builders.FEEDS`.

  Returns:
    A dict from sub-model to a dict from feed to array. Encoders have `feeds`;
    the decoder has `inputs`, `targets` and `weights`, each `[B, T]`.
  """
  found = {
    name: {own: getattr(source, field) for own, field in feeds}
    for name, source in zip(encoders, batch.sources)
  }
  if decoder is not None:
    found[decoder] = {
      "inputs": batch.decoder_inputs,
      "targets": batch.targets,
      "weights": batch.weights,
    }
  return found


def divide(
  feeds: hints.Batch, decoder: str, least: int
) -> Dict[str, Dict[str, Any]]:
  """Converts the feeds of a batch to feeds that can be divided by rows.

  They are for the builders of `attention_pieces` with `divided=True`. The
  losses of the parts, weighted by their numbers of rows, sum to the batch's.

  Args:
    feeds: sub-model → feed name → array `[B, ...]`; with dropout each also has
      `dropout_rate` and `seed` `[2]`.
    decoder: the name of the sub-model that has `weights` `[B, S]`.
    least: the smallest number of rows. If the batch has fewer, its last row is
      repeated, with weights of 0.

  Returns:
    A dict as `feeds`, which is left unchanged. The decoder also has
    `symbols_per_row`, a float: the sum of its weights divided by the number of
    rows, repeated ones included. `seed` becomes `[rows, 2]` int32: each row has
    its own, because each part draws the masks of all its rows from the seed of
    its first row.

  Raises:
    KeyError: if `feeds` has no `decoder`, or that one no `weights`.
  """
  weights = np.asarray(feeds[decoder]["weights"])
  rows = len(weights)
  lacking = max(0, least - rows)
  found = {}
  for sub_model, own in feeds.items():
    own = dict(own)
    noise = {k: own.pop(k) for k in ("dropout_rate", "seed") if k in own}
    own = {name: _repeat_last(array, lacking) for name, array in own.items()}
    if "seed" in noise:
      noise["seed"] = _spread(noise["seed"], rows + lacking)
    found[sub_model] = dict(own, **noise)
  found[decoder]["weights"][rows:] = 0
  found[decoder]["symbols_per_row"] = float(weights.sum()) / (rows + lacking)
  return found


def _repeat_last(array, times):
  """Returns a copy with the last row appended a number of times."""
  return np.concatenate([array] + [array[-1:]] * times)


def _spread(seed, rows):
  """Returns a seed for each row, `[rows, 2]`; the first is `seed`."""
  first, second = (int(number) for number in seed)
  numbers = (first + np.arange(rows, dtype=np.int64)) % 2**31
  return np.stack([numbers, np.full(rows, second)], 1).astype(np.int32)
