"""Checks a program: split in sub-models = joint graph = central differences.

`checks_test.py` shows it wrong gradients and passes that run twice.
"""

import contextlib
from typing import Any, Dict, List, NamedTuple

import numpy as np

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tests import case

RIGHT, REFUSED, WRONG, HANGS, FAILS, UNBUILT = OUTCOMES = (
  "right",
  "refused",
  "wrong",
  "hangs",
  "fails",
  "unbuilt",  # TensorFlow itself does not build, differentiate or run it
)
PASSES = 2
TIMEOUT_S = 30


class Wrong(AssertionError):
  """A program whose gradients, losses or variables are wrong."""


class Unbuilt(Exception):
  """A program that TensorFlow does not build, differentiate or run."""


class Result(NamedTuple):
  """What some passes through a program gave.

  Attributes:
    losses: for each pass the losses.
    gradients: for each pass a dict from name to array.
    after: what variables and watched tensors are in the end, by name.
  """

  losses: List[List[Any]]
  gradients: List[Dict[str, Any]]
  after: Dict[str, Any]


def build(make, use_resource):
  """Builds a program in the current graph.

  Args:
    make: one of `listing.ALL`.
    use_resource: whether its variables are resource variables.

  Returns:
    A `common.Program`.
  """
  with tf1.variable_scope("program", use_resource=use_resource):
    return make()


@contextlib.contextmanager
def open_session(built):
  """Opens a session in which variables have their values, on this graph."""
  config = tf1.ConfigProto(
    operation_timeout_in_ms=1000 * TIMEOUT_S,
    inter_op_parallelism_threads=2,
    intra_op_parallelism_threads=1,
  )
  with tf1.Session(config=config) as sess:
    sess.run(tf1.global_variables_initializer())
    sess.run(list(built.setup))
    yield sess


def ends(built, cut):
  """Lists the inputs whose gradients are compared.

  They are the differentiable ones that no part below gives. The values of a
  sparse placeholder get no gradient unless `SubModel` is asked for it.

  Args:
    built: a `common.Program`.
    cut: a key of its `cuts`.

  Returns:
    A list of tensors.
  """
  parts = built.cuts[cut]
  left_out = {t.name for part in parts for t in part.outputs}
  for key in built.feed_dict:
    if isinstance(key, tf1.SparseTensor):
      left_out.add(key.values.name)
  found = {}
  for part in parts:
    for tensor in [] if part.stop else part.inputs:
      wanted = compat.is_differentiable(tensor.dtype)
      if wanted and tensor.name not in left_out:
        found[tensor.name] = tensor
  return list(found.values())


def joint_gradients(built):
  """Adds the gradients of all goals to the current graph.

  Returns:
    A dict from the name of a variable, or an input, to its gradient.
  """
  totals = {}
  points = ends(built, next(iter(built.cuts)))
  for goal in built.goals:
    variables = goal.variables
    if variables is None:
      variables = tf1.trainable_variables()
    sources = list(variables) + (points if goal.reaches_inputs else [])
    found = tf1.gradients(goal.loss, sources, stop_gradients=points)
    for source, gradient in zip(sources, found):
      if gradient is not None:
        totals.setdefault(source.name, []).append(
          tf1.convert_to_tensor(gradient)
        )
  return {name: tf1.add_n(parts) for name, parts in totals.items()}


def run_joint(make, use_resource):
  """Runs a program by `tf.gradients` alone, in a graph of its own.

  Args:
    make: one of `listing.ALL`.
    use_resource: whether its variables are resource variables.

  Returns:
    A `Result`.

  Raises:
    Unbuilt: if TensorFlow cannot do that.
  """
  try:
    with tf1.Graph().as_default():
      built = build(make, use_resource)
      fetched = [[goal.loss for goal in built.goals], joint_gradients(built)]
      with open_session(built) as sess:
        runs = [sess.run(fetched, built.feed_dict) for _ in range(PASSES)]
        losses, gradients = zip(*runs)
        return Result(list(losses), list(gradients), _after(sess, built))
  except Exception as error:  # whatever TensorFlow says
    raise Unbuilt(f"{type(error).__name__}: {error}") from error


def _after(sess, built):
  tensors = [v.read_value() for v in tf1.global_variables()]
  names = [v.name for v in tf1.global_variables()]
  watched = {tensor.name: tensor for tensor in built.watched}
  return {**dict(zip(names, sess.run(tensors))), **sess.run(watched)}


class Split:
  """A program whose parts are sub-models, trained as its owner would do it.

  Attributes:
    sub_models: a `SubModel` for each part.
  """

  def __init__(self, built, cut, store, make=tangle.SubModel):
    """Makes the sub-models.

    Args:
      built: a `common.Program`.
      cut: a key of its `cuts`.
      store: the store of the sub-models.
      make: what makes a sub-model.
    """
    self.built = built
    self.parts = built.cuts[cut]
    self.sub_models = [
      make(
        list(part.inputs),
        list(part.outputs),
        part.variables,
        store=store,
        name=f"part_{k}",
      )
      for k, part in enumerate(self.parts)
    ]
    self.points = {tensor.name for tensor in ends(built, cut)}

  def run(self, sess):
    """Runs all parts forward, from below, and all backward, from above.

    Args:
      sess: a session.

    Returns:
      The losses, and a dict from name to gradient.
    """
    goals = [goal.loss.name for goal in self.built.goals]
    known, calls, losses = {}, [], {}
    for part, sub_model in zip(self.parts, self.sub_models):
      inner = {t: known[t.name] for t in part.inputs if t.name in known}
      used = [compat.is_differentiable(t.dtype) for t in part.outputs]
      call = sub_model.forward(sess, {**self.built.feed_dict, **inner}, used)
      calls.append(call)
      for tensor, value in zip(part.outputs, call.outputs):
        known[tensor.name] = value
        if tensor.name in goals:
          losses[tensor.name] = value
    totals = {name: np.ones_like(value) for name, value in losses.items()}
    gradients = {}
    steps = list(zip(self.parts, self.sub_models, calls))
    for part, sub_model, call in reversed(steps):
      upstream = [totals.get(t.name) for t in part.outputs]
      for k, tensor in enumerate(part.outputs):
        if compat.is_differentiable(tensor.dtype) and upstream[k] is None:
          upstream[k] = np.zeros_like(call.outputs[k])
      found = call.backward(upstream)
      names = [variable.name for variable in sub_model.variables]
      _add(gradients, names, found.variables)
      if not part.stop:
        _add(totals, [t.name for t in part.inputs], found.inputs)
    gradients.update(
      {name: value for name, value in totals.items() if name in self.points}
    )
    return [losses[name] for name in goals], gradients


def _add(totals, names, values):
  for name, value in zip(names, values):
    if value is not None:
      value = case.dense(value)
      totals[name] = totals[name] + value if name in totals else value


def run_split(built, cut, store, make=tangle.SubModel):
  """Runs a program, that stands in the current graph, in sub-models.

  Args:
    built: a `common.Program`.
    cut: a key of its `cuts`.
    store: the store of the sub-models.
    make: what makes a sub-model.

  Returns:
    A `Result`.
  """
  split = Split(built, cut, store, make)
  with open_session(built) as sess:
    runs = [split.run(sess) for _ in range(PASSES)]
    losses, gradients = zip(*runs)
    return Result(list(losses), list(gradients), _after(sess, built))


def compare(found, desired):
  """Fails unless two results are the same.

  Args:
    found: a `Result`.
    desired: a `Result`.

  Raises:
    Wrong: if they are not.
  """
  for k in range(PASSES):
    losses = [dict(enumerate(each.losses[k])) for each in (found, desired)]
    _compare(f"loss of pass {k + 1}", *losses)
    _compare(
      f"gradient of pass {k + 1}", found.gradients[k], desired.gradients[k]
    )
  _compare("what is left in", found.after, desired.after)


def _compare(what, found, desired):
  size = max([np.max(np.abs(b), initial=0.0) for b in desired.values()] + [0.0])
  for name in list(desired) + [name for name in found if name not in desired]:
    a, b = found.get(name), desired.get(name)
    a = np.zeros_like(b) if a is None else np.asarray(a)
    b = np.zeros_like(a) if b is None else np.asarray(b)
    rtol = 1e-4 if b.dtype == np.float32 else 1e-10
    if a.shape != b.shape:
      raise Wrong(f"{what} {name}: shape {a.shape}, should be {b.shape}")
    if a.dtype.kind == "b":
      a, b = a.astype(int), b.astype(int)
    bound = rtol * np.max(np.abs(b), initial=0.0) + 1e-2 * rtol * size
    error = np.max(np.abs(a - b), initial=0.0)
    if not error <= bound:
      raise Wrong(f"{what} {name}: off by {error:.2g}, of {size:.2g}")


def outcome(make, cut, use_resource, store, truth, sub_model=tangle.SubModel):
  """Runs a program in sub-models and tells how that ends.

  Args:
    make: one of `listing.ALL`.
    cut: how it is cut, `"whole"` or `"split"`; `None` for the last of its
      cuts.
    use_resource: whether its variables are resource variables.
    store: the store of the sub-models.
    truth: what `run_joint` returned.
    sub_model: what makes a sub-model.

  Returns:
    One of `OUTCOMES`, and what was said.
  """
  with tf1.Graph().as_default():
    built = build(make, use_resource)
    cut = cut or list(built.cuts)[-1]
    try:
      found = run_split(built, cut, store, sub_model)
      compare(found, truth)
    except errors.TangleError as error:
      return REFUSED, f"{type(error).__name__}: {error}"
    except tf1.errors.DeadlineExceededError as error:
      return HANGS, error.message
    except Wrong as error:
      return WRONG, str(error)
    except Exception as error:  # whatever it is that a user would meet
      return FAILS, f"{type(error).__name__}: {error}"
  return RIGHT, ""


def check_slopes(make, step=1e-5, rtol=1e-6):
  """Compares joint gradients with central differences along a direction.

  They are those of the second pass: the first one may set what the data
  decide. What is random, or what no gradient flows through, is held.

  Args:
    make: one of `listing.ALL`.
    step: of the differences.
    rtol: how far the slopes may differ, relative to the gradient's size.

  Raises:
    Wrong: if they differ.
  """
  rng = np.random.RandomState(3)
  with tf1.Graph().as_default():
    built = build(make, use_resource=True)
    variables = tf1.global_variables()
    new = [tf1.placeholder(v.dtype.base_dtype, v.shape) for v in variables]
    assign_ops = [v.assign(ph).op for v, ph in zip(variables, new)]
    values = [v.read_value() for v in variables]
    tables = []
    for goal in built.goals:
      tables.append(joint_gradients(built._replace(goals=[goal])))
    with open_session(built) as sess:
      sess.run([goal.loss for goal in built.goals], built.feed_dict)
      start = sess.run(values)
      fetched = [tables, list(built.frozen)]
      found, held = sess.run(fetched, built.feed_dict)
      fed = {**built.feed_dict, **dict(zip(built.frozen, held))}
      for goal, gradients in zip(built.goals, found):
        moves, slope, size = [], 0.0, 1e-2
        for variable, value in zip(variables, start):
          gradient = gradients.get(variable.name)
          move = np.zeros_like(value)
          if gradient is not None:
            move = rng.standard_normal(value.shape).astype(value.dtype)
            slope += np.sum(gradient * move)
            size += np.linalg.norm(gradient) * np.linalg.norm(move)
          moves.append(move)
        narrow = any(value.dtype == np.float32 for value in start)
        width = 3e-3 if narrow else step
        ahead, behind = [
          _loss_at(sess, goal, fed, new, assign_ops, start, moves, k)
          for k in (width, -width)
        ]
        numeric = (ahead - behind) / (2 * width)
        if not abs(numeric - slope) <= (2e-2 if narrow else rtol) * size:
          raise Wrong(
            f"slope {slope:.9g}, by differences {numeric:.9g}, size {size:.2g}"
          )


def _loss_at(sess, goal, fed, new, assign_ops, start, moves, step):
  moved = [value + step * move for value, move in zip(start, moves)]
  sess.run(assign_ops, dict(zip(new, moved)))
  return float(sess.run(goal.loss, fed))
