"""Jacobians for the tests, one row a loss, and the methods run on them."""

import numpy as np

from tangle import gradients
from tangle.compat import tf1
from tests import case

EXAMPLE = np.array([[-4.0, 1, 1], [6, 1, 1]])

GOLDEN = {
  "mean": (1, 1, 1),
  "sum": (2, 2, 2),
  "mgda": (0, 1, 1),
  "pcgrad": (0.5848, 3.8012, 3.8012),
  "upgrad": (0.2929, 1.9004, 1.9004),
  "cagrad": (0.1835, 1.2041, 1.2041),
  "imtl_g": (0.0767, 1, 1),
  "aligned_mtl": (0.2133, 0.9673, 0.9673),
  "nash_mtl": (0.0542, 0.7061, 0.7061),
}
"""Method → what it gives for `EXAMPLE`."""


def shapes(rng):
  """Returns name → Jacobian, of all kinds that make trouble."""
  found = {
    "one": rng.standard_normal((1, 4)),
    "two": rng.standard_normal((2, 5)),
    "seven": rng.standard_normal((7, 9)),
    "more_than_dimensions": rng.standard_normal((6, 3)),
    "positive": np.abs(rng.standard_normal((4, 6))),
  }
  found["scaled"] = found["two"] * [[1000.0], [1.0]]
  return found


class Runner:
  """Runs methods on Jacobians `[K, P]`, each graph built once."""

  def __init__(self, test):
    self._graph = test.graph
    self._session = test.session
    self._made = {}

  def __call__(self, jacobian, method, dtype=np.float64, **options):
    """Returns the combined gradient `[P]` and the weights `[K]`."""
    jacobian = np.asarray(jacobian, dtype)
    key = jacobian.shape, method, dtype, repr(sorted(options.items()))
    if key not in self._made:
      ph = tf1.placeholder(dtype, jacobian.shape)
      rows = [[row] for row in tf1.unstack(ph)]
      found = gradients.explain(rows, method, **options)
      fetches = found.gradients[0]
      if found.weights is not None:
        fetches = [fetches, found.weights]
      else:
        fetches = [fetches, tf1.zeros([])]
      self._made[key] = ph, fetches
    if not hasattr(self, "_sess"):
      self._sess = self._session()
    ph, fetches = self._made[key]
    return self._sess.run(fetches, {ph: jacobian})


class JacobianTestCase(case.GraphTestCase):
  """Has a `run` of methods on Jacobians."""

  def setUp(self):
    super().setUp()
    self.run_method = Runner(self)
