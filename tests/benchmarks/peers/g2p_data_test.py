"""Tests of the batches of g2p training, from a small dictionary."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import g2p, g2p_data
from tangle.seq2seq import vocabulary

SIZES = g2p.Sizes(batch=4, units=2, layers=1, longest=4, buckets=2, batches=3)


def entries(count):
  """Returns words of one to six letters, and their phonemes."""
  rng = np.random.RandomState(0)
  found = []
  for k in range(count):
    letters = rng.choice(list("abc"), 1 + k % 6)
    found.append(("".join(letters), [f"{c.upper()}1" for c in letters[:4]]))
  return found


class G2pDataTest(absltest.TestCase):
  def write(self, seed=0, count=60):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "batches.npz")
      g2p_data.write(path, SIZES, seed, entries(count))
      return g2p.make(SIZES, seed, path)

  def test_a_cycle_is_of_full_batches_in_the_tutorials_layout(self):
    task = self.write()
    self.assertLen(task.batches, 3)
    self.assertEqual(task.words, 12)
    self.assertEqual(task.symbols, (4 + 3, 4 + 3))
    for batch in task.batches:
      self.assertTrue(np.all(batch.inputs[:, 0] == vocabulary.GO_ID))
      self.assertTrue(np.all(batch.source[:, -1] != vocabulary.PAD_ID))
      padding = batch.targets == vocabulary.PAD_ID
      np.testing.assert_array_equal(batch.weights == 0, padding)
      # What contrib relies on: targets are the inputs one further on.
      np.testing.assert_array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])

  def test_longer_words_are_left_out(self):
    for batch in self.write().batches:
      self.assertLessEqual(np.sum(batch.source != 0, 1).max(), 4)

  def test_the_seed_draws_the_words(self):
    first, again, other = self.write(), self.write(), self.write(seed=1)
    np.testing.assert_array_equal(
      first.batches[0].source, again.batches[0].source
    )
    self.assertFalse(
      all(
        np.array_equal(a.source, b.source)
        for a, b in zip(first.batches, other.batches)
      )
    )

  def test_too_few_words_raise(self):
    with self.assertRaisesRegex(errors.DataError, "takes 12 words"):
      self.write(count=12)


if __name__ == "__main__":
  absltest.main()
