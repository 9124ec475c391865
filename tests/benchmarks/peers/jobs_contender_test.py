"""Tests of what contenders of the jobs share, on one that does nothing."""

import os
import tempfile
import zlib

import numpy as np
from absl.testing import absltest

from tangle.benchmarks.peers import jobs, jobs_contender
from tangle.seq2seq import bucketing, vocabulary
from tests.benchmarks.peers import jobs_tiny

EOS = vocabulary.EOS_ID


class Fake(jobs_contender.Contender):
  """Notes what it is asked for; its losses count its steps."""

  def __init__(self):
    super().__init__(jobs_tiny.make())
    self.made, self.loaded, self.searched = [], None, 0

  def plan(self):
    return "plan"

  def batches(self, plan):
    assert plan == "plan"
    for begin in range(0, len(self.task.train), 4):
      yield jobs.pad(self.task.train, np.arange(begin, begin + 4))

  def make(self, plan, weights, rate):
    self.made.append((plan, weights, rate))
    return Trainer()

  def searcher(self, weights, beam_size):
    self.loaded = weights
    if beam_size > 4:
      return None

    def search():
      self.searched += 1
      yield np.array([1, 0]), np.array([[7, EOS, 7], [8, 9, 4]])

    return search


class Trainer:
  def __init__(self):
    self.taken = 0

  def train(self, batch, number):
    self.taken += 1
    return np.float32(self.taken)

  def weights(self):
    return {"a/kernel": np.arange(self.taken)}


class ContenderTest(absltest.TestCase):
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
    task = jobs_tiny.make()
    for kind, expected in (
      ("joint", bucketing.JointBuckets),
      ("independent", bucketing.IndependentBuckets),
    ):
      found = jobs_contender.plan_buckets(task, kind)
      self.assertIsInstance(found, expected)
      largest = tuple(max(side) for side in zip(*found.cells))
      self.assertEqual(largest, task.longest)


if __name__ == "__main__":
  absltest.main()
