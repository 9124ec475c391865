"""What the ops of random programs need more than a line for."""

import numpy as np

from tangle import compat
from tangle.compat import tf1


def convolution(x, depth, seed):
  """Convolves `[B, T, depth]` over T with a fixed filter, to `[B, T, 2]`."""
  values = np.random.RandomState(seed).uniform(-0.4, 0.4, (2, depth, 2))
  return tf1.nn.conv1d(x, tf1.constant(values, x.dtype), 1, "SAME")


def partition(x, ids):
  """Takes the rows of `x` apart and puts them together again."""
  ids = tf1.cast(ids % 2, tf1.int32)
  parts = tf1.dynamic_partition(x, ids, 2)
  places = tf1.dynamic_partition(tf1.range(tf1.shape(x)[0]), ids, 2)
  return tf1.dynamic_stitch(places, [tf1.sin(parts[0]), parts[1]])


def own_gradient(x):
  """Gives `tanh x` with a gradient that is not that of `tanh`."""

  @tf1.custom_gradient
  def function(h):
    y = tf1.tanh(h)
    return y, lambda upstream: upstream * (2.0 - y) * tf1.cos(h)

  return function(x)


def own_gradient_2(x, z):
  """Gives two outputs with a gradient that reads inputs and outputs."""

  @tf1.custom_gradient
  def function(a, b):
    product = a * b
    total = a + b

    def grad(d_product, d_total):
      return d_product * b + d_total, d_product * a + 3.0 * d_total * product

    return (product, total), grad

  return function(x, z)


def repeated(x):
  """Gives `sin(tanh x)` whose gradient runs it again."""

  def function(h):
    return tf1.sin(tf1.tanh(h))

  make = getattr(tf1, "recompute_grad", None)
  with tf1.variable_scope(tf1.get_variable_scope(), use_resource=True):
    return (make(function) if make else function)(x)


def after_update(x, counter):
  """Gives `x` after a counter has moved."""
  with tf1.control_dependencies([counter.assign_add(1.0)]):
    return tf1.identity(x)


def batch_norm(x, moving):
  """Normalizes over the batch, and moves an average."""
  mean, variance = tf1.nn.moments(x, [0])
  update = moving.assign_sub(0.1 * (moving - mean))
  with tf1.control_dependencies([update]):
    return tf1.nn.batch_normalization(x, mean, variance, None, None, 0.1)


def called(x):
  """Calls a function of the graph."""

  @compat.defun(x.dtype)
  def function(h):
    # A trace shows the ops of the function by their own names.
    return tf1.tanh(h, name="called_tanh") * h

  y = function(x)
  y.set_shape(x.shape)
  return y


def out_of_graph(x):
  """Calls Python, without a gradient."""
  y = tf1.py_func(lambda value: np.cos(value), [x], x.dtype)
  y.set_shape(x.shape)
  return y


def cond(x, y):
  """Takes one of two branches by a sum."""
  return tf1.cond(
    tf1.reduce_sum(x) > 0.0, lambda: tf1.tanh(x) * x + y, lambda: tf1.sin(y)
  )


def cond_2(x, y):
  """A conditional of two outputs, of which one is handed through."""
  return tf1.cond(
    tf1.reduce_mean(y) > 0.1, lambda: (x, tf1.tanh(y)), lambda: (y, x + y)
  )


def case(x, index):
  """Takes one of three branches by an index."""
  index = tf1.cast(index % 3, tf1.int32)
  return tf1.switch_case(
    index, [lambda: tf1.sin(x), lambda: x + 1.0, lambda: tf1.tanh(x) * x]
  )


def loop(x, z):
  """Runs three times over a state."""
  found = tf1.while_loop(
    lambda n, h: n < 3,
    lambda n, h: (n + 1, tf1.tanh(h * z + x)),
    [0, x],
    shape_invariants=[tf1.TensorShape([]), tf1.TensorShape(x.shape)],
  )
  return found[1]


def loop_2(x, z, steps):
  """Runs a number of times that is not known over two states."""
  steps = tf1.cast(steps % 3, tf1.int32)
  _, a, b = tf1.while_loop(
    lambda n, *_: n < steps,
    lambda n, h, k: (n + 1, tf1.tanh(h) + 0.5 * k, tf1.sin(k)),
    [0, tf1.identity(x), tf1.identity(z)],
    shape_invariants=[
      tf1.TensorShape([]),
      tf1.TensorShape(None),
      tf1.TensorShape(None),
    ],
  )
  return tf1.tanh(a), b


def nested(x):
  """A conditional inside a loop."""

  def body(n, h):
    return n + 1, tf1.cond(
      tf1.reduce_sum(h) > 0.0, lambda: tf1.sin(h), lambda: tf1.tanh(h) + 0.1
    )

  found = tf1.while_loop(
    lambda n, h: n < 2,
    body,
    [0, tf1.identity(x)],
    shape_invariants=[tf1.TensorShape([]), tf1.TensorShape(None)],
  )
  return found[1]


def recurrence(x, w):
  """A recurrent layer over `[B, T, D]` by tensor arrays."""
  length = tf1.shape(x)[1]
  source = tf1.TensorArray(x.dtype, length, element_shape=[None, None])
  source = source.unstack(tf1.transpose(x, [1, 0, 2]))
  sink = tf1.TensorArray(x.dtype, length, element_shape=[None, None])

  def body(t, h, sink):
    h = tf1.tanh(source.read(t) + tf1.matmul(h, w))
    return t + 1, h, sink.write(t, h)

  _, h, sink = tf1.while_loop(
    lambda t, *_: t < length,
    body,
    [0, tf1.zeros_like(x[:, 0]), sink],
    shape_invariants=[
      tf1.TensorShape([]),
      tf1.TensorShape([None, None]),
      tf1.TensorShape(None),
    ],
  )
  return h, tf1.transpose(sink.stack(), [1, 0, 2])


def map_rows(x):
  """Maps a function over rows."""
  return tf1.map_fn(lambda row: tf1.sin(row) * row, x)


def scan_rows(x):
  """Scans over rows."""
  return tf1.scan(lambda h, row: tf1.tanh(h + row), x)


def loop_random(x, seed):
  """A loop that draws."""

  def body(n, h):
    drawn = tf1.random_uniform(tf1.shape(h), dtype=h.dtype, seed=seed)
    return n + 1, tf1.tanh(h * drawn)

  found = tf1.while_loop(
    lambda n, h: n < 2,
    body,
    [0, tf1.identity(x)],
    shape_invariants=[tf1.TensorShape([]), tf1.TensorShape(None)],
  )
  return found[1]


def _after(assigned, *tensors):
  """Returns the tensors, once a variable is assigned."""
  with tf1.control_dependencies([assigned]):
    found = [tf1.identity(tensor) for tensor in tensors]
  return found if len(found) > 1 else found[0]


def counted(x, m):
  """Multiplies by a variable before and after it is counted up."""
  before = x * m
  with tf1.control_dependencies([before]):
    update = m.assign_add(tf1.ones_like(m))
  with tf1.control_dependencies([update]):
    return before, m.read_value() * x


def counted_product(x, m):
  """As `counted`, by matrix products."""
  before = tf1.matmul(x, m)
  with tf1.control_dependencies([before]):
    update = m.assign_sub(0.5 * tf1.ones_like(m))
  with tf1.control_dependencies([update]):
    return before, tf1.matmul(x, m.read_value())


def overwritten(x, m):
  """Reads a state, and leaves another one for the next run."""
  y = tf1.sin(x * m) + m * m
  with tf1.control_dependencies([y]):
    row = tf1.reduce_mean(tf1.reshape(y, [-1, tf1.size(m)]), 0)
    update = m.assign(tf1.reshape(row, tf1.shape(m)))
  return _after(update, y)


def replaced(x, m):
  """Multiplies by a variable before and after a constant takes its place."""
  before = tf1.sin(x * m)
  with tf1.control_dependencies([before]):
    update = m.assign(tf1.fill(tf1.shape(m), tf1.constant(0.7, x.dtype)))
  with tf1.control_dependencies([update]):
    return before, tf1.tanh(m.read_value()) * x


def passed_on(x, m):
  """Reads a variable again after it is assigned what was computed by it."""
  before = tf1.tanh(x * m)
  row = tf1.reduce_mean(tf1.reshape(before, [-1, tf1.size(m)]), 0)
  update = m.assign(tf1.reshape(row, tf1.shape(m)))
  with tf1.control_dependencies([update]):
    return tf1.square(before), tf1.cos(m.read_value()) * x


def _invariants(*shapes):
  return [tf1.TensorShape(shape) for shape in shapes]


def carried(x, m):
  """A loop that begins with a state, and leaves it as it ends."""
  _, h = tf1.while_loop(
    lambda n, h: n < 2,
    lambda n, h: (n + 1, tf1.tanh(h * x + 0.5 * h)),
    [0, m],
    shape_invariants=_invariants([], None),
  )
  return _after(m.assign(h), h)


def carried_rows(x, m):
  """A recurrence over rows that begins with a state; gives it twice."""
  begin = tf1.convert_to_tensor(m)
  _, h = tf1.while_loop(
    lambda n, h: n < tf1.shape(x)[0],
    lambda n, h: (n + 1, tf1.tanh(h * begin + tf1.gather(x, n))),
    [0, begin],
    shape_invariants=_invariants([], None),
  )
  with tf1.control_dependencies([h]):
    update = m.assign(0.5 * h)
  return _after(update, h, tf1.sin(h))


def read_inside(x, m):
  """A loop that reads a variable, which is counted up after it."""
  _, h = tf1.while_loop(
    lambda n, h: n < 2,
    lambda n, h: (n + 1, tf1.sin(h * m + m)),
    [0, tf1.identity(x)],
    shape_invariants=_invariants([], None),
  )
  h = tf1.reshape(h, tf1.shape(x))
  with tf1.control_dependencies([h]):
    update = m.assign_add(tf1.ones_like(m))
  with tf1.control_dependencies([update]):
    return h, tf1.sin(m.read_value()) * x


def chosen(x, m):
  """A conditional whose branches read a variable, which is counted up."""
  y = tf1.cond(
    tf1.reduce_sum(x) > 0.0,
    lambda: tf1.tanh(x * m) * m,
    lambda: tf1.sin(x) + m,
  )
  with tf1.control_dependencies([y]):
    update = m.assign_add(tf1.ones_like(m))
  return _after(update, y)
