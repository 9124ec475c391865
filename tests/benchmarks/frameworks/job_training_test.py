"""Tests of what candidates of the jobs share, on one that does nothing."""

import os
import tempfile
import zlib

import numpy as np
from absl.testing import absltest

from tangle.benchmarks.frameworks import job_training, jobs
from tangle.seq2seq import bucketing, vocabulary
from tests.benchmarks.frameworks import jobs_tiny

EOS = vocabulary.EOS_ID


class Fake(job_training.Training):
  """Notes what it is asked for; its losses count its steps."""

  def __init__(self):
    super().__init__(jobs_tiny.make(), None)
    self.made, self.loaded, self.searched = [], None, 0

  def plan(self):
    return "plan"

  def batches(self, plan):
    assert plan == "plan"
    for begin in range(0, len(self.task.train), 4):
      yield jobs.pad(self.task.train, np.arange(begin, begin + 4))

  def make(self, plan, weights, rate):
    self.made.append((plan, weights, rate))
    taken = []

    def train(batch, number):
      taken.append(batch)
      return np.float32(len(taken))

    return train, lambda: {"a/kernel": np.arange(len(taken))}

  def searcher(self, weights, beam_size):
    self.loaded = weights
    if beam_size > 4:
      return None

    def search():
      self.searched += 1
      yield np.array([1, 0]), np.array([[7, EOS, 7], [8, 9, 4]])

    return search


class TrainingTest(absltest.TestCase):
  def test_an_epoch_takes_all_examples(self):
    fake = Fake()
    found = fake.epoch()
    self.assertEqual((found["examples"], found["steps"]), (24, 6))
    self.assertEqual(found["loss"], 6)
    self.assertGreater(found["first_step_s"], 0)
    lengths = sum(
      batch.examples * (batch.source.shape[1] + batch.targets.shape[1])
      for batch in fake.batches("plan")
    )
    self.assertEqual(found["positions"], lengths)
    self.assertEqual(fake.made, [("plan", None, 0.5)])

  def test_losses_are_without_dropout_and_steps_with_it(self):
    fake = Fake()
    self.assertEqual(fake.losses(2), {"losses": [1.0, 2.0]})
    self.assertEqual([fake(), fake()], [1.0, 2.0])
    self.assertEqual(fake.made, [(None, None, 0.0), (None, None, 0.5)])

  def test_decoding_takes_the_weights_of_the_epoch_or_saved_ones(self):
    fake = Fake()
    fake.epoch()
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "weights.npz")
      self.assertTrue(fake.save(path)["saved"])
      for given in (None, path):
        found = fake.decode(1, given)
        np.testing.assert_array_equal(fake.loaded["a/kernel"], np.arange(6))
    self.assertEqual(fake.searched, 4)
    self.assertEqual(found["lengths"], 2.0)
    expected = [np.array(ids, "<i4").tobytes() for ids in ([8, 9, 4], [7])]
    self.assertEqual(found["checksums"], [zlib.crc32(k) for k in expected])
    self.assertIsNone(fake.decode(5)["seconds"])

  def test_buckets_hold_all_examples(self):
    found = job_training.Training(jobs_tiny.make(), None)
    for bucketing_kind, expected in (
      ("joint", bucketing.JointBuckets),
      ("independent", bucketing.IndependentBuckets),
    ):
      found.bucketing = bucketing_kind
      plan = found.plan()
      self.assertIsInstance(plan, expected)
      largest = tuple(max(side) for side in zip(*plan.cells))
      self.assertEqual(largest, found.task.longest)
      self.assertNotEmpty(list(found.batches(plan)))
      decoded = list(found.search(plan, lambda batch: batch.source)())
      indices = np.concatenate([indices for indices, _ in decoded])
      self.assertCountEqual(indices, range(len(found.task.test)))


if __name__ == "__main__":
  absltest.main()
