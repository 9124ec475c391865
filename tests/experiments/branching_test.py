"""Tests of digits that come as images or as tokens."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors
from tangle.compat import tf1
from tangle.experiments import branching, handwriting


def easy(count):
  """Returns images of which one pixel tells the digit, in turn."""
  digits = np.arange(count) % 10
  return handwriting.Images(np.eye(64, dtype=np.float32)[digits], digits)


class DataTest(absltest.TestCase):
  def test_each_image_is_one_record(self):
    images, tokens = easy(40), np.arange(40, dtype=np.int32)
    rng = np.random.RandomState(0)
    records = branching.make_records(images, tokens, rng)
    self.assertLen(records, 40)
    for k, record in enumerate(records):
      self.assertEqual(record.target, k % 10)
      if record.type == "token":
        self.assertEqual(record.value, k)
      else:
        self.assertTrue(np.array_equal(record.value, images.pixels[k]))
    self.assertEqual({record.type for record in records}, {"image", "token"})


class TrainingTest(parameterized.TestCase):
  def measure(self, **settings):
    return branching.measure(
      seeds=1,
      vocabulary=10,
      units=8,
      learning_rate=0.05,
      stream_records=100,
      data=(easy(200), easy(50)),
      **settings,
    )

  def test_all_runs_learn_what_is_easy(self):
    records = []
    found = self.measure(
      epochs=4, write_metrics=lambda **row: records.append(row)
    )
    self.assertEqual([row["run"] for row in records], list(branching.RUNS))
    for run, shares in found["accuracy"].items():
      for name, share in shares.items():
        # Some tokens of a small codebook stand for two digits, and alone it
        # has half the records.
        wanted = found["majority"] if name == "token" else 1.0
        wanted *= 0.5 if "alone" in run else 0.9
        self.assertGreaterEqual(share, wanted, (run, name))
    self.assertEqual(
      found["accuracies"]["alternate"], found["accuracies"]["partial"]
    )
    self.assertLessEqual(found["same_order"]["difference"], 1e-6)
    self.assertEqual(
      found["same_order"]["inactive_changed"],
      dict.fromkeys(branching.MODES, 0),
    )
    self.assertEqual(found["steps"]["mixed"], 4 * 7)  # 200 records by 32
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "branches.png")
      branching.plot(found, path)
      self.assertGreater(os.path.getsize(path), 1000)

  @parameterized.parameters("proportional", "by_loss")
  def test_schedules_see_all_records(self, schedule):
    found = self.measure(epochs=1, schedule=schedule)
    steps = found["steps"]
    self.assertEqual(
      steps["alternate"], steps["image_alone"] + steps["token_alone"]
    )

  def test_what_changes_in_an_inactive_branch_is_counted(self):
    class Wrong:  # trains the other branch
      def __init__(self, trainer, batches):
        self.step = lambda sess, batch: trainer.step(
          sess, batches["image" if "token" in batch.inputs else "token"]
        )

    with tf1.Graph().as_default(), tf1.Session() as sess:
      digits = branching.Digits(10, 4, 0.05, 8)
      batches = {
        name: digits.model.schema.batch([branches.Record(name, value, 3)])
        for name, value in (("image", np.ones(64, np.float32)), ("token", 2))
      }
      digits.trainers["mixed"] = Wrong(digits.trainers["mixed"], batches)
      start = digits.weights.draw(np.random.RandomState(0))
      found = branching.compare(digits, sess, start, list(batches.values()))
    self.assertGreater(found["inactive_changed"]["mixed"], 0)
    self.assertEqual(found["inactive_changed"]["partial"], 0)
    self.assertGreater(found["difference"], 1e-3)

  def test_bad_settings_are_refused(self):
    for settings in ({"epochs": 0}, {"schedule": "all"}):
      with self.assertRaisesRegex(errors.ArgumentError, "schedule one of"):
        self.measure(**settings)
    with self.assertRaisesRegex(errors.ArgumentError, "vocabulary"):
      branching.measure(vocabulary=11, data=(easy(10), easy(10)))


if __name__ == "__main__":
  absltest.main()
