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
from tangle.graphs import cut, feeding, references, walk
from tests import case
from tests.fuzz import programs, reference, tables

RIGHT = "right"
REFUSED = "refused"
UNBUILT = "unbuilt"  # TensorFlow itself does not build, differentiate or run it

_FED = "Placeholder"
# Kinds of ops, and of programs, that differences tell something of.
_SMOOTH = frozenset([tables.FLOW, tables.STATE, tables.ASSIGNED])

CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall"])
_REPEATING = ("none", "predicate", "min_cut", "budget")


class Wrong(AssertionError):
  """A program for which tangle is wrong."""


class Refused(Exception):
  """A program that tangle refuses."""


def check(program, make=tangle.SubModel):
  """Checks one program; arguments and errors are those of `examine`.

  Returns:
    `RIGHT`, `REFUSED` or `UNBUILT`.
  """
  return examine(program, make)[0]


def examine(program, make=tangle.SubModel):
  """Checks one program.

  Args:
    program: a `Program`.
    make: what makes the sub-model.

  Returns:
    `RIGHT`, `REFUSED` or `UNBUILT`, and what the refusal said.

  Raises:
    Wrong: if a gradient is wrong, an op ran twice, or something failed after
      the sub-model was made.
  """
  try:
    with contextlib.ExitStack() as stack:
      _Check(program, make, stack).run()
      return RIGHT, ""
  except Refused as error:
    return REFUSED, str(error)
  except reference.Unbuilt as error:
    return UNBUILT, str(error)


def _is_read(op):
  """Whether an op hands the memory of a reference variable on, as a view."""
  return op.type in references.VIEWS and references.is_value(op.outputs[0])


class _Check:
  """The check of one program."""

  def __init__(self, program, make, stack):
    self.program = program
    self.make = make
    self.stack = stack
    self.rng = np.random.RandomState(5)
    # What draws or changes something runs as often here as there.
    kinds = (tables.RANDOM, tables.FLOW, tables.STATE)
    self.steady = not any(mark in program.marks for mark in kinds)
    self.upstream = None

  def run(self):
    graph, joint_graph = tf1.Graph(), tf1.Graph()
    with graph.as_default():
      built = self.build()
      self.forward_ops = graph.get_operations()
      self.stateful = set(cut.stateful_ops(self.forward_ops))
      sub_model = self.sub_model(built)
      self.store = getattr(sub_model, "store", self.program.store)
      if not self.steady or any(t.op.type != _FED for t in built.inputs):
        joint_built = None
      else:  # in one graph, where that disturbs nothing
        joint_graph, joint_built = graph, built
    with joint_graph.as_default():
      if joint_built is None:
        joint_built = self.build(joint=True)
      self.joint = reference.Joint(joint_built)
    self.sess = self.open(graph)
    self.plain = getattr(self.sess, "session", self.sess)
    # The optimizer forgets what is fed for tensors within the graph.
    outside = all(t.op.type == _FED for t in built.inputs)
    self.joint_sess = reference.open_session(
      joint_graph, self.stack, optimize=outside
    )
    self.inner_values = self.draw_inner(built, joint_built)
    try:
      found, desired = self.step(sub_model, built)
    except (Wrong, Refused, reference.Unbuilt):
      raise
    except Exception as error:
      self.run_alone(joint_graph)
      raise Wrong(f"a run failed: {error!r}") from error
    self.compare(sub_model, found, desired)
    if self.program.numeric and _SMOOTH.issuperset(self.program.marks):
      self.numeric(sub_model, found)

  def run_alone(self, graph):
    """Raises `Unbuilt` if TensorFlow alone fails in such a session too."""
    sess = self.open(graph)
    sess = getattr(sess, "session", sess)
    feed_dict = self.feeds(self.joint.built)
    with reference.taken():
      sess.run(self.joint.built.outputs, feed_dict)
    if self.upstream is not None:
      self.joint.run(sess, feed_dict, self.upstream)

  def build(self, joint=False):
    with reference.taken():
      return programs.build(self.program, joint=joint)

  def open(self, graph):
    """Opens a session as the program says."""
    traced = self.program.traced and self.store != "session"
    return reference.open_session(graph, self.stack, traced)

  def sub_model(self, built):
    """Makes the sub-model; raises `Refused` if it is refused."""
    program = self.program
    try:
      sub_model = self.make(
        built.inputs,
        built.outputs,
        store=program.store,
        residuals=programs.policy(program.residuals),
        simplify_gradients=program.simplified,
      )
      if program.prepared:
        sub_model.prepare(built.used)
      return sub_model
    except errors.TangleError as error:
      raise Refused(str(error)) from error
    except Exception as error:
      # They raise `Unbuilt` where TensorFlow cannot do it either.
      reference.Joint(built)
      floats = [compat.is_differentiable(t.dtype) for t in built.outputs]
      reference.Joint(built._replace(used=floats))
      raise Wrong(f"SubModel failed: {error!r}") from error

  def draw_inner(self, built, joint_built):
    """Draws values for the inputs within the graph, if they are to be fed."""
    if not self.program.fed or not self.steady:
      return {}
    inner = [
      k
      for k, tensor in enumerate(built.inputs)
      if tensor.op.type != _FED
      and compat.is_differentiable(tensor.dtype)
      and tensor.graph.is_feedable(tensor)
    ]
    with reference.taken():
      values = self.joint_sess.run(
        [joint_built.inputs[k] for k in inner], joint_built.feed_dict
      )
    return {
      k: self.drawn(value, lambda shape: self.rng.uniform(-1, 1, shape))
      for k, value in zip(inner, values)
    }

  def drawn(self, value, draw):
    """Draws an array of the shape and dtype of `value`."""
    found = draw(np.shape(value))
    if value.dtype.kind == "c":
      found = found + 1j * draw(np.shape(value))
    return found.astype(value.dtype)

  def feeds(self, built, variation=0):
    """Returns what to feed to `built`."""
    feed_dict = built.feed_dict
    if variation:
      with tf1.Graph().as_default():
        other = programs.build(self.program, variation).feed_dict
      feed_dict = dict(zip(feed_dict, other.values()))
    inner = {built.inputs[k]: v for k, v in self.inner_values.items()}
    return {**feed_dict, **inner}

  def forward(self, sub_model, feed_dict, used):
    """Runs forward; raises `Refused` where TensorFlow forgets what is fed."""
    try:
      return sub_model.forward(self.sess, feed_dict, used=used)
    except errors.GraphError as error:
      if any(feeding.is_forgotten(tensor) for tensor in feed_dict):
        raise Refused(str(error)) from error
      raise
    except errors.CutError as error:
      if self.program.prepared:
        raise
      raise Refused(str(error)) from error  # it makes another backward pass

  def step(self, sub_model, built):
    """Runs forward and backward, and what the program has in between."""
    feed_dict = self.feeds(built)
    # What a loop, or a function, keeps is not the same for all losses.
    calls = tables.FLOW in self.program.marks or "repeated" in str(self.program)
    tell = self.store == "session" or calls
    used = built.used if tell else None
    call = self.forward(sub_model, feed_dict, used)
    forward = self.counts()
    self.upstream = [
      self.drawn(value, self.rng.standard_normal) if use else None
      for value, use in zip(call.outputs, built.used)
    ]
    desired = self.joint.run(
      self.joint_sess, self.feeds(self.joint.built), self.upstream
    )
    if self.program.between:
      other = self.feeds(built, variation=1)
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
    variables = graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
    for variable in variables:
      value = self.rng.uniform(-1, 1, variable.shape.as_list())
      value = value.astype(variable.dtype.base_dtype.as_numpy_dtype)
      reference.set_variable(self.plain, variable, value)

  def counts(self):
    """Returns executions since the last time, by name."""
    if self.sess is self.plain:
      return None
    found, self.sess.counts = self.sess.counts, collections.Counter()
    return found

  def own_forward_ops(self, graph):
    """Returns name of forward op → names of those that run in its place."""
    known = {op.name for op in self.forward_ops}
    found = {}
    for op in graph.get_operations():
      original = op.name.partition("/forward/")[2]
      if original in known and "/copy/" not in op.name:
        found.setdefault(original, []).append(op.name)
    return found

  def check_counts(self, built, forward, backward, fed):
    """Raises `Wrong` if a forward op ran more than once."""
    working = [
      op
      for op in executions.working_ops(self.forward_ops)
      if op.type not in cut.REFERENCES | CALLS
      and not _is_read(op)
      and not compat.in_v1_control_flow(op)
    ]
    # A loop that does not read a value in a run leaves it out.
    loops = tables.FLOW in self.program.marks
    needed = set(walk.ancestors(built.outputs, stop=list(fed)))
    own = self.own_forward_ops(built.outputs[0].graph)
    for op in working:
      same = [op.name] + own.get(op.name, [])
      times = tuple(
        sum(count[name] for name in same) for count in (forward, backward)
      )
      least = int(op in needed and not loops)
      if not least <= times[0] <= 1 or times[1]:
        raise Wrong(f"{op.name} ({op.type}) ran {times} times")
    names = {op.name: op for op in working}
    policy = self.program.residuals.partition(" ")[0]
    repeats = self.program.store == "recompute" or policy in _REPEATING
    for name, count in backward.items():
      copied = name.rpartition("/copy/")[2]
      op = names.get(copied.rpartition("/forward/")[2])
      if "/copy/" not in name or op is None or not count:
        continue
      draws = op in self.stateful
      if not repeats or draws or count > 1:
        raise Wrong(f"{op.name} ({op.type}) ran again as {name}, {count} times")

  def compare(self, sub_model, found, desired):
    """Raises `Wrong` unless split and joint gradients are the same."""
    named = [(f"input {k}", value) for k, value in enumerate(found.inputs)]
    wanted = list(desired.inputs)
    names = [variable.name for variable in sub_model.variables]
    by_name = dict(zip(names, found.variables))
    for variable, value in zip(self.joint.variables, desired.variables):
      if variable.name not in by_name and value is not None:
        raise Wrong(f"{variable.name} is not among the variables")
      named.append((variable.name, by_name.get(variable.name)))
      wanted.append(value)
    arrays = [case.dense(value) for value in wanted if value is not None]
    size = max([np.max(np.abs(a), initial=0.0) for a in arrays] + [1.0])
    if not all(np.all(np.isfinite(a)) for a in arrays):
      raise reference.Unbuilt
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

  def numeric(self, sub_model, found):
    """Raises `Wrong` unless a slope is what differences give."""
    names = [variable.name for variable in sub_model.variables]
    by_name = dict(zip(names, found.variables))
    gradients = found._replace(
      variables=[by_name.get(v.name) for v in self.joint.variables]
    )
    feed_dict = self.feeds(self.joint.built)
    slopes = self.joint.slopes(
      self.joint_sess, feed_dict, self.upstream, gradients, self.rng
    )
    if slopes is not None and abs(slopes[0] - slopes[1]) > slopes[2]:
      raise Wrong(f"slope {slopes[0]}, by differences {slopes[1]}")
