"""Runs a sub-model and a pipeline for long, and watches the memory."""

import contextlib
import gc
from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import memory, models, strategies
from tangle.compat import tf1
from tangle.partial import sub_model

SUB_MODEL = "sub_model"
PIPELINE = "pipeline"
NAMES = (SUB_MODEL, PIPELINE)


class Soak(NamedTuple):
  """What a long run did.

  Attributes:
    steps: how many steps it had.
    discarded: how many of their calls were discarded.
    raised: how many raised between forward and backward.
    rss_bytes: resident memory at equal intervals after the warm-up.
    growth: the last of these over the first, less 1.
  """

  steps: int
  discarded: int
  raised: int
  rss_bytes: list
  growth: float


class _Interruption(Exception):
  """What the user's code may raise between forward and backward."""


def run(
  what, store="device", steps=10000, warm_up=1000, disturb=False, sizes=None
):
  """Trains a small recurrent network and measures resident memory.

  Args:
    what: `"sub_model"` or `"pipeline"`.
    store: the store of the sub-model.
    steps: how many steps to run.
    warm_up: how many of them pass before memory is watched.
    disturb: whether every third call is discarded and every fifth raises
      between forward and backward. In a pipeline every third step only runs
      forward, and every fifth meets a session that fails.
    sizes: a `models.Sizes`.

  Returns:
    A `Soak`.

  Raises:
    ArgumentError: if `what` is neither.
    MissingPackageError: if psutil is not installed.
  """
  sizes = sizes or models.Sizes(batch=16, units=32, steps=10, target_steps=5)
  model = models.make("lstm", sizes)
  makers = {SUB_MODEL: _sub_model_steps, PIPELINE: _pipeline_steps}
  if what not in makers:
    raise errors.ArgumentError(
      f"soak.run: what must be one of {NAMES}, got {what!r}."
    )
  rss = memory.meter("soak.run")
  seen, counts = [], {"discarded": 0, "raised": 0}
  step, sess = makers[what](model, store)
  marks = set(np.linspace(warm_up, steps, 10).astype(int).tolist())
  with sess:
    for k in range(1, steps + 1):
      kind = None
      if disturb:
        kind = "raised" if k % 5 == 0 else "discarded" if k % 3 == 0 else None
      with contextlib.suppress(_Interruption):
        step(kind)
      if kind:
        counts[kind] += 1
      if k in marks:
        gc.collect()
        seen.append(rss())
  return Soak(
    steps, counts["discarded"], counts["raised"], seen, seen[-1] / seen[0] - 1
  )


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


class _FailingSession:
  """A session that raises once after so many runs."""

  def __init__(self, sess):
    self._sess = sess
    self.graph = sess.graph
    self.runs_left = None

  def run(self, *args, **kwargs):
    """Runs, or raises when it is time to."""
    if self.runs_left == 0:
      self.runs_left = None
      raise _Interruption()
    if self.runs_left is not None:
      self.runs_left -= 1
    return self._sess.run(*args, **kwargs)
