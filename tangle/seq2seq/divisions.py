"""What sub-models of an attention model are fed if batches are divided."""

import numpy as np


def divide_feeds(encoder, decoder, least):
  """Makes feeds of a batch those of a batch that can be divided.

  The builders of `attention_pieces` take them with `divided=True`. The losses
  of the parts, weighed by their rows, add up to that of the batch.

  Args:
    encoder: feed name → array of `[B, ...]`, and `dropout_rate` and `seed`
      `[2]`, where there is dropout.
    decoder: likewise, with `weights` `[B, S]`.
    least: how many rows the batch must have. The last row is repeated, with
      weights of 0, where it has fewer.

  Returns:
    Two dicts. Each row has a seed of its own, since each part draws the masks
    of all its rows from that of its first one.
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
  """Returns a copy with the last row added so many times."""
  return np.concatenate([array] + [array[-1:]] * times)


def _spread(seed, rows):
  """Returns a seed for each row, `[rows, 2]`; the first is `seed`."""
  first, second = (int(number) for number in seed)
  numbers = (first + np.arange(rows, dtype=np.int64)) % 2**31
  return np.stack([numbers, np.full(rows, second)], 1).astype(np.int32)
