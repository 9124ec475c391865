"""Tensors to cut: layers, those of another graph, TensorFlow 1 loops."""

from tangle.compat import tf1


def layers(test):
  x = tf1.placeholder(tf1.float64, [None, 4], name="x")
  below = test.variable("below", test.normal(4, 4))
  h = tf1.tanh(tf1.matmul(x, below), name="h")
  w = test.variable("w", test.normal(4, 2))
  return x, h, tf1.matmul(h, w, name="y"), below, w


def _elsewhere(make):
  with tf1.Graph().as_default():
    return make()


def other_tensor():
  return _elsewhere(lambda: tf1.placeholder(tf1.float64, [4], name="stranger"))


def other_variable():
  return _elsewhere(
    lambda: tf1.get_variable("stranger", [2], tf1.float64, use_resource=True)
  )


def while_loop(test, dtype=tf1.float64):
  """Returns the input and the result of a loop in the style of TF 1."""
  test.use_control_flow(v2=False)
  x = tf1.placeholder(dtype, [None, None])
  w = test.variable("w", 0.5 * test.normal(4, 4))
  keep = tf1.TensorShape([None, None])
  _, y = tf1.while_loop(
    lambda n, h: n < 3,
    lambda n, h: (n + 1, tf1.tanh(tf1.matmul(h, w) * h)),
    [0, x],
    shape_invariants=[tf1.TensorShape([]), keep],
    name="loop",
  )
  return x, y


def branch(test):
  test.use_control_flow(v2=False)
  x = tf1.placeholder(tf1.float64, [None, 4])
  positive = tf1.reduce_sum(x) > 0
  y = tf1.cond(positive, lambda: tf1.tanh(x) * x, lambda: 2 * x, name="branch")
  return x, y


def array(test):
  test.use_control_flow(v2=False)
  x = tf1.placeholder(tf1.float64, [3, 4])
  array = tf1.TensorArray(tf1.float64, 3, name="array").unstack(x, name="fill")
  return x, tf1.square(array.read(1)) + array.read(2)
