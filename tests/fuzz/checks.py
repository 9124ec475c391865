"""Checks a random program: split = joint = numeric, nothing runs twice.

`checks_test.py` shows it wrong gradients and double runs.
"""

import collections
import contextlib

import numpy as np

import tangle
from tangle import compat, errors
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.graphs import cut, walk
from tangle.partial import split
from tests import case
from tests.fuzz import ops, programs

RIGHT = "right"
REFUSED = "refused"
UNBUILT = "unbuilt"  # TensorFlow itself does not build, differentiate or run it

_TIMEOUT_MS = 60000
_CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall"])
_REPEATING = ("none", "predicate", "min_cut", "budget")


class Wrong(AssertionError):
  """A program for which tangle is wrong."""


class Unbuilt(Exception):
  """A program that TensorFlow itself does not take."""


def check(program, make=tangle.SubModel):
  """Checks one program.

  Args:
    program: a `Program`.
    make: what makes the sub-model.

  Returns:
    `RIGHT`, `REFUSED` or `UNBUILT`.

  Raises:
    Wrong: if a gradient is wrong, an op ran twice, or something failed after
      the sub-model was made.
  """
  try:
    with contextlib.ExitStack() as stack:
      return _Check(program, make, stack).run()
  except Unbuilt:
    return UNBUILT


class Joint:
  """The gradients of a program by `tf.gradients` alone: the reference.

  Attributes:
    variables: the trainable variables of the graph.
  """

  def __init__(self, built):
    """Adds the gradients of a `programs.Built` to the current graph."""
    self.variables = list(tf1.trainable_variables())
    used = [y for y, use in zip(built.outputs, built.used) if use]
    self._upstream = [tf1.placeholder(y.dtype.base_dtype, None) for y in used]
    floats = [compat.is_differentiable(t.dtype) for t in built.inputs]
    with _taken():
      found = tf1.gradients(
        used,
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
    with _taken():
      found = iter(sess.run(present, feed_dict))
    flat = [None if tensor is None else next(found) for tensor in tensors]
    return split.Gradients(flat[: len(self._inputs)], flat[len(self._inputs) :])


class _Check:
  """The check of one program."""

  def __init__(self, program, make, stack):
    self.program = program
    self.make = make
    self.stack = stack
    self.rng = np.random.RandomState(5)
    # In one graph with the joint model, where that disturbs nothing.
    kinds = (ops.RANDOM, ops.FLOW, ops.STATE)
    self.apart = any(mark in program.marks for mark in kinds)
    self.upstream = None

  def run(self):
    graph = tf1.Graph()
    with graph.as_default():
      built = self.build()
      self.forward_ops = graph.get_operations()
      self.stateful = set(cut.stateful_ops(self.forward_ops))
      sub_model = self.sub_model(built)
      if sub_model is None:
        return REFUSED
      if not self.apart:
        joint = Joint(built)
      self.sess = self.open(graph, self.program.traced)
      self.plain = getattr(self.sess, "session", self.sess)
      joint_built, joint_sess = built, self.plain
    if self.apart:
      joint_graph = tf1.Graph()
      with joint_graph.as_default():
        joint_built = self.build()
        joint = Joint(joint_built)
        joint_sess = self.open(joint_graph, traced=False)

    def reference():
      feed_dict = {**joint_built.feed_dict, **self.inner(joint_built)}
      return joint.run(joint_sess, feed_dict, self.upstream)

    self.inner_values = self.draw_inner(joint_built, joint_sess)
    try:
      found, desired = self.step(sub_model, built, reference)
    except Wrong:
      raise
    except Exception as error:
      if self.upstream is None:
        with _taken():
          joint_sess.run(joint_built.outputs, joint_built.feed_dict)
      else:
        reference()
      raise Wrong(f"a run failed: {error!r}") from error
    self.compare(sub_model, joint, found, desired)
    if self.program.numeric and not self.program.marks:
      self.numeric(joint_sess, joint_built, joint, desired)
    return RIGHT

  def build(self):
    with _taken():
      return programs.build(self.program)

  def open(self, graph, traced):
    """Opens a session with the variables' first values."""
    config = tf1.ConfigProto(
      intra_op_parallelism_threads=1,
      inter_op_parallelism_threads=2,
      operation_timeout_in_ms=_TIMEOUT_MS,
    )
    if traced and self.program.store != "session":
      sess = executions.Tracer(graph, config)
      self.stack.callback(sess.session.close)
    else:
      sess = tf1.Session(graph=graph, config=config)
      self.stack.callback(sess.close)
    with graph.as_default():
      getattr(sess, "session", sess).run(tf1.global_variables_initializer())
    return sess

  def sub_model(self, built):
    """Makes the sub-model; returns `None` if it is refused."""
    program = self.program
    try:
      sub_model = self.make(
        built.inputs,
        built.outputs,
        store=program.store,
        residuals=programs.policy(program.residuals),
      )
      if program.prepared:
        sub_model.prepare(built.used)
      return sub_model
    except errors.TangleError:
      return None
    except Exception as error:
      Joint(built)  # raises `Unbuilt` where TensorFlow cannot do it either
      raise Wrong(f"SubModel failed: {error!r}") from error

  def draw_inner(self, built, sess):
    """Draws values for the inputs within the graph, if they are to be fed."""
    if not self.program.fed or self.apart:
      return {}
    inner = [
      k
      for k, tensor in enumerate(built.inputs)
      if tensor.op.type != "Placeholder"
      and compat.is_differentiable(tensor.dtype)
      and takes_feeds(tensor)
    ]
    with _taken():
      values = sess.run([built.inputs[k] for k in inner], built.feed_dict)
    return {
      k: self.rng.uniform(-1, 1, value.shape).astype(value.dtype)
      for k, value in zip(inner, values)
    }

  def inner(self, built):
    """Returns what to feed to the inputs within the graph of `built`."""
    return {built.inputs[k]: v for k, v in self.inner_values.items()}

  def step(self, sub_model, built, reference):
    """Runs forward and backward, and what the program has in between."""
    feed_dict = {**built.feed_dict, **self.inner(built)}
    # What a loop, or a function, keeps is not the same for all losses.
    calls = ops.FLOW in self.program.marks or "repeated" in str(self.program)
    tell = self.program.store == "session" or calls
    used = built.used if tell else None
    call = sub_model.forward(self.sess, feed_dict, used=used)
    forward = self.counts()
    self.upstream = [
      self.rng.standard_normal(np.shape(value)).astype(value.dtype)
      if use
      else None
      for value, use in zip(call.outputs, built.used)
    ]
    desired = reference()
    if self.program.between:
      with tf1.Graph().as_default():
        other = programs.build(self.program, variation=1).feed_dict
      other = dict(zip(built.feed_dict, other.values()))
      other.update(self.inner(built))
      sub_model.forward(self.sess, other, used=used).discard()
    if self.program.moved:
      self.move(sub_model.graph)
    self.counts()
    found = call.backward(self.upstream)
    if self.sess is not self.plain:
      self.check_counts(built, forward, self.counts(), feed_dict)
    return found, desired

  def move(self, graph):
    """Gives all variables other values."""
    variables = graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
    for variable in variables:
      value = self.rng.uniform(-1, 1, variable.shape.as_list())
      value = value.astype(variable.dtype.base_dtype.as_numpy_dtype)
      set_variable(self.plain, variable, value)

  def counts(self):
    """Returns executions since the last time, by name."""
    if self.sess is self.plain:
      return None
    found, self.sess.counts = self.sess.counts, collections.Counter()
    return found

  def check_counts(self, built, forward, backward, fed):
    """Raises `Wrong` if a forward op ran more than once."""
    working = [
      op
      for op in executions.working_ops(self.forward_ops)
      if op.type not in cut.REFERENCES | _CALLS
      and not compat.in_v1_control_flow(op)
    ]
    # A loop that does not read a value in a run leaves it out.
    loops = ops.FLOW in self.program.marks
    needed = set(walk.ancestors(built.outputs, stop=list(fed)))
    for op in working:
      times = forward[op.name], backward[op.name]
      least = int(op in needed and not loops)
      if not least <= times[0] <= 1 or times[1]:
        raise Wrong(f"{op.name} ({op.type}) ran {times} times")
    names = {op.name: op for op in working}
    repeats = (
      self.program.store == "recompute" or self.program.residuals in _REPEATING
    )
    for name, count in backward.items():
      op = names.get(name.rpartition("/copy/")[2])
      if "/copy/" not in name or op is None or not count:
        continue
      draws = op in self.stateful
      if not repeats or draws or count > 1:
        raise Wrong(f"{op.name} ({op.type}) ran again as {name}, {count} times")

  def compare(self, sub_model, joint, found, desired):
    """Raises `Wrong` unless split and joint gradients are the same."""
    named = [(f"input {k}", value) for k, value in enumerate(found.inputs)]
    wanted = list(desired.inputs)
    names = [variable.name for variable in sub_model.variables]
    by_name = dict(zip(names, found.variables))
    # `tf.gradients` goes on below an input that a Defun gives.
    goes_on = "pieces.called(" in self.program.source
    for variable, value in zip(joint.variables, desired.variables):
      if variable.name not in by_name and value is not None:
        if goes_on:
          continue
        raise Wrong(f"{variable.name} is not among the variables")
      named.append((variable.name, by_name.get(variable.name)))
      wanted.append(value)
    arrays = [case.dense(value) for value in wanted if value is not None]
    size = max([np.max(np.abs(a), initial=0.0) for a in arrays] + [1.0])
    if not all(np.all(np.isfinite(a)) for a in arrays):
      raise Unbuilt
    narrow = "narrow" in self.program.marks
    rtol, atol = (1e-3, 1e-4) if narrow else (1e-10, 1e-12)
    for (name, a), b in zip(named, wanted):
      if (a is None) != (b is None) or case.is_sparse(a) != case.is_sparse(b):
        raise Wrong(f"gradient of {name}: split {a!r}, joint {b!r}")
      if b is None:
        continue
      a, b = case.dense(a), case.dense(b)
      if a.shape != b.shape or a.dtype != b.dtype:
        raise Wrong(f"gradient of {name}: split {a!r}, joint {b!r}")
      bound = rtol * np.max(np.abs(b), initial=0.0) + atol * size
      error = np.max(np.abs(a - b), initial=0.0)
      if not error <= bound:
        raise Wrong(f"gradient of {name}: split {a!r}, joint {b!r}")

  def numeric(self, sess, built, joint, gradients):
    """Raises `Wrong` unless the slope along a direction is that of differences.

    Where differences of two steps disagree, they tell nothing.
    """
    sess.run([variable.initializer for variable in joint.variables])
    feed_dict = {**built.feed_dict, **self.inner(built)}
    pairs = {}
    for tensor, gradient in zip(built.inputs, gradients.inputs):
      pairs.setdefault(tensor.name, (tensor, gradient))
    points = [  # one that is an input twice moves once
      (tensor, gradient)
      for tensor, gradient in pairs.values()
      if compat.is_differentiable(tensor.dtype) and takes_feeds(tensor)
    ]
    if any(not takes_feeds(tensor) for tensor, _ in pairs.values()):
      return
    at = sess.run([tensor for tensor, _ in points], feed_dict)
    present = [k for k, g in enumerate(gradients.variables) if g is not None]
    values = sess.run([joint.variables[k] for k in present])
    draw = self.rng.standard_normal
    moves = [draw(np.shape(value)) for value in at]
    turns = [draw(np.shape(value)) for value in values]
    used = [y for y, use in zip(built.outputs, built.used) if use]
    upstream = [value for value in self.upstream if value is not None]

    def loss(step):
      for k, value, turn in zip(present, values, turns):
        set_variable(sess, joint.variables[k], value + step * turn)
      fed = {t: v + step * m for (t, _), v, m in zip(points, at, moves)}
      found = sess.run(used, {**feed_dict, **fed})
      return sum(np.sum(g * y) for g, y in zip(upstream, found))

    near, far = [(loss(h) - loss(-h)) / (2 * h) for h in (1e-4, 2e-4)]
    slope, size = 0.0, 1.0
    pairs = [(g, move) for (_, g), move in zip(points, moves)]
    pairs += [(gradients.variables[k], t) for k, t in zip(present, turns)]
    for gradient, move in pairs:
      if gradient is not None:
        slope += np.sum(case.dense(gradient) * move)
        size += np.linalg.norm(case.dense(gradient)) * np.linalg.norm(move)
    tells = abs(near - far) <= 1e-3 * size
    if tells and abs(near - slope) > 1e-6 * size + 2 * abs(near - far):
      raise Wrong(f"slope {slope}, by differences {near}")


def takes_feeds(tensor):
  """Whether what is fed for `tensor` is what its readers read.

  The graph optimizer of TensorFlow 2.21 makes `2 x` of `x + x`, and inlines
  calls of functions, whether they are fed or not.
  """
  op = tensor.op
  names = [read.name for read in op.inputs]
  is_sum = op.type.startswith("Add") and len(set(names)) < len(names)
  is_call = not hasattr(tf1.raw_ops, op.type) or op.type in _CALLS
  return tensor.graph.is_feedable(tensor) and not is_sum and not is_call


def set_variable(sess, variable, value):
  """Gives `variable` the array `value`; adds nothing to the graph."""
  sess.run(variable.initializer, {variable.initializer.inputs[1]: value})


@contextlib.contextmanager
def _taken():
  """Turns what TensorFlow raises into `Unbuilt`."""
  try:
    yield
  except Exception as error:
    raise Unbuilt(repr(error)) from error
