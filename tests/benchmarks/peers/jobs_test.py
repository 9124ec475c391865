"""Tests of the real jobs' data and counts."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import jobs, tasks
from tangle.seq2seq import rows
from tests.benchmarks.peers import jobs_tiny


class JobsTest(absltest.TestCase):
  def test_what_is_saved_is_what_is_made(self):
    train = rows.collect([([4, 5], [6]), ([7], [4, 4, 4])])
    test = rows.collect([([8, 8, 8], [])])
    sizes = jobs.SIZES["multi30k"]["tiny"]._replace(batch=2)
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "examples.npz")
      jobs.save(path, train, test)
      task = jobs.make("multi30k", sizes, 3, path)
    self.assertEqual(list(task.train), list(train))
    self.assertEqual(list(task.test), list(test))
    self.assertEqual((task.words, task.symbols), (2, (9, 10)))
    self.assertEqual(task.longest, (3, 4))

  def test_a_file_that_is_not_there_is_named(self):
    sizes = jobs.SIZES["g2p_demo"]["tiny"]
    with self.assertRaisesRegex(errors.DataError, "nowhere.*jobs_data.write"):
      jobs.make("g2p_demo", sizes, 0, "nowhere.npz")

  def test_the_step_takes_the_middle_lengths_longest_source_first(self):
    examples = rows.collect([([4] * n, [5] * n) for n in (9, 1, 3, 5, 7)])
    np.testing.assert_array_equal(jobs.step_indices(examples, 3), [2, 3, 4])
    batch = jobs.pad(examples, np.array([2, 4, 3]))
    self.assertEqual(batch.source_lengths.tolist(), [7, 5, 3])
    self.assertEqual((batch.source_bucket, batch.target_bucket), (7, 8))

  def test_large_vocabularies_begin_at_the_frequencies(self):
    task = jobs_tiny.make()
    self.assertLess(np.abs(task.draw()["logits/bias"]).max(), 1)
    sizes = task.sizes._replace(target_symbols=1000)
    large = task._replace(sizes=sizes).draw()["logits/bias"]
    self.assertAlmostEqual(float(np.exp(large).sum()), 1, places=5)
    self.assertEqual(int(large[4:].argmax()) + 4, _most_frequent(task.train))

  def test_arithmetic_is_that_of_the_products_by_hand(self):
    sizes = jobs.SIZES["g2p_demo"]["tiny"]._replace(units=2, depth=3)
    encoder = 5 * 2 * (3 + 2) * 8 + 4 * 4
    # Layer, query, scores and context of 5 steps, joined, 10 symbols.
    decoder = (3 + 2) * 8 + 2 * 4 + 5 * 4 * 2 + 6 * 2 + 2 * 10
    self.assertEqual(
      jobs.count_flops(sizes, (5, 7)), 6 * (encoder + 7 * decoder)
    )

  def test_the_optimizer_is_that_of_the_scripts(self):
    found = jobs.optimizer(jobs.SIZES["g2p_demo"]["design"])
    self.assertEqual(found, tasks.Optimizer("adam", 3e-3, 5.0))


def _most_frequent(examples):
  ids = np.concatenate([examples.targets[k] for k in range(len(examples))])
  return int(np.bincount(ids.astype(np.int64)).argmax())


if __name__ == "__main__":
  absltest.main()
