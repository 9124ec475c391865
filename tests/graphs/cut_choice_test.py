"""Tests of the choice among places: which of several near ones is listed."""

from absl.testing import absltest

from tangle.compat import tf1
from tangle.graphs import cut_choice, flops, live_sets
from tests import case


class ChoiceTestCase(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2, 4], "x")

  def dense(self, x, name, units=4):
    w = self.variable(f"{name}_w", self.normal(x.shape.as_list()[-1], units))
    b = self.variable(f"{name}_b", self.normal(units))
    return tf1.add(tf1.matmul(x, w), b, name=name)

  def choose(self, *outputs, most=4):
    """Returns the names of what is chosen."""
    self.sweep = live_sets.Sweep([self.x], outputs)
    shapes = flops.Shapes(self.sweep.ops)
    self.work = cut_choice.Work(self.sweep, flops.Counter(shapes))
    choice = cut_choice.Choice(self.sweep, shapes, self.work)
    for place in self.sweep.places(most):
      choice.add(place)
    return [[t.name for t in place.tensors] for place in choice.places()]


class ChoiceTest(ChoiceTestCase):
  def test_of_one_size_the_last_before_the_next_layer(self):
    h = tf1.tanh(self.dense(self.x, "a"), name="h")
    y = self.dense(h, "y")
    self.assertEqual(self.choose(tf1.reduce_sum(y)), [["h:0"], ["y:0"]])

  def test_above_the_last_layer_what_it_gives(self):
    y = tf1.nn.relu(self.dense(self.x, "a"), name="y")
    error = tf1.square(y - 1.0)
    self.assertEqual(self.choose(tf1.reduce_sum(error)), [["y:0"]])

  def test_a_smaller_one_besides_but_no_larger_one(self):
    h = self.dense(self.x, "h")
    mean = tf1.reduce_mean(h, 1, keepdims=True, name="mean")
    wide = tf1.tile(mean, [1, 8])
    y = self.dense(wide, "y")
    found = self.choose(tf1.reduce_sum(y))
    self.assertEqual(found, [["h:0"], ["mean:0"], ["y:0"]])

  def test_nothing_before_the_first_layer(self):
    y = self.dense(tf1.tanh(2.0 * self.x), "y")
    self.assertEqual(self.choose(tf1.reduce_sum(tf1.square(y))), [["y:0"]])

  def test_a_set_only_far_from_single_tensors(self):
    for blocks in (1, 6):
      h = self.x
      for k in range(blocks):
        with tf1.name_scope(f"of_{blocks}_{k}"):
          a = self.dense(h, f"a{blocks}_{k}")
          h = tf1.add(h, self.dense(a, f"b{blocks}_{k}"), name="h")
      found = self.choose(tf1.reduce_sum(self.dense(h, f"y{blocks}")))
      sizes = {len(names) for names in found}
      self.assertEqual(sizes, {1})
    deep = side = self.dense(self.x, "first")
    for k in range(8):
      deep = self.dense(deep, f"deep{k}")
    y = self.dense(deep + side, "last")
    sets = [names for names in self.choose(y) if len(names) == 2]
    self.assertEqual(sets[0], ["first:0", "deep0:0"])
    self.assertLen(sets, 7)

  def test_a_set_beside_a_single_tensor_if_it_is_smaller(self):
    h = self.dense(self.x, "wide", units=16)
    a, b = tf1.split(h, 2, 1)
    a = tf1.reduce_sum(a, 1, keepdims=True, name="a")
    b = tf1.reduce_max(b, 1, keepdims=True, name="b")
    for k in range(3):
      a = self.dense(a, f"a{k}", 8)
    for k in range(3):
      b = self.dense(b, f"b{k}", 8)
    found = self.choose(self.dense(a * b, "y"))
    self.assertEqual(found[0], ["wide:0"])
    self.assertLen(found[1], 2)
    self.assertIn("a:0", found[1])


class WorkTest(ChoiceTestCase):
  def test_shares_grow_to_one(self):
    h = self.dense(self.x, "a")
    for k in range(3):
      h = self.dense(h, f"h{k}")
    self.choose(tf1.reduce_sum(h))
    shares = [self.work.share(k) for k in range(self.sweep.length)]
    self.assertEqual(shares, sorted(shares))
    self.assertAlmostEqual(shares[-1], 1.0)
    # two ops a layer: a product of 64 operations, a sum of 8
    self.assertAlmostEqual(shares[1], 0.25, delta=0.01)
    whole = self.work.between(-1, self.sweep.length - 1)
    self.assertGreater(whole, 0.9)
    self.assertLess(self.work.between(1, 3), 0.3)

  def test_without_operations_ops_count(self):
    y = tf1.tanh(tf1.sin(tf1.cos(tf1.exp(self.x))))
    self.choose(y)
    self.assertEqual(self.work.share(2), 0.0)
    self.assertEqual(self.work.between(0, 2), 0.5)


if __name__ == "__main__":
  absltest.main()
