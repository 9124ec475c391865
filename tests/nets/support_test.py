from absl.testing import absltest

from tangle.compat import tf1
from tests.nets import support


class SupportTest(support.NetTestCase):
  def test_a_right_gradient_passes(self):
    x = tf1.placeholder(tf1.float64, [3])
    v = self.variable("v", self.normal(3))
    loss = tf1.reduce_sum(tf1.tanh(x * v))
    sess = self.session()
    self.assert_gradients(sess, loss, {x: self.normal(3)}, [v])

  def test_a_wrong_gradient_fails(self):
    x = tf1.placeholder(tf1.float64, [3])
    loss = tf1.reduce_sum(x**2)
    wrong = tf1.gradients(loss, x)[0] * (1 + 1e-6)
    with self.assertRaises(AssertionError):
      self.assert_derivative(
        self.session(), loss, [wrong], {x: self.normal(3)}, [], 1e-7
      )

  def test_a_wrong_gradient_of_a_variable_fails(self):
    v = self.variable("v", self.normal(3))
    loss = tf1.reduce_sum(tf1.convert_to_tensor(v) ** 3)
    wrong = tf1.gradients(loss, v)[0] + 1e-6
    with self.assertRaises(AssertionError):
      self.assert_derivative(self.session(), loss, [wrong], {}, [v], 1e-7)

  def test_variables_are_back_at_their_values_after_a_check(self):
    value = self.normal(3)
    v = self.variable("v", value)
    sess = self.session()
    loss = tf1.reduce_sum(tf1.convert_to_tensor(v) ** 2)
    self.assert_gradients(sess, loss, {}, [v])
    self.assert_close(sess.run(v), value, 0)

  def test_an_op_outside_the_scope_is_found(self):
    before = self.count_ops()
    tf1.constant(1.0, name="stray")
    with self.assertRaises(AssertionError):
      self.assert_ops_under("net", before)


if __name__ == "__main__":
  absltest.main()
