"""Kills tasks of a cluster at random moments of steps, and goes on.

  python -m tests.pipeline.kill_tasks --kills=100

The last line on standard output is one JSON object. After each kill the task
is started again, a new session restores the last checkpoint, and the training
goes on; `is_identical` tells whether it ends with the bits of one that was not
disturbed. `waiting` counts what the survivors' maps hold after the loss of a
task that is not the session's own, `waiting_after_step` what they hold after
the first step of the new session, whichever task was lost.
"""

import argparse
import collections
import functools
import json
import os
import random
import sys
import tempfile
import threading
import time
from unittest import mock

import numpy as np

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters, faults
from tangle.training import checkpoints
from tests.pipeline import placement_test

RUNS = 5  # of a step: three forward, two backward, the last of them updates
MOMENTS = ("forward", "backward", "update", "between")


class Training:
  """A pipeline on three tasks, whose batches are known by their step."""

  def __init__(self, folder, timeout_s, micro_batches=1):
    """Builds the graph."""
    self.graph = tf1.Graph()
    with self.graph.as_default():
      self.pipeline = tangle.Pipeline(timeout_s=timeout_s)
      placement_test.add_parts(self.pipeline, placement_test.TASKS)
      self.trainer = self.pipeline.minimize(
        tf1.train.AdamOptimizer(0.05),
        clip_norm=0.5,
        micro_batches=micro_batches,
      )
      self.variables = tf1.global_variables()
      self.initialize = tf1.global_variables_initializer()
      self.checkpoints = checkpoints.Checkpoints(folder)
      self.sizes = collections.defaultdict(list)  # task → ops
      for op in list(self.graph.get_operations()):
        if op.type == "MapStage":
          with tf1.device(op.device):
            size = tf1.raw_ops.MapSize(
              dtypes=op.get_attr("dtypes"),
              shared_name=op.get_attr("shared_name"),
            )
          self.sizes[int(op.device.split("task:")[1].split("/")[0])].append(
            size
          )
    self.graph.finalize()

  def begin(self, target):
    """Opens a session with the weights of the last checkpoint."""
    config = tf1.ConfigProto(operation_timeout_in_ms=20000)
    sess = tf1.Session(target, graph=self.graph, config=config)
    with self.graph.as_default():
      restored = self.checkpoints.restore(sess)
      if restored is None:
        sess.run(self.initialize)
        self.checkpoints.save(sess, 0)
    return sess, 0 if restored is None else restored.step

  def step(self, sess, step):
    """Makes a step, and a checkpoint after every third."""
    batch = placement_test.batch_of(np.random.RandomState(step), 6)
    loss = self.trainer.step(sess, batch).loss
    if (step + 1) % 3 == 0:
      with self.graph.as_default():
        self.checkpoints.save(sess, step + 1)
    return loss

  def waiting(self, sess, tasks):
    """Returns how many lists of tensors lie on certain tasks."""
    return int(sum(sum(sess.run(self.sizes[task])) for task in tasks))


class Disturbance:
  """Harms a task at a moment of a step."""

  def __init__(self, harm, moment, rng):
    """Does nothing before `armed`."""
    self._harm, self._count = harm, 0
    runs = {"between": 0, "backward": RUNS - 1, "update": RUNS}
    self._at = runs.get(moment, rng.randint(1, 3))
    self._delay_s = rng.uniform(0, 0.004)
    self._thread = None
    self.begun = None

  def _start(self):
    time.sleep(self._delay_s)
    self.begun = time.monotonic()
    self._harm()

  def run(self, step):
    """Makes a step, with the disturbance."""
    run = faults.Limited.run
    if not self._at:
      self._start()

    def counted(limited, *args):
      self._count += 1
      if self._count == self._at:
        self._thread = threading.Thread(target=self._start)
        self._thread.start()
      return run(limited, *args)

    try:
      with mock.patch.object(faults.Limited, "run", counted):
        return step()
    finally:
      if self._thread is not None:
        self._thread.join()


def fail(training, sess, step, disturbance):
  """Steps until the loss of a task is told.

  Returns:
    The error, and the seconds from the disturbance, or from the beginning of
    the step that it met if that is later.
  """
  try:
    disturbance.run(functools.partial(training.step, sess, step))
  except errors.TaskLostError as error:
    return error, time.monotonic() - disturbance.begun
  except tf1.errors.OpError:
    if disturbance.begun is None:
      raise
    # It met the checkpoint after the step, which is no run of a pipeline.
  begin = time.monotonic()
  try:  # the step had done with the task
    training.step(sess, step + 1)
  except errors.TaskLostError as error:
    return error, time.monotonic() - begin
  raise AssertionError("There was no error.")


def resume(cluster, training, survivors, seconds=60.0):
  """Goes on from the last checkpoint, as soon as tasks reach one another.

  Returns:
    The session, the number of the next step, and how many lists of tensors lay
    on the survivors before the first step.
  """
  end, before = time.monotonic() + seconds, None
  while True:
    try:
      sess, step = training.begin(cluster.target)
      if before is None:
        before = training.waiting(sess, survivors)
      training.step(sess, step)
      return sess, step + 1, before
    except (errors.TaskLostError, tf1.errors.OpError):
      # Connections of the survivors to the task may still wait to be renewed.
      if time.monotonic() > end:
        raise
    time.sleep(0.5)


def disturb(cluster, training, kills, rng, timeout_s, how=None):
  """Trains, with a kill in every second step, and goes on after each.

  Args:
    cluster: a `LocalCluster` of three tasks.
    training: a `Training`.
    kills: how often to kill.
    rng: of the moments.
    timeout_s: the time limit of the training's runs.
    how: a list of `(task, "kill" or "stop")` to use in turn; random by default.

  Returns:
    A dict of figures, and the variables at the end.
  """
  figures = collections.Counter()
  slowest, moments, named, messages = 0.0, collections.Counter(), 0, []
  sess, step = training.begin(cluster.target)
  done = 0
  while done < kills:
    step_to = step + rng.randint(0, 2)
    while step < step_to:
      training.step(sess, step)
      step += 1
    task, kind = how[done % len(how)] if how else (rng.randint(0, 2), "kill")
    moment = MOMENTS[done % 4]
    harm = cluster.kill if kind == "kill" else cluster.stop
    harm_task = functools.partial(harm, task)
    disturbance = Disturbance(harm_task, moment, rng)
    error, seconds = fail(training, sess, step, disturbance)
    slowest = max(slowest, seconds)
    messages.append(str(error))
    figures["late"] += seconds > timeout_s + 2
    named += f"/job:worker/task:{task}" in str(error)
    done += 1
    moments[moment] += 1
    cluster.restart(task)
    survivors = [k for k in range(3) if k != task]
    sess, step, before = resume(cluster, training, survivors)
    if task:
      figures["waiting"] += before
    figures["waiting_after_step"] += training.waiting(sess, survivors)
  while step < 3 * kills:
    training.step(sess, step)
    step += 1
  values = sess.run(training.variables)
  sess.close()
  figures = dict(figures, kills=done, moments=dict(moments), named=named)
  figures.update(slowest_s=round(slowest, 2), timeout_s=timeout_s)
  return figures, values, step, messages


def undisturbed(cluster, training, steps):
  """Returns the variables after so many steps."""
  sess, _ = training.begin(cluster.target)
  with sess:
    for step in range(steps):
      training.step(sess, step)
    return sess.run(training.variables)


def compare(cluster, kills, seed, timeout_s, how=None, micro_batches=1):
  """Trains twice, once disturbed; returns the figures and the messages."""
  with tempfile.TemporaryDirectory() as folder:
    trainings = [
      Training(os.path.join(folder, name), timeout_s, micro_batches)
      for name in ("disturbed", "whole")
    ]
    rng = random.Random(seed)
    figures, values, steps, messages = disturb(
      cluster, trainings[0], kills, rng, timeout_s, how
    )
    wanted = undisturbed(cluster, trainings[1], steps)
  same = [a.tobytes() == b.tobytes() for a, b in zip(values, wanted)]
  figures.update(steps=steps, is_identical=len(same) > 0 and all(same))
  return figures, messages


def main():
  """Runs by hand; see the module."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--timeout_s", type=float, default=3.0)
  parser.add_argument("--micro_batches", type=int, default=1)
  flags = parser.parse_args()
  with clusters.LocalCluster(3, threads=1) as cluster:
    figures, _ = compare(
      cluster,
      flags.kills,
      flags.seed,
      flags.timeout_s,
      micro_batches=flags.micro_batches,
    )
  figures["tensorflow"] = tf1.__version__
  print(json.dumps(figures), flush=True)
  good = figures["is_identical"] and not figures.get("late")
  return 0 if good and not figures["waiting_after_step"] else 1


if __name__ == "__main__":
  sys.exit(main())
