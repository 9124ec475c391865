"""Feeds of an attention model for batches that are divided."""

import numpy as np


def divide_feeds(encoder, decoder, least):
  """Converts the feeds of a batch to feeds that can be divided by rows.

  They are for the builders of `attention_pieces` with `divided=True`. The
  losses of the parts, weighted by their numbers of rows, sum to the batch's.

  Args:
    encoder: feed name → array `[B, ...]`; with dropout also `dropout_rate` and
      `seed` `[2]`.
    decoder: likewise, with `weights` `[B, S]`.
    least: the smallest number of rows. If the batch has fewer, its last row is
      repeated, with weights of 0.

  Returns:
    Two dicts. Each row has its own seed, because each part draws the masks of
    all its rows from the seed of its first row.
  """
  weights = np.asarray(decoder["weights"])
  rows = len(weights)
  lacking = max(0, least - rows)
  found = []
  for feeds in encoder, decoder:
    feeds = dict(feeds)
    noise = {k: feeds.pop(k) for k in ("dropout_rate", "seed") if k in feeds}
    feeds = {
      name: _repeat_last(array, lacking) for name, array in feeds.items()
    }
    if "seed" in noise:
      noise["seed"] = _spread(noise["seed"], rows + lacking)
    found.append(dict(feeds, **noise))
  found[1]["weights"][rows:] = 0
  found[1]["symbols_per_row"] = float(weights.sum()) / (rows + lacking)
  return found


def _repeat_last(array, times):
  """Returns a copy with the last row appended a number of times."""
  return np.concatenate([array] + [array[-1:]] * times)


def _spread(seed, rows):
  """Returns a seed for each row, `[rows, 2]`; the first is `seed`."""
  first, second = (int(number) for number in seed)
  numbers = (first + np.arange(rows, dtype=np.int64)) % 2**31
  return np.stack([numbers, np.full(rows, second)], 1).astype(np.int32)
