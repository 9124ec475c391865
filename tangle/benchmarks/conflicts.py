"""Cost of combining gradients: several heads on a deep trunk.

A step is forward, backward and Adam. `weighted` is one backward pass; the other
methods combine gradients at the boundary between trunk and heads;
`<method>_shared` combines those of the trunk's variables, which takes a whole
backward pass per head; `turns` makes one optimizer step per head.
"""

import contextlib
from typing import NamedTuple, Sequence

import numpy as np

from tangle import errors, gradients
from tangle.benchmarks import timing
from tangle.compat import tf1
from tangle.nets import feedforward

BASE = "weighted"
BOUNDARY = tuple(m for m in gradients.METHODS if m not in ("sum", "mean", BASE))
NAMES = (BASE,) + BOUNDARY + ("mgda_shared", "turns")
COLUMNS = ("step_s", "to_weighted", "ops")


class Sizes(NamedTuple):
  """Sizes of the networks.

  Attributes:
    batch: B, examples per step.
    units: width of the trunk.
    layers: number of layers of the trunk.
    heads: K, number of heads.
  """

  batch: int = 256
  units: int = 512
  layers: int = 12
  heads: int = 4


def _check(name):
  if name not in NAMES:
    raise errors.ArgumentError(
      f"benchmarks.conflicts: a candidate must be one of {', '.join(NAMES)}, "
      f"got {name!r}.{errors.suggest(name, NAMES) or ' Correct its name.'}"
    )


class Candidate:
  """One way to train, in its own graph and session.

  Attributes:
    ops: number of ops in the graph.
  """

  def __init__(self, name, sizes, threads=0):
    """Builds the graph and opens the session.

    Args:
      name: one of `NAMES`.
      sizes: a `Sizes`.
      threads: threads within and between ops; 0 for TensorFlow's default.

    Raises:
      ArgumentError: if there is no candidate of that name.
    """
    _check(name)
    rng = np.random.RandomState(0)
    shape = [sizes.batch, sizes.units]
    self._x = rng.standard_normal(shape).astype(np.float32)
    with tf1.Graph().as_default() as graph:
      tf1.set_random_seed(0)
      self._x_ph = tf1.placeholder(tf1.float32, [None, sizes.units])
      self._build(name, sizes)
    self._session = timing.open_session(graph, threads)
    self.ops = len(graph.get_operations())

  def _build(self, name, sizes):
    code = self._x_ph
    for k in range(sizes.layers):
      code = feedforward.Dense(sizes.units, tf1.tanh, name=f"trunk_{k}")(code)
    losses = []
    for k in range(sizes.heads):
      outputs = feedforward.Dense(16, name=f"head_{k}")(code)
      losses.append(tf1.reduce_mean((tf1.sin(outputs) - 0.1 * k) ** 2))
    variables = tf1.trainable_variables()
    if name == "turns":
      optimizers = [tf1.train.AdamOptimizer(1e-4) for _ in losses]
      self._step_ops = gradients.take_turns(losses, optimizers)
      return
    method = name.replace("_shared", "")
    options = {"boundary": None if method != name else [code]}
    if name == BASE:
      options["weights"] = np.linspace(0.5, 1.5, sizes.heads)
    found = gradients.of_losses(losses, variables, method, **options)
    pairs = zip(found.gradients, variables)
    self._step_ops = [tf1.train.AdamOptimizer(1e-4).apply_gradients(pairs)]

  def step(self):
    """Runs one step."""
    for step_op in self._step_ops:
      self._session.run(step_op, {self._x_ph: self._x})

  def close(self):
    """Closes the session."""
    self._session.close()


def compare_methods(
  candidates: Sequence[str] = NAMES,
  rounds=10,
  batch_size=256,
  width=512,
  layers=12,
  heads=4,
  threads=0,
):
  """Measures candidates, stepping them in turn.

  Args:
    candidates: names such as pcgrad, all by default; weighted is always
      measured, as ratios are relative to it.
    rounds: timed steps of each candidate.
    batch_size: examples per step.
    width: units of each layer of the trunk.
    layers: of the trunk.
    heads: number of heads, each with a loss.
    threads: threads within and between ops; 0 for TensorFlow's default.

  Returns:
    A dict from candidate to `step_s` (median seconds), `to_weighted` (median
    of paired ratios) with `to_weighted_quartiles`, and `ops` (of the graph).

  Raises:
    ArgumentError: if there is no candidate of some name.
  """
  for name in candidates:  # before any is built, which takes a while
    _check(name)
  sizes = Sizes(batch_size, width, layers, heads)
  with contextlib.ExitStack() as stack:
    made = {}
    for name in dict.fromkeys([BASE, *candidates]):
      made[name] = Candidate(name, sizes, threads)
      stack.callback(made[name].close)
    steps = {name: found.step for name, found in made.items()}
    seconds = timing.run_in_turn(steps, rounds)
    rows = timing.make_rows(seconds, weighted=BASE)
    for name, found in made.items():
      rows[name]["ops"] = found.ops
  return rows
