"""Paths held out of the calculator's training, and tested afterwards."""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import digits as digits_lib
from tangle.experiments import plots, shared_or_separate, weights

KINDS = ("one_graph", "separate")


def measure(
  seeds=10,
  max_held_out=6,
  units=8,
  hidden=64,
  steps=300,
  learning_rate=0.005,
  *,
  progress=None,
):
  """Trains with some examples held out, and tests on these.

  Two series, each for several seeds, and for shared and separate
  networks, which get the same examples. In `paths`, whole paths are held out,
  drawn so that each of the six networks still has a path. In `digits`, one path
  is trained only on some of the ten digits.

  Args:
    seeds: how many trainings of each kind.
    max_held_out: how many of the eight paths to hold out at most, up to 6.
    units: length of the codes between networks.
    hidden: number of units in the hidden layer of each network.
    steps: of each training.
    learning_rate: of Adam.
    progress: called as `progress(trainings done, trainings)`.

  Returns:
    A dict: `paths`, kind → number held out → list of accuracies on them, one
    per seed; `digits`, kind → digits shown → list of accuracies on the others;
    `shown`, kind → the lowest accuracy on examples that were trained on.

  Raises:
    ArgumentError: if a number is out of range.
  """
  if seeds < 1 or steps < 1 or not 1 <= max_held_out <= 6:
    raise errors.ArgumentError(
      f"held_out_paths.measure: seeds and steps must be at least 1, "
      f"max_held_out from 1 to 6, got {seeds}, {steps} and {max_held_out}."
    )
  plans = [
    ("paths", count, seed, draw_paths(count, seed))
    for count in range(1, max_held_out + 1)
    for seed in range(seeds)
  ] + [
    ("digits", shown, seed, draw_digits(shown, seed))
    for shown in (0, 2, 4, 6, 8)
    for seed in range(seeds)
  ]
  found = {
    series: {kind: {} for kind in KINDS} for series in ("paths", "digits")
  }
  least, done = dict.fromkeys(KINDS, 1.0), 0
  for kind in KINDS:
    with tf1.Graph().as_default():
      model = shared_or_separate.make(kind, units, hidden, "where")
      model.minimize(tf1.train.AdamOptimizer(learning_rate))
      start = weights.Weights(tf1.trainable_variables())
      with tf1.Session() as sess:
        for series, count, seed, held_out in plans:
          start.load(sess, start.draw(np.random.RandomState(seed)))
          unseen, seen = _train(model, sess, held_out, steps)
          found[series][kind].setdefault(count, []).append(unseen)
          least[kind] = min(least[kind], seen)
          done += 1
          if progress is not None:
            progress(done, len(KINDS) * len(plans))
  return dict(found, shown=least)


def draw_paths(count, seed):
  """Draws paths to hold out; each network keeps a path.

  Args:
    count: how many, up to 6.
    seed: of the draw.

  Returns:
    A dict from `Path` to `None`, for all digits.
  """
  rng = np.random.RandomState([count, seed])
  while True:
    chosen = rng.permutation(len(digits_lib.PATHS))
    kept = [digits_lib.PATHS[k] for k in chosen[count:]]
    if all(len(set(side)) == 2 for side in zip(*kept)):
      return {digits_lib.PATHS[k]: None for k in sorted(chosen[:count])}


def draw_digits(shown, seed):
  """Draws a path, and the digits to hold out of its training.

  Args:
    shown: how many digits it is trained on.
    seed: of the draw.

  Returns:
    A dict from a `Path` to a sorted list of digits.
  """
  rng = np.random.RandomState([shown, seed])
  path = digits_lib.PATHS[seed % len(digits_lib.PATHS)]
  return {path: sorted(rng.permutation(10)[shown:].tolist())}


def _train(model, sess, held_out, steps):
  """Returns the accuracy on what was held out, and the lowest on the rest."""
  lessons = digits_lib.make_lessons(held_out)
  for _ in range(steps):
    model.step(sess, lessons)
  unseen, seen = [], []
  for path, logits in model.answer(sess, lessons).items():
    every = list(range(10))
    hidden = held_out.get(path, [])
    hidden = every if hidden is None else hidden
    if hidden:
      unseen += [digits_lib.accuracy(logits, path, [d]) for d in hidden]
    shown = [digit for digit in every if digit not in hidden]
    if shown:
      seen.append(digits_lib.accuracy(logits, path, shown))
  return float(np.mean(unseen)), float(min(seen))


def plot(found, path):
  """Draws both series.

  Args:
    found: what `measure` returned.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  titles = {
    "paths": "whole paths held out, of eight",
    "digits": "digits shown to the one path held out",
  }
  panels = []
  for series, title in titles.items():
    lines = {
      "shared" if kind == "one_graph" else "separate": points
      for kind, points in found[series].items()
    }
    panels.append((title, "accuracy on held-out inputs", lines))
  plots.draw_series(panels, path, title="The calculator on what it never saw")
