"""Trainings of the calculator: shared or separate networks."""

import os
import time
from typing import Optional

import numpy as np

from tangle import errors, mux
from tangle.compat import tf1
from tangle.experiments import calculator
from tangle.experiments import digits as digits_lib

MULTIPLEXERS = {"route": mux.route, "where": mux.where}
TRAININGS = ("one_graph", "six_graphs", "separate")


class Separate:
  """Eight networks, one per path, that share no weights; all in one graph."""

  def __init__(self, units, hidden):
    """Builds the graph in the default graph; the sizes are as for `train`."""
    self._built, losses = {}, []
    for path in digits_lib.PATHS:
      own = calculator.Networks(units, hidden, scope=f"{'_'.join(path)}_")
      inputs_ph, targets_ph = (
        tf1.placeholder(tf1.float32, [None, digits_lib.DEPTHS[form]])
        for form in (path.encoder, path.decoder)
      )
      weights_ph = tf1.placeholder(tf1.float32, [None])
      code = own.encoders[path.encoder](inputs_ph)
      logits = own.decoders[path.decoder](own.operations[path.operation](code))
      found = own.losses(path.decoder, logits, targets_ph)
      losses.append(tf1.reduce_mean(found * weights_ph))
      self._built[path] = inputs_ph, targets_ph, weights_ph, logits
    self.loss = tf1.add_n(losses)

  def minimize(self, optimizer):
    """Adds the op that trains, with a `tf.compat.v1.train.Optimizer`."""
    self._update_op = optimizer.minimize(self.loss)

  def _feeds(self, lessons):
    feed_dict = {}
    for path, (inputs_ph, targets_ph, weights_ph, _) in self._built.items():
      lesson = lessons[path.encoder, path.operation]
      feed_dict[inputs_ph] = lesson.inputs[path.encoder]
      feed_dict[targets_ph] = lesson.targets[path.decoder]
      feed_dict[weights_ph] = lesson.weights[path.decoder]
    return feed_dict

  def step(self, sess, lessons):
    """Trains all eight on all lessons; returns the sum of the losses."""
    feed_dict = self._feeds(lessons)
    return float(sess.run([self.loss, self._update_op], feed_dict)[0])

  def answer(self, sess, lessons):
    """Runs all paths; returns `digits.Path` → logits `[10, D]`."""
    logits = {path: built[3] for path, built in self._built.items()}
    return sess.run(logits, self._feeds(lessons))


def make(training, units=32, hidden=64, multiplexer="route"):
  """Builds one of `TRAININGS` in the default graph.

  Args:
    training, units, hidden, multiplexer: as for `train`.

  Returns:
    A `calculator.OneGraph`, a `calculator.SixGraphs` or a `Separate`.

  Raises:
    ArgumentError: if the training or multiplexer is unknown.
  """
  if training not in TRAININGS or multiplexer not in MULTIPLEXERS:
    raise errors.ArgumentError(
      f"shared_or_separate.make: training must be one of {TRAININGS}, "
      f"multiplexer one of {sorted(MULTIPLEXERS)}, got {training!r} and "
      f"{multiplexer!r}."
    )
  if training == "separate":
    return Separate(units, hidden)
  networks = calculator.Networks(units, hidden)
  if training == "six_graphs":
    return calculator.SixGraphs(networks)
  return calculator.OneGraph(networks, MULTIPLEXERS[multiplexer])


def train(
  training="one_graph",
  seeds=1,
  units=32,
  hidden=64,
  multiplexer="route",
  learning_rate=0.005,
  max_steps=1000,
  export_dir: Optional[str] = None,
  *,
  progress=None,
):
  """Trains the calculator until all eight paths are right, for some seeds.

  Args:
    training: one_graph (encoder and operation selected per example),
      six_graphs (six sub-models, a path composed per batch) or separate (eight
      networks that share no weights).
    seeds: how many trainings, from seed 0 on.
    units: length of the codes between networks.
    hidden: number of units in the hidden layer of each network.
    multiplexer: of the one graph: route or where.
    learning_rate: of Adam.
    max_steps: the largest number of steps; a step uses all ten digits with both
      encoders and both operations.
    export_dir: folder to write each path to, as a SavedModel; six_graphs only.
    progress: called as `progress(seeds done, seeds)`.

  Returns:
    A dict of figures: `accuracy`, path → mean over the seeds; `perfect_seeds`;
    `steps` and `seconds` of each seed; `exported`, path → folder.

  Raises:
    ArgumentError: if `seeds` or `max_steps` is less than 1, `training` or
      `multiplexer` is unknown, or there is `export_dir` without six_graphs.
  """
  if seeds < 1 or max_steps < 1:
    raise errors.ArgumentError(
      f"shared_or_separate.train: seeds and max_steps must be at least 1, got "
      f"{seeds} and {max_steps}."
    )
  if export_dir and training != "six_graphs":
    raise errors.ArgumentError(
      f"shared_or_separate.train: single paths are exported of six_graphs, not "
      f"of {training}. Set training to six_graphs, or leave export_dir out."
    )
  shares, steps, seconds, exported = [], [], [], {}
  for seed in range(seeds):
    begin = time.perf_counter()
    with tf1.Graph().as_default():
      tf1.set_random_seed(seed)
      model = make(training, units, hidden, multiplexer)
      model.minimize(tf1.train.AdamOptimizer(learning_rate))
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        found, count = teach(model, sess, digits_lib.make_lessons(), max_steps)
        if export_dir and not exported:
          exported = _export(model, sess, export_dir)
    shares.append([found[path] for path in digits_lib.PATHS])
    steps.append(count)
    seconds.append(time.perf_counter() - begin)
    if progress is not None:
      progress(seed + 1, seeds)
  means = np.mean(shares, axis=0)
  return {
    "accuracy": dict(zip(map(str, digits_lib.PATHS), means)),
    "perfect_seeds": int(np.sum(np.min(shares, axis=1) == 1.0)),
    "seeds": seeds,
    "steps": steps,
    "seconds": seconds,
    "exported": exported,
  }


def teach(model, sess, lessons, max_steps, every=20):
  """Trains until all paths are right.

  Args:
    model: what `make` returned, with its op that trains.
    sess: a session.
    lessons: a dict from (encoder, operation) to `digits.Lesson`.
    max_steps: the largest number of steps.
    every: steps between evaluations.

  Returns:
    Path → accuracy, and the number of steps.
  """
  found = {}
  for step in range(1, max_steps + 1):
    model.step(sess, lessons)
    if step % every == 0 or step == max_steps:
      answers = model.answer(sess, lessons)
      found = {p: digits_lib.accuracy(a, p) for p, a in answers.items()}
      if min(found.values()) == 1.0:
        break
  return found, step


def _export(model, sess, folder):
  found = {}
  for path in digits_lib.PATHS:
    found[str(path)] = os.path.join(folder, "_".join(path))
    model.export(sess, path, found[str(path)])
  return found
