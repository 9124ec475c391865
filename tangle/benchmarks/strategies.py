"""Strategies to train a network in two parts, each as a step to be timed.

Every strategy trains the same network with the same optimizer, which is applied
in the graph. They differ in how the gradient of the lower part is computed.
"""

import contextlib
import functools
import time

import numpy as np

from tangle import compat, errors
from tangle.benchmarks import names, timing
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import partial_runs, sub_model
from tangle.pipeline import pieces, pipeline

JOINT = "joint"
DOUBLE = "double_forward"
PUBLISHED = "published"
HOST = "host"
DEVICE = "device"
SESSION = "session"
PIPELINE = "pipeline"
AUTO = "auto"
UNCHANGED = "unchanged"
PIPELINE_UNCHANGED = "pipeline_unchanged"
PARTIAL_RUN = "partial_run"

_SUB_MODELS = {
  PUBLISHED: {"store": "host", "residuals": "all"},
  HOST: {"store": "host"},
  DEVICE: {"store": "device"},
  SESSION: {"store": "session"},
  AUTO: {"store": "auto"},
  UNCHANGED: {"store": "auto", "weights_unchanged": True},
}

DEFAULTS = (JOINT, DOUBLE, PUBLISHED, HOST, DEVICE, SESSION, PIPELINE)
"""Names of the strategies that are compared unless others are asked for."""

NAMES = DEFAULTS + (AUTO, UNCHANGED, PIPELINE_UNCHANGED, PARTIAL_RUN)
"""Names of the strategies; `auto` lets tangle choose the store, `unchanged`
promises that no variable changes between forward and backward run, and
`partial_run` uses only TensorFlow's partial runs, without tangle."""


class Strategy:
  """One strategy on one model, in its own graph.

  Attributes:
    graph: its graph.
    forward_ops: the ops of the lower part.
    lower_feeds: placeholder → array that the lower part reads.
    residuals: the kept tensors as `Residuals`, `None` where none are kept.
    sub_model: the `SubModel` of the lower part, if the strategy has one.
    build_s: seconds that building took.
    step: a function that trains on the model's data once, from a session to the
      loss.
    forward: for the pipeline, a function that only runs forward, from a session
      to the loss.
  """

  @errors.named("Strategy")
  def __init__(self, name, model, options=None):
    """Builds the graph.

    Args:
      name: one of `NAMES`.
      model: a `models.Model`.
      options: additional options of the `SubModel`, if the strategy has one.

    Raises:
      ArgumentError: if the strategy is unknown.
      TangleError: if the strategy cannot run this model.
    """
    names.check("the name", name, NAMES)
    begin = time.perf_counter()
    self._model = model
    self._options = options or {}
    self.residuals = None
    self.sub_model = None
    self.graph = tf1.Graph()
    with self.graph.as_default():
      self._optimizer = tf1.train.MomentumOptimizer(1e-3, 0.9)
      self._lower_phs = placeholders(model.lower_feeds)
      self._upper_phs = placeholders(model.upper_feeds)
      self.lower_feeds = _feed_dict(self._lower_phs, model.lower_feeds)
      self._upper_feeds = _feed_dict(self._upper_phs, model.upper_feeds)
      if name == JOINT:
        self._build_joint()
      elif name == DOUBLE:
        self._build_double()
      elif name == PARTIAL_RUN:
        self._build_partial_run()
      elif name in (PIPELINE, PIPELINE_UNCHANGED):
        self._build_pipeline(name == PIPELINE_UNCHANGED)
      else:
        self._build_sub_model(_SUB_MODELS[name])
      self.variables = tf1.trainable_variables()
      self._initialize = tf1.global_variables_initializer()
    self.build_s = time.perf_counter() - begin

  def _build_joint(self):
    boundary = self._lower()
    loss = self._model.upper(boundary, self._upper_phs)
    variables = tf1.trainable_variables()
    train_op = self._apply(_gradients(loss, variables), variables)
    feed_dict = dict(self.lower_feeds)
    feed_dict.update(self._upper_feeds)
    self.step = lambda sess: sess.run([loss, train_op], feed_dict)[0]

  def _lower(self):
    boundary = self._model.lower(self._lower_phs)
    inputs = list(self._lower_phs.values())
    self.forward_ops = walk.ancestors(boundary, stop=inputs)
    return boundary

  def _upper(self, boundary):
    """Builds the upper part on placeholders; returns a function to train it.

    The function takes a session and the boundary's values, and returns the
    loss and the upstream gradients.
    """
    boundary_phs = [tf1.placeholder(t.dtype, t.shape) for t in boundary]
    before = set(tf1.trainable_variables())
    loss = self._model.upper(boundary_phs, self._upper_phs)
    variables = [v for v in tf1.trainable_variables() if v not in before]
    found = _gradients(loss, boundary_phs + variables)
    count = len(boundary_phs)
    upstream = [tf1.convert_to_tensor(g) for g in found[:count]]
    train_op = self._apply(found[count:], variables, upstream)

    def train(sess, values):
      feed_dict = dict(self._upper_feeds)
      feed_dict.update(zip(boundary_phs, values))
      loss_np, upstream_np, _ = sess.run([loss, upstream, train_op], feed_dict)
      return loss_np, upstream_np

    return train

  def _lower_backward(self):
    """Builds the lower part; returns boundary, upstream gradients, update."""
    boundary = self._lower()
    variables = tf1.trainable_variables()
    upstream_phs = [tf1.placeholder(t.dtype, t.shape) for t in boundary]
    found = _gradients(boundary, variables, grad_ys=upstream_phs)
    return boundary, upstream_phs, self._apply(found, variables)

  def _build_double(self):
    boundary, upstream_phs, train_op = self._lower_backward()
    train_upper = self._upper(boundary)

    def step(sess):
      values = sess.run(boundary, self.lower_feeds)
      loss, upstream = train_upper(sess, values)
      feed_dict = dict(self.lower_feeds)
      feed_dict.update(zip(upstream_phs, upstream))
      sess.run(train_op, feed_dict)
      return loss

    self.step = step

  def _build_partial_run(self):
    boundary, upstream_phs, train_op = self._lower_backward()
    with tf1.control_dependencies([train_op]):
      done = tf1.constant(0)  # a partial run takes tensors only for fetches
    train_upper = self._upper(boundary)

    def step(sess):
      sess = partial_runs.raw_session(sess)
      feeds = list(self.lower_feeds) + upstream_phs
      handle = sess.partial_run_setup(boundary + [done], feeds)
      values = sess.partial_run(handle, boundary, self.lower_feeds)
      loss, upstream = train_upper(sess, values)
      sess.partial_run(handle, done, dict(zip(upstream_phs, upstream)))
      return loss

    self.step = step

  def _build_sub_model(self, options):
    boundary = self._lower()
    options = dict(options, **self._options)
    found = sub_model.SubModel(
      list(self._lower_phs.values()), boundary, **options
    )
    self.sub_model = found
    train_op = self._apply(found.gradients.variables, found.variables)
    train_upper = self._upper(boundary)

    def step(sess):
      call = found.forward(sess, self.lower_feeds)
      loss, upstream = train_upper(sess, call.outputs)
      call.run(train_op, upstream)
      return loss

    self.step = step
    if found.store != SESSION:
      self.residuals = found.residuals

  def _build_pipeline(self, weights_unchanged):
    def build_lower(bucket, reads):
      del bucket, reads
      outputs = {f"output_{k}": t for k, t in enumerate(self._lower())}
      return pieces.Piece(feeds=self._lower_phs, outputs=outputs)

    def build_upper(bucket, reads):
      del bucket
      boundary = [reads[name] for name in sorted(reads)]
      loss = self._model.upper(boundary, self._upper_phs)
      return pieces.Piece(feeds=self._upper_phs, loss=loss)

    # The number of outputs is known only once they are built.
    with tf1.Graph().as_default():
      count = len(self._model.lower(placeholders(self._model.lower_feeds)))
    found = pipeline.Pipeline()
    found.add("lower", build_lower)
    reads = {f"output_{k}": f"lower.output_{k}" for k in range(count)}
    found.add("upper", build_upper, reads=reads)
    trainer = found.minimize(
      self._optimizer, weights_unchanged=weights_unchanged
    )
    batch = {"lower": self._model.lower_feeds, "upper": self._model.upper_feeds}
    self.step = lambda sess: trainer.step(sess, batch).loss
    self.forward = lambda sess: found.forward(sess, batch).loss

  def _apply(self, gradients, variables, others=()):
    """Applies gradients; `others` are the other tensors that a step fetches.

    An update of a reference variable overwrites memory that other gradients
    still read, unless it waits for all of them.
    """
    waits = []
    if not all(map(compat.is_resource_variable, variables)):
      waits = [*gradients, *others]
    with tf1.control_dependencies(waits):
      return self._optimizer.apply_gradients(list(zip(gradients, variables)))

  def load(self, sess, values):
    """Sets all weights to `values`, by name, and the optimizer's slots to 0."""
    sess.run(self._initialize)
    with self.graph.as_default():  # where TensorFlow 2 looks for the session
      for variable in self.variables:
        variable.load(values[variable.name], sess)

  def first_gradients(self, sess):
    """Makes the first step after `load`, and returns its gradients.

    With a momentum slot that begins at zero, the slot after one step is the
    gradient, to the last bit.

    Args:
      sess: a session on the graph, or a `Tracer`.

    Returns:
      A dict: name of the variable → array.
    """
    self.step(sess)
    slots = {
      v.name: self._optimizer.get_slot(v, "momentum") for v in self.variables
    }
    return sess.run(slots)


def run_in_turn(model, wanted, describe, rounds, threads, **bases):
  """Times steps of strategies that begin with the same weights, in turn.

  Args:
    model: a `models.Model`.
    wanted: name → strategy and options, as `Strategy` takes them. The first
      gradients of the first are the expected ones.
    describe: a function of a strategy, its session and the weights that returns
      further figures.
    rounds: timed steps of each.
    threads: threads within and between ops; 0 for TensorFlow's default.
    **bases: suffix → name, as for `timing.make_rows`.

  Returns:
    Name → figures with `max_difference`, the largest difference of a gradient
    from the expected one, relative to the largest gradient of its variable, and
    those of `timing.make_rows`; or a `reason` why a strategy cannot run.
  """
  rows, steps, values, expected = {}, {}, None, None
  with contextlib.ExitStack() as stack:
    for name, (kind, options) in wanted.items():
      try:
        strategy = Strategy(kind, model, options)
      except (errors.CutError, tf1.errors.OpError) as error:
        rows[name] = {"reason": str(error)}
        continue
      config = timing.session_config(threads)
      sess = tf1.Session(graph=strategy.graph, config=config)
      stack.enter_context(sess)
      values = values or initial_values(strategy)
      strategy.load(sess, values)
      found = strategy.first_gradients(sess)
      expected = expected or found
      rows[name] = describe(strategy, sess, values)
      rows[name]["max_difference"] = _largest_difference(found, expected)
      steps[name] = functools.partial(strategy.step, sess)
    seconds = timing.run_in_turn(steps, rounds)
  for name, row in timing.make_rows(seconds, **bases).items():
    rows[name].update(row)
  return rows


def _largest_difference(found, expected):
  """Returns that of gradients, relative to the largest entry of each array."""
  return max(
    float(np.max(np.abs(found[name] - array)))
    / max(float(np.max(np.abs(array))), 1e-30)
    for name, array in expected.items()
  )


def initial_values(strategy):
  """Draws weights for a `strategy` by numpy; returns variable name → array."""
  rng = np.random.RandomState(0)
  values = {}
  for variable in sorted(strategy.variables, key=lambda v: v.name):
    shape = variable.shape.as_list()
    scale = 1.0 / np.sqrt(max(1, np.prod(shape[:-1])))
    values[variable.name] = scale * rng.standard_normal(shape)
  return values


def placeholders(feeds):
  """Returns name → placeholder for `feeds`, name → array."""
  return {
    name: tf1.placeholder(array.dtype, array.shape, name=f"{name}_ph")
    for name, array in feeds.items()
  }


def _feed_dict(placeholders, feeds):
  return {placeholders[name]: array for name, array in feeds.items()}


def _gradients(ys, xs, grad_ys=None):
  """Returns `tf.gradients`, even of TensorFlow 1 style loops on 2.x."""
  with compat.control_flow_of(tf1.get_default_graph().get_operations()):
    return tf1.gradients(ys, xs, grad_ys)
