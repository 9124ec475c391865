"""Tests of fitting."""

from absl.testing import absltest

from tangle import combine, errors, nets
from tangle.combine import fitting
from tangle.compat import tf1
from tests import case


class FittingTest(case.GraphTestCase):
  def test_what_fits_is_returned_itself(self):
    x = tf1.zeros([2, 3])
    before = self.count_ops()
    for part in (
      combine.Part(tf1.sin),
      combine.Part(tf1.sin, input_shape=[None, 3]),
      combine.Part(tf1.sin, input_dtype=tf1.float32),
    ):
      self.assertIs(fitting.fit("'f'", part, x, (), None), x)
    nest = [x, x]
    self.assertIs(fitting.fit("'f'", part, nest, (), None), nest)
    self.assertEqual(self.count_ops(), before)

  def test_unknown_dimensions_fit(self):
    part = combine.Part(tf1.sin, input_shape=[None, 3])
    for x in (
      tf1.placeholder(tf1.float32),
      tf1.placeholder("float", [2, None]),
    ):
      self.assertIs(fitting.fit("'f'", part, x, (), None), x)

  def test_dense_adapters_keep_the_rows(self):
    part = combine.Part(tf1.sin, input_shape=[None, 4, 3])
    asked = []
    fitting.fit(
      "'f'",
      part,
      tf1.zeros([2, 4, 5]),
      ("dense",),
      lambda depth, value: asked.append(depth),
    )
    self.assertEqual(asked, [3])
    with self.assertRaises(errors.ShapeError):  # another row as well
      fitting.fit("'f'", part, tf1.zeros([2, 3, 5]), ("dense",), None)

  def test_adapters_are_checked(self):
    self.assertEqual(fitting.check_adapters(None), ())
    self.assertEqual(fitting.check_adapters("dense"), ("dense",))
    with self.assertRaisesRegex(errors.ArgumentError, "adapter .* 'glue'"):
      fitting.check_adapters(["dense", "glue"])

  def test_declared_depths_that_differ_raise_unless_adapted(self):
    first, second = combine.Part(nets.Dense(3)), combine.Part(tf1.sin)
    fitting.check_declared(first, second)
    second = combine.Part(tf1.sin, "taker", [None, 4])
    fitting.check_declared(first, second, ("dense",))
    with self.assertRaisesRegex(errors.ShapeError, "'taker' takes"):
      fitting.check_declared(first, second)

  def test_a_failing_call_names_both(self):
    def refuse(error):
      def network(x):
        tf1.identity(x)  # so that there is another scope for the next
        raise error("no")

      return combine.Part(network, "taker")

    x = tf1.zeros([2])
    for raised, found in (
      (ValueError, errors.ShapeError),
      (TypeError, errors.DtypeError),
      (errors.ShapeError, errors.ShapeError),
      (errors.DtypeError, errors.DtypeError),
    ):
      with self.assertRaises(found) as caught:
        with tf1.variable_scope(f"s{self.count_ops()}"):
          fitting.call("'giver'", refuse(raised), x)
      self.assert_message(caught.exception, "'taker'", "'giver'", "[2]", "no")
    for raised in (errors.ArgumentError, errors.GraphError, KeyError):
      with self.assertRaises(raised) as caught:
        with tf1.variable_scope(f"s{self.count_ops()}"):
          fitting.call("'giver'", refuse(raised), x)
      self.assertNotIn("giver", str(caught.exception))

  def test_dense_adapters_take_floats(self):
    self.assertEqual(fitting.make_dense(3, tf1.float64, "d").output_depth, 3)
    with self.assertRaisesRegex(errors.DtypeError, "d: .* int32"):
      fitting.make_dense(3, tf1.int32, "d")

  def test_describes_nests(self):
    text = fitting.describe({"a": tf1.zeros([2], name="x"), "b": 3})
    self.assertIn("'x:0' (float32, shape [2])", text)
    self.assertIn("3", text)


if __name__ == "__main__":
  absltest.main()
