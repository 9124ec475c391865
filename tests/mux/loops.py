"""What the tests of multiplexers share: networks, and a loop over examples."""

import numpy as np

from tangle import mux
from tangle.compat import tf1
from tests import case

DEPTH = 3
VOCABULARY = 4

PER_EXAMPLE = {
  "where": mux.where,
  "where_run_empty": lambda *args: mux.where(*args, run_empty=True),
  "route": mux.route,
  "route_run_empty": lambda *args: mux.route(*args, run_empty=True),
}


def select_outputs(selector, inputs, networks):
  """Chooses among the outputs of all networks: for safe networks only."""
  return mux.select(selector, [network(inputs) for network in networks])


def switch_by_rows(selector, inputs, networks):
  """Calls `switch` on each row, with its own selector, in the graph."""
  rows = selector.shape[0]
  found = []
  for b in range(rows):
    row = tf1.nest.map_structure(lambda v, b=b: v[b : b + 1], inputs)
    found.append(mux.switch(selector[b], row, networks))
  return tf1.nest.map_structure(lambda *v: tf1.concat(v, 0), *found)


class Networks:
  """K networks with own weights, a shared weight and a shared table.

  A network reads {"x": [B, D], "ids": [B]} and gives a nest of several types.
  """

  def __init__(self, test, count):
    def draw(name, *shape):
      return test.variable(name, 0.5 * test.normal(*shape))

    self.own = [draw(f"own_{k}", DEPTH, DEPTH) for k in range(count)]
    self.bias = [draw(f"bias_{k}", DEPTH) for k in range(count)]
    self.shared = draw("shared", DEPTH, 2)
    self.table = draw("table", VOCABULARY, DEPTH)
    self.networks = [self.make(k) for k in range(count)]
    self.variables = [*self.own, *self.bias, self.shared, self.table]

  def make(self, k):
    """Returns the k-th network."""

    def network(inputs):
      x = inputs["x"] + tf1.gather(self.table, inputs["ids"])
      hidden = tf1.tanh(x @ self.own[k] + self.bias[k])
      return {
        "hidden": hidden,
        "pair": (hidden @ self.shared + x[:, :2] ** 2, inputs["ids"] + k),
        "label": tf1.as_string(inputs["ids"]),
      }

    return network


class LoopTestCase(case.GraphTestCase):
  """Compares multiplexers to a Python loop over the examples."""

  def draw_inputs(self, rows):
    """Returns arrays of inputs and upstream gradients."""
    return (
      {"x": self.normal(rows, DEPTH), "ids": self.rng.randint(0, 4, [rows])},
      [self.normal(rows, DEPTH), self.normal(rows, 2)],
    )

  def make_inputs(self, rows):
    """Returns placeholders of inputs and upstream gradients."""
    inputs = {
      "x": tf1.placeholder(tf1.float64, [rows, DEPTH]),
      "ids": tf1.placeholder(tf1.int64, [rows]),
    }
    upstream = [
      tf1.placeholder(tf1.float64, [rows, DEPTH]),
      tf1.placeholder(tf1.float64, [rows, 2]),
    ]
    return inputs, upstream

  def derivatives(self, outputs, upstream, inputs, variables):
    """Returns the gradients to the inputs and the variables."""
    heads = [outputs["hidden"], outputs["pair"][0]]
    points = [inputs["x"], *variables]
    gradients = tf1.gradients(heads, points, upstream)
    return [tf1.convert_to_tensor(gradient) for gradient in gradients]

  def make_loop(self, found):
    """Builds a step for one example of each branch.

    Returns:
      A function from (session, selector, arrays, upstream arrays) to outputs
      and first gradients, which runs one example at a time.
    """
    inputs, upstream = self.make_inputs(1)
    branches = []
    for k, network in enumerate(found.networks):
      outputs = network(inputs)
      variables = [found.own[k], found.bias[k], found.shared, found.table]
      places = [found.variables.index(v) for v in variables]
      first = self.derivatives(outputs, upstream, inputs, variables)
      branches.append((outputs, first, places))

    def run(sess, selector, arrays, upstream_np):
      shapes = [v.shape.as_list() for v in found.variables]
      totals = [np.zeros(shape) for shape in shapes]
      values, slopes = [], []
      for b, k in enumerate(selector):
        outputs, first, places = branches[k]
        feed = {inputs[key]: arrays[key][b : b + 1] for key in inputs}
        feed.update(
          (ph, array[b : b + 1]) for ph, array in zip(upstream, upstream_np)
        )
        value, (slope, *gradients) = sess.run([outputs, first], feed)
        values.append(value)
        slopes.append(slope)
        for place, gradient in zip(places, gradients):
          totals[place] += gradient
      slopes.append(np.zeros([0, DEPTH]))
      return values, [np.concatenate(slopes), *totals]

    return run

  def assert_equals_loop(self, values, gradients, loop, rtol=1e-12):
    """Fails unless outputs and gradients equal those of the loop."""
    expected, slopes = loop
    for key in ("hidden", "label"):
      self.assert_column(values[key], [v[key] for v in expected], rtol)
    for k in range(2):
      column = [v["pair"][k] for v in expected]
      self.assert_column(values["pair"][k], column, rtol)
    self.assertEqual(len(gradients), len(slopes))
    for found, wanted in zip(gradients, slopes):
      self.assert_close(found, wanted, rtol)

  def assert_column(self, found, rows, rtol):
    """Fails unless `found` is `rows`, one below the other."""
    self.assertEqual(len(found), len(rows))
    if rows and found.dtype.kind == "f":
      self.assert_close(found, np.concatenate(rows), rtol)
    elif rows:
      self.assertEqual(found.tolist(), np.concatenate(rows).tolist())
