"""Cost of combining gradients: several heads on a deep trunk.

A step is forward, backward and Adam. `weighted` is one backward pass; the other
methods combine gradients at the boundary between trunk and heads;
`<method>_shared` combines those of the trunk's variables, which takes a whole
backward pass per head; `turns` makes one optimizer step per head.
"""

import contextlib
from typing import Sequence

import numpy as np

from tangle import errors, gradients
from tangle.benchmarks import names, timing
from tangle.compat import tf1
from tangle.nets import feedforward

BASE = "weighted"
BOUNDARY = tuple(m for m in gradients.METHODS if m not in ("sum", "mean", BASE))
NAMES = (BASE,) + BOUNDARY + ("mgda_shared", "turns")
COLUMNS = ("step_s", "to_weighted", "ops")


class HeadsTraining:
  """Trains several heads on a trunk by one of `NAMES`, in its own session.

  Attributes:
    session: the session.
    ops: number of ops in the graph.
  """

  def __init__(self, name, batch_size, width, layers, heads, threads=0):
    """Builds it: `name` is one of `NAMES`, the rest as `compare_methods`."""
    rng = np.random.RandomState(0)
    shape = [batch_size, width]
    self._x = rng.standard_normal(shape).astype(np.float32)
    with tf1.Graph().as_default() as graph:
      tf1.set_random_seed(0)
      self._x_ph = tf1.placeholder(tf1.float32, [None, width])
      self._build(name, width, layers, heads)
    self.session = timing.open_session(graph, threads)
    self.ops = len(graph.get_operations())

  def _build(self, name, width, layers, heads):
    code = self._x_ph
    for k in range(layers):
      code = feedforward.Dense(width, tf1.tanh, name=f"trunk_{k}")(code)
    losses = []
    for k in range(heads):
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
      options["weights"] = np.linspace(0.5, 1.5, heads)
    found = gradients.of_losses(losses, variables, method, **options)
    pairs = zip(found.gradients, variables)
    self._step_ops = [tf1.train.AdamOptimizer(1e-4).apply_gradients(pairs)]

  def step(self):
    """Runs one step."""
    for step_op in self._step_ops:
      self.session.run(step_op, {self._x_ph: self._x})


@errors.named("benchmarks.conflicts")
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
    candidates: some of `NAMES`; weighted is always measured, as ratios are
      relative to it.
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
    names.check("a candidate", name, NAMES)
  sizes = batch_size, width, layers, heads, threads
  with contextlib.ExitStack() as stack:
    made = {}
    for name in dict.fromkeys([BASE, *candidates]):
      made[name] = HeadsTraining(name, *sizes)
      stack.callback(made[name].session.close)
    steps = {name: found.step for name, found in made.items()}
    seconds = timing.run_in_turn(steps, rounds)
    rows = timing.make_rows(seconds, weighted=BASE)
    for name, found in made.items():
      rows[name]["ops"] = found.ops
  return rows
