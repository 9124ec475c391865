"""Tests of seq2seq."""

import json
import os
import signal
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  cmudict_data,
  command_line,
  run_folder,
  seq2seq,
  tasks,
)
from tests.experiments import spelling
from tests.pipeline import placement_test
from tests.training import folders

SIZE = {"network": {"units": 16, "embedding_dim": 8}, "batch_size": 16}


class Seq2SeqTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.out_dir = os.path.join(folder.name, "run")
    self.data = cmudict_data.load(spelling.entries())

  def train(self, bucketing="independent", out_dir=None, **settings):
    task = tasks.cmudict(self.data, bucketing, buckets=2)
    settings = dict(SIZE, **settings)
    return seq2seq.train(task, out_dir or self.out_dir, **settings)

  def weights(self, out_dir):
    """Returns name → array of the newest checkpoint."""
    prefix = tf1.train.latest_checkpoint(os.path.join(out_dir, "checkpoints"))
    reader = tf1.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    return {name: reader.get_tensor(name) for name in names}

  @parameterized.parameters("independent", "joint")
  def test_learns_to_spell(self, bucketing):
    shown = []
    figures = self.train(
      bucketing,
      epochs=30.0,
      evaluations=2,
      learning_rate=1e-2,
      sample_lines=["abba", "d"],
      beam_size=2,
      progress=lambda *arguments: shown.append(arguments),
    )
    self.assertLess(figures["test_per"], 0.1)
    self.assertEqual(figures["samples"]["abba"], "AA B B AA")
    self.assertEqual(figures["graphs"], 4 if bucketing == "independent" else 2)
    self.assertLen(shown, figures["steps"])
    self.assertIn("words/s", shown[-1][-1])
    first, second = figures["curve"]
    self.assertEqual(second["step"], 2 * first["step"])
    self.assertLess(second["validation_loss"], first["validation_loss"])
    self.assertEqual(figures["best_score"], second["validation_wer"])
    with open(os.path.join(self.out_dir, "metrics.jsonl")) as file:
      lines = [json.loads(line) for line in file]
    self.assertEqual(lines[-1], json.loads(json.dumps(figures)))
    self.assertEqual(folders.without_unit(self.out_dir), [])

  def test_a_run_that_was_stopped_ends_with_the_same_weights(self):
    settings = {"steps": 20, "evaluations": 2, "dropout_rate": 0.3}
    whole = self.train(**settings)
    other = self.out_dir + "_stopped"

    def stop(step, *rest):
      if step == 7:
        os.kill(os.getpid(), signal.SIGTERM)

    stopped = self.train(out_dir=other, progress=stop, **settings)
    self.assertEqual(stopped["reason"], "interrupted")
    self.assertNotIn("test_wer", stopped)
    again = self.train(out_dir=other, **settings)
    self.assertEqual(again["resumed_from"], 7)
    self.assertEqual(again["curve"], whole["curve"])
    self.assertEqual(again["test_per"], whole["test_per"])
    ours, theirs = self.weights(self.out_dir), self.weights(other)
    for name, value in ours.items():
      np.testing.assert_array_equal(value, theirs[name], name)

  def test_two_tasks_train_as_one_process(self):
    """And so do micro-batches, and a run that goes on elsewhere."""
    self.train(steps=1, evaluations=1)  # on 1.15 the graph sets what is drawn
    init = tf1.train.latest_checkpoint(
      os.path.join(self.out_dir, "checkpoints")
    )
    settings = {
      "steps": 12,
      "evaluations": 2,
      "init_checkpoint": init,
      "sample_lines": ["abba"],
    }
    noisy = dict(settings, dropout_rate=0.3)
    two_tasks = {
      "cluster": placement_test.target(),
      "placement": ["encoder=0", "decoder=1"],
    }
    one, two, parts = (f"{self.out_dir}_{k}" for k in range(3))

    def stop(step, *rest):
      if step == 7:
        os.kill(os.getpid(), signal.SIGTERM)

    whole = self.train(out_dir=one, **noisy)
    self.train(out_dir=two, progress=stop, **noisy, **two_tasks)
    two_tasks["placement"] = ["encoder=2", "decoder=1", "search=0"]
    found = self.train(out_dir=two, **noisy, **two_tasks)
    self.assertEqual(found["resumed_from"], 7)
    for name in ("loss", "curve", "test_per", "samples"):
      self.assertEqual(found[name], whole[name])
    ours, theirs = self.weights(two), self.weights(one)
    for name, value in theirs.items():
      np.testing.assert_array_equal(ours[name], value, name)

    whole = self.train(out_dir=parts + "_whole", **settings)
    shapes = set()

    def look(step, steps, result, note):
      del step, steps, note
      shapes.add(np.shape(result.metrics["decoder"]["symbols"]))

    found = self.train(
      out_dir=parts, micro_batches=2, progress=look, **settings, **two_tasks
    )
    self.assertContainsSubset({(16,)}, shapes)  # rows of parts, joined
    self.assertNotIn((), shapes)
    self.assertAlmostEqual(found["loss"], whole["loss"], places=5)
    ours, theirs = self.weights(parts), self.weights(parts + "_whole")
    for name, value in theirs.items():
      np.testing.assert_allclose(ours[name], value, 1e-4, 1e-5, name)

  def test_a_folder_with_another_run_is_refused(self):
    self.train(steps=2, evaluations=1)
    with self.assertRaisesRegex(errors.DataError, "'dropout_rate': 0.5"):
      self.train(steps=2, evaluations=1, dropout_rate=0.5)
    with self.assertRaisesRegex(errors.DataError, "network"):
      self.train(steps=2, evaluations=1, network={"units": 3})
    held_out = self.data.validation.pop()
    with self.assertRaisesRegex(errors.DataError, "other data: validation"):
      self.train(steps=2, evaluations=1)
    self.data.validation.append(held_out)
    self.assertEqual(self.train(steps=2, evaluations=1)["resumed_from"], 2)
    self.data.train.append(("e", ("E",)))
    with self.assertRaisesRegex(errors.DataError, "other vocabularies"):
      self.train(steps=2, evaluations=1)

  def test_the_tutorials_self_test_runs_and_its_checkpoint_can_be_loaded(self):
    network = {"model": "legacy", "units": 32, "layers": 2, "cell": "gru"}
    settings = {
      "network": dict(network, num_sampled=8),
      "optimizer": "sgd",
      "learning_rate": 0.3,
      "schedule": "plateau",
      "sampling": "tutorial",
      "batch_size": 32,
      "evaluations": 1,
      "report_every": 1,
    }
    task = tasks.self_test()
    figures = seq2seq.train(task, self.out_dir, steps=5, **settings)
    self.assertLess(figures["loss"], 3.0)
    self.assertEqual(figures["graphs"], 2)
    names = set(self.weights(self.out_dir))
    self.assertContainsSubset({"Variable", "Variable_1", "proj_w"}, names)
    prefix = tf1.train.latest_checkpoint(
      os.path.join(self.out_dir, "checkpoints")
    )
    other = self.out_dir + "_other"
    settings.update(learning_rate=0.0, init_checkpoint=prefix)
    seq2seq.train(task, other, steps=1, **settings)
    ours, theirs = self.weights(self.out_dir), self.weights(other)
    np.testing.assert_array_equal(ours["proj_w"], theirs["proj_w"])

  @parameterized.named_parameters(
    ("empty", "", errors.DataError, "empty"),
    ("unknown", "ab?", errors.DataError, r"\?"),
    ("long", "abcdabcd", errors.BucketError, "abcdabcd"),
  )
  def test_a_word_that_cannot_be_converted(self, word, error, message):
    with self.assertRaisesRegex(error, message):
      self.train(sample_lines=[word])
    self.assertFalse(os.path.exists(self.out_dir))

  @parameterized.named_parameters(
    ("optimizer", {"optimizer": "lbfgs"}, "lbfgs"),
    ("schedule", {"schedule": "linear"}, "linear"),
    ("sampling", {"sampling": "all"}, "sampling .* 'all'"),
    ("buckets", {"sampling": "tutorial"}, "JointBuckets"),
    ("placement", {"placement": ["encoder=0"]}, "needs a cluster"),
    ("micro_batches", {"micro_batches": 0}, "micro_batches must be"),
    ("order", {"pipeline_schedule": "zb"}, "schedule must be one of"),
    ("joint", {"micro_batches": 2, "bucketing": "joint"}, "joint buckets"),
    (
      "legacy",
      {"micro_batches": 2, "network": {"model": "legacy"}},
      "attention model",
    ),
  )
  def test_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.train(**settings)

  def test_a_loss_that_is_not_finite_stops_the_run(self):
    with self.assertRaisesRegex(errors.TrainingError, "step .*"):
      self.train(learning_rate=3e38, schedule="constant", warm_up_steps=1)

  def test_weights_of_a_checkpoint_begin_a_run_of_its_own(self):
    self.train(steps=4, evaluations=1)
    prefix = tf1.train.latest_checkpoint(
      os.path.join(self.out_dir, "checkpoints")
    )
    other = self.out_dir + "_other"
    settings = {"schedule": "constant", "learning_rate": 0.0}
    figures = self.train(
      out_dir=other, steps=2, evaluations=1, init_checkpoint=prefix, **settings
    )
    self.assertEqual((figures["steps"], figures["resumed_from"]), (2, None))
    ours, theirs = self.weights(self.out_dir), self.weights(other)
    self.assertEqual((ours["global_step"], theirs["global_step"]), (4, 2))
    name = "logits/kernel"
    np.testing.assert_array_equal(ours[name], theirs[name])

  def test_positions_limit_the_batches_of_long_buckets(self):
    sizes = {}

    def look(step, steps, result, note):
      del step, steps, note
      symbols = result.metrics["decoder"]["symbols"]
      sizes.setdefault(tuple(result.buckets.values()), []).append(symbols)

    self.train(epochs=1.0, evaluations=1, max_tokens=60, progress=look)
    for (source, target), symbols in sizes.items():
      self.assertLessEqual(max(symbols), 60 // (source + target) * target)

  def test_the_settings_of_a_run_are_kept(self):
    self.train(steps=1, evaluations=1)
    settings = run_folder.load(self.out_dir)
    self.assertEqual(settings["network"], SIZE["network"])
    self.assertEqual(settings["training"]["steps"], 1)
    every = set(command_line.settings(seq2seq.train))
    self.assertEqual(
      {*settings["training"], *seq2seq.FREE}, {*every, "directions"}
    )


if __name__ == "__main__":
  absltest.main()
