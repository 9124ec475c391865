"""Tests of g2p."""

import json
import os
import tempfile

from absl.testing import absltest

from tangle import errors
from tangle.experiments import cmudict_data, g2p
from tests.experiments import spelling

SIZE = {"units": 16, "depth": 8, "bucket_count": 2, "batch_size": 16}


class G2PTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.out_dir = folder.name
    self.data = cmudict_data.load(spelling.entries())

  def test_learns_to_spell(self):
    steps = []
    figures = g2p.train(
      self.data,
      self.out_dir,
      epochs=30.0,
      evaluations=2,
      learning_rate=1e-2,
      dropout_rate=0.0,
      words=["abba", "d"],
      progress=lambda *args: steps.append(args),
      **SIZE,
    )
    self.assertLess(figures["test_per"], 0.1)
    self.assertEqual(figures["samples"]["abba"], "AA B B AA")
    self.assertEqual(figures["graphs"], 4)
    self.assertEqual(figures["joint_graphs"], 4)
    self.assertLen(steps, figures["steps"])
    self.assertLen(figures["curve"], 2)
    self.assertLess(
      figures["curve"][1]["validation_loss"],
      figures["curve"][0]["validation_loss"],
    )
    with open(os.path.join(self.out_dir, "metrics.jsonl")) as file:
      lines = [json.loads(line) for line in file]
    self.assertEqual(lines[-1], json.loads(json.dumps(figures)))

  def test_a_word_that_cannot_be_converted_is_refused_before_training(self):
    for word, error, message in (
      ("", errors.DataError, "empty"),
      ("ab?", errors.DataError, r"\?"),
      ("abcdabcd", errors.BucketError, "abcdabcd"),
    ):
      with self.assertRaisesRegex(error, message):
        g2p.train(self.data, self.out_dir, words=[word], **SIZE)
      self.assertEmpty(os.listdir(self.out_dir))

  def test_a_loss_that_is_not_finite_stops_the_run(self):
    with self.assertRaisesRegex(errors.TrainingError, "step .* bucket"):
      g2p.train(
        self.data,
        self.out_dir,
        epochs=30.0,
        learning_rate=3e38,
        final_learning_rate=3e38,
        **SIZE,
      )


if __name__ == "__main__":
  absltest.main()
