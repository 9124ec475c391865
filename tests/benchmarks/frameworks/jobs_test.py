"""Tests of the real jobs' data and counts."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.frameworks import jobs, networks
from tangle.seq2seq import rows
from tests.benchmarks.frameworks import jobs_tiny


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
    self.assertEqual((task.words, task.symbols), (0, (9, 10)))
    self.assertEqual(task.longest, (3, 4))

  def test_a_file_that_is_not_there_is_named(self):
    sizes = jobs.SIZES["g2p_demo"]["tiny"]
    with self.assertRaisesRegex(errors.DataError, "nowhere.*jobs.write"):
      jobs.make("g2p_demo", sizes, 0, "nowhere.npz")

  def test_the_step_takes_the_middle_lengths_longest_source_first(self):
    examples = rows.collect([([4] * n, [5] * n) for n in (9, 1, 3, 5, 7)])
    sizes = jobs.SIZES["g2p_demo"]["tiny"]._replace(batch=3)
    task = jobs.Task("g2p_demo", sizes, 0, examples, None)
    batch = jobs.step_batch(task)
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
    sizes = jobs.SIZES["g2p_demo"]["tiny"]._replace(units=2, embedding_dim=3)
    encoder = 5 * 2 * (3 + 2) * 8 + 4 * 4
    # Layer, query, scores and context of 5 steps, joined, 10 symbols.
    decoder = (3 + 2) * 8 + 2 * 4 + 5 * 4 * 2 + 6 * 2 + 2 * 10
    self.assertEqual(
      jobs.count_flops(sizes, (5, 7)), 6 * (encoder + 7 * decoder)
    )

  def test_the_optimizer_is_that_of_the_scripts(self):
    found = jobs.optimizer(jobs.SIZES["g2p_demo"]["design"])
    self.assertEqual(found, networks.Optimizer("adam", 3e-3, 5.0))


class ExamplesTest(parameterized.TestCase):
  @parameterized.parameters(
    ("g2p_demo", (7.53, 6.39), (2.3, 2.14), 0.895),
    ("multi30k", (13.02, 12.44), (4.01, 4.17), 0.862),
  )
  def test_lengths_are_those_measured(self, name, means, spreads, together):
    sizes = jobs.SIZES[name]["small"]
    found = jobs.draw(name, sizes, 0, 20000)
    lengths = [side.lengths for side in (found.sources, found.targets)]
    for side, mean, spread, most in zip(
      lengths, means, spreads, jobs.LENGTHS[name].most
    ):
      self.assertAlmostEqual(side.mean(), mean, delta=0.15)
      self.assertAlmostEqual(side.std(), spread, delta=0.3)
      self.assertBetween(side.min(), 1, 4)
      self.assertLessEqual(side.max(), most)
    correlation = np.corrcoef(*lengths)[0, 1]
    self.assertAlmostEqual(correlation, together, delta=0.04)
    symbols = sizes.source_symbols, sizes.target_symbols
    for side, size in zip((found.sources, found.targets), symbols):
      ids = np.concatenate([side[k] for k in range(2000)])
      self.assertBetween(ids.min(), 4, size - 1)
      self.assertBetween(ids.max(), 4, size - 1)

  def test_a_target_symbol_is_that_of_a_source_symbol(self):
    sizes = jobs.SIZES["multi30k"]["small"]
    for source, target in jobs.draw("multi30k", sizes, 0, 50):
      self.assertContainsSubset(target, source)

  def test_files_are_read_with_vocabularies_of_the_sizes(self):
    sizes = jobs.SIZES["multi30k"]["tiny"]._replace(
      source_symbols=6, target_symbols=6, batch=2, decoded=1
    )
    with tempfile.TemporaryDirectory() as folder:
      paths = [os.path.join(folder, name) for name in ("en", "de")]
      for path, text in zip(paths, ("a b\n\nb c a\na\n", "x\ny\nx y z\nx\n")):
        with open(path, "w", encoding="utf-8") as file:
          file.write(text)
      self.assertEqual(
        list(jobs.read(paths, sizes)),
        [([4, 5], [4]), ([5, 3, 4], [4, 5, 3]), ([4], [4])],
      )
      out = os.path.join(folder, "examples.npz")
      jobs.write(out, "multi30k", sizes, 0, paths)
      task = jobs.make("multi30k", sizes, 0, out)
      self.assertEqual(list(task.test), [([4], [])])
      self.assertLen(task.train, 2)
      with self.assertRaisesRegex(errors.DataError, "3 pairs are too few"):
        few = sizes._replace(decoded=2)
        jobs.write(out, "multi30k", few, 0, paths)


def _most_frequent(examples):
  ids = np.concatenate([examples.targets[k] for k in range(len(examples))])
  return int(np.bincount(ids.astype(np.int64)).argmax())


if __name__ == "__main__":
  absltest.main()
