"""Speed-up from running independent runs in parallel: several encoders.

K recurrent encoders, each a sub-model, and a classifier of their last states.
A joint graph runs the encoders in parallel, as they do not depend on each
other; a pipeline does so only with `overlap=True`.
"""

import numpy as np

from tangle import errors, nets
from tangle.benchmarks import names, timing
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.pipeline import joint, pieces, pipeline

NAMES = ("joint", "in_turn", "at_once")
"""A joint graph; a pipeline; a pipeline with `overlap=True`."""

COLUMNS = ("step_s", "to_joint", "to_in_turn", "same_losses")

CLASSES = 10


class EncodersTraining:
  """Trains encoders and a classifier by one of `NAMES`, in its own session.

  Attributes:
    session: the session.
  """

  @errors.named("overlap.EncodersTraining")
  def __init__(self, name, encoders, batch_size, units, steps, threads=0):
    """Builds it: `name` is one of `NAMES`, the rest as `compare_run_orders`."""
    names.check("the candidate", name, NAMES)
    rng = np.random.RandomState(0)
    shape = batch_size, steps, units
    self._batch = {
      f"encoder_{k}": {"x": rng.standard_normal(shape).astype(np.float32)}
      for k in range(encoders)
    }
    labels = rng.randint(0, CLASSES, batch_size).astype(np.int32)
    self._batch["classifier"] = {"labels": labels}
    with tf1.Graph().as_default() as graph:
      built = _wire(encoders, shape)
      optimizer = tf1.train.GradientDescentOptimizer(0.1)
      if name == "joint":
        self._trainer = joint.JointTrainer(built, optimizer, 1.0)
      else:
        overlap = name == "at_once"
        self._trainer = built.minimize(optimizer, 1.0, overlap=overlap)
    draw = timing.normal(rng, 0.1)
    self.session = timing.open_session(graph, threads, draw=draw)

  def step(self):
    """Makes a step; returns the loss."""
    return self._trainer.step(self.session, self._batch).loss


def _wire(encoders, shape):
  """Returns the pipeline, for inputs of `shape` `[B, T, U]`."""
  built = pipeline.Pipeline()
  for k in range(encoders):
    built.add(f"encoder_{k}", _make_encoder(k, shape))
  classify = nets.Dense(CLASSES, name="classifier")

  def build_classifier(bucket, reads):
    del bucket
    labels_ph = tf1.placeholder(tf1.int32, shape[:1])
    states = [reads[f"h_{k}"] for k in range(encoders)]
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=labels_ph, logits=classify(tf1.concat(states, 1))
    )
    return pieces.Piece({"labels": labels_ph}, loss=tf1.reduce_mean(losses))

  reads = {f"h_{k}": f"encoder_{k}.h" for k in range(encoders)}
  built.add("classifier", build_classifier, reads=reads)
  return built


def _make_encoder(k, shape):
  layer = nets.LSTM(shape[-1], name=f"encoder_{k}")

  def build_encoder(bucket, reads):
    del bucket, reads
    x_ph = tf1.placeholder(tf1.float32, shape)
    return pieces.Piece({"x": x_ph}, {"h": layer(x_ph).state.h})

  return build_encoder


def compare_run_orders(
  encoders=2,
  batch_size=32,
  units=64,
  steps=40,
  rounds=60,
  threads=0,
  *,
  report=reports.QUIET,
):
  """Measures all candidates, stepping them in turn.

  Args:
    encoders: K, how many.
    batch_size: B, examples per step.
    units: U, width of inputs and states.
    steps: T, length of the sequences.
    rounds: timed steps of each candidate.
    threads: threads within and between ops; 0 for TensorFlow's default.
    report: a `reports.Report`, which also gets a plot.

  Returns:
    Candidate → `step_s`, `to_joint` and `to_in_turn`, medians of pairs with
    quartiles, and `same_losses`: whether the first ten losses equal those of
    the joint graph, to 1e-5.
  """
  sizes = encoders, batch_size, units, steps, threads
  candidates = {name: EncodersTraining(name, *sizes) for name in NAMES}
  losses = {
    name: [candidate.step() for _ in range(10)]
    for name, candidate in candidates.items()
  }
  seconds = timing.run_in_turn(
    {name: candidate.step for name, candidate in candidates.items()}, rounds, 15
  )
  rows = timing.make_rows(seconds, joint="joint", in_turn="in_turn")
  for name, row in rows.items():
    row["same_losses"] = bool(
      np.allclose(losses[name], losses["joint"], rtol=1e-5, atol=0)
    )
  for candidate in candidates.values():
    candidate.session.close()
  report.show(rows, COLUMNS)
  title = f"{encoders} encoders: step to joint"
  report.draw_ratios("overlap_to_joint", rows, "to_joint", title)
  return rows
