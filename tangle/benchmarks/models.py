"""Networks for the benchmarks, each in a lower and an upper part.

A strategy runs the lower part forward and backward on its own; the upper part
computes the loss. Inputs are drawn by numpy, so that every strategy and both
TensorFlows see the same numbers.
"""

from typing import Any, Callable, Dict, NamedTuple

import numpy as np

from tangle import compat, errors
from tangle.benchmarks import names
from tangle.compat import tf1
from tangle.nets import attention, cells, feedforward, losses, recurrent

VOCABULARY = 1000


class Model(NamedTuple):
  """A network in two parts.

  Attributes:
    lower_feeds: name → array that the lower part reads.
    upper_feeds: name → array that the upper part reads.
    lower: a function from a dict of tensors to the list of tensors at the
      boundary.
    upper: a function from that list and a dict of tensors to the scalar loss.
  """

  lower_feeds: Dict[str, Any]
  upper_feeds: Dict[str, Any]
  lower: Callable[..., Any]
  upper: Callable[..., Any]


class ModelSizes(NamedTuple):
  """Sizes of a model: examples, units, and steps of source and target."""

  batch: int = 64
  units: int = 256
  steps: int = 40
  target_steps: int = 20


@errors.named("benchmarks.models.make")
def make(name, sizes, seed=0):
  """Returns a `Model` with data drawn from `seed`; adds nothing to a graph.

  Its parts make new variables in each graph.

  Args:
    name: one of `NAMES`.
    sizes: a `ModelSizes`.
    seed: of the data.

  Raises:
    ArgumentError: if the name is unknown.
  """
  names.check("the model", name, NAMES)
  return _MAKERS[name](sizes, np.random.RandomState(seed))


def _ids(rng, *shape):
  return rng.randint(0, VOCABULARY, shape).astype(np.int32)


def _normal(rng, *shape):
  return rng.standard_normal(shape).astype(np.float32)


def _classify(features, feeds):
  """Returns the cross entropy of a linear classifier of `[B, D]`."""
  logits = feedforward.Dense(10, name="classifier")(features)
  return _cross_entropy(logits, feeds)


def _cross_entropy(logits, feeds):
  found = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=feeds["labels"], logits=logits
  )
  return tf1.reduce_mean(found)


def _classify_mean(boundary, feeds):
  """Returns that of the mean over all axes but the first and the last."""
  axes = list(range(1, boundary[0].shape.ndims - 1))
  return _classify(tf1.reduce_mean(boundary[0], axes), feeds)


def _labels(rng, sizes):
  return {"labels": rng.randint(0, 10, sizes.batch).astype(np.int32)}


def _mlp(sizes, rng):
  def lower(feeds):
    x = feeds["x"]
    for k in range(4):
      x = feedforward.Dense(sizes.units, tf1.nn.relu, name=f"lower_{k}")(x)
    return [x]

  def upper(boundary, feeds):
    x = boundary[0]
    for k in range(2):
      x = feedforward.Dense(sizes.units, tf1.nn.relu, name=f"upper_{k}")(x)
    return _classify(x, feeds)

  x = _normal(rng, sizes.batch, sizes.units)
  return Model({"x": x}, _labels(rng, sizes), lower, upper)


def _recurrent(make_layer):
  def make_model(sizes, rng):
    def lower(feeds):
      found = make_layer(sizes.units)(feeds["x"])
      return [found.outputs]

    x = _normal(rng, sizes.batch, sizes.steps, sizes.units)
    return Model({"x": x}, _labels(rng, sizes), lower, _classify_mean)

  return make_model


class _Cell:
  """An LSTM cell as `tf.nn.dynamic_rnn` takes one."""

  def __init__(self, units, width):
    self._cell = cells.LSTMCell(units, name="dynamic_lstm")
    with self._cell.enter(None):  # variables are made outside of the loop
      self._weights = self._cell.weights(width)
    self.output_size = units
    self.state_size = cells.LSTMState(units, units)

  def zero_state(self, batch_size, dtype):
    return self._cell.zero_state(batch_size, dtype)

  def __call__(self, inputs, state, scope=None):
    state = self._cell.step(inputs, state, self._weights)
    return self._cell.output(state), state


def _dynamic_rnn(sizes, rng):
  """A layer as a loop in the style of TensorFlow 2, of unknown length."""

  def lower(feeds):
    with compat.control_flow(v2=True):
      x = tf1.placeholder_with_default(feeds["x"], [None, None, sizes.units])
      cell = _Cell(sizes.units, sizes.units)
      outputs, _ = tf1.nn.dynamic_rnn(cell, x, dtype=tf1.float32)
    return [outputs]

  x = _normal(rng, sizes.batch, sizes.steps, sizes.units)
  return Model({"x": x}, _labels(rng, sizes), lower, _classify_mean)


class _ReferenceCell:
  """An LSTM cell on reference variables, as TensorFlow 1 programs have them."""

  def __init__(self, units, width):
    with tf1.variable_scope("reference_lstm", use_resource=False):
      self._kernel = tf1.get_variable("kernel", [width + units, 4 * units])
      self._bias = tf1.get_variable(
        "bias", [4 * units], initializer=tf1.zeros_initializer()
      )
    self.output_size = units
    self.state_size = (units, units)

  def zero_state(self, batch_size, dtype):
    return tuple(tf1.zeros([batch_size, n], dtype) for n in self.state_size)

  def __call__(self, inputs, state, scope=None):
    c, h = state
    both = tf1.concat([inputs, h], 1)
    gates = tf1.nn.bias_add(tf1.matmul(both, self._kernel), self._bias)
    i, g, f, o = tf1.split(gates, 4, axis=1)
    c = tf1.sigmoid(f + 1.0) * c + tf1.sigmoid(i) * tf1.tanh(g)
    h = tf1.sigmoid(o) * tf1.tanh(c)
    return h, (c, h)


def _reference_rnn(sizes, rng):
  """A layer as a loop in the style of TensorFlow 1, on reference variables."""

  def lower(feeds):
    with compat.control_flow(v2=False):
      cell = _ReferenceCell(sizes.units, sizes.units)
      return [tf1.nn.dynamic_rnn(cell, feeds["x"], dtype=tf1.float32)[0]]

  def upper(boundary, feeds):
    with tf1.variable_scope("reference_classifier", use_resource=False):
      kernel = tf1.get_variable("kernel", [sizes.units, 10])
    logits = tf1.matmul(tf1.reduce_mean(boundary[0], 1), kernel)
    return _cross_entropy(logits, feeds)

  x = _normal(rng, sizes.batch, sizes.steps, sizes.units)
  return Model({"x": x}, _labels(rng, sizes), lower, upper)


def _convolution(sizes, rng):
  channels = max(8, sizes.units // 8)

  def lower(feeds):
    x, width = feeds["x"], 3
    for k in range(4):
      with tf1.variable_scope(f"convolution_{k}", use_resource=True):
        kernel = tf1.get_variable("kernel", [3, 3, width, channels])
        scale = tf1.get_variable(
          "scale", [channels], initializer=tf1.ones_initializer()
        )
        offset = tf1.get_variable(
          "offset", [channels], initializer=tf1.zeros_initializer()
        )
      stride = 1 + k % 2
      x = tf1.nn.conv2d(
        x, kernel, strides=[1, stride, stride, 1], padding="SAME"
      )
      x = tf1.nn.fused_batch_norm(x, scale, offset, is_training=True)[0]
      x, width = tf1.nn.relu(x), channels
    return [x]

  x = _normal(rng, sizes.batch, 32, 32, 3)
  return Model({"x": x}, _labels(rng, sizes), lower, _classify_mean)


def _normalize(x, name):
  """Normalizes the last axis: `gain (x - mean) / deviation + offset`."""
  width = [x.shape.as_list()[-1]]
  with tf1.variable_scope(name, use_resource=True):
    gain = tf1.get_variable("gain", width, initializer=tf1.ones_initializer())
    offset = tf1.get_variable(
      "offset", width, initializer=tf1.zeros_initializer()
    )
  mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
  return tf1.nn.batch_normalization(x, mean, variance, offset, gain, 1e-6)


def _transformer(sizes, rng, layers=12, heads=4):
  """Blocks of self-attention and a hidden layer, normalized before each.

  Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.
  Departures: normalized before and not after; no embedding, no dropout.
  """
  width = sizes.units // heads

  def attend(x, name):
    joined = feedforward.Dense(3 * sizes.units, name=f"{name}_qkv")(x)
    joined = tf1.reshape(joined, [sizes.batch, sizes.steps, 3, heads, width])
    q, k, v = tf1.unstack(tf1.transpose(joined, [2, 0, 3, 1, 4]))
    scores = tf1.matmul(q, k, transpose_b=True) / np.float32(np.sqrt(width))
    found = tf1.matmul(tf1.nn.softmax(scores), v)
    found = tf1.reshape(tf1.transpose(found, [0, 2, 1, 3]), tf1.shape(x))
    return feedforward.Dense(sizes.units, name=f"{name}_out")(found)

  def lower(feeds):
    x = feeds["x"]
    for k in range(layers):
      with tf1.name_scope(f"block_{k}"):
        x += attend(_normalize(x, f"first_{k}"), f"attend_{k}")
        hidden = _normalize(x, f"second_{k}")
        hidden = feedforward.Dense(
          4 * sizes.units, tf1.nn.relu, name=f"hidden_{k}"
        )(hidden)
        x += feedforward.Dense(sizes.units, name=f"narrow_{k}")(hidden)
    return [x]

  x = _normal(rng, sizes.batch, sizes.steps, sizes.units)
  return Model({"x": x}, _labels(rng, sizes), lower, _classify_mean)


def _attention(by_cells):
  """An LSTM encoder and an LSTM decoder that attends to it.

  Args:
    by_cells: whether to call cells step by step, as programs for TensorFlow 1
      do, instead of layers over all steps.

  Returns:
    A maker of a `Model`.
  """

  def make_model(sizes, rng):
    def lstm(name):
      return (_unroll if by_cells else recurrent.LSTM)(sizes.units, name=name)

    def lower(feeds):
      table = feedforward.Embedding(VOCABULARY, sizes.units, name="source")
      found = lstm("encoder")(table(feeds["source"]))
      return [found.outputs, found.state.c, found.state.h]

    def upper(boundary, feeds):
      memory, c, h = boundary
      table = feedforward.Embedding(VOCABULARY, sizes.units, name="target")
      attend = attention.BahdanauAttention(sizes.units).memory(memory)
      layer = lstm("decoder")
      state = cells.LSTMState(c, h)
      inputs = table(feeds["inputs"])
      if not by_cells:
        outputs = layer(inputs, initial_state=state).outputs
        contexts = attend(outputs).context
      else:
        steps = []
        for step in tf1.unstack(inputs, axis=1):
          output, state = layer.cell(step, state)
          steps.append((output, attend(output).context))
        outputs = tf1.stack([output for output, _ in steps], 1)
        contexts = tf1.stack([context for _, context in steps], 1)
      joined = feedforward.Dense(sizes.units, tf1.tanh, name="joined")(
        tf1.concat([outputs, contexts], 2)
      )
      logits = feedforward.Dense(VOCABULARY, name="logits")(joined)
      weights = tf1.ones_like(feeds["targets"], tf1.float32)
      return tf1.reduce_mean(
        losses.masked_cross_entropy(logits, feeds["targets"], weights)
      )

    shape = sizes.batch, sizes.target_steps
    return Model(
      {"source": _ids(rng, sizes.batch, sizes.steps)},
      {"inputs": _ids(rng, *shape), "targets": _ids(rng, *shape)},
      lower,
      upper,
    )

  return make_model


def _unroll(units, make_cell=cells.LSTMCell, name="lstm"):
  """Returns a layer that has a copy of its cell for each step."""
  return recurrent.RecurrentLayer(make_cell(units, name=name))


_MAKERS = {
  "mlp": _mlp,
  "lstm": _recurrent(_unroll),
  "gru": _recurrent(lambda units: _unroll(units, cells.GRUCell, "gru")),
  "fused_lstm": _recurrent(recurrent.LSTM),
  "dynamic_rnn": _dynamic_rnn,
  "reference_rnn": _reference_rnn,
  "convolution": _convolution,
  "transformer": _transformer,
  "attention": _attention(by_cells=True),
  "fused_attention": _attention(by_cells=False),
}

NAMES = tuple(_MAKERS)
"""Names of the models."""
