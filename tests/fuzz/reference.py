"""What random programs are compared with: TensorFlow alone, and differences."""

import contextlib

import numpy as np

from tangle import compat
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.partial import split
from tests import case

_TIMEOUT_MS = 60000


class Unbuilt(Exception):
  """A program that TensorFlow itself does not take."""


@contextlib.contextmanager
def taken():
  """Turns what TensorFlow raises into `Unbuilt`."""
  try:
    yield
  except Exception as error:
    raise Unbuilt(repr(error)) from error


def open_session(graph, stack, traced=False, optimize=True):
  """Opens a session, and gives the variables their first values.

  Args:
    graph: the graph to run.
    stack: the `ExitStack` that closes it.
    traced: whether to count executions, which turns the optimizer off.
    optimize: False turns the optimizer off, which forgets what is fed for some
      tensors that are no placeholders.

  Returns:
    A `tf.Session`, or an `executions.Tracer` of one.
  """
  config = tf1.ConfigProto(
    intra_op_parallelism_threads=1,
    inter_op_parallelism_threads=2,
    operation_timeout_in_ms=_TIMEOUT_MS,
  )
  if not optimize:
    config.graph_options.rewrite_options.disable_meta_optimizer = True
  if traced:
    sess = executions.Tracer(graph, config)
    plain = sess.session
  else:
    sess = plain = tf1.Session(graph=graph, config=config)
  stack.callback(plain.close)
  with graph.as_default():
    plain.run(tf1.global_variables_initializer())
  return sess


def set_variable(sess, variable, value):
  """Gives `variable` the array `value`; adds nothing to the graph."""
  sess.run(variable.initializer, {variable.initializer.inputs[1]: value})


class Joint:
  """The gradients of a program by `tf.gradients` alone.

  Attributes:
    built: the `programs.Built`.
    variables: the trainable variables of the graph.
  """

  def __init__(self, built):
    """Adds the gradients of a `programs.Built` to the current graph."""
    self.built = built
    self.variables = list(tf1.trainable_variables())
    self._initializers = [v.initializer for v in tf1.global_variables()]
    self._used = [y for y, use in zip(built.outputs, built.used) if use]
    self._upstream = [
      tf1.placeholder(y.dtype.base_dtype, None) for y in self._used
    ]
    floats = [compat.is_differentiable(t.dtype) for t in built.inputs]
    style = compat.control_flow_of(tf1.get_default_graph().get_operations())
    with taken(), style:
      found = tf1.gradients(
        self._used,
        [t for t, is_float in zip(built.inputs, floats) if is_float]
        + self.variables,
        grad_ys=self._upstream,
        stop_gradients=built.inputs,
      )
    rest = iter(found)
    self._inputs = [next(rest) if is_float else None for is_float in floats]
    self._variables = list(rest)

  def run(self, sess, feed_dict, upstream):
    """Returns the `Gradients` of arrays."""
    values = [value for value in upstream if value is not None]
    feed_dict = {**feed_dict, **dict(zip(self._upstream, values))}
    tensors = self._inputs + self._variables
    present = [tensor for tensor in tensors if tensor is not None]
    with taken():
      found = iter(sess.run(present, feed_dict))
    flat = [None if tensor is None else next(found) for tensor in tensors]
    return split.Gradients(flat[: len(self._inputs)], flat[len(self._inputs) :])

  def slopes(self, sess, feed_dict, upstream, gradients, rng):
    """Computes the slope of the loss along a drawn direction in two ways.

    Args:
      sess: a session without the optimizer, as inputs within the graph are
        fed.
      feed_dict: what to feed.
      upstream: the upstream gradients.
      gradients: the `Gradients` to compare with.
      rng: draws the direction.

    Returns:
      The slope by `gradients`, that by differences, and how much they may
      differ; or `None` where differences tell nothing.
    """
    inputs = {}  # one that is an input twice moves once
    for tensor, gradient in zip(self.built.inputs, gradients.inputs):
      inputs.setdefault(tensor.name, (tensor, gradient))
    if any(not t.graph.is_feedable(t) for t, _ in inputs.values()):
      return None
    points = [
      (tensor, gradient)
      for tensor, gradient in inputs.values()
      if compat.is_differentiable(tensor.dtype)
    ]
    sess.run(self._initializers)
    at = sess.run([tensor for tensor, _ in points], feed_dict)
    present = [k for k, g in enumerate(gradients.variables) if g is not None]
    sess.run(self._initializers)  # what is at the inputs may change variables
    values = sess.run([self.variables[k] for k in present])
    moves = [rng.standard_normal(np.shape(value)) for value in at]
    turns = [rng.standard_normal(np.shape(value)) for value in values]
    given = [value for value in upstream if value is not None]

    def loss(step):
      sess.run(self._initializers)  # a run may change variables
      for k, value, turn in zip(present, values, turns):
        set_variable(sess, self.variables[k], value + step * turn)
      fed = {t: v + step * m for (t, _), v, m in zip(points, at, moves)}
      found = sess.run(self._used, {**feed_dict, **fed})
      return sum(np.sum(g * y) for g, y in zip(given, found))

    near, far = [(loss(h) - loss(-h)) / (2 * h) for h in (1e-4, 2e-4)]
    slope, size = 0.0, 1.0
    pairs = [(g, move) for (_, g), move in zip(points, moves)]
    pairs += [(gradients.variables[k], t) for k, t in zip(present, turns)]
    for gradient, move in pairs:
      if gradient is not None:
        slope += np.sum(case.dense(gradient) * move)
        size += np.linalg.norm(case.dense(gradient)) * np.linalg.norm(move)
    if abs(near - far) > 1e-3 * size:
      return None  # differences of two steps disagree
    return slope, near, 1e-6 * size + 2 * abs(near - far)
