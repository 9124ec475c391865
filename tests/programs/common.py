"""What the programs are made of: their record, weights, layers and cells.

Weights come from numpy, each from its own name, so that a program has the same
ones in every graph, on every TensorFlow and with every kind of variable.
"""

import zlib
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from tangle.compat import tf1

BATCH = 3


class Part(NamedTuple):
  """A sub-model of a program, as its owner would cut it.

  Attributes:
    inputs, outputs, variables: what `SubModel` takes.
    stop: whether the gradients of its inputs go nowhere.
  """

  inputs: Sequence[Any]
  outputs: Sequence[Any]
  variables: Optional[Sequence[Any]] = None
  stop: bool = False


class Goal(NamedTuple):
  """A loss, and what it is minimized over.

  Attributes:
    loss: a scalar.
    variables: variables; all trainable ones by default.
    reaches_inputs: whether its gradient is wanted at the program's inputs.
  """

  loss: Any
  variables: Optional[Sequence[Any]] = None
  reaches_inputs: bool = True


class Program(NamedTuple):
  """A program that was built in the current graph.

  Attributes:
    goals: each loss with its variables.
    cuts: name of a cut → its parts from below to above.
    feed_dict: what every run is fed.
    setup: ops to run when the variables have their values.
    watched: tensors that tell at the end what has run.
    frozen: tensors that central differences hold, as no gradient flows there
      or they are drawn.
    assigns_read: whether the pass assigns a variable that it has read, so that
      with reference variables the joint graph itself may read the later value.
  """

  goals: Sequence[Goal]
  cuts: Dict[str, Sequence[Part]]
  feed_dict: Dict[Any, Any]
  setup: Sequence[Any] = ()
  watched: Sequence[Any] = ()
  frozen: Sequence[Any] = ()
  assigns_read: bool = False


def program(inputs, loss, feed_dict, boundary=None, more=(), **options):
  """Makes a `Program` of one loss, cut nowhere and at a boundary.

  Args:
    inputs: tensors where the program begins.
    loss: a scalar.
    feed_dict: what to feed.
    boundary: tensors at which it is cut in two.
    more: inputs of the upper part besides the boundary.
    **options: other fields of `Program`.

  Returns:
    A `Program`.
  """
  names = [tensor.name for tensor in inputs]
  others = [tensor for tensor in more if tensor.name not in names]
  cuts = {"whole": [Part(list(inputs) + others, [loss])]}
  if boundary is not None:
    lower = Part(inputs, boundary)
    cuts["split"] = [lower, Part(list(boundary) + list(more), [loss])]
  return Program([Goal(loss)], cuts, feed_dict, **options)


def generator(key):
  """Returns a numpy generator that always draws the same for a string."""
  return np.random.RandomState(zlib.crc32(key.encode()) % 2**32)


def array(key, *shape, scale=0.5, dtype=np.float64):
  """Draws an array `[*shape]` from N(0, scale^2), always the same for `key`."""
  return (scale * generator(key).standard_normal(shape)).astype(dtype)


def integers(key, high, *shape):
  """Draws an int32 array `[*shape]` below `high`, the same for `key`."""
  return generator(key).randint(0, high, shape).astype(np.int32)


def features(name, *shape, dtype=np.float64):
  """Returns a placeholder `[B, *shape]` and what to feed."""
  ph = tf1.placeholder(dtype, (None,) + shape, name)
  return ph, {ph: array(name, BATCH, *shape, scale=1.0, dtype=dtype)}


def tokens(name, vocabulary, *shape):
  """Returns a placeholder `[B, *shape]` of ids and what to feed."""
  ph = tf1.placeholder(tf1.int32, (None,) + shape, name)
  return ph, {ph: integers(name, vocabulary, BATCH, *shape)}


def scalar(name, value, dtype=tf1.float64):
  """Returns a placeholder of no dimension and what to feed."""
  ph = tf1.placeholder(dtype, [], name)
  return ph, {ph: value}


def weight(name, *shape, scale=0.5, dtype=np.float64, trainable=True):
  """Returns the variable of that name in the current scope, `[*shape]`."""
  full = tf1.get_variable_scope().name + "/" + name
  initial = array(full, *shape, scale=scale, dtype=dtype)
  return tf1.get_variable(
    name, dtype=initial.dtype, initializer=initial, trainable=trainable
  )


def state(name, value):
  """Returns the variable of that name that no gradient changes."""
  return tf1.get_variable(name, initializer=value, trainable=False)


def dense(x, units, name, activation=None):
  """Returns `activation(x w + b)`, `[..., units]`."""
  dtype = x.dtype.base_dtype.as_numpy_dtype
  with tf1.variable_scope(name):
    depth = x.shape.as_list()[-1]
    kernel = weight("kernel", depth, units, dtype=dtype)
    bias = weight("bias", units, scale=0.1, dtype=dtype)
    if x.shape.ndims == 2:
      y = tf1.matmul(x, kernel)
    else:
      y = tf1.tensordot(x, kernel, 1)
    y = tf1.nn.bias_add(y, bias) if x.shape.ndims == 2 else y + bias
  return y if activation is None else activation(y)


def conv2d(x, filters, name, stride=1, activation=None):
  """Returns a 3 × 3 convolution of `x` `[B, H, W, C]`, padded."""
  with tf1.variable_scope(name):
    kernel = weight("kernel", 3, 3, x.shape.as_list()[-1], filters)
    strides = [1, stride, stride, 1]
    y = tf1.nn.conv2d(x, kernel, strides=strides, padding="SAME")
    y = tf1.nn.bias_add(y, weight("bias", filters, scale=0.1))
  return y if activation is None else activation(y)


def up_conv2d(x, filters, name, activation=None):
  """Returns a transposed convolution to twice the height and width."""
  with tf1.variable_scope(name):
    _, height, width, depth = x.shape.as_list()
    kernel = weight("kernel", 2, 2, filters, depth)
    shape = tf1.stack([tf1.shape(x)[0], 2 * height, 2 * width, filters])
    y = tf1.nn.conv2d_transpose(x, kernel, shape, strides=[1, 2, 2, 1])
    y.set_shape([None, 2 * height, 2 * width, filters])
    y = tf1.nn.bias_add(y, weight("bias", filters, scale=0.1))
  return y if activation is None else activation(y)


def batch_norm(x, name, decay=0.9):
  """Normalizes by the moments of the batch and keeps moving averages."""
  axes = list(range(x.shape.ndims - 1))
  with tf1.variable_scope(name):
    depth = x.shape.as_list()[-1]
    beta, gamma = weight("beta", depth), weight("gamma", depth)
    mean, variance = tf1.nn.moments(x, axes)
    updates = [
      moving.assign_sub((1 - decay) * (moving - batch))
      for moving, batch in [
        (state("moving_mean", np.zeros(depth)), mean),
        (state("moving_variance", np.ones(depth)), variance),
      ]
    ]
    with tf1.control_dependencies(updates):
      mean = tf1.identity(mean)
    return tf1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def layer_norm(x, name):
  """Normalizes the last dimension."""
  with tf1.variable_scope(name):
    depth = x.shape.as_list()[-1]
    mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
    y = (x - mean) * tf1.rsqrt(variance + 1e-6)
    return y * weight("gain", depth) + weight("bias", depth)


def cross_entropy(logits, labels):
  """Returns the mean of the softmax cross entropy with ids."""
  losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=labels, logits=logits
  )
  return tf1.reduce_mean(losses)


def time_major(x):
  """Swaps the first two dimensions."""
  order = [1, 0] + list(range(2, x.shape.ndims))
  return tf1.transpose(x, order)


class LSTM:
  """A cell with the interface of TensorFlow's; makes its weights when called.

  `dynamic_rnn` calls it within its loop, as it does TensorFlow's own cells.
  """

  def __init__(self, units, name="lstm", dtype=np.float64):
    self.units = self.output_size = units
    self.state_size = (units, units)
    self.name = name
    self.dtype = dtype

  def zero_state(self, batch_size, dtype):
    """Returns the state of zeros."""
    return tuple(tf1.zeros([batch_size, n], dtype) for n in self.state_size)

  def __call__(self, inputs, state, scope=None):
    c, h = state
    with tf1.variable_scope(scope or self.name, reuse=tf1.AUTO_REUSE):
      depth = inputs.shape.as_list()[-1] + self.units
      kernel = weight("kernel", depth, 4 * self.units, dtype=self.dtype)
      bias = weight("bias", 4 * self.units, scale=0.1, dtype=self.dtype)
    z = tf1.matmul(tf1.concat([inputs, h], 1), kernel)
    i, g, f, o = tf1.split(tf1.nn.bias_add(z, bias), 4, 1)
    c = c * tf1.sigmoid(f + 1.0) + tf1.sigmoid(i) * tf1.tanh(g)
    h = tf1.tanh(c) * tf1.sigmoid(o)
    return h, (c, h)


class GRU:
  """A gated recurrent unit, likewise."""

  def __init__(self, units, name="gru"):
    self.units = self.output_size = self.state_size = units
    self.name = name

  def zero_state(self, batch_size, dtype):
    """Returns the state of zeros."""
    return tf1.zeros([batch_size, self.units], dtype)

  def __call__(self, inputs, state, scope=None):
    with tf1.variable_scope(scope or self.name, reuse=tf1.AUTO_REUSE):
      both = tf1.concat([inputs, state], 1)
      gates = tf1.sigmoid(dense(both, 2 * self.units, "gates"))
      r, u = tf1.split(gates, 2, 1)
      both = tf1.concat([inputs, r * state], 1)
      new = dense(both, self.units, "candidate", tf1.tanh)
    new = u * state + (1.0 - u) * new
    return new, new
