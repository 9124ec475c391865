"""Methods that weigh losses by the inner products of their gradients.

Each takes the Gramian `G[i, j] = g_i^T g_j` of the gradients of K losses and
returns K weights; the combined gradient is `d = sum_k weights[k] g_k`. All need
only G, so the cost of the solution does not grow with the variables. A loss
whose gradient is zero puts no condition on d. The exception is MGDA: by its
definition d is then zero.
"""

import numbers

import numpy as np

from tangle.compat import tf1
from tangle.gradients import solvers


def pcgrad(gram, precision, seed=None):
  """Removes from each gradient its conflicts with the others, and sums.

  For each i, and each other j in a random order with `g_i^T g_j < 0`:
  `g_i -= g_i^T g_j / |g_j|^2 g_j`, with the original `g_j`.

  Source: Yu et al. 2020, "Gradient Surgery for Multi-Task Learning",
  Algorithm 1.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: not used; every method takes it.
    seed: an int or None: seed of a stateful random op. Or an int tensor or
      array `[2]`: seed of a stateless op, which repeats the same orders.

  Returns:
    `[K]` float64, the weight of each gradient in d.
  """
  del precision
  count = tf1.dimension_value(gram.shape[0])
  if seed is None or isinstance(seed, numbers.Integral):
    noise = tf1.random.uniform([count, count], seed=seed)
  else:
    noise = tf1.random.stateless_uniform([count, count], seed)
  _, order = tf1.nn.top_k(noise, count)
  diagonal = tf1.linalg.diag_part(gram)
  shares = tf1.eye(count, dtype=gram.dtype)
  for turn in range(count if count > 1 else 0):
    other = tf1.one_hot(order[:, turn], count, dtype=gram.dtype)
    product = tf1.reduce_sum(tf1.matmul(shares, gram) * other, 1)
    square = tf1.linalg.matvec(other, diagonal)
    own = tf1.linalg.diag_part(other) > 0
    takes = tf1.logical_and(product < 0, square > 0)
    takes = tf1.logical_and(takes, tf1.logical_not(own))
    square = tf1.where_v2(takes, square, tf1.ones_like(square))
    factor = tf1.where_v2(takes, product / square, tf1.zeros_like(product))
    shares -= factor[:, None] * other
  return tf1.reduce_sum(shares, 0)


def mgda(gram, precision):
  """Finds the convex combination of the gradients with the smallest norm.

  The weights w minimize `|d|^2 = w^T gram w` over `w >= 0`, `sum(w) = 1`. Then
  `g_i^T d >= |d|^2` for every i, so a small step along `-d` lowers all losses.
  If no step lowers all losses, or one of the gradients is zero, d is zero.

  Source: Desideri 2012, "Multiple-gradient descent algorithm (MGDA) for
  multiobjective optimization"; Sener & Koltun 2018, "Multi-Task Learning as
  Multi-Objective Optimization", equation 3. Departure: they approximate w by
  Frank-Wolfe steps; here w is exact up to rounding.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: not used; every method takes it.

  Returns:
    w, `[K]` float64: at least 0, with the sum 1.
  """
  del precision
  return solvers.solve_simplex(gram)


def cagrad(gram, precision, c=0.5):
  """Finds the d near the mean gradient that lowers the worst loss most.

  d maximizes `min_i g_i^T d` over `|d - mean(g)| <= c |mean(g)|`. The minimum
  is over the losses whose gradient is not zero.

  Source: Liu et al. 2021, "Conflict-Averse Gradient Descent for Multi-task
  Learning", equation 4. d is that of the paper; the authors' code divides it by
  `1 + c` by default, this function does not.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: not used; every method takes it.
    c: the radius around the mean gradient, as a fraction of its norm: a number,
      at least 0. With 0, d is the mean gradient.

  Returns:
    `[K]` float64: each weight is at least `1 / K`, which is the weight in the
    mean.
  """
  del precision
  count = tf1.dimension_value(gram.shape[0])
  return solvers.solve_ball(gram, c) + 1.0 / count


def imtl_g(gram, precision):
  """Finds a d on which all gradients have the same projection.

  `d^T g_i / |g_i|` is the same for all i, and the weights sum to 1. They may
  be negative.

  Source: Liu et al. 2021, "Towards Impartial Multi-task Learning", equation 6,
  with a pseudo-inverse, since gradients may be linearly dependent. If zero is
  the only projection they can share, d is zero.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: relative error of `gram`.

  Returns:
    `[K]` float64, the weight of each gradient in d.
  """
  cosines, norms, asks = _cosines(gram)
  values, vectors = tf1.linalg.eigh(cosines)
  kept = values > max(precision, 1e-10)
  inverse = tf1.where_v2(kept, 1.0 / values, tf1.zeros_like(values))
  along = tf1.linalg.matvec(vectors, asks, transpose_a=True)
  shares = tf1.linalg.matvec(vectors, inverse * along)
  shares = asks * shares / norms
  total = tf1.reduce_sum(shares)
  size = tf1.reduce_sum(tf1.abs(shares))
  whole = tf1.abs(total) > 1e-9 * size
  total = tf1.where_v2(whole, total, tf1.ones_like(total))
  return tf1.where_v2(whole, shares / total, tf1.zeros_like(shares))


def nash_mtl(gram, precision, max_norm=1.0):
  """Takes the step of the Nash bargaining solution between the losses.

  The weights a solve `G a = 1 / a`. The scales of the gradients have no effect
  on d. Its norm would be `sqrt(K)`, and is clipped to `max_norm`.

  Source: Navon et al. 2022, "Multi-Task Learning as a Bargaining Game",
  equation 3; the clipping is from its code. The solution is exact; theirs is
  approximate. Near a point where no step lowers all losses, the weights are
  unbounded: the eigenvalues of the cosine matrix are therefore raised to the
  precision, and d is near zero there.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: relative error of `gram`.
    max_norm: largest norm of d; None for no clipping.

  Returns:
    `[K]` float64, the weight of each gradient in d.
  """
  cosines, norms, asks = _cosines(gram)
  values, vectors = tf1.linalg.eigh(cosines)
  values = tf1.maximum(values, max(precision, 1e-12))
  lifted = tf1.matmul(vectors * values, vectors, transpose_b=True)
  # The row of a loss without a gradient is that of the identity.
  shares = asks * solvers.solve_bargain(lifted) / norms
  if max_norm is None:
    return shares
  norm = tf1.sqrt(_square(gram, shares))
  cut = tf1.where_v2(norm > max_norm, norm, max_norm * tf1.ones_like(norm))
  return shares * (max_norm / cut)


def aligned_mtl(gram, precision, preference=None):
  """Makes the gradients orthogonal and equally long, and averages them.

  With `G = V diag(s) V^T`, the weights are
  `sqrt(min s) V diag(1 / sqrt(s)) V^T preference`, over the positive s.

  Source: Senushkin et al. 2023, "Independent Component Alignment for Multi-Task
  Learning", Algorithm 1, scaled by the smallest singular value.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: relative error of `gram`; smaller eigenvalues count as zero.
    preference: K numbers, at least 0; `1 / K` each for None.

  Returns:
    `[K]` float64, the weight of each gradient in d.
  """
  preference = _preference(gram, preference)
  values, vectors = tf1.linalg.eigh(gram)
  kept = values > precision * tf1.reduce_max(values)
  kept = tf1.logical_and(kept, values > 0)
  ones = tf1.ones_like(values)
  safe = tf1.where_v2(kept, values, ones * tf1.reduce_max(values))
  factor = tf1.sqrt(tf1.reduce_min(safe) / tf1.where_v2(kept, values, ones))
  factor = tf1.where_v2(kept, factor, tf1.zeros_like(factor))
  along = tf1.linalg.matvec(vectors, preference, transpose_a=True)
  return tf1.linalg.matvec(vectors, factor * along)


def upgrad(gram, precision, preference=None, regularization=1e-4):
  """Projects each gradient to conflict with none, and averages.

  `d = sum_k preference[k] p_k`, where `p_k` is the vector nearest to `g_k` with
  `g_i^T p_k >= 0` for every i.

  Source: Quinton & Rey 2024, "Jacobian Descent For Multi-Objective
  Optimization", equation 6 and Proposition 1; the regularization is that of
  their library, TorchJD.

  Args:
    gram: `[K, K]` float64, the inner products of the K gradients.
    precision: not used; every method takes it.
    preference: K numbers, at least 0; `1 / K` each for None.
    regularization: added to the diagonal, as a fraction of the trace of `gram`.
      With 0, d conflicts with no loss, up to rounding; with more, the weights
      stay bounded if gradients oppose each other.

  Returns:
    `[K]` float64, the weight of each gradient in d.
  """
  del precision
  preference = _preference(gram, preference)
  trace = tf1.linalg.trace(gram)
  trace = tf1.where_v2(trace > 0, trace, tf1.ones_like(trace))
  count = tf1.dimension_value(gram.shape[0])
  matrix = gram / trace + regularization * tf1.eye(count, dtype=gram.dtype)
  diagonal = tf1.linalg.diag_part(matrix)
  matrix = tf1.linalg.set_diag(
    matrix, tf1.where_v2(diagonal > 0, diagonal, tf1.ones_like(diagonal))
  )
  # Row k: x >= preference[k] e_k, with x counted from that bound.
  bounds = tf1.linalg.diag(preference)
  shares = bounds + solvers.solve_nonnegative(
    matrix, tf1.matmul(-bounds, matrix)
  )
  return tf1.reduce_sum(shares, 0)


WEIGHTINGS = {
  "pcgrad": pcgrad,
  "mgda": mgda,
  "cagrad": cagrad,
  "imtl_g": imtl_g,
  "nash_mtl": nash_mtl,
  "aligned_mtl": aligned_mtl,
  "upgrad": upgrad,
}
"""Name → method, for the methods that use only the Gramian."""


def weights_of(gram, method, precision, **options):
  """Weighs K losses by the Gramian of their gradients.

  Args:
    gram: `[K, K]` float64, K known.
    method: one of `WEIGHTINGS`.
    precision: relative error of `gram`.
    **options: the options of the method.

  Returns:
    `[K]` float64; NaN if `gram` is not finite.

  Gradients:
    No gradient flows through the weights.
  """
  gram = tf1.stop_gradient(gram)
  finite = tf1.reduce_all(tf1.is_finite(gram))
  # On non-finite values a solver would fail without saying why.
  whole = tf1.cond(
    finite,
    lambda: gram,
    lambda: tf1.eye(tf1.dimension_value(gram.shape[0]), dtype=gram.dtype),
  )
  whole.set_shape(gram.shape)
  found = WEIGHTINGS[method](_round(whole), precision, **options)
  nan = tf1.where_v2(
    finite, tf1.zeros([], found.dtype), tf1.constant(np.nan, found.dtype)
  )
  return tf1.stop_gradient(found + nan)


def _round(gram):
  """Removes negative eigenvalues that come from rounding."""
  cosines, norms, asks = _cosines(gram)
  values, vectors = tf1.linalg.eigh(cosines)
  positive = tf1.maximum(values, 0.0)
  mended = tf1.matmul(vectors * positive, vectors, transpose_b=True)
  mended *= (norms * asks)[:, None] * (norms * asks)[None, :]
  mended = 0.5 * (mended + tf1.linalg.matrix_transpose(mended))
  return tf1.linalg.set_diag(mended, tf1.linalg.diag_part(gram))


def _cosines(gram):
  """Returns cosines, norms, and 1 or 0 for whether a loss has a gradient.

  For losses without a gradient, rows are those of the identity and norms 1.
  """
  diagonal = tf1.linalg.diag_part(gram)
  asks = diagonal > 0
  ones = tf1.ones_like(diagonal)
  norms = tf1.sqrt(tf1.where_v2(asks, diagonal, ones))
  cosines = gram / (norms[:, None] * norms[None, :])
  return tf1.linalg.set_diag(cosines, ones), norms, tf1.cast(asks, gram.dtype)


def _square(gram, weights):
  """Returns the square of the norm of the weighted sum."""
  product = tf1.reduce_sum(weights * tf1.linalg.matvec(gram, weights))
  return tf1.maximum(product, 0.0)


def _preference(gram, preference):
  count = tf1.dimension_value(gram.shape[0])
  if preference is None:
    return tf1.constant([1.0 / count] * count, gram.dtype)
  return tf1.cast(tf1.convert_to_tensor(preference), gram.dtype)
