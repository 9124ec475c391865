"""Runs a sub-model and a pipeline for many steps, and measures memory."""

import contextlib
import time

import numpy as np

from tangle import errors
from tangle.benchmarks import memory, models, names, strategies
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.partial import sub_model
from tangle.pipeline import pieces, pipeline

SUB_MODEL = "sub_model"
PIPELINE = "pipeline"
CALLS = "calls"
OVERLAP = "overlap"
NAMES = (SUB_MODEL, PIPELINE, CALLS, OVERLAP)
STORES = (sub_model.DEVICE, sub_model.HOST, sub_model.SESSION)
COLUMNS = ("steps", "first_mib", "last_mib", "growth", "seconds", "wrong")


def measure_growth(
  what=SUB_MODEL,
  store="device",
  steps=10000,
  warm_up=1000,
  disturb=False,
  *,
  report=reports.QUIET,
):
  """Makes many steps and measures resident memory.

  Args:
    what: one of `NAMES`. sub_model and pipeline train a small recurrent
      network; calls runs a tiny sub-model forward and backward, and overlap
      trains a tiny pipeline with two encoders in parallel, and both compare
      each step with the joint graph.
    store: the store of the sub-model, one of `STORES`.
    steps: how many steps to run.
    warm_up: how many of them run before memory is measured.
    disturb: whether every third call is discarded and every fifth raises
      between forward and backward. In a pipeline every third step only runs
      forward, and in every fifth the session fails.
    report: a `reports.Report`.

  Returns:
    A dict: `steps`, `rss_bytes`, `first_mib`, `last_mib`, `growth` and
    `bytes_a_step`, as `memory.watch` returns them; `discarded`, the number of
    discarded calls; `raised`, that of steps that raised between forward and
    backward; `seconds` of the run; `wrong`, the number of steps whose result is
    not bit-identical to the joint graph's, `None` where this is not compared;
    `what` and `store`.

  Raises:
    ArgumentError: if `what` is none of these.
    MissingPackageError: if psutil is not installed.
  """
  figures = run(what, store, steps, warm_up, disturb)
  figures.update(what=what, store=store)
  report.show({what: figures}, COLUMNS, "name")
  return figures


class _Interruption(Exception):
  """An error that user code may raise between forward and backward."""


@errors.named("soak.run")
def run(
  what, store="device", steps=10000, warm_up=1000, disturb=False, sizes=None
):
  """Makes many steps, as `measure_growth`, on `sizes`; returns figures."""
  sizes = sizes or models.ModelSizes(
    batch=16, units=32, steps=10, target_steps=5
  )
  model = models.make("lstm", sizes)
  makers = {
    SUB_MODEL: _sub_model_steps,
    PIPELINE: _pipeline_steps,
    CALLS: _calls,
    OVERLAP: _overlapping_steps,
  }
  names.check("what", what, NAMES)
  # Of fixed size, as what is kept per step would count as growth.
  counts, wrong = {"discarded": 0, "raised": 0}, [None]
  take, sess = makers[what](model, store)

  def step(k):
    kind = None
    if disturb:
      kind = "raised" if k % 5 == 0 else "discarded" if k % 3 == 0 else None
    with contextlib.suppress(_Interruption, tf1.errors.OpError):
      is_right = take(kind)
      if is_right is not None:
        wrong[0] = (wrong[0] or 0) + (not is_right)
    if kind:
      counts[kind] += 1

  begin = time.perf_counter()
  with sess:
    figures = memory.watch(step, steps, warm_up)
  seconds = time.perf_counter() - begin
  return dict(figures, **counts, seconds=seconds, wrong=wrong[0])


def _sub_model_steps(model, store):
  """Returns a step of a sub-model, and its session."""
  with tf1.Graph().as_default() as graph:
    x_ph = tf1.placeholder(tf1.float32, model.lower_feeds["x"].shape)
    outputs = model.lower({"x": x_ph})
    found = sub_model.SubModel([x_ph], outputs, store=store)
    optimizer = tf1.train.AdamOptimizer()
    pairs = list(zip(found.gradients.variables, found.variables))
    train_op = optimizer.apply_gradients(pairs)
    sess = tf1.Session(graph=graph)
    sess.run(tf1.global_variables_initializer())

  def step(kind):
    with found.forward(sess, {x_ph: model.lower_feeds["x"]}) as call:
      upstream = [np.ones_like(output) for output in call.outputs]
      if kind == "raised":
        raise _Interruption()
      if kind == "discarded":
        call.discard()
      else:
        call.run(train_op, upstream)

  return step, sess


def _pipeline_steps(model, store):
  """Returns a step of a pipeline, and its session."""
  del store  # a pipeline keeps everything in the runtime
  strategy = strategies.Strategy(strategies.PIPELINE, model)
  sess = tf1.Session(graph=strategy.graph)
  strategy.load(sess, strategies.initial_values(strategy))
  failing = _FailingSession(sess)

  def step(kind):
    if kind == "raised":
      failing.runs_left = 2  # forward of both parts, but no backward
      strategy.step(failing)
    elif kind == "discarded":
      strategy.forward(sess)
    else:
      strategy.step(sess)

  return step, sess


def _calls(model, store):
  """Returns a step of a tiny sub-model, which checks the gradients."""
  del model
  rng = np.random.RandomState(0)
  fed = [rng.standard_normal([4, 3]).astype(np.float32) for _ in range(8)]
  with tf1.Graph().as_default() as graph:
    x_ph = tf1.placeholder(tf1.float32, [4, 3])
    w = tf1.get_variable("w", [3, 2], use_resource=True)
    y = tf1.tanh(tf1.matmul(x_ph, w))
    found = sub_model.SubModel([x_ph], [y], store=store)
    upstream = np.ones([4, 2], np.float32)
    joint = tf1.gradients(y, [x_ph, w])
    checked = tf1.debugging.check_numerics(found.gradients.inputs[0], "NaN")
    sess = tf1.Session(graph=graph)
    sess.run(tf1.global_variables_initializer())
    expected = [sess.run(joint, {x_ph: x}) for x in fed]
  calls = [0]

  def step(kind):
    calls[0] += 1
    k = calls[0] % len(fed)
    call = found.forward(sess, {x_ph: fed[k]})
    if kind == "raised":
      # In a partial run it would end the session.
      if not calls[0] % 50 and store != sub_model.SESSION:
        call.run(checked, [np.nan * upstream])
      raise _Interruption()  # and drops the call
    if kind == "discarded":
      return call.discard()
    gradients = call.backward([upstream])
    pairs = zip(gradients.inputs + gradients.variables, expected[k])
    return all(np.array_equal(*pair) for pair in pairs)

  return step, sess


def _overlapping_steps(model, store):
  """Returns a step of a tiny pipeline and of the joint graph."""
  del model, store
  rng = np.random.RandomState(0)
  fed = [rng.standard_normal([4, 3]).astype(np.float32) for _ in range(8)]

  def encoder(name):
    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float32, [4, 3])
      w = tf1.get_variable(name, [3, 2], use_resource=True)
      return pieces.Piece({"x": x_ph}, {"y": tf1.tanh(tf1.matmul(x_ph, w))})

    return build

  def head(bucket, reads):
    del bucket
    return pieces.Piece({}, loss=tf1.reduce_mean(reads["a"] * reads["b"]))

  graphs, batches = [tf1.Graph(), tf1.Graph()], []
  for x in fed:
    batches.append({"a": {"x": x}, "b": {"x": -x}, "head": {}})
  with graphs[0].as_default():
    made = pipeline.Pipeline()
    for name in "ab":
      made.add(name, encoder(name))
    made.add("head", head, reads={"a": "a.y", "b": "b.y"})
    trainer = made.minimize(tf1.train.MomentumOptimizer(0.1, 0.5), overlap=True)
  with graphs[1].as_default():
    parts = [encoder(name)(None, {}) for name in "ab"]
    loss = head(None, {n: p.outputs["y"] for n, p in zip("ab", parts)}).loss
    train_op = tf1.train.MomentumOptimizer(0.1, 0.5).minimize(loss)
    with tf1.control_dependencies([loss]):
      fetches = [loss, train_op]
  sessions = [tf1.Session(graph=graph) for graph in graphs]
  values = [rng.standard_normal([3, 2]).astype(np.float32) for _ in "ab"]
  for sess in sessions:
    with sess.graph.as_default():
      sess.run(tf1.global_variables_initializer())
      for variable, value in zip(tf1.trainable_variables(), values):
        variable.load(value, sess)
  failing, calls = _FailingSession(sessions[0]), [0]

  def step(kind):
    calls[0] += 1
    batch = batches[calls[0] % len(batches)]
    if kind == "raised":
      failing.runs_left = 3  # forward of all, but no backward
      trainer.step(failing, batch)
    if kind == "discarded":
      made.forward(sessions[0], batch)
      return None
    loss = trainer.step(sessions[0], batch).loss
    placeholders = [part.feeds["x"] for part in parts]
    given = dict(zip(placeholders, [batch["a"]["x"], batch["b"]["x"]]))
    return sessions[1].run(fetches, given)[0] == np.float32(loss)

  return step, sessions[0]


class _FailingSession:
  """A session that raises once after a given number of runs."""

  def __init__(self, sess):
    self._sess = sess
    self.graph = sess.graph
    self.runs_left = None

  def run(self, *args, **kwargs):
    """Runs, or raises if no runs are left."""
    if self.runs_left == 0:
      self.runs_left = None
      raise _Interruption()
    if self.runs_left is not None:
      self.runs_left -= 1
    return self._sess.run(*args, **kwargs)
