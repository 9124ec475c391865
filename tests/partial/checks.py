"""Checks of a sub-model: against the joint graph, against differences, counts.

`checks_test.py` shows each of them something wrong, and expects it to fail.
"""

import numpy as np

import tangle
from tangle import compat
from tangle.compat import tf1
from tangle.partial import split
from tangle.partial import sub_model as sub_model_lib
from tests import case

STORES = sub_model_lib.STORES

STRATEGIES = {
  **{store: {"store": store} for store in STORES},
  "device_all": {"store": "device", "residuals": "all"},
  "device_none": {"store": "device", "residuals": "none"},
  "host_all": {"store": "host", "residuals": "all"},
  "host_none": {"store": "host", "residuals": "none"},
  "min_cut": {"residuals": "min_cut"},
}
"""Ways to keep residuals, by name: the options of a `SubModel` each."""


class Joint:
  """The gradients of a whole model in one run: the reference.

  Attributes:
    variables: the trainable variables of the graph.
  """

  def __init__(self, model):
    """Adds the gradients of `model`, a `zoo.Model`, to the graph."""
    self.variables = list(tf1.trainable_variables())
    self._used = [y for y, used in zip(model.outputs, model.used) if used]
    self._upstream = [tf1.placeholder(y.dtype, None) for y in self._used]
    floats = [compat.is_differentiable(t.dtype) for t in model.inputs]
    points = [t for t, floating in zip(model.inputs, floats) if floating]
    found = tf1.gradients(
      self._used,
      points + self.variables,
      grad_ys=self._upstream,
      stop_gradients=model.inputs,
    )
    rest = iter(found)
    self._inputs = [next(rest) if floating else None for floating in floats]
    self._variables = list(rest)

  def run(self, sess, feed_dict, upstream):
    """Returns the `Gradients`, for one upstream gradient or `None` an output.

    Args:
      sess: the session.
      feed_dict: what to feed.
      upstream: arrays, `None` for an output that is not used.
    """
    values = [value for value in upstream if value is not None]
    feed_dict = {**feed_dict, **dict(zip(self._upstream, values))}
    tensors = self._inputs + self._variables
    present = [tensor for tensor in tensors if tensor is not None]
    found = iter(sess.run(present, feed_dict))
    flat = [None if tensor is None else next(found) for tensor in tensors]
    return split.Gradients(flat[: len(self._inputs)], flat[len(self._inputs) :])


def sub_model(model, strategy, **options):
  """Returns the `SubModel` of a `zoo.Model` with one of `STRATEGIES`."""
  return tangle.SubModel(
    model.inputs, model.outputs, **STRATEGIES[strategy], **options
  )


def upstream_like(test, outputs, used):
  """Draws one upstream gradient for each of the fetched `outputs` in use."""
  found = []
  for value, use in zip(outputs, used):
    drawn = test.normal(*np.shape(value))
    if np.iscomplexobj(value):
      drawn = drawn + 1j * test.normal(*np.shape(value))
    found.append(drawn.astype(value.dtype) if use else None)
  return found


def observed(model, outputs):
  """Returns a feed with what the random tensors of `model` were."""
  return {tensor: outputs[k] for k, tensor in model.drawn.items()}


def assert_same(test, actual, desired, rtol=1e-12):
  """Fails unless two `Gradients` of arrays are the same, `None` and all."""
  for part in ("inputs", "variables"):
    pairs = zip(getattr(actual, part), getattr(desired, part))
    test.assertLen(getattr(actual, part), len(getattr(desired, part)))
    for k, (a, b) in enumerate(pairs):
      with test.subTest(f"{part}[{k}]"):
        test.assertEqual(a is None, b is None)
        if b is not None:
          test.assertEqual(case.is_sparse(a), case.is_sparse(b))
          test.assert_close(a, b, rtol)


def assert_numeric(test, sess, model, variables, gradients, upstream, drawn):
  """Fails unless `gradients` are those of `sum_k <upstream[k], output[k]>`.

  Compares the slope along one random direction for each input and variable
  with central differences.

  Args:
    test: the test.
    sess: a session; the variables are back to their values in the end.
    model: a `zoo.Model` of float64.
    variables: the variables that `gradients` are of.
    gradients: a `Gradients` of arrays.
    upstream: arrays, `None` for an output that is not used.
    drawn: a feed with what the random tensors are.
  """
  given = {t: np.array(sess.run(t, model.feed_dict)) for t in model.inputs}
  feed_dict = {**model.feed_dict, **given, **drawn}
  used = [k for k, value in enumerate(upstream) if value is not None]

  def loss(extra):
    found = sess.run([model.outputs[k] for k in used], {**feed_dict, **extra})
    return sum(np.sum(upstream[k] * y) for k, y in zip(used, found))

  for tensor, gradient in zip(model.inputs, gradients.inputs):
    if compat.is_differentiable(tensor.dtype):
      at = given[tensor]
      _assert_slope(test, lambda v, t=tensor: loss({t: v}), at, gradient)
  for variable, gradient in zip(variables, gradients.variables):
    at = sess.run(variable)

    def moved(value, variable=variable):
      set_variable(sess, variable, value)
      return loss({})

    _assert_slope(test, moved, at, gradient)
    set_variable(sess, variable, at)


def _assert_slope(test, function, at, gradient, step=1e-5):
  direction = test.normal(*np.shape(at))
  numeric = function(at + step * direction) - function(at - step * direction)
  numeric /= 2 * step
  slope = (
    np.sum(case.dense(gradient) * direction) if gradient is not None else 0
  )
  size = 1.0 if gradient is None else np.linalg.norm(case.dense(gradient))
  bound = 1e-7 * max(size * np.linalg.norm(direction), 1e-3)
  test.assertLessEqual(abs(slope - numeric), bound)


def set_variable(sess, variable, value):
  """Gives `variable` the array `value`; adds nothing to the graph."""
  sess.run(variable.initializer, {variable.initializer.inputs[1]: value})


class StagingAreas:
  """Counts what is kept in the runtime, over all staging areas of a graph.

  To be made before the graph is finalized, and after all sub-models.
  """

  def __init__(self, graph):
    """Adds the ops that count."""
    self._sizes = []
    seen = set()
    with graph.as_default(), tf1.name_scope("areas"):
      for op in graph.get_operations():
        name = op.get_attr("shared_name") if op.type == "MapStage" else b""
        if name and (name, op.device) not in seen:
          seen.add((name, op.device))
          with tf1.device(op.device):
            self._sizes.append(
              tf1.raw_ops.MapSize(
                dtypes=op.get_attr("dtypes"), shared_name=name.decode()
              )
            )

  def count(self, sess):
    """Returns how many lists of tensors are kept, of all calls."""
    return int(sum(sess.run(self._sizes)))
