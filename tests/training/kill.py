"""Kills a training at random moments, and compares its end with another's.

  python -m tests.training.kill --kills=20
  python -m tests.training.kill --training=two_sources --kills=12 --seconds=900

With `--seconds` it does so again and again until that time is over, with other
moments each time; each round prints its line. `--training` may name several, or
all by default then, which take turns.

The last line on standard output is one JSON object; `differences` is empty if
the run that was killed has ended with the same weights, slots, state and
figures, bit by bit, as the one that was not.

One process imports TensorFlow, opens no session, and forks the processes that
train, so that each of them has begun as soon as it is forked.
"""

import argparse
import collections
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from unittest import mock

import numpy as np

from tangle import files
from tangle.compat import tf1
from tangle.experiments import cmudict_data, seq2seq, tasks
from tangle.training import (
  determinism,
  loop,
  manifests,
  meters,
  schedules,
)
from tests.experiments import spelling
from tests.training import support

KINDS = ("start", "step", "write")
# The digest of the records is one of those of time, too.
_OF_TIME = {
  *("seconds", "train_s", "build_s", "records", "resumed_from"),
  *("steps_per_s", "words_per_s", "examples_per_s"),
}


def train(
  out_dir,
  steps,
  slow_s=0.0,
  tell=lambda: None,
  ballast_mb=0,
  training="loop",
):
  """Trains a small model, or goes on with it.

  Args:
    out_dir: the folder of the run.
    steps: how many steps it has.
    slow_s: seconds that each stage of a checkpoint's write takes longer.
    tell: called after each step.
    ballast_mb: size of a variable that makes TensorFlow's own write longer.
    training: which, a key of `TRAININGS`.
  """
  sync = files.sync

  def sync_slowly(path):
    time.sleep(slow_s)
    sync(path)

  with tf1.Graph().as_default(), mock.patch.object(files, "sync", sync_slowly):
    if ballast_mb:
      ballast = np.arange(ballast_mb << 18, dtype=np.float32)
      tf1.get_variable("ballast", initializer=ballast, trainable=False)
    TRAININGS[training](out_dir, steps, lambda *_: tell())


def _train_loop(out_dir, steps, progress):
  """The loop with a model of the tests; the other trainings are tangle's."""
  model = support.Model(schedules.WarmUp(schedules.Plateau(0.05, 0.5, 1), 9))
  held_out = support.pair_batches(30)

  def validate(sess):
    meter = meters.Meter(meters.per_symbol("decoder"))
    for batch in held_out.in_order():
      feeds = model.feeds(batch, 0)
      meter.add(model.pipeline.forward(sess, feeds))
    return meter.figures("validation_")

  with tf1.Session(config=determinism.session_config()) as sess:
    sess.run(tf1.global_variables_initializer())
    loop.train(
      sess,
      model.trainer,
      model.source(),
      out_dir,
      max_steps=steps,
      feeds=model.feeds,
      rate=model.rate,
      validate=validate,
      report_every=3,
      validate_every=7,
      checkpoint_every=5,
      checkpoint_every_s=0.5,  # which also makes a few, at any step
      measure=meters.per_symbol("decoder"),
      progress=progress,
    )


_SIZE = {"batch_size": 16, "dropout_rate": 0.3, "checkpoint_every": 5}


def _train_seq2seq(out_dir, steps, progress):
  data = cmudict_data.load(spelling.entries(80))
  seq2seq.train(
    tasks.cmudict(data, buckets=1),
    out_dir,
    network={"units": 8, "embedding_dim": 8},
    steps=steps,
    evaluations=max(1, steps // 7),
    report_every=3,
    deterministic=True,
    progress=progress,
    **_SIZE,
  )


def _train_two_sources(out_dir, steps, progress):
  _train_files(out_dir, steps, progress, sources=["0+1"], targets=["2"])


def _train_many_to_many(out_dir, steps, progress):
  directions = ["0-1", "1-2"]
  _train_files(
    out_dir, steps, progress, sources="01", targets="12", directions=directions
  )


def _train_files(out_dir, steps, progress, **sides):
  paths = [_write_lines(out_dir, 3)] * 3
  seq2seq.train(
    tasks.parallel(*paths, buckets=1, **sides),
    out_dir,
    network={"units": 8, "embedding_dim": 8},
    steps=steps,
    evaluations=max(1, steps // 7),
    progress=progress,
    **_SIZE,
  )


def _write_lines(out_dir, sides):
  """Writes 64 aligned lines beside the folder; returns their path, with {}."""
  rng = np.random.RandomState(0)
  lines = [" ".join(rng.choice(list("abcd"), 3)) for _ in range(64)]
  folder = out_dir + "_data"
  os.makedirs(folder, exist_ok=True)
  for k in range(sides):
    files.write_text(os.path.join(folder, f"{k}.txt"), "\n".join(lines) + "\n")
  return [os.path.join(folder, "{}.txt")]


TRAININGS = {
  "loop": _train_loop,
  "seq2seq": _train_seq2seq,
  "two_sources": _train_two_sources,
  "many_to_many": _train_many_to_many,
}


class Life:
  """One process that trains, until it ends or is killed."""

  def __init__(self, *args, **kwargs):
    """Forks it; the arguments are those of `train`."""
    self._begun = time.monotonic()
    self._reader, writer = os.pipe()
    self._pid = os.fork()
    if not self._pid:
      code = 1
      try:
        train(*args, tell=lambda: os.write(writer, b"."), **kwargs)
        code = 0
      except BaseException:
        traceback.print_exc()
      finally:
        sys.stderr.flush()
        os._exit(code)
    os.close(writer)

  @property
  def age_s(self):
    """How long ago it was forked."""
    return time.monotonic() - self._begun

  def wait_for_steps(self, steps):
    """Waits until it has done so many steps; False if it ends before."""
    return all(os.read(self._reader, 1) for _ in range(steps))

  def ended(self):
    """Whether it has ended; its steps are passed over."""
    while select.select([self._reader], [], [], 0)[0]:
      if not os.read(self._reader, 1):
        return True
    return False

  def kill(self):
    """Kills it; whether it had not ended by itself."""
    os.kill(self._pid, signal.SIGKILL)
    return os.WIFSIGNALED(self._reap())

  def finish(self):
    """Waits for its end, which must be a good one."""
    while not self.ended():
      time.sleep(0.01)
    status = self._reap()
    if status:
      raise RuntimeError(f"A process has ended with status {status}.")

  def _reap(self):
    os.close(self._reader)
    return os.waitpid(self._pid, 0)[1]


def disturb(life, kind, rng, checkpoints, begin_s, slow_s):
  """Waits for a random moment of a kind; whether the process lives then."""
  if kind == "start":
    time.sleep(rng.uniform(0, begin_s))
  elif kind == "step":
    if not life.wait_for_steps(rng.randint(1, 9)):
      return False
    time.sleep(rng.uniform(0, 0.01))
  else:
    if not life.wait_for_steps(rng.randint(1, 5)):
      return False
    while not left_over(checkpoints):
      if life.ended():
        return False
      time.sleep(0.001)
    time.sleep(rng.uniform(0, 6 * slow_s))
  return True


def left_over(checkpoints):
  """Returns the names in a folder that writes and removals have meanwhile."""
  try:
    names = os.listdir(checkpoints)
  except FileNotFoundError:
    return []
  return [n for n in names if n.startswith((files.WRITING, files.REMOVING))]


def run(
  folder, kills, steps, slow_s=0.03, seed=0, ballast_mb=0, training="loop"
):
  """Trains once undisturbed and once killed, and compares.

  Args:
    folder: where to train.
    kills: how often to kill.
    steps: how many steps the training has.
    slow_s: seconds that each stage of a checkpoint's write takes longer.
    seed: of the moments.
    ballast_mb: as in `train`.
    training: as in `train`.

  Returns:
    A dict of figures: `in_write` counts the kills in a write or a removal, and
    `in_saver` those of them before TensorFlow has written its files.
  """
  rng = random.Random(seed)
  whole, killed = (os.path.join(folder, n) for n in ("whole", "killed"))
  checkpoints = os.path.join(killed, "checkpoints")
  kind_of = {"ballast_mb": ballast_mb, "training": training}
  life = Life(whole, steps, **kind_of)
  life.wait_for_steps(1)
  begin_s = life.age_s
  life.finish()
  counts = collections.Counter()
  in_write = in_saver = 0
  while sum(counts.values()) < kills:
    kind = KINDS[sum(counts.values()) % 3]
    life = Life(killed, steps, slow_s, **kind_of)
    alive = disturb(life, kind, rng, checkpoints, begin_s, slow_s)
    if not life.kill() or not alive:
      break  # it has ended before it was killed often enough
    counts[kind] += 1
    names = left_over(checkpoints)
    in_write += bool(names)
    in_saver += any(
      not os.path.exists(os.path.join(checkpoints, name, "model.index"))
      for name in names
      if name.startswith(files.WRITING + "step")
    )
  Life(killed, steps, **kind_of).finish()
  return {
    "training": training,
    "kills": sum(counts.values()),
    "kinds": dict(counts),
    "in_write": in_write,
    "in_saver": in_saver,
    "steps": steps,
    "differences": compare(whole, killed),
  }


def compare(one, other):
  """Lists in what two runs differ, apart from the time they took.

  Args:
    one, other: their folders.

  Returns:
    A list of strings, empty if they are the same bit by bit.
  """
  found = []
  ends = [_last_checkpoint(folder) for folder in (one, other)]
  first, second = (support.read_variables(f"{end}/model") for end in ends)
  if list(first) != list(second):
    found.append(f"variables {list(first)} and {list(second)}")
  for name in set(first) & set(second):
    a, b = first[name], second[name]
    if a.dtype != b.dtype or a.tobytes() != b.tobytes():
      found.append(f"variable {name}")
  states = [_without_time(manifests.read(end)._asdict()) for end in ends]
  if states[0] != states[1]:
    found.append(f"state {states[0]} and {states[1]}")
  figures = [read_figures(folder) for folder in (one, other)]
  if figures[0] != figures[1]:
    found.append(f"figures {figures[0]} and {figures[1]}")
  return found


def _last_checkpoint(folder):
  folder = os.path.join(folder, "checkpoints")
  names = [n for n in os.listdir(folder) if n.startswith("step-")]
  return os.path.join(folder, max(names))


def _without_time(value):
  if isinstance(value, dict):
    return {
      key: _without_time(part)
      for key, part in value.items()
      if key not in _OF_TIME
    }
  return value


def read_figures(folder):
  """Returns the records of a run without those of time."""
  with open(os.path.join(folder, "metrics.jsonl")) as file:
    return [_without_time(json.loads(line)) for line in file]


def repeat(trainings, seconds, flags):
  """Runs until a time is over, the trainings in turn; returns the sums."""
  end, sums, number = time.monotonic() + seconds, collections.Counter(), 0
  differences = []
  while time.monotonic() < end:
    training = trainings[number % len(trainings)]
    figures = run_in_folder(flags, training, flags.seed + number)
    print(json.dumps(figures), flush=True)
    number += 1
    differences += figures["differences"]
    sums["rounds"] += 1
    for name in ("kills", "in_write", "in_saver"):
      sums[name] += figures[name]
    sums[f"kills of {training}"] += figures["kills"]
  return dict(sums, differences=differences)


def run_in_folder(flags, training, seed):
  """Runs once in a folder of its own; returns the figures."""
  folder = tempfile.mkdtemp()
  try:
    steps = flags.steps or 14 * (flags.kills + 1)
    steps -= steps % 8  # whole eighths of an epoch
    return run(
      folder,
      flags.kills,
      steps,
      flags.slow_s,
      seed,
      flags.ballast_mb,
      training,
    )
  finally:
    shutil.rmtree(folder)


def main():
  """Runs by hand; see the module."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--steps", type=int, default=0, help="14 a kill")
  parser.add_argument("--slow_s", type=float, default=0.03)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--ballast_mb", type=int, default=0)
  parser.add_argument("--seconds", type=float, default=0)
  parser.add_argument("--training", nargs="*", choices=sorted(TRAININGS))
  flags = parser.parse_args()
  if flags.seconds:
    trainings = flags.training or list(TRAININGS)
    figures = repeat(trainings, flags.seconds, flags)
    print(json.dumps(figures))
    return 1 if figures["differences"] else 0
  (training,) = flags.training or ["loop"]
  figures = run_in_folder(flags, training, flags.seed)
  print(json.dumps(figures))
  return 1 if figures["differences"] or figures["kills"] < flags.kills else 0


if __name__ == "__main__":
  np.seterr(all="raise")
  sys.exit(main())
