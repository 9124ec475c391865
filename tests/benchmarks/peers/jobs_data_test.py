"""Tests of drawn examples, and of those from files."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import jobs, jobs_data


class JobsDataTest(parameterized.TestCase):
  @parameterized.parameters(
    ("g2p_demo", (7.53, 6.39), (2.3, 2.14), 0.895),
    ("multi30k", (13.02, 12.44), (4.01, 4.17), 0.862),
  )
  def test_lengths_are_those_measured(self, name, means, spreads, together):
    sizes = jobs.SIZES[name]["small"]
    found = jobs_data.draw(name, sizes, 0, 20000)
    lengths = [side.lengths for side in (found.sources, found.targets)]
    for side, mean, spread, most in zip(
      lengths, means, spreads, jobs_data.LENGTHS[name].most
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
    for source, target in jobs_data.draw("multi30k", sizes, 0, 50):
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
        list(jobs_data.read(paths, sizes)),
        [([4, 5], [4]), ([5, 3, 4], [4, 5, 3]), ([4], [4])],
      )
      out = os.path.join(folder, "examples.npz")
      jobs_data.write(out, "multi30k", sizes, 0, paths)
      task = jobs.make("multi30k", sizes, 0, out)
      self.assertEqual(list(task.test), [([4], [])])
      self.assertLen(task.train, 2)
      with self.assertRaisesRegex(errors.DataError, "3 pairs are too few"):
        few = sizes._replace(decoded=2)
        jobs_data.write(out, "multi30k", few, 0, paths)


if __name__ == "__main__":
  absltest.main()
