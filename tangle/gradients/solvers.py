"""Small convex problems, solved inside the graph.

K, the number of unknowns, is the number of losses: a few tens at most. The
computation is in float64, and no gradient flows through a solution.
"""

from tangle.compat import tf1

TOLERANCE = 1e-12
"""The tolerance of the solvers, relative to the size of the input."""

_MAX_STEPS = 50
_TINY = 1e-300


def solve_nonnegative(matrix, vectors, name="solve_nonnegative"):
  """Minimizes `x^T matrix x / 2 - vectors[n]^T x` over `x >= 0`, for each n.

  Uses a primal-dual interior-point method, which takes about ten steps. If
  several `x` are optimal, as with collinear losses, it converges to the middle
  of them, so that the solution does not depend on the order of the losses.

  Source: Mehrotra 1992, "On the Implementation of a Primal-Dual Interior Point
  Method", with one step length for both sides. Unknowns are scaled so that the
  diagonal of `matrix` is 1, so losses may differ by orders of magnitude.

  Args:
    matrix: `[K, K]` float64, positive semidefinite, its diagonal positive.
    vectors: `[N, K]` float64.
    name: name scope of the new ops.

  Returns:
    `[N, K]` float64; the last iterate if 50 steps do not reach `TOLERANCE`.

  Gradients:
    No gradient flows through the solution.
  """
  with tf1.name_scope(name):
    matrix = tf1.stop_gradient(matrix)
    vectors = tf1.stop_gradient(vectors)
    scale = tf1.sqrt(tf1.linalg.diag_part(matrix))
    unit = matrix / (scale[:, None] * scale[None, :])
    goals = vectors / scale
    sizes = tf1.reduce_max(tf1.abs(goals), 1, keepdims=True)
    sizes = tf1.where_v2(sizes > 0, sizes, tf1.ones_like(sizes))
    goals = goals / sizes
    ones = tf1.ones_like(goals)

    def step(k, x, slack, _):
      new_x, new_slack, error = _interior_step(unit, goals, x, slack)
      going = tf1.logical_and(error > TOLERANCE, tf1.is_finite(error))
      going = tf1.logical_and(going, tf1.reduce_all(tf1.is_finite(new_x), 1))
      keep = going[:, None]
      return (
        k + 1,
        tf1.where_v2(keep, new_x, x),
        tf1.where_v2(keep, new_slack, slack),
        tf1.reduce_any(going),
      )

    _, x, _, _ = tf1.while_loop(
      lambda k, x, slack, going: tf1.logical_and(going, k < _MAX_STEPS),
      step,
      [tf1.constant(0), ones, ones, tf1.constant(True)],
      back_prop=False,
    )
    return tf1.stop_gradient(x * sizes / scale)


def _interior_step(matrix, goals, x, slack):
  """Returns the next x and slack, and the error of the current ones `[N]`."""
  size = tf1.shape(matrix)[0]
  residual = tf1.matmul(x, matrix) - goals - slack
  gap = tf1.reduce_mean(x * slack, 1, keepdims=True)
  # If an unknown and its slack are both zero, each is the root of the gap.
  root = 1e-3 * tf1.sqrt(gap[:, 0])
  error = tf1.maximum(tf1.reduce_max(tf1.abs(residual), 1), root)
  ridge = 1e-14 * tf1.eye(size, dtype=x.dtype)
  system = matrix + ridge + tf1.linalg.diag(slack / x)

  def direction(target):
    right = target / x - residual
    move_x = tf1.linalg.solve(system, right[:, :, None])[:, :, 0]
    return move_x, (target - slack * move_x) / x

  def length(move_x, move_slack):
    shrink = tf1.maximum(
      tf1.reduce_max(-move_x / x, 1, keepdims=True),
      tf1.reduce_max(-move_slack / slack, 1, keepdims=True),
    )
    return 1.0 / tf1.maximum(shrink, _TINY)

  ahead_x, ahead_slack = direction(-x * slack)
  far = tf1.minimum(length(ahead_x, ahead_slack), 1.0)
  after = (x + far * ahead_x) * (slack + far * ahead_slack)
  after = tf1.reduce_mean(after, 1, keepdims=True)
  center = (after / gap) ** 3 * gap
  move_x, move_slack = direction(center - x * slack - ahead_x * ahead_slack)
  far = tf1.minimum(0.995 * length(move_x, move_slack), 1.0)
  return x + far * move_x, slack + far * move_slack, error


def solve_simplex(matrix, name="solve_simplex"):
  """Minimizes `w^T matrix w` over `w >= 0`, `sum(w) = 1`.

  With `x` the minimizer of `x^T matrix x / 2 + (sum(x) - 1)^2 / 2` over
  `x >= 0`, `w = x / sum(x)`: both problems have the same optimality conditions.

  Args:
    matrix: `[K, K]` float64, positive semidefinite.
    name: name scope of the new ops.

  Returns:
    w, `[K]` float64.

  Gradients:
    No gradient flows through the solution.
  """
  with tf1.name_scope(name):
    diagonal = tf1.linalg.diag_part(matrix)
    unit = tf1.reduce_min(
      tf1.where_v2(
        diagonal > 0, diagonal, tf1.fill(tf1.shape(diagonal), _huge())
      )
    )
    unit = tf1.where_v2(unit < _huge(), unit, tf1.ones_like(unit))
    goal = tf1.ones_like(diagonal)[None, :]
    x = solve_nonnegative(matrix / unit + 1.0, goal)[0]
    return x / tf1.reduce_sum(x)


def solve_ball(matrix, radius, ridge=1e-8, name="solve_ball"):
  """Finds the step `d` near the mean that helps the worst loss most.

  Maximizes `min_i g_i^T d` over `|d - mean(g)| <= radius |mean(g)|`, where
  `matrix[i, j] = g_i^T g_j`. The step is `d = mean(g) + sum_i x_i g_i`. For a
  given smallest gain v, `solve_nonnegative` finds the nearest d with
  `g_i^T d >= v`. Its distance is convex in v, so Newton's method finds the v
  whose distance is the radius.

  Args:
    matrix: `[K, K]` float64, positive semidefinite.
    radius: at least 0, a number.
    ridge: each diagonal entry is increased by this fraction, so that such a d
      exists for every v.
    name: name scope of the new ops.

  Returns:
    x, `[K]` float64; 0 for a loss without a gradient, which sets no condition.

  Gradients:
    No gradient flows through the solution.
  """
  with tf1.name_scope(name):
    matrix = tf1.stop_gradient(matrix)
    diagonal = tf1.linalg.diag_part(matrix)
    asks = diagonal > 0
    ones, none = tf1.ones_like(diagonal), tf1.zeros_like(diagonal)
    full = tf1.linalg.set_diag(
      matrix, tf1.where_v2(asks, diagonal * (1.0 + ridge), ones)
    )
    gains = tf1.reduce_mean(matrix, 1)  # g_i^T mean(g)
    reach = radius * tf1.sqrt(tf1.maximum(tf1.reduce_mean(gains), 0.0))
    norms = tf1.sqrt(tf1.linalg.diag_part(full))
    # An upper bound on v: at this gain of any one loss, the distance is at
    # least the radius.
    best = tf1.where_v2(asks, gains + reach * norms, _huge() * ones)
    start = tf1.reduce_min(best)

    def step(k, least, _, unused_going):
      goal = tf1.where_v2(asks, least - gains, -ones)
      x = solve_nonnegative(full, goal[None, :])[0]
      x = tf1.where_v2(asks, x, none)
      distance = tf1.sqrt(tf1.reduce_sum(x * tf1.linalg.matvec(full, x)))
      going = tf1.abs(distance - reach) > 1e-7 * reach
      total = tf1.maximum(tf1.reduce_sum(x), _TINY)
      following = least + (reach - distance) * distance / total
      return k + 1, following, x, going

    possible = tf1.logical_and(reach > 0, tf1.reduce_any(asks))
    _, _, x, _ = tf1.while_loop(
      lambda k, least, x, going: tf1.logical_and(going, k < _MAX_STEPS // 2),
      step,
      [tf1.constant(0), start, none, possible],
      back_prop=False,
    )
    return tf1.stop_gradient(x)


def solve_bargain(matrix, name="solve_bargain"):
  """Solves `matrix a = 1 / a` for `a > 0`, entry by entry.

  The solution minimizes `a^T matrix a / 2 - sum(log a)`, which is
  self-concordant: damped Newton steps converge from any start.

  Source: Boyd & Vandenberghe 2004, "Convex Optimization", section 9.6.

  Args:
    matrix: `[K, K]` float64, positive definite, its diagonal near 1.
    name: name scope of the new ops.

  Returns:
    a, `[K]` float64.

  Gradients:
    No gradient flows through the solution.
  """
  with tf1.name_scope(name):
    matrix = tf1.stop_gradient(matrix)

    def step(k, a, _):
      slope = tf1.linalg.matvec(matrix, a) - 1.0 / a
      # In units of a, the curvature of the logarithms is the identity.
      curve = matrix * a[:, None] * a[None, :]
      curve += tf1.eye(tf1.shape(a)[0], dtype=a.dtype)
      move = tf1.linalg.solve(curve, (-slope * a)[:, None])[:, 0]
      decrement = tf1.sqrt(tf1.maximum(tf1.reduce_sum(-slope * a * move), 0.0))
      far = tf1.where_v2(
        decrement > 0.25, 1.0 / (1.0 + decrement), tf1.ones_like(decrement)
      )
      return k + 1, a * (1.0 + far * move), decrement > TOLERANCE

    start = tf1.ones_like(tf1.linalg.diag_part(matrix))
    _, a, _ = tf1.while_loop(
      lambda k, a, going: tf1.logical_and(going, k < 4 * _MAX_STEPS),
      step,
      [tf1.constant(0), start, tf1.constant(True)],
      back_prop=False,
    )
    return tf1.stop_gradient(a)


def _huge():
  return tf1.constant(1e300, tf1.float64)
