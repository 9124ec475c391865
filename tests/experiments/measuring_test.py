"""Tests of measuring."""

import json
import os
import sys
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.experiments import directions, measuring, run_folder, tasks
from tangle.seq2seq import decoding
from tests.experiments import babel, trained

PAIR = directions.PAIR


class MeasuringTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.run_dir, self.task, self.figures = trained.run()

  def test_the_end_is_measured_with_the_weights_on_the_disk(self):
    measure = measuring.Measure(self.task)
    with run_folder.decoders(self.run_dir) as decoders:
      folder = tempfile.TemporaryDirectory()
      self.addCleanup(folder.cleanup)
      found = measure.final(decoders, ["abba", "d"], folder.name)
      with open(os.path.join(folder.name, "test.txt")) as file:
        written = file.read().splitlines()
    words = self.task.evaluations["test"][PAIR].sources
    self.assertLen(written, len(words))
    spoken = {"a": "AA", "b": "B", "c": "K", "d": "D"}
    right = sum(
      text == " ".join(spoken[letter] for letter in word)
      for text, word in zip(written, words)
    )
    self.assertAlmostEqual(1 - right / len(words), found["test_wer"])
    self.assertEqual(found["test_wer"], self.figures["test_wer"])
    self.assertEqual(found["test_left_out"], 0)
    self.assertEqual(found["samples"], {"abba": "AA B B AA", "d": "D"})

  def test_validation_shows_lines_with_references(self):
    measure = measuring.Measure(self.task)
    evaluation = self.task.evaluations["validation"][PAIR]
    candidates = [
      [decoding.Candidate(source, 0.0)] for source in evaluation.sources
    ]
    found = measure._samples("validation", PAIR, candidates)
    self.assertLen(found, min(measuring.SAMPLES, len(candidates)))
    source = " ".join(evaluation.sources[0])
    self.assertEqual(
      found[0],
      {
        "source": source,
        "reference": " ".join(evaluation.references[0][0]),
        "decoded": source,
      },
    )

  def test_samples_are_written_but_not_kept_in_the_curve(self):
    records = os.path.join(self.run_dir, "metrics.jsonl")
    with open(records, encoding="utf-8") as file:
      found = [json.loads(line) for line in file]
    validated = [record for record in found if "validation_loss" in record]
    self.assertNotEmpty(validated)
    for record in validated:
      if "step" in record:
        self.assertNotEmpty(record["validation_samples"])
    for record in self.figures["curve"]:
      self.assertNotIn("validation_samples", record)

  def test_the_best_checkpoint_goes_by_the_metric(self):
    self.assertEqual(measuring.Measure(self.task).watch, "validation_wer")
    other = self.task._replace(metric="bleu")
    self.assertEqual(measuring.Measure(other).watch, "validation_loss")
    without = measuring.Measure(tasks.self_test())
    self.assertEqual(without.watch, "validation_loss")

  def test_a_missing_package_is_told_before_the_training(self):
    with mock.patch.dict(sys.modules, {"sacrebleu": None}):
      with self.assertRaises(errors.MissingPackageError):
        measuring.Measure(self.task._replace(metric="bleu"))

  def test_the_curve_is_part_of_a_checkpoint(self):
    first, second = (measuring.Measure(self.task) for _ in range(2))
    first.curve.append({"step": 3})
    second.restore(first.state())
    self.assertEqual(second.curve, [{"step": 3}])

  def test_words_are_checked(self):
    measure = measuring.Measure(self.task)
    measure.check_words(["abba"])
    with self.assertRaisesRegex(errors.DataError, r"'a\?' of sample_lines"):
      measure.check_words(["a", "a?"])
    folder = babel.write(self)
    task = tasks.parallel(
      [f"{folder}/train.{{}}"], sources=["aa+bb"], targets=["cc"]
    )
    measure = measuring.Measure(task)
    measure.check_words([])
    with self.assertRaisesRegex(errors.ArgumentError, "one direction from one"):
      measure.check_words(["aa1"])


if __name__ == "__main__":
  absltest.main()
