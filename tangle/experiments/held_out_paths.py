"""Paths held out of the calculator's training, and tested afterwards."""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import digits as digits_lib
from tangle.experiments import plots, shared_or_separate, tallies, weights

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
    ArgumentError: if `seeds` or `steps` is less than 1, or `max_held_out` is
      not from 1 to 6.
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
  series, trainings = ("paths", "digits"), len(KINDS) * len(plans)
  tally = tallies.Tally((), series, KINDS, trainings, progress)
  least = dict.fromkeys(KINDS, 1.0)
  for kind in KINDS:
    with tf1.Graph().as_default():
      model = shared_or_separate.make(kind, units, hidden, "where")
      model.minimize(tf1.train.AdamOptimizer(learning_rate))
      start = weights.Weights(tf1.trainable_variables())
      with tf1.Session() as sess:
        for series, count, seed, held_out in plans:
          start.load(sess, start.draw(np.random.RandomState(seed)))
          unseen, seen = _train(model, sess, held_out, steps)
          least[kind] = min(least[kind], seen)
          tally.add(series, kind, count, seed, unseen)
  return dict(tally.accuracies, shown=least)


def draw_paths(count, seed):
  """Draws `Path`s to hold out, each → `None`; each network keeps a path."""
  rng = np.random.RandomState([count, seed])
  while True:
    chosen = rng.permutation(len(digits_lib.PATHS))
    kept = [digits_lib.PATHS[k] for k in chosen[count:]]
    if all(len(set(side)) == 2 for side in zip(*kept)):
      return {digits_lib.PATHS[k]: None for k in sorted(chosen[:count])}


def draw_digits(shown, seed):
  """Draws a path, `Path` → digits to hold out of it, all but `shown` of ten."""
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
  """Draws both series that `measure` found.

  Args:
    found: what `measure` returns.
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
