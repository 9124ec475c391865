"""Memory over many steps of a TensorFlow 1 style loop on reference variables.

Such a loop runs through TensorFlow's `partial_run`, which leaks on 2.x. A
program without tangle measures how much of the growth is due to `partial_run`.
"""

import gc
import json
import sys

import numpy as np

from tangle import errors
from tangle.benchmarks import elsewhere, memory, models, strategies
from tangle.compat import tf1
from tangle.nets import checks

NAMES = (
  strategies.JOINT,
  strategies.PARTIAL_RUN,
  strategies.AUTO,
  strategies.PIPELINE,
)
"""Strategies that are compared unless others are asked for."""

SIZES = models.Sizes(batch=4, units=16, steps=10)
"""Small, so that many steps do not take long."""

COLUMNS = ("steps", "first_mib", "last_mib", "growth", "bytes_a_step")

_MARKS = 10


def compare(names=NAMES, steps=10000, warm_up=2000, sizes=SIZES, progress=None):
  """Measures strategies, each in its own process.

  Args:
    names: some of `strategies.NAMES`.
    steps: how many steps to run.
    warm_up: how many of them run before memory is measured.
    sizes: a `models.Sizes`.
    progress: called as `progress(done, total)` after each process.

  Returns:
    A dict from name to what `measure` returns.

  Raises:
    ArgumentError: if a name is unknown, or `warm_up` is not positive and less
      than `steps`.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  for name in names:
    _check(name, steps, warm_up)
  memory.meter("loops.compare")
  rows = {}
  for done, name in enumerate(names, 1):
    rows[name] = elsewhere.run(
      "loops.compare", __name__, name, steps, warm_up, sizes
    )
    if progress:
      progress(done, len(names))
  return rows


def measure(name, steps, warm_up, sizes=SIZES):
  """Trains a loop for many steps in this process, and measures resident memory.

  Args:
    name: one of `strategies.NAMES`.
    steps: how many steps to run.
    warm_up: how many of them run before memory is measured.
    sizes: a `models.Sizes`.

  Returns:
    A dict: `steps`; `rss_bytes`, resident memory at equal intervals from the
    end of the warm-up on; `first_mib` and `last_mib`, the first and the last of
    these; `growth`, the last over the first, less 1; `bytes_a_step`, the slope
    of the least-squares line through them; `loss`, that of the last step.

  Raises:
    ArgumentError: as `compare`.
    MissingPackageError: if psutil is not installed.
  """
  _check(name, steps, warm_up)
  resident = memory.meter("loops.measure")
  strategy = strategies.Strategy(name, models.make("reference_rnn", sizes))
  marks = np.linspace(warm_up, steps, _MARKS).astype(int).tolist()
  seen = []
  with tf1.Session(graph=strategy.graph) as sess:
    strategy.load(sess, strategies.initial_values(strategy))
    for k in range(1, steps + 1):
      loss = strategy.step(sess)
      if k in marks:
        gc.collect()
        seen += [resident()] * marks.count(k)
  return {
    "steps": steps,
    "rss_bytes": seen,
    "first_mib": seen[0] / 2**20,
    "last_mib": seen[-1] / 2**20,
    "growth": seen[-1] / seen[0] - 1,
    "bytes_a_step": float(np.polyfit(marks, seen, 1)[0]),
    "loss": float(loss),
  }


def _check(name, steps, warm_up):
  if name not in strategies.NAMES:
    raise errors.ArgumentError(
      f"benchmarks.loops: the strategy must be one of {strategies.NAMES}, got "
      f"{name!r}."
    )
  checks.check_positive("benchmarks.loops", "warm_up", warm_up)
  if steps <= warm_up:
    raise errors.ArgumentError(
      f"benchmarks.loops: steps must be more than warm_up={warm_up}, got "
      f"{steps}."
    )


def _main(name, steps, warm_up, sizes):
  print(json.dumps(measure(name, steps, warm_up, models.Sizes(*sizes))))


if __name__ == "__main__":
  _main(*map(json.loads, sys.argv[1:]))
