"""What graphs of others have in them, beside layers: split equals joint.

Ragged and sparse tensors, words, mixed precision, devices, colocation, calls of
Python, recomputation, and gradients of gradients.
"""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case
from tests.partial import equality_test, zoo


def _model(inputs, outputs, feed_dict, **options):
  return zoo.Model(
    inputs, outputs, feed_dict, (True,) * len(outputs), **options
  )


def _x(test):
  x = tf1.placeholder(tf1.float64, [None, 4])
  return x, {x: test.normal(3, 4)}


def _weight(test, name, *shape):
  return test.variable(name, 0.5 * test.normal(*shape))


def ragged(test):
  """A ragged tensor of rows of a table, and padded."""
  values = tf1.placeholder(tf1.int32, [None])
  lengths = tf1.placeholder(tf1.int64, [None])
  table = _weight(test, "table", 7, 4)
  rows = tf1.RaggedTensor.from_row_lengths(tf1.gather(table, values), lengths)
  bent = rows.with_values(tf1.tanh(rows.values))
  feed_dict = {values: np.array([1, 1, 5, 0]), lengths: np.array([2, 0, 2])}
  outputs = [bent.to_tensor(), rows.flat_values]
  return _model([values, lengths], outputs, feed_dict)


def sparse(test):
  """A sparse matrix that is fed by its parts, times a weight."""
  places = tf1.placeholder(tf1.int64, [None, 2])
  # A placeholder of such values would get no gradient unless it is asked for.
  values = tf1.placeholder_with_default(np.zeros(0), [None])
  matrix = tf1.SparseTensor(places, values, [3, 4])
  y = tf1.sparse.sparse_dense_matmul(matrix, _weight(test, "w", 4, 2))
  feed_dict = {
    places: np.array([[0, 1], [2, 0], [2, 3]]),
    values: test.normal(3),
  }
  return _model([places, values], [tf1.tanh(y)], feed_dict)


def words(test):
  """Words that are hashed to rows of a table; one is an output as well."""
  text = tf1.placeholder(tf1.string, [None])
  ids = tf1.strings.to_hash_bucket_fast(tf1.strings.lower(text), 7)
  y = tf1.gather(_weight(test, "table", 7, 4), ids)
  feed_dict = {text: np.array(["Tangle", "knot", "tangle"])}
  return zoo.Model(
    [text], [tf1.strings.upper(text), y * y], feed_dict, (False, True)
  )


def mixed_precision(test):
  """Products in half precision between weights in single precision."""
  x = tf1.placeholder(tf1.float32, [None, 4])
  kernel = test.variable("w", test.normal(4, 4).astype(np.float32))
  h = tf1.matmul(tf1.cast(x, tf1.float16), tf1.cast(kernel, tf1.float16))
  y = tf1.nn.softmax(tf1.cast(h, tf1.float32))
  feed_dict = {x: test.normal(3, 4).astype(np.float32)}
  return _model([x], [y], feed_dict, rtol=1e-6, numeric=False)


def devices(test):
  """Ops on two devices, and one that is colocated with a variable."""
  x, feed_dict = _x(test)
  with tf1.device("/cpu:0"):
    w = _weight(test, "w", 4, 4)
    h = tf1.tanh(tf1.matmul(x, w))
  with tf1.device("/cpu:1"):
    h = tf1.sin(h)
  with tf1.colocate_with(w.op):
    y = h * tf1.exp(h)
  return _model([x], [y], feed_dict)


def python_call(test):
  """A call of Python that no gradient goes through, beside one that can."""
  x, feed_dict = _x(test)
  factor = tf1.py_func(
    lambda value: np.cos(value), [x], tf1.float64, stateful=False
  )
  factor.set_shape(x.shape)
  y = tf1.matmul(x * tf1.stop_gradient(factor), _weight(test, "w", 4, 2))
  return _model([x], [y], feed_dict, numeric=False)


def checked(test):
  """Assertions and prints that the forward ops wait for."""
  x, feed_dict = _x(test)
  h = tf1.check_numerics(tf1.matmul(x, _weight(test, "w", 4, 4)), "bad")
  with tf1.control_dependencies(
    [tf1.assert_rank(h, 2), tf1.Assert(tf1.reduce_all(tf1.is_finite(h)), [h])]
  ):
    y = tf1.tanh(h)
  return _model([x], [y], feed_dict)


def recomputed(test):
  """A block under `tf.recompute_grad`, with its weight as an argument."""
  x, feed_dict = _x(test)
  w = tf1.convert_to_tensor(_weight(test, "w", 4, 4))

  def block(h, w):
    return tf1.tanh(tf1.matmul(h, w))

  @tf1.custom_gradient
  def run(h, w):
    def backward(upstream):  # what recompute_grad does, in any TensorFlow
      with tf1.control_dependencies([upstream]):
        again = block(tf1.identity(h), tf1.identity(w))
      slope = upstream * (1 - again * again)
      return (
        tf1.matmul(slope, w, transpose_b=True),
        tf1.matmul(h, slope, transpose_a=True),
      )

    return block(h, w), backward

  return _model([x], [run(run(x, w), w)], feed_dict)


def in_place_of_a_gradient(test):
  """An op whose gradient another function gives."""
  x, feed_dict = _x(test)
  with test.graph.gradient_override_map({"Sign": "Identity"}):
    y = tf1.sign(tf1.matmul(x, _weight(test, "w", 4, 4)))
  return _model([x], [y * x], feed_dict, numeric=False)


MODELS = (
  ragged,
  sparse,
  words,
  mixed_precision,
  devices,
  python_call,
  checked,
  recomputed,
  in_place_of_a_gradient,
)


class RealGraphsTest(equality_test.EqualityTestCase):
  @parameterized.named_parameters((m.__name__, m) for m in MODELS)
  def test_split_equals_joint_and_numeric(self, build):
    self.check(build)

  def session(self, *args, **kwargs):
    return super().session(*args, **dict(kwargs, cpus=2))


class GradientsOfGradientsTest(case.GraphTestCase):
  def test_gradients_by_the_upstream_gradient_are_right(self):
    x, feed_dict = _x(self)
    w = _weight(self, "w", 4, 2)
    y = tf1.tanh(tf1.matmul(x, w))
    cut = tangle.SubModel([x], [y])
    (above,) = cut.upstream
    twice = tf1.gradients(tf1.reduce_sum(cut.gradients.inputs[0] ** 2), above)
    joint = tf1.gradients(
      tf1.reduce_sum(tf1.gradients(y, x, above)[0] ** 2), above
    )
    sess = self.session()
    upstream = self.normal(3, 2)
    call = cut.forward(sess, feed_dict)
    found = call.run(twice, [upstream])
    desired = sess.run(joint, {above: upstream, **feed_dict})
    np.testing.assert_allclose(found[0], desired[0], rtol=1e-12)

  def test_there_are_none_by_inputs_and_weights(self):
    # The residuals come out of a store, and what was before it is gone.
    x, _ = _x(self)
    w = _weight(self, "w", 4, 2)
    cut = tangle.SubModel([x], [tf1.tanh(tf1.matmul(x, w))])
    found = tf1.gradients(cut.gradients.inputs[0], [x, w])
    self.assertEqual(found, [None, None])


if __name__ == "__main__":
  absltest.main()
