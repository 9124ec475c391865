"""Tests of decode."""

import os
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import decode
from tests.experiments import trained


class DecodeTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.run_dir, _, _ = trained.run()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.in_path = self.write("in.txt", ["abbad", "", "a" * 40, "dcba"])
    self.reference = self.write("ref.txt", ["AA B B AA D", "", "", "D K B AA"])
    self.out_path = os.path.join(self.folder, "out.txt")

  def write(self, name, lines):
    path = os.path.join(self.folder, name)
    with open(path, "w") as file:
      file.writelines(f"{line}\n" for line in lines)
    return path

  @parameterized.parameters(1, 2)
  def test_measures_the_best_of_each_line(self, n_best):
    done = []
    figures = decode.decode_file(
      self.run_dir,
      self.in_path,
      self.out_path,
      [self.reference],
      progress=lambda *counts: done.append(counts),
      beam_size=2,
      n_best=n_best,
    )
    self.assertEqual((figures["lines"], figures["left_out"]), (4, 2))
    self.assertEqual(done[-1], (2, 2))
    self.assertAlmostEqual(figures["bleu"], 100.0)
    self.assertGreater(figures["lines_per_s"], 0.0)
    with open(self.out_path) as file:
      lines = file.read().split("\n")
    self.assertLen(lines, 5 if n_best == 1 else 7)

  def test_files_must_be_as_many_as_the_sources(self):
    with self.assertRaisesRegex(errors.ArgumentError, "expected 1 files"):
      decode.decode_file(self.run_dir, [self.in_path] * 2, self.out_path)
    self.assertFalse(os.path.exists(self.out_path))

  def test_references_must_have_as_many_lines(self):
    short = self.write("short.txt", ["AA"])
    with self.assertRaisesRegex(errors.DataError, "4 lines, .*short.txt has 1"):
      decode.decode_file(self.run_dir, self.in_path, self.out_path, [short])
    self.assertFalse(os.path.exists(self.out_path))


if __name__ == "__main__":
  absltest.main()
