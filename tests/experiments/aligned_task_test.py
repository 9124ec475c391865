"""Tests for `tangle.experiments.aligned_task`. All texts are made up here."""

import os
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import aligned_task
from tangle.seq2seq import grids


class AlignedTaskTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def write(self, split, *texts):
    paths = []
    for k, text in enumerate(texts):
      paths.append(os.path.join(self.folder, f"{split}.{k}"))
      with open(paths[-1], "w", encoding="utf-8") as file:
        file.write(text)
    return paths

  def test_files_become_a_task(self):
    train = self.write("train", "a b\nc\n\n", "x\ny z\nx\n", "K\nL M\nK\n")
    test = self.write("test", "a q\n\n", "x\nx\n", "K\nM\n")
    task = aligned_task.load(train, train, test)
    self.assertEqual([len(v) for v in task.vocabularies], [7, 7, 7])
    self.assertEqual(task.buckets, grids.GridBuckets([[1, 2], [1, 2], [2, 3]]))
    self.assertLen(task.train.examples, 2)
    self.assertEqual(task.train.report.empty, 1)
    self.assertEqual(list(task.validation.examples), list(task.train.examples))
    self.assertEqual(task.test.examples[0][2], [])
    self.assertEqual(task.test.report.replaced, 1)
    self.assertEqual(task.test.positions.tolist(), [0])
    self.assertEqual(task.references, [("K",), ("M",)])
    self.assertIsNone(aligned_task.load(train).validation)
    self.assertIsNone(aligned_task.load(train).test)

  def test_settings_are_heeded(self):
    train = self.write("train", "a\na b c\n", "x\ny\n", "K\nL\n")
    task = aligned_task.load(train, longest=2, min_count=2, buckets=1)
    self.assertEqual(task.buckets.cells, ((1, 1, 2),))
    self.assertEqual(task.train.report.too_long, 1)
    self.assertEqual(task.vocabularies[0].symbols[4:], ("a",))
    self.assertEmpty(task.vocabularies[1].symbols[4:])
    self.assertLen(aligned_task.load(train, limit=1).train.examples, 1)

  def test_buckets_are_planned_for_each_side(self):
    lengths = [(1, 9, 2), (1, 9, 2), (5, 4, 2), (0, 30, 30)]
    tuples = [tuple("a" * n for n in sides) for sides in lengths]
    found = aligned_task.plan(tuples, 2)
    self.assertEqual(found, grids.GridBuckets([[1, 5], [4, 9], [3]]))
    self.assertEqual(
      aligned_task.plan(tuples, 2, longest=5),
      grids.GridBuckets([[5], [4], [3]]),
    )

  def test_nothing_to_plan_for_is_refused(self):
    for tuples in ([], [("a", "", "b")]):
      with self.assertRaisesRegex(errors.DataError, "no line without an empty"):
        aligned_task.plan(tuples, 2)

  @parameterized.named_parameters(
    ("none", None, "train must be three or more files"),
    ("two", ["a", "b"], "three or more .* got"),
  )
  def test_files_are_counted(self, train, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      aligned_task.load(train)

  def test_splits_have_as_many_files(self):
    train = self.write("train", "a\n", "x\n", "K\n")
    with self.assertRaisesRegex(errors.ArgumentError, "test must be 3 files"):
      aligned_task.load(train, test=train + train[:1])


if __name__ == "__main__":
  absltest.main()
