"""Tests of the loop."""

import errno
import logging
import os
import shutil
import signal
import tempfile
import types
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors, files
from tangle.compat import tf1
from tangle.seq2seq import bucketing, tutorial_batches
from tangle.training import (
  checkpoints,
  loop,
  manifests,
  meters,
  schedules,
  sources,
)
from tests import case
from tests.pipeline import support as pipelines
from tests.training import kill, summaries_test, support


class ResourceExhausted(tf1.errors.ResourceExhaustedError):
  """What TensorFlow raises when memory runs out."""

  def __init__(self):
    super().__init__(None, None, "OOM when allocating\na tensor")


class Numbers:
  """A source of the batches 0, 1, 2, ..., and their only stream."""

  def __init__(self, end=None):
    self.position, self._end = 0, end

  def at(self, position):
    self.position = position or 0
    return self

  def __next__(self):
    if self.position == self._end:
      raise StopIteration
    self.position += 1
    return {"x": self.position - 1}


class Line:
  """A trainer of one weight `w`: the loss is `(w - x)^2`.

  Attributes:
    seen: the batches, in order.
  """

  def __init__(self, rate):
    self.w = tf1.get_variable(
      "w", initializer=np.float32(0.0), use_resource=True
    )
    self._x_ph = tf1.placeholder(tf1.float32, [], "x_ph")
    self._loss = tf1.square(self.w - self._x_ph)
    optimizer = tf1.train.MomentumOptimizer(rate, 0.5)
    self._train_op = optimizer.minimize(self._loss)
    self.seen = []
    self.during = lambda step: None

  def step(self, sess, batch):
    self.seen.append(batch["x"])
    self.during(len(self.seen))
    feed_dict = {self._x_ph: batch["x"]}
    loss, _ = sess.run([self._loss, self._train_op], feed_dict)
    return types.SimpleNamespace(loss=loss, buckets={"net": batch["x"] % 2})


class LoopTestCase(case.GraphTestCase):
  """Runs loops in graphs of their own, in one folder."""

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "run")
    self.said = []

  def train(self, max_steps, folder=None, **settings):
    """Trains a line as a new process would; returns the outcome."""
    self.said = []
    settings.setdefault("report_every", 2)
    settings.setdefault("checkpoint_every", 3)
    settings.setdefault("report", self.said.append)
    during = settings.pop("during", None)
    schedule = settings.pop("schedule", None)
    source = settings.pop("source", None) or Numbers()
    trainer = settings.pop("trainer", None)
    with tf1.Graph().as_default(), tf1.Session() as sess:
      rate = schedules.LearningRate(schedule or schedules.Constant(0.01))
      self.trainer = Line(rate.variable)
      self.trainer.during = during or (lambda step: None)
      sess.run(tf1.global_variables_initializer())
      self.loop = loop.Loop(
        sess,
        trainer or self.trainer,
        source,
        folder or self.folder,
        max_steps,
        rate=rate,
        **settings,
      )
      outcome = self.loop.run()
      self.w = sess.run(self.trainer.w)
    return outcome

  def records(self, folder=None):
    return kill.read_figures(folder or self.folder)

  def steps(self):
    names = os.listdir(os.path.join(self.folder, "checkpoints"))
    return sorted(int(n[5:]) for n in names if n.startswith("step-"))

  def state(self, step):
    folder = os.path.join(self.folder, "checkpoints", f"step-{step:08d}")
    return manifests.read(folder).state


class LoopTest(LoopTestCase):
  def test_trains_to_the_last_step(self):
    outcome = self.train(7)
    self.assertEqual(self.trainer.seen, list(range(7)))
    self.assertEqual((outcome.step, outcome.reason), (7, loop.MAX_STEPS))
    self.assertIsNone(outcome.resumed_from)
    self.assertGreater(outcome.loss, 1.0)
    self.assertGreater(outcome.seconds, 0.0)
    self.assertEqual(self.said[-1], "Ended after step 7: max_steps.")

  def test_reports_have_means_and_buckets(self):
    losses = []
    self.train(5, progress=lambda step, _, result: losses.append(result.loss))
    first, second = self.records()
    self.assertEqual((first["step"], second["step"]), (2, 4))
    for record, pair in (first, losses[:2]), (second, losses[2:4]):
      mean = (float(pair[0]) + float(pair[1])) / 2
      self.assertEqual(record["loss"], mean)
      self.assertEqual(record["perplexity"], meters.perplexity(mean))
      self.assertEqual(record["buckets"]["0"]["loss"], float(pair[0]))
      self.assertEqual(record["buckets"]["1"]["count"], 1.0)
      self.assertEqual(record["learning_rate"], float(np.float32(0.01)))
    scalars = summaries_test.read_scalars(
      os.path.join(self.folder, "summaries")
    )
    self.assertEqual(scalars["loss", 2], np.float32(first["loss"]))
    self.assertIn(("buckets/1/perplexity", 4), scalars)

  def test_summaries_list_the_residuals_of_a_pipeline(self):
    weight = self.variable("weight", np.ones([3, 3]))
    pipeline = tangle.Pipeline()
    pipeline.add("lower", pipelines.layer(weight, ["x"]))
    pipeline.add("upper", pipelines.head(weight), reads={"x": "lower.out"})
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
    batch = {"lower": {"x": np.ones([2, 3])}, "upper": {}}
    loop.train(
      self.session(),
      trainer,
      Numbers(),
      self.folder,
      1,
      feeds=lambda number, step: batch,
    )
    found = summaries_test.read_texts(os.path.join(self.folder, "summaries"))
    row = found["residuals", 0].splitlines()[-1]
    self.assertEqual(row, "| lower | None | 2 | 48 | 0 | 0 |")

  def test_checkpoints_by_steps_and_at_both_ends(self):
    self.train(8, keep=9, checkpoint_every_s=None)
    self.assertEqual(self.steps(), [0, 3, 6, 8])

  def test_checkpoints_by_seconds(self):
    self.train(4, keep=9, checkpoint_every=None, checkpoint_every_s=0.0)
    self.assertEqual(self.steps(), [0, 1, 2, 3, 4])

  def test_checkpoints_only_at_the_ends(self):
    self.train(8, keep=9, checkpoint_every=None, checkpoint_every_s=None)
    self.assertEqual(self.steps(), [0, 8])

  @parameterized.parameters(1, 3, 4, 5, 9)
  def test_goes_on_as_if_it_had_not_stopped(self, stop):
    def settings():
      return {"schedule": schedules.Plateau(0.1, 0.5, 1), "report_every": 3}

    whole = os.path.join(self.folder, "whole")
    self.train(10, whole, **settings())
    wanted = self.w
    self.train(stop, **settings())
    outcome = self.train(10, **settings())
    self.assertEqual(outcome.resumed_from, stop)
    self.assertEqual(self.trainer.seen, list(range(stop, 10)))
    self.assertEqual(self.w.tobytes(), wanted.tobytes())
    self.assertEqual(kill.compare(whole, self.folder), [])
    self.assertLess(self.records()[-1]["learning_rate"], 0.1)

  def test_an_error_loses_the_steps_since_the_last_checkpoint_only(self):
    def fail(step):
      if step == 6:
        raise ZeroDivisionError

    with self.assertRaises(ZeroDivisionError):
      self.train(10, during=fail)
    self.assertEqual([r["step"] for r in self.records()], [2, 4])
    outcome = self.train(10)
    self.assertEqual(outcome.resumed_from, 3)
    self.assertEqual(self.trainer.seen, list(range(3, 10)))
    # The record of step 4 was dropped, and is written again.
    self.assertEqual([r["step"] for r in self.records()], [2, 4, 6, 8, 10])

  def test_a_run_that_has_ended_does_nothing_when_started_again(self):
    first = self.train(5)
    before = self.w
    again = self.train(5)
    self.assertEqual(self.trainer.seen, [])
    self.assertEqual(self.w, before)
    self.assertEqual(
      again._replace(seconds=0), first._replace(seconds=0, resumed_from=5)
    )
    self.assertGreater(
      again.seconds, self.state(5)["parts"]["metrics_writer"]["seconds"]
    )

  def test_ends_with_the_data(self):
    outcome = self.train(50, source=Numbers(7))
    self.assertEqual((outcome.step, outcome.reason), (7, loop.DATA))
    self.assertEqual(self.steps()[-1], 7)

  def test_feeds_are_made_of_batch_and_step(self):
    self.train(3, feeds=lambda batch, step: {"x": (batch["x"], step)[1] + 10})
    self.assertEqual(self.trainer.seen, [10, 11, 12])
    self.train(5, feeds=lambda batch, step: {"x": step})
    self.assertEqual(self.trainer.seen, [3, 4])

  def test_progress_is_told_each_step(self):
    told = []
    self.train(3, progress=lambda *args: told.append(args[:2]))
    self.assertEqual(told, [(1, 3), (2, 3), (3, 3)])

  def test_figures_of_the_end_are_written_again(self):
    for end in (3, 5):
      self.train(end)
      self.loop.metrics_writer.records.write(steps=end)
    self.assertEqual(
      [record.get("steps") for record in self.records()], [None, None, 5]
    )

  def test_a_global_step_that_has_begun_counts(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      global_step = tf1.train.create_global_step()
      trainer = Line(0.01)
      sess.run(tf1.global_variables_initializer())
      global_step.load(100, sess)
      outcome = loop.train(sess, trainer, Numbers(), self.folder, 102)
    self.assertEqual((outcome.step, len(trainer.seen)), (102, 2))

  def test_what_is_extra_is_part_of_the_checkpoint(self):
    found = []
    for end in (4, 9):
      numbers = sources.RandomNumbers(3)

      def feeds(batch, step, numbers=numbers):
        del step
        found.append(numbers.rng.randint(1 << 30))
        return batch

      self.train(end, feeds=feeds, extra={"numbers": numbers})
    wanted = np.random.RandomState(3).randint(1 << 30, size=9)
    self.assertEqual(found, wanted.tolist())

  def test_refuses_the_checkpoint_of_a_run_with_other_parts(self):
    self.train(2)
    with self.assertRaisesRegex(
      errors.TrainingError, r"has the state of \[.*\], this run has .*extra n"
    ):
      self.train(4, extra={"n": sources.RandomNumbers(1)})

  def test_refuses_a_checkpoint_without_its_state(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      trainer = Line(0.01)
      sess.run(tf1.global_variables_initializer())
      found = checkpoints.Checkpoints(os.path.join(self.folder, "checkpoints"))
      found.save(sess, 4)
      with self.assertRaisesRegex(errors.TrainingError, "has the state of .."):
        loop.train(sess, trainer, Numbers(), self.folder, 5, checkpoints=found)

  def test_a_damaged_newest_checkpoint_is_said_and_passed_over(self):
    self.train(6)
    path = os.path.join(self.folder, "checkpoints", "step-00000006")
    with open(os.path.join(path, "model.index"), "r+b") as file:
      file.truncate(10)
    outcome = self.train(8)
    self.assertEqual(outcome.resumed_from, 3)
    self.assertRegex(self.said[0], "step-00000006' is damaged: model.index has")
    self.assertEqual(self.said[1], "The checkpoint of step 3 is used instead.")
    self.assertEqual([r["step"] for r in self.records()], [2, 4, 6, 8])

  def test_only_one_run_at_a_time_is_in_a_folder(self):
    with files.lock(self.folder):
      with self.assertRaisesRegex(errors.TrainingError, "Loop: another"):
        self.train(2)

  def test_adds_no_ops_while_it_runs(self):
    with tf1.Graph().as_default() as graph, tf1.Session() as sess:
      rate = schedules.LearningRate(schedules.Constant(0.01))
      trainer = Line(rate.variable)
      sess.run(tf1.global_variables_initializer())
      found = loop.Loop(
        sess, trainer, Numbers(), self.folder, 4, rate=rate, report_every=1
      )
      graph.finalize()
      found.run()

  def test_a_second_run_in_a_session_looks_at_the_rate_again(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      rate = schedules.LearningRate(schedules.Constant(0.25))
      trainer = Line(rate.variable)
      sess.run(tf1.global_variables_initializer())
      loop.train(sess, trainer, Numbers(), self.folder, 2, rate=rate)
      rate.variable.load(9.0, sess)
      other = self.folder + "-2"
      loop.train(sess, trainer, Numbers(), other, 2, rate=rate)
      self.assertEqual(sess.run(rate.variable), 0.25)

  def test_an_interval_that_counts_nothing_does_not_change_the_rate(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      rate = schedules.LearningRate(schedules.Plateau(0.25, 0.5, 1))
      trainer = Line(rate.variable)
      sess.run(tf1.global_variables_initializer())
      loop.train(
        sess,
        trainer,
        Numbers(),
        self.folder,
        3,
        rate=rate,
        report_every=1,
        measure=lambda result: (0.0, 0.0),
      )
      self.assertEqual(sess.run(rate.variable), 0.25)

  def test_says_to_the_log_by_default(self):
    with self.assertLogs("tangle.training.loop", logging.INFO) as logs:
      self.train(2, report=None)
    self.assertIn("Ended after step 2", logs.output[-1])

  @parameterized.named_parameters(
    ("max_steps", 0, {}, "max_steps must be a whole number, at least 1, got 0"),
    ("half_a_step", 3.5, {}, "max_steps must be a whole number.*got 3.5"),
    ("trainer", 1, {"trainer": "x"}, "^Loop: trainer must have a method step"),
    ("out_dir", 1, {"folder": 3}, "^Loop: out_dir must be the name of a"),
    ("never_validates", 1, {"validate_every": 5}, "no effect.*Give validate"),
    ("report", 1, {"report_every": 0}, "report_every must"),
    ("validate", 1, {"validate_every": 0}, "validate_every must"),
    ("checkpoint", 1, {"checkpoint_every": 0}, "checkpoint_every must"),
    ("patience", 1, {"patience": 1}, "Give validate, too"),
    ("patience_0", 1, {"patience": 0, "validate": dict}, "at least 1, got 0"),
    ("keep", 1, {"keep": 0}, "keep must be at least 1"),
    ("source", 1, {"source": [{}, {}]}, "^Loop: source must be a source"),
  )
  def test_refuses(self, max_steps, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.train(max_steps, **settings)
    self.assertFalse(os.path.exists(self.folder))


class ValidationTest(LoopTestCase):
  def scores(self, *scores):
    """Returns a function that gives one score after the other."""
    rest = list(scores)
    return lambda sess: {"validation_loss": rest.pop(0), "validation_b": 1}

  def test_a_step_has_one_record(self):
    self.train(4, validate=self.scores(2.0), validate_every=4)
    first, second = self.records()
    self.assertNotIn("validation_loss", first)
    self.assertEqual(second["step"], 4)
    self.assertEqual(second["validation_loss"], 2.0)
    self.assertEqual(second["validation_b"], 1)
    self.assertIn("loss", second)

  def test_stops_early_and_keeps_the_best(self):
    outcome = self.train(
      50,
      validate=self.scores(3.0, 2.0, 2.5, 2.0, 9.0),
      validate_every=5,
      patience=3,
      keep=1,
    )
    self.assertEqual((outcome.step, outcome.reason), (25, loop.PATIENCE))
    self.assertEqual((outcome.best_step, outcome.best_score), (10, 2.0))
    self.assertEqual(self.steps(), [10, 25])
    self.assertIn("step 10: validation_loss 2, the best so far", self.said)
    # Started again it stays at its end; with more patience it goes on.
    again = self.train(50, validate=None)
    self.assertEqual(again.step, 50)

  def test_patience_goes_on_where_it_was(self):
    settings = {"validate_every": 2, "patience": 3}
    self.train(7, validate=self.scores(1.0, 2.0, 2.0), **settings)
    outcome = self.train(50, validate=self.scores(3.0), **settings)
    self.assertEqual((outcome.step, outcome.reason), (8, loop.PATIENCE))
    again = self.train(50, validate=self.scores(), **settings)
    self.assertEqual((again.step, again.reason), (8, loop.PATIENCE))
    self.assertEqual(self.trainer.seen, [])

  def test_another_figure_may_be_watched(self):
    outcome = self.train(
      4,
      validate=lambda sess: {"validation_wer": 0.5},
      validate_every=2,
      watch="validation_wer",
    )
    self.assertEqual((outcome.best_step, outcome.best_score), (2, 0.5))

  def test_refuses_validation_without_the_figure(self):
    with self.assertRaisesRegex(errors.ArgumentError, "number 'validation_lo"):
      self.train(4, validate=lambda sess: {"x": 1}, validate_every=2)


class EndTest(LoopTestCase):
  """Losses that are not finite, and signals."""

  def test_a_loss_that_is_not_finite_stops_before_the_next_step(self):
    def feeds(batch, step):
      return {"x": np.inf if step == 4 else batch["x"]}

    with self.assertRaisesRegex(
      errors.TrainingError, "loss is inf at step 5, in the buckets .*failed-st"
    ):
      self.train(9, feeds=feeds)
    self.assertLen(self.trainer.seen, 5)
    with np.load(os.path.join(self.folder, "failed-step-00000005.npz")) as npz:
      self.assertEqual(npz["feeds/x"], np.inf)
      self.assertEqual(npz["batch/x"], 4)
    self.assertEqual(self.steps(), [0, 3])  # none of the ruined weights
    # Started again, it meets the same batch at the same step.
    with self.assertRaisesRegex(errors.TrainingError, "at step 5"):
      self.train(9, feeds=feeds)
    self.assertEqual(self.trainer.seen[0], 3)

  def test_weights_that_are_not_finite_are_not_saved(self):
    class Trainer(Line):
      def step(self, sess, batch):
        super().step(sess, batch)
        return types.SimpleNamespace(loss=1.0)

    with tf1.Graph().as_default(), tf1.Session() as sess:
      trainer = Trainer(1e38)
      sess.run(tf1.global_variables_initializer())
      with self.assertRaisesRegex(
        errors.TrainingError, r"after step 3 .* not finite: \['w'\]"
      ):
        loop.train(sess, trainer, Numbers(), self.folder, 5, checkpoint_every=3)
    self.assertEqual(self.steps(), [0])

  @parameterized.parameters(signal.SIGTERM, signal.SIGINT)
  def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(self, number):
    def send(step):
      if step == 4:
        os.kill(os.getpid(), number)

    outcome = self.train(9, during=send, checkpoint_every=None)
    self.assertEqual((outcome.step, outcome.reason), (4, loop.INTERRUPTED))
    self.assertEqual(self.steps(), [0, 4])
    name = signal.Signals(number).name
    self.assertEqual(
      self.said[-1], f"Ended after step 4: interrupted by {name}."
    )
    self.assertEqual(self.train(9).resumed_from, 4)
    self.assertEqual(self.trainer.seen, list(range(4, 9)))

  @parameterized.parameters(signal.SIGTERM, signal.SIGINT)
  def test_the_outcome_names_the_signal(self, number):
    outcome = self.train(5, during=lambda step: os.kill(os.getpid(), number))
    self.assertEqual(outcome.signal, signal.Signals(number).name)
    self.assertIsNone(self.train(5).signal)

  @parameterized.named_parameters(
    ("cut", lambda path: os.truncate(path, os.path.getsize(path) - 1)),
    ("removed", os.remove),
  )
  def test_records_that_are_missing_are_noticed(self, damage):
    self.train(4)
    path = os.path.join(self.folder, "metrics.jsonl")
    damage(path)
    before = os.path.exists(path) and os.path.getsize(path)
    with self.assertRaisesRegex(errors.DataError, "metrics.jsonl'.* missing"):
      self.train(8)
    self.assertEqual(os.path.exists(path) and os.path.getsize(path), before)

  def test_checkpoints_that_are_missing_are_noticed(self):
    self.train(4)
    shutil.rmtree(os.path.join(self.folder, "checkpoints"))
    with self.assertRaisesRegex(errors.DataError, "none of its checkpoints"):
      self.train(8)

  def test_a_state_that_does_not_fit_is_named(self):
    self.train(4)
    path = os.path.join(self.folder, "checkpoints", "step-00000004")
    found = manifests.read(path)
    for position, error in (("x", "TypeError"), ([], "TypeError")):
      os.remove(os.path.join(path, manifests.NAME))
      found.state["position"] = position
      manifests.write(path, found)
      source = sources.Alternate({"a": Numbers()})
      with self.assertRaisesRegex(errors.TrainingError, f"00004.*{error}"):
        self.train(8, source=source)

  @parameterized.parameters(MemoryError, ResourceExhausted)
  def test_without_memory_the_run_ends_and_goes_on(self, kind):
    whole = os.path.join(self.folder, "whole")
    self.train(9, whole)

    def fail(step):
      if step == 5:
        raise kind()

    with self.assertRaisesRegex(
      errors.TrainingError, "out of memory after step 4.*resumes from its last"
    ) as got:
      self.train(9, during=fail)
    self.assertNotIn("\n", str(got.exception))
    self.assertEqual(self.train(9).resumed_from, 3)
    self.assertEqual(kill.compare(whole, self.folder), [])

  def test_on_a_full_disk_the_run_ends_and_goes_on(self):
    whole = os.path.join(self.folder, "whole")
    self.train(9, whole)
    replace = os.replace
    for calls in (0, 1, 2, 3, 4):
      left = iter(range(calls))

      def fail(*names, left=left):
        if next(left, None) is None:
          raise OSError(errno.ENOSPC, "No space left on device")
        replace(*names)

      with mock.patch.object(os, "replace", fail):
        with self.assertRaisesRegex(
          errors.FileError, "No space left on device. Free space on its disk"
        ):
          self.train(9)
    self.train(9)
    self.assertEqual(kill.compare(whole, self.folder), [])

  def test_without_summaries_it_goes_on(self):
    os.makedirs(self.folder)
    with open(os.path.join(self.folder, "summaries"), "w"):
      pass
    self.assertEqual(self.train(5).step, 5)
    said = [line for line in self.said if "No more summaries" in line]
    self.assertLen(said, 1)

  def test_who_holds_the_lock_may_train(self):
    with files.lock(self.folder):
      self.assertEqual(self.train(2, locked=True).step, 2)

  def test_the_second_signal_ends_at_once_without_a_checkpoint(self):
    def send(step):
      if step == 4:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with self.assertRaises(KeyboardInterrupt):
      self.train(9, during=send)
    self.assertEqual(self.steps(), [0, 3])
    self.assertIs(signal.getsignal(signal.SIGINT), before)

  def test_an_interrupt_between_steps_ends_with_a_checkpoint(self):
    def progress(step, max_steps, result):
      if step == 4:
        raise KeyboardInterrupt

    outcome = self.train(9, progress=progress)
    self.assertEqual((outcome.step, outcome.reason), (4, loop.INTERRUPTED))
    self.assertEqual(self.steps()[-1], 4)

  def test_a_signal_before_the_first_step(self):
    class Source(Numbers):
      def at(self, position):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().at(position)

    self.train(3)
    outcome = self.train(9, source=Source())
    self.assertEqual(self.trainer.seen, [])
    self.assertEqual((outcome.step, outcome.reason), (3, loop.INTERRUPTED))


class PipelineTest(LoopTestCase):
  """A pipeline with sparse gradients, Adam and dropout, from real batches."""

  def run_model(self, folder, max_steps, source, seed_shift=0):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      model = support.Model()
      sess.run(tf1.global_variables_initializer())
      return loop.train(
        sess,
        model.trainer,
        source,
        folder,
        max_steps,
        feeds=lambda batch, step: model.feeds(batch, step + seed_shift),
        rate=model.rate,
        report_every=3,
        measure=meters.per_symbol("decoder"),
      )

  def sources(self):
    yield "epochs", sources.Epochs(support.pair_batches())
    short = [pair for pair in support.examples() if len(pair[1]) < 5]
    joint = bucketing.JointBuckets([(3, 3), (6, 6)], strict=True)
    yield "draws", tutorial_batches.TutorialBatches(short, 8, joint)

  def test_goes_on_with_every_kind_of_source(self):
    for name, source in self.sources():
      with self.subTest(name):
        whole, stopped = (
          os.path.join(self.folder, f"{name}-{k}") for k in range(2)
        )
        self.run_model(whole, 8, source)
        self.run_model(stopped, 4, source)
        self.run_model(stopped, 8, source)
        self.assertEqual(kill.compare(whole, stopped), [])

  def test_comparing_finds_another_dropout_mask(self):
    whole, other = (os.path.join(self.folder, str(k)) for k in range(2))
    source = sources.Epochs(support.pair_batches())
    self.run_model(whole, 4, source)
    self.run_model(other, 4, source, seed_shift=1)
    found = " ".join(kill.compare(whole, other))
    for part in ("variable target", "variable source/Adam", "state", "figures"):
      self.assertIn(part, found)

  def test_perplexities_are_those_of_the_buckets(self):
    self.run_model(self.folder, 3, sources.Epochs(support.pair_batches()))
    (record,) = self.records()
    self.assertContainsSubset(record["buckets"], ["3x3", "3x6", "6x3", "6x6"])
    self.assertGreater(record["global_norm"], 0)
    total = sum(
      np.log(bucket["perplexity"]) * bucket["count"]
      for bucket in record["buckets"].values()
    )
    count = sum(bucket["count"] for bucket in record["buckets"].values())
    self.assertAlmostEqual(np.log(record["perplexity"]), total / count, 6)


if __name__ == "__main__":
  absltest.main()
