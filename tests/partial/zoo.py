"""Small models that the tests cut: one function each, of plain ops.

A function takes a `GraphTestCase` and builds in its graph. Sizes: batch B = 3
(unknown to the graph), time T = 4, features D = 4, vocabulary V = 7.
"""

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from tangle.compat import tf1

BATCH = 3


class Model(NamedTuple):
  """A model to cut, and how to check it.

  Attributes:
    inputs, outputs: what `SubModel` takes.
    feed_dict: what a forward run is fed.
    used: for each output whether the loss uses it.
    drawn: position of an output → the random tensor that it shows.
    refused: names of the strategies that must refuse the model.
    rtol: how far split and joint may differ.
    numeric: whether numbers can be had by central differences.
  """

  inputs: List[Any]
  outputs: List[Any]
  feed_dict: Dict[Any, Any]
  used: Tuple[bool, ...]
  drawn: Dict[int, Any] = {}
  refused: Tuple[str, ...] = ()
  rtol: float = 1e-12
  numeric: bool = True


def _model(inputs, outputs, feed_dict, used=None, **options):
  used = tuple(used or [True] * len(outputs))
  return Model(list(inputs), list(outputs), feed_dict, used, **options)


def _features(test, *shape):
  """Returns a placeholder `[B, ...]` and what to feed."""
  ph = tf1.placeholder(tf1.float64, (None,) + shape)
  return ph, {ph: test.normal(BATCH, *shape)}


def _weight(test, name, *shape):
  return test.variable(name, 0.5 * test.normal(*shape))


def mlp(test):
  """Two dense layers."""
  x, feed_dict = _features(test, 4)
  h = tf1.tanh(tf1.matmul(x, _weight(test, "w1", 4, 5)) + _weight(test, "b", 5))
  return _model([x], [tf1.matmul(h, _weight(test, "w2", 5, 2))], feed_dict)


def lstm(test):
  """An LSTM, unrolled: all outputs and the last state are handed on."""
  x, feed_dict = _features(test, 4, 2)
  kernel, bias = _weight(test, "kernel", 5, 12), _weight(test, "bias", 12)
  c = h = tf1.zeros([tf1.shape(x)[0], 3], tf1.float64)
  steps = []
  for t in range(2):
    z = tf1.nn.bias_add(
      tf1.matmul(tf1.concat([x[:, t], h], axis=1), kernel), bias
    )
    i, g, f, o = tf1.split(z, 4, axis=1)
    c = tf1.sigmoid(f + 1.0) * c + tf1.sigmoid(i) * tf1.tanh(g)
    h = tf1.sigmoid(o) * tf1.tanh(c)
    steps.append(h)
  return _model([x], [tf1.stack(steps, axis=1), c, h], feed_dict)


def gru(test):
  """A GRU, unrolled, that begins from a state that is an input too."""
  x, feed_dict = _features(test, 4, 2)
  h, more = _features(test, 3)
  inputs = [x, h]
  gates, candidate = _weight(test, "g", 5, 6), _weight(test, "c", 5, 3)
  for t in range(2):
    both = tf1.concat([x[:, t], h], axis=1)
    r, z = tf1.split(tf1.sigmoid(tf1.matmul(both, gates)), 2, axis=1)
    both = tf1.concat([x[:, t], r * h], axis=1)
    h = z * h + (1.0 - z) * tf1.tanh(tf1.matmul(both, candidate))
  return _model(inputs, [h], {**feed_dict, **more})


def attention(test):
  """Additive attention over a masked memory; hands on weights and context."""
  memory, feed_dict = _features(test, 4, 3)
  query, more = _features(test, 3)
  lengths = tf1.placeholder(tf1.int32, [None])
  feed_dict = {**feed_dict, **more, lengths: np.array([4, 2, 1], np.int32)}
  keys = tf1.tensordot(memory, _weight(test, "keys", 3, 5), 1)
  sought = tf1.matmul(query, _weight(test, "query", 3, 5))
  hidden = tf1.tanh(keys + tf1.expand_dims(sought, 1))
  scores = tf1.reduce_sum(_weight(test, "v", 5) * hidden, axis=-1)
  mask = tf1.sequence_mask(lengths, 4)
  low = tf1.fill(tf1.shape(scores), np.float64(-1e9))
  weights = tf1.nn.softmax(tf1.where(mask, scores, low))
  context = tf1.reduce_sum(tf1.expand_dims(weights, -1) * memory, axis=1)
  return _model([memory, query, lengths], [context, weights], feed_dict)


def batch_norm(test):
  """A convolution and a batch normalization in training mode."""
  x, feed_dict = _features(test, 4, 4, 2)
  y = tf1.nn.conv2d(
    x, _weight(test, "filter", 3, 3, 2, 3), strides=[1, 1, 1, 1], padding="SAME"
  )
  mean, variance = tf1.nn.moments(y, axes=[0, 1, 2])
  moving = test.variable("moving_mean", np.zeros(3), trainable=False)
  update = moving.assign_sub(0.1 * (moving - mean))
  y = tf1.nn.batch_normalization(
    y, mean, variance, _weight(test, "beta", 3), _weight(test, "gamma", 3), 1e-3
  )
  with tf1.control_dependencies([update]):
    y = tf1.identity(tf1.nn.relu(y))
  return _model([x], [y], feed_dict)


def fused_batch_norm(test):
  """The fused batch normalization, which float64 has not."""
  x = tf1.placeholder(tf1.float32, [None, 4, 4, 2])
  y, mean, variance = tf1.nn.fused_batch_norm(
    x,
    test.variable("gamma", test.normal(2, dtype=np.float32)),
    test.variable("beta", test.normal(2, dtype=np.float32)),
    is_training=True,
  )
  return _model(
    [x],
    [tf1.tanh(y), mean, variance],
    {x: test.normal(BATCH, 4, 4, 2, dtype=np.float32)},
    used=[True, False, False],
    rtol=1e-5,
    numeric=False,
  )


def embedding(test):
  """Rows of a table, whose gradient is sparse."""
  ids = tf1.placeholder(tf1.int32, [None, 4])
  rows = tf1.gather(_weight(test, "table", 7, 4), ids)
  feed_dict = {ids: np.array([[1, 1, 2, 6], [0, 3, 3, 3], [5, 1, 0, 2]])}
  return _model([ids], [tf1.tanh(rows)], feed_dict)


def tied_embedding(test):
  """A table that embeds the words and is the output layer too."""
  ids = tf1.placeholder(tf1.int32, [None])
  table = _weight(test, "table", 7, 4)
  h = tf1.tanh(tf1.matmul(tf1.gather(table, ids), _weight(test, "w", 4, 4)))
  logits = tf1.matmul(h, table, transpose_b=True)
  return _model([ids], [logits], {ids: np.array([1, 1, 6])})


def dropout(test):
  """Dropout; the numbers that the mask is made of are an output as well."""
  x, feed_dict = _features(test, 4)
  h = tf1.matmul(x, _weight(test, "w1", 4, 6))
  noise = tf1.random_uniform(tf1.shape(h), dtype=tf1.float64)
  h = tf1.tanh(h) * tf1.cast(noise < 0.5, tf1.float64) / 0.5
  y = tf1.matmul(h, _weight(test, "w2", 6, 2))
  return _model(
    [x],
    [y, noise],
    feed_dict,
    used=[True, False],
    drawn={1: noise},
  )


def chained_outputs(test):
  """An output that depends on another output."""
  x, feed_dict = _features(test, 4)
  h = tf1.tanh(tf1.matmul(x, _weight(test, "w", 4, 4)))
  return _model([x], [tf1.sin(h) * h, h], feed_dict)


def straight_through(test):
  """An input that is an output as well, and an output given twice."""
  x, feed_dict = _features(test, 4)
  y = tf1.square(x) * _weight(test, "w", 4)
  return _model([x], [x, y, y], feed_dict)


def infinite_slope(test):
  """An output that the loss leaves out, with an infinite slope there."""
  x = tf1.placeholder(tf1.float64, [None, 4])
  y = tf1.matmul(x, _weight(test, "w", 4, 2))
  return _model(
    [x], [tf1.pow(x, 0.5), y], {x: np.zeros((BATCH, 4))}, used=[False, True]
  )


def several_outputs(test):
  """Ops of several outputs at the boundary, with some of them left out."""
  x, feed_dict = _features(test, 6)
  h = tf1.matmul(x, _weight(test, "w", 6, 6))
  a, b, c = tf1.split(h, 3, axis=1)
  d, e = tf1.unstack(tf1.reshape(tf1.tanh(h), [-1, 2, 3]), axis=1)
  return _model(
    [x], [a, b, c, d, e], feed_dict, used=[True, False, True, False, True]
  )


def weight_twice(test):
  """A weight that is used by two layers."""
  x, feed_dict = _features(test, 4)
  w = _weight(test, "w", 4, 4)
  return _model([x], [tf1.matmul(tf1.tanh(tf1.matmul(x, w)), w)], feed_dict)


def inner_input(test):
  """Inputs that the graph computes, one from the other."""
  below = test.variable("below", test.normal(4, 4), trainable=False)
  x, feed_dict = _features(test, 4)
  h = tf1.tanh(tf1.matmul(x, below))
  g = tf1.sin(h)
  y = tf1.matmul(g * h, _weight(test, "w", 4, 2))
  return _model([h, g], [y], feed_dict)


def integers(test):
  """Integer inputs and integer outputs."""
  x, feed_dict = _features(test, 4)
  ids = tf1.placeholder(tf1.int32, [None])
  picked = tf1.gather(tf1.square(x), ids, axis=1)
  outputs = [tf1.argmax(x, axis=1), picked, ids + 1]
  feed_dict[ids] = np.array([2, 0, 0])
  return _model([ids, x], outputs, feed_dict, used=[False, True, False])


def unknown_shapes(test):
  """Nothing is known of any shape."""
  x = tf1.placeholder(tf1.float64, None)
  w = tf1.placeholder(tf1.float64, None)
  y = tf1.matmul(x, w) + tf1.reduce_mean(x)
  z = tf1.expand_dims(tf1.reduce_mean(tf1.square(y), axis=-1), 0)
  return _model([x, w], [y, z], {x: test.normal(3, 4), w: test.normal(4, 2)})


def complex_numbers(test):
  """Complex values inside, a complex and a real output."""
  x = tf1.placeholder(tf1.complex128, [None, 4])
  y = x * x + tf1.conj(x) * test.variable("w", test.normal(4) * (1 + 2j))
  feed_dict = {x: test.normal(BATCH, 4) + 1j * test.normal(BATCH, 4)}
  return _model([x], [y, tf1.abs(x)], feed_dict, numeric=False)


def _narrow(test, dtype):
  kind = dtype.as_numpy_dtype
  x = tf1.placeholder(dtype, [None, 4])
  w = test.variable("w", (0.5 * test.normal(4, 4)).astype(kind))
  feed_dict = {x: test.normal(BATCH, 4).astype(kind)}
  y = tf1.tanh(tf1.matmul(x, w))
  return _model([x], [y], feed_dict, rtol=1e-2, numeric=False)


def half(test):
  """float16."""
  return _narrow(test, tf1.float16)


def brain(test):
  """bfloat16."""
  return _narrow(test, tf1.bfloat16)


def slope_penalty(test):
  """A loss on a gradient: the forward pass holds a backward pass."""
  x, feed_dict = _features(test, 4)
  y = tf1.tanh(tf1.matmul(x, _weight(test, "w", 4, 1)))
  slope = tf1.gradients(y, x)[0]
  return _model([x], [y, tf1.reduce_sum(tf1.square(slope), 1)], feed_dict)


def own_gradient(test):
  """A custom gradient that reads a variable which the op does not."""
  x, feed_dict = _features(test, 4)
  w = _weight(test, "w", 4)
  scale = test.variable("scale", test.normal(4), trainable=False)

  @tf1.custom_gradient
  def scaled(h):
    return tf1.tanh(h), lambda upstream: upstream * scale.read_value() * h

  return _model([x], [scaled(x * w)], feed_dict, numeric=False)


def dataset(test):
  """Batches that come from an iterator and not from a feed."""
  values = test.normal(64, BATCH, 4)
  values[:] = values[0]  # so that every run of the joint graph draws the same
  batches = tf1.data.Dataset.from_tensor_slices(values)
  x = tf1.data.make_one_shot_iterator(batches).get_next()
  return _model([x], [tf1.square(x) * _weight(test, "w", 4)], {})


def loop(test):
  """A loop in the style of TensorFlow 2 that reads a weight and branches."""
  test.use_control_flow(v2=True)
  x, feed_dict = _features(test, 4)
  w = _weight(test, "w", 4, 4)
  steps = tf1.placeholder(tf1.int32, [])
  _, y, z = tf1.while_loop(
    lambda i, *_: i < steps,
    lambda i, h, k: (i + 1, tf1.tanh(tf1.matmul(h, w) * h), tf1.sin(k)),
    [0, x, x],
  )
  y = tf1.cond(steps > 2, lambda: tf1.matmul(y, w), lambda: y)
  feed_dict[steps] = 3
  return _model(
    [x],
    [y, z],
    feed_dict,
    refused=("host", "host_all", "host_none"),
  )


def recurrence(test):
  """A recurrent layer as a loop over tensor arrays."""
  test.use_control_flow(v2=True)
  x, feed_dict = _features(test, 4, 2)
  w = _weight(test, "w", 5, 3)
  source = tf1.TensorArray(tf1.float64, 4).unstack(tf1.transpose(x, [1, 0, 2]))
  sink = tf1.TensorArray(tf1.float64, 4, element_shape=[None, 3])

  def body(t, h, sink):
    h = tf1.tanh(tf1.matmul(tf1.concat([source.read(t), h], axis=1), w))
    return t + 1, h, sink.write(t, h)

  state = tf1.zeros([tf1.shape(x)[0], 3], tf1.float64)
  _, h, sink = tf1.while_loop(lambda t, *_: t < 4, body, [0, state, sink])
  return _model(
    [x],
    [sink.stack(), h],
    feed_dict,
    refused=("host", "host_all", "host_none"),
  )


MODELS = (
  mlp,
  lstm,
  gru,
  attention,
  batch_norm,
  fused_batch_norm,
  embedding,
  tied_embedding,
  dropout,
  chained_outputs,
  straight_through,
  infinite_slope,
  several_outputs,
  weight_twice,
  inner_input,
  integers,
  unknown_shapes,
  complex_numbers,
  half,
  brain,
  slope_penalty,
  own_gradient,
  dataset,
  loop,
  recurrence,
)
