"""GradDrop: chooses a sign for each entry of the gradients separately."""

import math
import numbers

from tangle.compat import tf1
from tangle.nets import half


def drop(parts, leak=None, seed=None):
  """Keeps, entry by entry, the positive or the negative gradients.

  With `P = (1 + sum_k g_k / sum_k |g_k|) / 2` and u drawn uniformly from
  `[0, 1)`, the gradients of an entry are kept (`kept_k` is 1, else 0) if
  positive and `P > u`, or negative and `P <= u`:
  `d = sum_k (leak[k] + (1 - leak[k]) kept_k) g_k`. The expected sign is that of
  the sum.

  Source: Chen et al. 2020, "Just Pick a Sign: Optimizing Deep Multitask Models
  with Gradient Sign Dropout", Algorithm 1, without its sum over the batch of
  gradients times activations: here gradients may be those of variables.

  Args:
    parts: the `gramians.Parts` of one variable.
    leak: K numbers in [0, 1], the share of each loss that is never dropped; all
      0 for None.
    seed: an int or None: seed of a stateful random op. Or an int tensor or
      array `[2]`: seed of a stateless one.

  Returns:
    A tensor of the variable's shape, an `IndexedSlices` if `parts` are sparse,
    or `None` if no loss has a gradient. Rows without a gradient are zero in
    either case. An entry is infinite or NaN if one of its gradients is.
  """
  from_value = [(k, v) for k, v in enumerate(parts.values) if v is not None]
  if not from_value:
    return None
  narrow = from_value[0][1].dtype
  from_value = [(k, half.widen(value)) for k, value in from_value]
  values = [value for _, value in from_value]
  # Scaled down by a power of two, so that a sum of finite values is finite.
  share = 0.5 ** math.ceil(math.log2(len(values)))
  smaller = [share * value for value in values]
  total, size = tf1.add_n(smaller), tf1.add_n([tf1.abs(v) for v in smaller])
  safe = tf1.where_v2(size > 0, size, tf1.ones_like(size))
  purity = 0.5 * (1.0 + total / safe)
  shape, dtype = tf1.shape(total), values[0].dtype
  if seed is None or isinstance(seed, numbers.Integral):
    noise = tf1.random.uniform(shape, dtype=dtype, seed=seed)
  else:
    noise = tf1.random.stateless_uniform(shape, seed, dtype=dtype)
  up = purity > noise
  found = []
  for k, value in from_value:
    kept = tf1.where_v2(tf1.equal(value > 0, up), value, tf1.zeros_like(value))
    if leak is not None:
      share = tf1.cast(leak[k], dtype)
      kept = share * value + (1 - share) * kept
    found.append(kept)
  # Non-finite values are not dropped, so that the sum shows them.
  combined = tf1.where_v2(tf1.is_finite(size), tf1.add_n(found), total)
  combined = tf1.cast(combined, narrow)
  combined.set_shape(values[0].shape)
  if parts.indices is None:
    return combined
  return tf1.IndexedSlices(combined, parts.indices, parts.dense_shape)
