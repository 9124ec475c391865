"""Checks a random program that is cut into the sub-models of a pipeline.

The steps of the pipeline, by gradient descent, must leave all variables as
steps of the joint graph do, and no forward op may run twice in one.
"""

import collections
import contextlib
import re
import zlib
from typing import Any, NamedTuple, Tuple

import numpy as np

import tangle
from tangle import compat, errors
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.graphs import cut
from tests.fuzz import checks, programs, reference, tables

_RATE = 0.01
_BUCKETS = ("short", "long")


class Part(NamedTuple):
  """The lines of one sub-model.

  Attributes:
    feeds: names of the placeholders that it has.
    reads: names of the values that it reads of earlier parts.
    lines: its lines, with those of the weights that it uses.
    gives: names of the values that later parts read.
    ends: names of the values that its loss is made of.
  """

  feeds: Tuple[str, ...]
  reads: Tuple[str, ...]
  lines: Tuple[str, ...]
  gives: Tuple[str, ...]
  ends: Tuple[str, ...]


def check(program, make=tangle.Pipeline):
  """Checks one program as a pipeline; see `checks.check`."""
  return examine(program, make)[0]


def examine(program, make=tangle.Pipeline):
  """Checks one program as a pipeline; see `checks.examine`.

  Args:
    program: a `Program`.
    make: what makes the pipeline.
  """
  parts = cut_up(program)
  if not parts:
    return checks.UNBUILT, "nothing to cut"
  try:
    with contextlib.ExitStack() as stack:
      stack.enter_context(compat.control_flow(program.flow_v2))
      _Check(program, parts, make, stack).run()
      return checks.RIGHT, ""
  except checks.Refused as error:
    return checks.REFUSED, str(error)
  except reference.Unbuilt as error:
    return checks.UNBUILT, str(error)


def cut_up(program):
  """Cuts the lines of a program that its loss needs into sub-models.

  Args:
    program: a `Program`.

  Returns:
    A list of `Part`, each with something that a later one or the loss needs.
  """
  lines, ends = _lines(program.source)
  needed, live = set(ends), []
  for names, code in reversed(lines):
    if needed.intersection(names):
      live.insert(0, (names, code))
      needed.update(_names(code))
  steps = [(names, code) for names, code in live if names[0][0] == "v"]
  places = [len(steps) * eighths // 8 for eighths in program.cuts]
  places = [0] + places + [len(steps)]
  groups = [steps[a:b] for a, b in zip(places, places[1:]) if b > a]
  sources = [(names, code) for names, code in live if names[0][0] != "v"]
  return [_part(k, groups, sources, ends) for k, group in enumerate(groups)]


def _lines(source):
  """Splits a program: names and code of each line, and what the loss is of."""
  lines, found = [], {}
  for line in source.splitlines():
    left, _, code = line.partition(" = ")
    if left in ("inputs", "outputs", "used"):
      found[left] = code.strip("[]").split(", ")
    else:
      lines.append((left.split(", "), line))
  pairs = zip(found["outputs"], found["used"])
  ends = [name for name, use in pairs if use == "True" and name[0] == "v"]
  ends += [names[0] for names, _ in lines if names[0][0] == "v"][-1:]
  return lines, list(dict.fromkeys(ends))


def _names(code):
  return set(re.findall(r"\b[vwx]\d+\b", code))


def _part(k, groups, sources, ends):
  own = [name for names, _ in groups[k] for name in names]
  used = set().union(*[_names(code) for _, code in groups[k]])
  later = set().union(
    *[_names(code) for group in groups[k + 1 :] for _, code in group]
  )
  made = [name for group in groups[:k] for names, _ in group for name in names]
  before = [(names[0], code) for names, code in sources if names[0] in used]
  return Part(
    feeds=tuple(name for name, _ in before if name[0] == "x"),
    reads=tuple(name for name in made if name in used),
    lines=tuple(c for _, c in before) + tuple(c for _, c in groups[k]),
    gives=tuple(name for name in own if name in later),
    ends=tuple(name for name in own if name in ends),
  )


def _rng(name):
  return np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)


class _Built(NamedTuple):
  """What the lines of a part made."""

  values: Any
  feeds: Any
  arrays: Any
  loss: Any


def _build(part, reads, joint=False):
  """Builds a part in the current graph, sharing its variables.

  What it is fed and reads is scaled by a variable, for programs may have none.
  In the joint graph, variables that it assigns are resource variables: there
  `tf.gradients` may read the later value of a reference variable.
  """
  feeds, arrays = {}, {}
  order = iter(part.feeds)

  def feed(dtype, shape, static):
    name = next(order)
    feeds[name] = tf1.placeholder(dtype, static)
    if dtype.startswith("float"):
      arrays[name] = _rng(name).uniform(-2, 2, shape).astype(dtype)
    else:
      arrays[name] = _rng(name).randint(0, 5, shape).astype(dtype)
    return scaled(name, feeds[name])

  def scaled(name, tensor):
    if not tensor.dtype.is_floating:
      return tensor
    found = tensor * weight(f"scale_{name}", tensor.dtype.name, [], True)
    found.set_shape(tensor.shape)
    return found

  def weight(name, dtype, shape, use_resource, trainable=True):
    value = _rng(name).uniform(-1, 1, shape)
    if name.startswith("scale"):
      value = 1.0 + 0.1 * value
    value = np.asarray(value, dtype)
    return tf1.get_variable(
      name,
      dtype=dtype,
      initializer=value,
      trainable=trainable,
      use_resource=use_resource,
    )

  def state(name, dtype, shape, use_resource, trainable):
    return weight(name, dtype, shape, use_resource or joint, trainable)

  values = dict(programs.MODULES, feed=feed, weight=weight, state=state)
  with tf1.variable_scope(tf1.get_variable_scope(), reuse=tf1.AUTO_REUSE):
    for name, tensor in reads.items():
      values[name] = scaled(name, tensor)
    exec("\n".join(part.lines), values)  # noqa: S102
  losses = [
    tf1.reduce_sum(tf1.sin(tf1.cast(value, tf1.float64)))
    for name in part.ends
    for value in _reals(values[name])
  ]
  loss = tf1.add_n(losses) if losses else None
  return _Built(values, feeds, arrays, loss)


def _reals(tensor):
  """Returns real tensors that hold what a tensor holds that is no integer."""
  if tensor.dtype.is_complex:
    return [tf1.real(tensor), tf1.imag(tensor)]
  return [tensor] if tensor.dtype.is_floating else []


class _Joint:
  """All parts in one graph, trained by TensorFlow alone."""

  def __init__(self, parts):
    self.feed_dict, values, losses = {}, {}, []
    self.given = []  # what a pipeline hands over, it has computed
    with reference.taken():
      for part in parts:
        reads = {name: values[name] for name in part.reads}
        built = _build(part, reads, joint=True)
        values.update({name: built.values[name] for name in part.gives})
        self.given += [built.values[name].op for name in part.gives]
        for name, placeholder in built.feeds.items():
          self.feed_dict[placeholder] = built.arrays[name]
        if built.loss is not None:
          losses.append(built.loss)
      if not losses:
        raise ValueError("no loss")
      self.loss = tf1.add_n(losses)
      optimizer = tf1.train.GradientDescentOptimizer(_RATE)
      pairs = optimizer.compute_gradients(self.loss)
      pairs = [(gradient, v) for gradient, v in pairs if gradient is not None]
      # To update while others read or assign would be a race.
      before = [self.loss] + [_flat(g) for g, _ in pairs] + self.given
      with tf1.control_dependencies(before):
        self.update = optimizer.apply_gradients(
          [(_held(gradient), v) for gradient, v in pairs]
        )

  def step(self, sess):
    """Runs one step; returns the loss before it."""
    with reference.taken():
      return sess.run([self.loss, self.update, self.given], self.feed_dict)[0]


def _flat(gradient):
  is_sparse = compat.is_indexed_slices(gradient)
  return gradient.values if is_sparse else gradient


def _held(gradient):
  """Returns the gradient, under the control dependencies that are open."""
  if compat.is_indexed_slices(gradient):
    values = tf1.identity(gradient.values)
    return tf1.IndexedSlices(values, gradient.indices, gradient.dense_shape)
  return tf1.identity(gradient)


class _Check:
  """The check of one program."""

  def __init__(self, program, parts, make, stack):
    self.program = program
    self.parts = parts
    self.make = make
    self.stack = stack
    self.rng = np.random.RandomState(7)
    # A random op of another bucket begins to draw anew.
    self.steps = 1 if tables.RANDOM in program.marks else 2

  def run(self):
    try:
      self._run(self.program.traced)
    except errors.CallError as error:
      if "partial_run" not in str(error):
        raise
      self._run(False)  # a partial run, which has no trace, is needed

  def _run(self, traced):
    """Checks; `traced` is whether to count executions."""
    graph, joint_graph = tf1.Graph(), tf1.Graph()
    with joint_graph.as_default():
      joint = _Joint(self.parts)
    joint_sess = reference.open_session(joint_graph, self.stack)
    desired, losses = self.reference(joint, joint_sess)
    with graph.as_default():
      try:
        pipeline, trainer = self.pipeline()
      except errors.TangleError as error:
        raise checks.Refused(str(error)) from error
      except Exception as error:
        raise checks.Wrong(f"Pipeline failed: {error!r}") from error
    sess = reference.open_session(graph, self.stack, traced)
    plain = getattr(sess, "session", sess)
    with graph.as_default():
      variables = {v.name: v for v in tf1.global_variables()}
    first = plain.run(variables)
    for loss in losses:
      try:
        result = trainer.step(sess, self.batch())
      except errors.CallError:
        raise
      except Exception as error:
        raise checks.Wrong(f"a step failed: {error!r}") from error
      if traced:
        self.check_counts(sess)
      self.compare_losses(result, loss)
    self.compare(first, plain.run(variables), desired)

  def reference(self, joint, sess):
    """Returns the variables before and after the joint steps, and losses."""
    with sess.graph.as_default():
      variables = {v.name: v for v in tf1.global_variables()}
    before = sess.run(variables)
    losses = [joint.step(sess) for _ in range(self.steps)]
    after = sess.run(variables)
    if not all(np.all(np.isfinite(value)) for value in after.values()):
      raise reference.Unbuilt
    return (before, after), losses

  def pipeline(self):
    """Makes the pipeline and its trainer."""
    pipeline = self.make()
    producers = {}
    self.arrays = collections.OrderedDict()
    for k, part in enumerate(self.parts):
      name = f"part_{k}"
      pipeline.add(
        name,
        self.builder(name, part),
        buckets=_BUCKETS if k % 2 else None,
        bucket_of=(lambda feeds: self.pick()) if k % 2 else None,
        reads={read: f"{producers[read]}.{read}" for read in part.reads},
        residuals=programs.policy(self.program.residuals),
      )
      producers.update(dict.fromkeys(part.gives, name))
    pipeline.build()
    self.forward_ops = pipeline.graph.get_operations()
    optimizer = tf1.train.GradientDescentOptimizer(_RATE)
    return pipeline, pipeline.minimize(
      optimizer, simplify_gradients=self.program.simplified
    )

  def builder(self, name, part):
    """Returns the function that builds a part."""

    def build(bucket, reads):
      built = _build(part, reads)
      self.arrays[name] = built.arrays
      return tangle.Piece(
        feeds=built.feeds,
        outputs={give: built.values[give] for give in part.gives},
        loss=built.loss,
      )

    return build

  def pick(self):
    return _BUCKETS[self.rng.randint(2)]

  def batch(self):
    """Returns what a step is fed."""
    return {name: dict(arrays) for name, arrays in self.arrays.items()}

  def check_counts(self, sess):
    """Raises `Wrong` if a forward op ran more than once in a step."""
    counts, sess.counts = sess.counts, collections.Counter()
    for op in executions.working_ops(self.forward_ops):
      skipped = cut.REFERENCES | checks.CALLS
      if op.type in skipped or compat.in_v1_control_flow(op):
        continue
      if any(compat.is_ref(tensor) for tensor in op.inputs):
        continue  # all sub-models read a reference variable by one op
      if counts[op.name] > 1:
        raise checks.Wrong(f"{op.name} ({op.type}) ran {counts[op.name]} times")

  def compare_losses(self, result, loss):
    """Raises `Wrong` unless the losses of a step add up to the joint loss."""
    found = sum(result.losses.values())
    if abs(found - loss) > self.tolerance() * max(abs(loss), 1.0):
      raise checks.Wrong(f"loss: pipeline {found}, joint {loss}")

  def tolerance(self):
    return 1e-3 if "narrow" in self.program.marks else 1e-9

  def compare(self, first, found, desired):
    """Raises `Wrong` unless all variables moved as the joint ones did."""
    before, after = desired
    for name, value in after.items():
      if name not in found:
        raise checks.Wrong(f"{name} is no variable of the pipeline")
      if not np.array_equal(first[name], before[name]):
        raise checks.Wrong(f"{name} begins as another value")
      moved = np.asarray(found[name], np.float64) - first[name]
      wanted = np.asarray(value, np.float64) - before[name]
      size = max(np.max(np.abs(wanted), initial=0.0), _RATE)
      error = np.max(np.abs(moved - wanted), initial=0.0)
      if not error <= self.tolerance() * size:
        raise checks.Wrong(
          f"{name} moved by {moved!r} in the pipeline, {wanted!r} jointly"
        )
