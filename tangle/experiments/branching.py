"""Digits that come as images or as identifiers, and a model of both.

Each handwritten digit is given in one of two forms: as 64 floats, or as a
token, the index of the nearest image of a codebook. The model must learn the
digit of each token; some tokens stand for images of several digits. Each form
has its own branch, and both share the head that classifies the digit.
"""

import functools

import numpy as np

from tangle import branches, errors
from tangle.branches import schedules, streams
from tangle.compat import tf1
from tangle.experiments import (
  codebooks,
  handwriting,
  mixed_streams,
  plots,
  weights,
)
from tangle.nets import feedforward

TYPES = mixed_streams.TYPES
MODES = ("alternate", "mixed", "partial")
RUNS = MODES + ("image_alone", "token_alone")
"""The modes, and one branch with the head, on the same records of its type."""

SCHEDULES = {
  "round_robin": lambda seed: schedules.RoundRobin(TYPES),
  "proportional": lambda seed: schedules.Proportional(seed=seed),
  "by_loss": lambda seed: schedules.ByLoss(seed=seed),
}
CHECKED_STEPS = 6


def make_records(images, tokens, rng):
  """Lists a `Record` per image: its pixels or, at random, its token."""
  return [
    branches.Record(
      "token" if drawn else "image", token if drawn else pixels, int(digit)
    )
    for pixels, token, digit, drawn in zip(
      images.pixels, tokens, images.digits, rng.randint(2, size=len(tokens))
    )
  ]


class Digits:
  """The model of both types, and a trainer per mode.

  Attributes:
    model: the `branches.Model`.
    trainers: mode → `Trainer`; all train the same weights.
    weights: the `weights.Weights`.
  """

  def __init__(self, vocabulary, units, learning_rate, batch_size):
    """Builds the graph in the default graph; arguments are as for `measure`."""
    hidden = feedforward.Dense(units, tf1.nn.relu, name="end_0")
    logits = feedforward.Dense(10, name="end_1")
    self.model = branches.Model(
      {
        "image": branches.Branch(
          feedforward.Dense(units, name="image"), tf1.float32, [64]
        ),
        "token": branches.Branch(
          feedforward.Embedding(vocabulary, units, name="token"), tf1.int32
        ),
      },
      lambda code: logits(hidden(code)),
      lambda outputs, digits: tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=digits, logits=outputs
      ),
      branches.Field(tf1.int32),
    )
    make = functools.partial(tf1.train.AdamOptimizer, learning_rate)
    self.trainers = {
      mode: self.model.minimize(mode=mode, make_optimizer=make)
      for mode in MODES
    }
    self.weights = weights.Weights(tf1.trainable_variables())
    self._records = []
    self._seed_ph = tf1.placeholder(tf1.int64, [], "seed_ph")
    self._readers = {
      make: streams.Reader(
        make(
          self.model.schema,
          streams.encode(self.model.schema, lambda: self._records).shuffle(
            10000, seed=self._seed_ph
          ),
          batch_size,
        )
      )
      for make in (streams.by_type, streams.mixed)
    }

  def read(self, sess, records, epoch, mixed=False):
    """Returns an iterator over the batches of an epoch, read through `tf.data`.

    Args:
      sess: a session.
      records: a list of records.
      epoch: an int that determines the order.
      mixed: whether a batch has records of both types, not of one.
    """
    self._records = records
    reader = self._readers[streams.mixed if mixed else streams.by_type]
    return reader.epoch(sess, {self._seed_ph: epoch})

  def test(self, sess, held_out):
    """Returns type → accuracy, for `held_out`: type → `Batch`."""
    return {
      name: float(
        np.mean(self.model.predict(sess, batch).argmax(1) == batch.targets)
      )
      for name, batch in held_out.items()
    }


def train(digits, sess, run, records, held_out, epochs, order, seed):
  """Trains one of `RUNS`, from the current weights.

  Args:
    digits, sess: a `Digits`, and its session.
    run: one of `RUNS`.
    records: a list of records.
    held_out: type → `Batch`.
    epochs: how often all records are seen.
    order: one of `SCHEDULES`, for batches of one type each.
    seed: determines the order.

  Returns:
    A list: type → held-out accuracy after each epoch; and the number of steps.
  """
  alone = run.partition("_alone")[0] if run not in MODES else None
  if alone is not None:
    records = [record for record in records if record.type == alone]
  trainer = digits.trainers["alternate" if alone else run]
  schedule = SCHEDULES[order](seed)
  accuracies, steps = [], 0
  for epoch in range(epochs):
    mixed = run == "mixed"
    batches = digits.read(sess, records, seed * epochs + epoch, mixed)
    if not mixed:
      batches = schedules.arrange(batches, schedule)
    for batch in batches:
      schedule.report(trainer.step(sess, batch).losses)
      steps += 1
    accuracies.append(digits.test(sess, held_out))
  return accuracies, steps


def compare(digits, sess, start, batches):
  """Trains in all modes on the same batches, each of one type.

  Args:
    digits, sess: a `Digits`, and its session.
    start: the weights to begin with.
    batches: a list of `Batch`es.

  Returns:
    A dict: `difference`, the largest difference of a weight between two modes
    at the end; `inactive_changed`, mode → how many numbers of inactive
    branches, of their slots and of their optimizers changed in any bit in the
    first steps.
  """
  ends, changed = [], {}
  kept = {v.op.name: v for v in tf1.global_variables()}
  for mode, trainer in digits.trainers.items():
    digits.weights.load(sess, start)
    changed[mode] = 0
    for step, batch in enumerate(batches):
      before = sess.run(kept) if step < CHECKED_STEPS else None
      trainer.step(sess, batch)
      if before is None:
        continue
      after = sess.run(kept)
      for name in kept:
        parts = name.split("/")
        # `image/kernel/Adam`, and `branches/optimizer/image/beta1_power`.
        part = parts[2] if parts[:2] == ["branches", "optimizer"] else parts[0]
        if part in TYPES and part not in batch.inputs:
          changed[mode] += weights.count_changed(before, after, [name])
    ends.append(digits.weights.read(sess))
  difference = max(
    float(np.max(np.abs(one[name] - other[name])))
    for one in ends
    for other in ends
    for name in one
  )
  return {"difference": difference, "inactive_changed": changed}


def measure(
  seeds=3,
  epochs=10,
  vocabulary=100,
  units=32,
  batch_size=32,
  learning_rate=0.003,
  schedule="round_robin",
  stream_records=100000,
  *,
  data=None,
  progress=None,
  write_metrics=None,
):
  """Trains on digits of two types in three modes, and on each type alone.

  Each seed draws a codebook, the type of each image, and weights. All runs
  begin with the same weights and see the same records equally often.

  Args:
    seeds: how many trainings of each kind.
    epochs: how often each record is seen.
    vocabulary: number of tokens.
    units: length of the codes, and units of the head's hidden layer.
    batch_size: records of a full batch.
    learning_rate: of Adam.
    schedule: round_robin, proportional or by_loss: order of batches of one type
      each.
    stream_records: how many numbered records to read by type, apart from the
      training.
    data: what `handwriting.load` returns; it is called for `None`.
    progress: called as `progress(done, trainings)`.
    write_metrics: called after each training with its figures.

  Returns:
    A dict. `accuracy`: run → type → mean accuracy on held-out images, in the
    form of that type; `accuracies`: run → type → epoch → list of accuracies,
    one per seed; `steps`: run → steps of one training; `majority`: held-out
    accuracy of predicting each token's most frequent digit among the images for
    training, a bound on what can be learned; `same_order`, as from `compare`,
    the worst of all seeds; `records`, of one epoch; `stream`, as from
    `mixed_streams.read_stream`.

  Raises:
    ArgumentError: if `seeds`, `epochs` or `stream_records` is less than 1,
      `vocabulary` is not from 1 to the number of images, or the schedule is
      unknown.
    MissingPackageError: if `data` is `None` and scikit-learn not installed.
  """
  if min(seeds, epochs, stream_records) < 1 or schedule not in SCHEDULES:
    raise errors.ArgumentError(
      f"branching.measure: seeds, epochs and stream_records must be at "
      f"least 1, got {seeds}, {epochs} and {stream_records}, and schedule "
      f"one of {list(SCHEDULES)}, got {schedule!r}."
    )
  pool, held_out = handwriting.load() if data is None else data
  if not 1 <= vocabulary <= len(pool.digits):
    raise errors.ArgumentError(
      f"branching.measure: vocabulary must be from 1 to {len(pool.digits)}, "
      f"the number of images, got {vocabulary}."
    )
  tally = _Tally()
  with tf1.Graph().as_default():
    digits = Digits(vocabulary, units, learning_rate, batch_size)
    with tf1.Session() as sess:
      for seed in range(seeds):
        rng = np.random.RandomState(seed)
        codebook = codebooks.make_codebook(pool.pixels, vocabulary, rng)
        tokens = codebooks.find_tokens(pool.pixels, codebook)
        records = make_records(pool, tokens, rng)
        start = digits.weights.draw(rng)
        tests = _make_tests(digits.model.schema, held_out, codebook)
        batches = list(digits.read(sess, records, seed))
        tally.same.append(compare(digits, sess, start, batches))
        tally.majority.append(
          codebooks.share_of_majority(tokens, pool.digits, tests["token"])
        )
        for run in RUNS:
          digits.weights.load(sess, start)
          found, steps = train(
            digits, sess, run, records, tests, epochs, schedule, seed
          )
          tally.add(run, found, steps)
          if write_metrics is not None:
            write_metrics(run=run, seed=seed, steps=steps, accuracies=found[-1])
          if progress is not None:
            progress(tally.done, seeds * len(RUNS))
  return dict(
    tally.figures(),
    records=len(records),
    stream=mixed_streams.read_stream(stream_records),
  )


def _make_tests(schema, images, codebook):
  values = {
    "image": images.pixels,
    "token": codebooks.find_tokens(images.pixels, codebook),
  }
  return {
    name: schema.batch(
      [
        branches.Record(name, value, int(digit))
        for value, digit in zip(values[name], images.digits)
      ]
    )
    for name in TYPES
  }


class _Tally:
  """Collects the figures of `measure`."""

  def __init__(self):
    self._accuracies = {
      run: {n: {} for n in TYPES if run in (*MODES, f"{n}_alone")}
      for run in RUNS
    }
    self._steps, self.same, self.majority, self.done = {}, [], [], 0

  def add(self, run, accuracies, steps):
    for name, points in self._accuracies[run].items():
      for epoch, found in enumerate(accuracies, 1):
        points.setdefault(epoch, []).append(found[name])
    self._steps[run] = steps
    self.done += 1

  def figures(self):
    accuracy = {
      run: {
        name: float(np.mean(points[max(points)]))
        for name, points in found.items()
      }
      for run, found in self._accuracies.items()
    }
    return {
      "accuracy": accuracy,
      "accuracies": self._accuracies,
      "steps": self._steps,
      "majority": float(np.mean(self.majority)),
      "same_order": {
        "difference": max(same["difference"] for same in self.same),
        "inactive_changed": {
          mode: sum(same["inactive_changed"][mode] for same in self.same)
          for mode in MODES
        },
      },
    }


def plot(found, path):
  """Draws the accuracy of each type over the epochs, as `measure` found it.

  Args:
    found: what `measure` returns.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  panels = []
  for name in TYPES:
    lines = {}
    for run, points in found["accuracies"].items():
      twins = [label for label in lines if lines[label] == points.get(name)]
      if twins:  # a line hidden by another would be invisible
        lines[f"{twins[0]} = {run}"] = lines.pop(twins[0])
      elif name in points:
        lines[run.replace("_", " ")] = points[name]
    panels.append(("epoch", f"accuracy, digits as {name}s", lines))
  plots.draw_series(panels, path, title="Digits as images or tokens")
