"""Paths of all methods on two losses with a known Pareto front.

Source: Liu et al. 2021, "Conflict-Averse Gradient Descent for Multi-task
Learning", appendix: losses, and starts that lie on slopes where the gradients
conflict and one is far longer than the other. With

    f_1 = log max(|0.5 (-x - 7) - tanh(-y)|, 5e-6) + 6
    f_2 = log max(|0.5 (-x + 3) - tanh(-y) + 2|, 5e-6) + 6
    g_1 = ((x - 7)^2 + 0.1 (y + 8)^2) / 10 - 20
    g_2 = ((x + 7)^2 + 0.1 (y + 8)^2) / 10 - 20
    c_1 = max(tanh(y / 2), 0),  c_2 = max(tanh(-y / 2), 0)

loss k is `c_1 f_k + c_2 g_k`.
"""

from typing import Sequence

import numpy as np

from tangle import errors, gradients
from tangle.compat import tf1
from tangle.experiments import plots

STARTS = ((-8.5, 7.5), (-8.5, -5.0), (0.0, 0.0), (9.0, 9.0), (10.0, -8.0))
METHODS = tuple(m for m in gradients.METHODS if m not in ("mean", "weighted"))


def losses_at(points, library=tf1):
  """Returns both losses at points.

  Args:
    points: `[..., 2]`, a tensor, or an array with `library=np`.
    library: `tf1` or `np`.

  Returns:
    Two tensors or arrays `[...]`.
  """
  log = tf1.math.log if library is tf1 else np.log
  x, y = points[..., 0], points[..., 1]
  upper = library.maximum(library.tanh(0.5 * y), 0.0)
  lower = library.maximum(library.tanh(-0.5 * y), 0.0)
  found = []
  for rise, shift, center in ((-7.0, 0.0, 7.0), (3.0, 2.0, -7.0)):
    valley = library.abs(0.5 * (rise - x) - library.tanh(-y) + shift)
    f = log(library.maximum(valley, 5e-6)) + 6.0
    g = ((x - center) ** 2 + 0.1 * (y + 8.0) ** 2) / 10.0 - 20.0
    found.append(upper * f + lower * g)
  return found


def front(count=201):
  """Returns the Pareto set.

  Where y is negative, the gradient of `w loss_1 + (1 - w) loss_2` vanishes at
  `x = 7 (2 w - 1)` and one y, found by bisection.

  Args:
    count: N, points on it, w from 0 to 1.

  Returns:
    `[N, 2]`.
  """
  shares = np.linspace(0, 1, count)
  x = 7 * (2 * shares - 1)
  square = shares * (x - 7) ** 2 + (1 - shares) * (x + 7) ** 2
  low, high = np.full(count, -16.0), np.full(count, -4.0)
  for _ in range(60):
    y = 0.5 * (low + high)
    g = (square + 0.1 * (y + 8) ** 2) / 10 - 20
    slope = -0.5 / np.cosh(0.5 * y) ** 2 * g
    slope += np.tanh(-0.5 * y) * 0.02 * (y + 8)
    low, high = np.where(slope < 0, y, low), np.where(slope < 0, high, y)
  return np.stack([x, 0.5 * (low + high)], 1)


def distance(points, line):
  """Returns `[...]`: how far points `[..., 2]` are from a line `[N, 2]`."""
  gaps = np.asarray(points)[..., None, :] - line
  return np.sqrt((gaps**2).sum(-1)).min(-1)


def follow(
  methods: Sequence[str] = METHODS,
  toy_steps=3000,
  toy_rate=0.05,
  *,
  starts=STARTS,
  progress=None,
):
  """Minimizes from all starts with all methods, with Adam.

  Args:
    methods: some of `METHODS`, each with the defaults of its options.
    toy_steps: steps of each path.
    toy_rate: learning rate of Adam, constant for half the steps, then falling
      to zero along half a cosine.
    starts: where the paths begin, N points.
    progress: called as `progress(paths done, paths)`.

  Returns:
    A dict: `paths`, method → N paths of about 200 points; `ends`, method → N
    points; `distances`, method → N distances from the Pareto set; `reached`,
    method → how many of the N ended within 0.1 of it.

  Raises:
    ArgumentError: if a method is unknown, or the number of steps is not
      positive.
  """
  for method in methods:
    if method not in METHODS:
      raise errors.ArgumentError(
        f"pareto.follow: methods must be among {', '.join(METHODS)}, got "
        f"{method!r}.{errors.suggest(method, METHODS) or ' Correct its name.'}"
      )
  if toy_steps < 1:
    raise errors.ArgumentError(
      f"pareto.follow: toy_steps must be at least 1, got {toy_steps}."
    )
  paths = {}
  for done, method in enumerate(methods):
    paths[method] = _walk(method, toy_steps, toy_rate, starts)
    if progress is not None:
      progress(done + 1, len(methods))
  line = front()
  distances = {m: distance(found[:, -1], line) for m, found in paths.items()}
  return {
    "paths": {m: found.tolist() for m, found in paths.items()},
    "ends": {m: found[:, -1].tolist() for m, found in paths.items()},
    "distances": {m: found.tolist() for m, found in distances.items()},
    "reached": {m: int(np.sum(d < 0.1)) for m, d in distances.items()},
  }


def _walk(method, steps, rate, starts):
  """Returns the paths `[N, T, 2]` of one method."""
  with tf1.Graph().as_default():
    tf1.set_random_seed(0)
    rate_ph = tf1.placeholder(tf1.float64, [])
    points, pairs = [], []
    for n, start in enumerate(starts):
      point = tf1.get_variable(
        f"point_{n}",
        initializer=np.array(start, np.float64),
        use_resource=True,
      )
      found = gradients.of_losses(losses_at(point), [point], method)
      points.append(point)
      pairs.append((found.gradients[0], point))
    train_op = tf1.train.AdamOptimizer(rate_ph).apply_gradients(pairs)
    every = max(1, steps // 200)
    with tf1.Session() as sess:
      sess.run(tf1.global_variables_initializer())
      found = [sess.run(points)]
      for step in range(steps):
        late = max(0.0, 2 * step / steps - 1)
        factor = 0.5 * (1 + np.cos(np.pi * late))
        sess.run(train_op, {rate_ph: rate * factor})
        if (step + 1) % every == 0 or step + 1 == steps:
          found.append(sess.run(points))
  return np.array(found).transpose(1, 0, 2)


@errors.named("pareto.plot")
def plot(figures, path):
  """Draws the paths that `follow` found over contours of the mean loss.

  Args:
    figures: what `follow` returns.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  paths = figures["paths"]
  drawing, panels = plots.open_panels(len(paths), 5, (3.2, 3.3))
  x, y = np.meshgrid(np.linspace(-11, 11, 221), np.linspace(-11, 11, 221))
  first, second = losses_at(np.stack([x, y], -1), np)
  mean, line = 0.5 * (first + second), front()
  for axes, found in zip(panels, paths.values()):
    axes.contour(x, y, mean, levels=14, cmap="Greys_r", linewidths=0.5)
    axes.plot(*line.T, color="#333333", linewidth=4, alpha=0.35, label="front")
    for color, points in zip(plots.COLORS, found):
      points = np.asarray(points)
      axes.plot(*points.T, color=color, linewidth=1.2)
      axes.plot(*points[0], "o", color=color, markersize=4)
      axes.plot(*points[-1], "*", color=color, markersize=9, zorder=4)
    axes.set_xlim(-11, 11)
    axes.set_ylim(-11, 11)
    axes.set_xticks(range(-10, 11, 5))
    axes.set_yticks(range(-10, 11, 5))
  titles = [
    f"{name}: {figures['reached'][name]} of {len(found)}"
    for name, found in paths.items()
  ]
  plots.label_panels(panels, 5, titles, "first parameter", "second parameter")
  panels[0].legend(frameon=False, fontsize=7, loc="upper left")
  drawing.suptitle(
    "From starts (dots) to ends (stars):\nhow many reach the Pareto front",
    fontsize=10,
  )
  drawing.tight_layout(rect=(0, 0, 1, 0.97))
  drawing.savefig(path, dpi=120)
