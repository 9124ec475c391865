"""GradDrop: weighs each entry of the gradients on its own."""

import numbers

from tangle.compat import tf1


def drop(parts, leak=None, seed=None):
  """Keeps, entry by entry, the positive or the negative gradients.

  With `P = (1 + sum_k g_k / sum_k |g_k|) / 2` and u drawn uniformly, gradients
  of an entry are kept if positive and `P > u`, or negative and `P <= u`:
  `d = sum_k (leak[k] + (1 - leak[k]) kept_k) g_k`. The expectation of the sign
  is that of the sum.

  Source: Chen et al. 2020, "Just Pick a Sign: Optimizing Deep Multitask Models
  with Gradient Sign Dropout", Algorithm 1, without its sum over the batch of
  gradients times activations: gradients may be those of variables here.

  Args:
    parts: the `gramians.Parts` of one variable.
    leak: K numbers in [0, 1], the share of each loss that is never dropped; 0
      each for None.
    seed: an int or None: seed of a stateful random op. Or an int tensor or
      array `[2]`: seed of a stateless one.

  Returns:
    A tensor of the variable's shape, an `IndexedSlices` if `parts` are sparse,
    or `None`. Rows without a gradient are zero in either case.
  """
  from_value = [(k, v) for k, v in enumerate(parts.values) if v is not None]
  if not from_value:
    return None
  values = [value for _, value in from_value]
  total, size = tf1.add_n(values), tf1.add_n([tf1.abs(v) for v in values])
  safe = tf1.where_v2(size > 0, size, tf1.ones_like(size))
  purity = 0.5 * (1.0 + total / safe)
  shape, dtype = tf1.shape(total), values[0].dtype
  drawn = dtype if dtype.size >= 4 else tf1.float32
  if seed is None or isinstance(seed, numbers.Integral):
    noise = tf1.random.uniform(shape, dtype=drawn, seed=seed)
  else:
    noise = tf1.random.stateless_uniform(shape, seed, dtype=drawn)
  up = purity > tf1.cast(noise, dtype)
  found = []
  for k, value in from_value:
    kept = tf1.where_v2(tf1.equal(value > 0, up), value, tf1.zeros_like(value))
    if leak is not None:
      share = tf1.cast(leak[k], dtype)
      kept = share * value + (1 - share) * kept
    found.append(kept)
  combined = tf1.add_n(found)
  combined.set_shape(values[0].shape)
  if parts.indices is None:
    return combined
  return tf1.IndexedSlices(combined, parts.indices, parts.dense_shape)
