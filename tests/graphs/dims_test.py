"""Tests of dims. That shapes are as they are said to be: `shape_rules_test`."""

from absl.testing import absltest

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import dims
from tests import case


class DimsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 3], "x")
    self.y = tf1.placeholder(tf1.float64, [None, 3], "y")
    self.dims = dims.Dims()

  def note(self, given=frozenset()):
    for op in self.graph.get_operations():
      self.dims.note(op, given)

  def test_sizes_are_ints_and_symbols(self):
    (batch, depth), other = self.dims.of(self.x), self.dims.of(self.y)
    self.assertEqual(depth, 3)
    self.assertNotIsInstance(batch, int)
    self.assertNotEqual(batch, other[0])
    unknown = tf1.placeholder(tf1.float64, None)
    self.assertIsNone(self.dims.of(unknown))

  def test_what_is_the_same_goes_on_from_one_to_the_next(self):
    third = tf1.placeholder(tf1.float64, [None, 3])
    flat = tf1.reshape(self.x, [-1])
    self.note()
    before = self.dims.of(flat)
    self.dims.unify(self.dims.of(self.x), self.dims.of(self.y))
    self.dims.unify(self.dims.of(self.y), self.dims.of(third))
    self.assertEqual(self.dims.of(self.x), self.dims.of(third))
    self.assertNotEqual(self.dims.of(flat), before)  # 3 B, B by its new name
    self.dims.unify(self.dims.of(third), (7, 3))
    self.assertEqual(self.dims.of(self.x), (7, 3))
    self.assertEqual(self.dims.of(flat), (21,))

  def test_what_is_made_of_itself_is_left_alone(self):
    flat = tf1.reshape(self.x, [-1])
    self.note()
    self.dims.unify(self.dims.of(flat), self.dims.of(self.x)[:1])
    self.assertNotIsInstance(self.dims.of(flat)[0], int)
    self.dims.of(self.x)

  def test_what_is_given_is_not_known_by_its_op(self):
    h = tf1.tanh(self.x)
    self.note(given={h.name})
    self.assertNotEqual(self.dims.of(h), self.dims.of(self.x))

  def test_values_of_shapes(self):
    shape = tf1.shape(self.x)
    both = tf1.stack([shape[0], 4])
    last = tf1.concat([shape[:1], [2], shape[1:]], 0)
    part = tf1.cast(tf1.identity(shape), tf1.int64)[-1:]
    odd = tf1.nn.relu(shape)
    several = tf1.shape_n([self.x[0], self.x])[1]
    self.note()
    batch = self.dims.of(self.x)[0]
    for tensor, expected in (
      (shape, (batch, 3)),
      (both, (batch, 4)),
      (last, (batch, 2, 3)),
      (part, (3,)),
      (odd, None),
      (several, (batch, 3)),
    ):
      self.assertEqual(self.dims.value(tensor), expected, tensor.name)

  def test_nothing_is_known_inside_loops_of_the_first_kind(self):
    with compat.control_flow(v2=False):
      end = tf1.while_loop(
        lambda h: tf1.reduce_sum(h) < 5, tf1.square, [self.x]
      )
    self.note()
    self.assertNotEqual(self.dims.of(end), self.dims.of(self.x))


if __name__ == "__main__":
  absltest.main()
