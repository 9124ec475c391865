"""Tests of live sets: the order of a sweep, and what is live in it."""

from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import internals, live_sets
from tests import case


class LiveSetsTestCase(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2, 2], "x")
    self.w = self.variable("w", self.normal(2, 2))

  def step(self, h, name):
    return tf1.matmul(h, self.w, name=name)

  def names(self, sweep, most=4):
    return [
      tuple(t.name for t in place.tensors) for place in sweep.places(most)
    ]


class OrderTest(LiveSetsTestCase):
  def order(self, *outputs, inputs=None):
    sweep = live_sets.Sweep(inputs or [self.x], outputs)
    return sorted(
      [op.name for op in sweep.position],
      key=lambda name: sweep.position[self.graph.get_operation_by_name(name)],
    )

  def test_what_is_needed_last_comes_last(self):
    z = tf1.placeholder(tf1.float64, [2, 2], "z")
    early = tf1.tanh(z, name="early")  # made first, and by a cheap op
    a = self.step(self.x, "a")
    b = self.step(a, "b")
    y = tf1.add(early, b, name="y")
    found = self.order(y, inputs=[self.x, z])
    self.assertEqual(found, ["a", "b", "early", "y"])

  def test_a_grid_comes_in_the_order_in_which_it_was_made(self):
    below = above = self.x
    for t in range(3):
      below = tf1.matmul(below, self.w, name=f"below{t}")
      above = tf1.matmul(above, below, name=f"above{t}")
    found = self.order(above)
    wanted = [f"{k}{t}" for t in range(3) for k in ("below", "above")]
    self.assertEqual(found, wanted)

  def test_ops_without_a_gradient_are_not_in_it(self):
    a = self.step(self.x, "a")
    count = tf1.cast(tf1.shape(a)[0], tf1.float64)
    y = self.step(a * count, "y") * tf1.stop_gradient(a)
    found = self.order(y)
    self.assertEqual(found, ["a", "mul", "y", "mul_1"])

  @parameterized.parameters(False, True)
  def test_a_loop_has_one_position(self, v2):
    self.use_control_flow(v2)
    a = self.step(self.x, "a")
    _, y = tf1.while_loop(
      lambda k, h: k < 3, lambda k, h: (k + 1, self.step(h, "b")), [0, a]
    )
    y = self.step(y, "y")
    sweep = live_sets.Sweep([self.x], [y])
    positions = set(sweep.position.values())
    self.assertEqual(positions, set(range(sweep.length)))
    loops = {k for op, k in sweep.position.items() if internals.in_v1_loop(op)}
    self.assertLen(loops, 0 if v2 else 1)


class PlacesTest(LiveSetsTestCase):
  def test_all_places_of_a_chain_are_told(self):
    y = self.step(self.step(self.step(self.x, "a"), "b"), "c")
    sweep = live_sets.Sweep([self.x], [y])
    self.assertEqual(self.names(sweep), [("a:0",), ("b:0",)])
    places = list(sweep.places(4))
    self.assertEqual([sweep.heavy[place.position] for place in places], [1, 2])

  def test_inputs_do_not_count(self):
    a = self.step(self.x, "a")
    y = tf1.add(self.step(a, "b"), self.x, name="y")
    sweep = live_sets.Sweep([self.x], [y])
    self.assertEqual(self.names(sweep, most=1), [("a:0",), ("b:0",)])

  def test_views_count_as_what_they_are_of(self):
    a = self.step(self.x, "a")
    b = tf1.reshape(a, [4], name="b")
    left, right = tf1.split(b, 2)
    c = tf1.tanh(left, name="c")
    y = tf1.multiply(c, right, name="y")
    sweep = live_sets.Sweep([self.x], [y])
    found = self.names(sweep, most=2)
    self.assertEqual(found, [("a:0",), ("b:0",), ("b:0",), ("split:1", "c:0")])

  def test_what_cannot_be_named_gives_way_or_has_no_place(self):
    a = self.step(self.x, "a")
    b = tf1.identity(a, name="b")
    c = self.step(b, "c")
    y = self.step(c, "y")
    self.graph.prevent_feeding(b)
    self.graph.prevent_feeding(c)
    sweep = live_sets.Sweep([self.x], [y])
    self.assertEqual(self.names(sweep), [("a:0",), ("a:0",)])

  def test_an_output_is_live_to_the_end(self):
    a = self.step(self.x, "a")
    y = self.step(self.step(a, "b"), "c")
    sweep = live_sets.Sweep([self.x], [a, y])
    self.assertEqual(self.names(sweep), [("a:0",), ("a:0", "b:0")])

  def test_places_with_more_tensors_are_left_out(self):
    parts = [self.step(self.x, f"part{k}") for k in range(5)]
    y = self.step(tf1.concat(parts, 1)[:, :2], "y")
    sweep = live_sets.Sweep([self.x], [y])
    for most in (1, 3):
      sizes = [len(place.tensors) for place in sweep.places(most)]
      self.assertEqual(max(sizes), most)


class SpansTest(LiveSetsTestCase):
  def test_variables_have_the_span_of_their_use(self):
    v = self.variable("v", self.normal(2, 2))
    unused = self.variable("unused", self.normal(2, 2))
    a = self.step(self.x, "a")
    b = tf1.matmul(a, tf1.tanh(v), name="b")
    c = self.step(b, "c") * tf1.stop_gradient(unused)
    sweep = live_sets.Sweep([self.x], [c])
    self.assertEqual(sweep.variable_spans["w:0"], (0, 2))
    self.assertEqual(sweep.variable_spans["v:0"], (1, 1))
    self.assertNotIn("unused:0", sweep.variable_spans)

  def test_taps_are_what_is_read_beside_the_gradient(self):
    a = self.step(self.x, "a")
    b = self.step(a, "b")
    c = self.step(b, "c")
    y = tf1.multiply(c, tf1.cast(a > 0.0, tf1.float64), name="y")
    y = y * tf1.cast(tf1.size(b), tf1.float64)
    sweep = live_sets.Sweep([self.x], [y])
    found = [(t.name, made, last) for t, made, last in sweep.taps()]
    self.assertEqual(found, [("a:0", 0, 3)])


if __name__ == "__main__":
  absltest.main()
