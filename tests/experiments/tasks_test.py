"""Tests of tasks."""

import os
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import cmudict_data, tasks
from tangle.seq2seq import bucketing
from tests.experiments import spelling


class TasksTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def files(self, name, pairs):
    """Writes two aligned files; returns their paths."""
    paths = [os.path.join(self.folder, f"{name}.{side}") for side in "st"]
    for path, lines in zip(paths, zip(*pairs)):
      with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return paths

  def test_cmudict_evaluates_each_word_once(self):
    data = cmudict_data.load(spelling.entries())
    task = tasks.cmudict(data, buckets=2)
    sources, references = task.evaluations["test"]
    self.assertLen(set(sources), len(sources))
    self.assertEqual(
      task.measure("test", [accepted[0] for accepted in references]),
      {"per": 0.0, "wer": 0.0, "words": len(sources)},
    )
    wrong = [()] + [accepted[0] for accepted in references[1:]]
    self.assertEqual(task.measure("test", wrong)["wer"], 1 / len(sources))

  @parameterized.parameters("independent", "joint")
  def test_words_of_every_cmudict_split_fit_the_buckets(self, kind):
    data = cmudict_data.load(spelling.entries(200))
    longest = ("abcdabcdabcd", ("AA",))
    data.pronunciations[longest[0]] = [longest[1]]
    longer = data.test + [longest]
    task = tasks.cmudict(data._replace(test=longer), kind, buckets=2)
    self.assertEqual(task.buckets.longest[0], 12)
    self.assertEqual(
      isinstance(task.buckets, bucketing.JointBuckets), kind == "joint"
    )

  def test_parallel_builds_vocabularies_by_frequency_and_measures_bleu(self):
    pairs = [("a b", "x y z w"), ("a a", "x"), ("a c", "x y")]
    held_out = [("a b", "x y z w"), ("q", "x")]
    task = tasks.parallel(
      train=self.files("train", pairs),
      validation=self.files("validation", held_out),
      test=self.files("test", held_out[:1]),
      min_count=2,
      buckets=2,
    )
    self.assertEqual(task.vocabularies.source.symbols[4:], ("a",))
    self.assertEqual(task.vocabularies.target.symbols[4:], ("x", "y"))
    self.assertEqual(task.encoded["train"].report.replaced, 2)
    self.assertNotIn("test", task.encoded)
    self.assertEqual(task.evaluations["validation"].sources[1], ("q",))
    found = task.measure("test", [tuple("xyzw")])
    self.assertAlmostEqual(found["bleu"], 100.0)

  def test_parallel_takes_the_tutorials_set_up(self):
    paths = self.files("train", [("Ab, 12", "x"), ("y " * 45, "y")])
    task = tasks.parallel(
      train=paths,
      tokens="tutorial",
      bucketing="joint",
      pairs=["5:10", "10:15", "20:25", "40:50"],
      strict_buckets=True,
      layout="tutorial",
    )
    self.assertIn("00", task.vocabularies.source)
    self.assertEqual(
      task.buckets,
      bucketing.JointBuckets(
        [(5, 10), (10, 15), (20, 25), (40, 50)], strict=True
      ),
    )
    self.assertEqual(task.encoded["train"].report.too_long, 1)
    self.assertEqual(task.evaluations, {})

  def test_vocabularies_of_another_run_can_be_used(self):
    first = tasks.parallel(train=self.files("one", [("a b", "x")]), buckets=1)
    tasks.corpora.save_vocabularies(first.vocabularies, self.folder)
    second = tasks.parallel(
      train=self.files("two", [("b c", "x")]),
      vocabularies=self.folder,
      buckets=1,
    )
    self.assertEqual(second.vocabularies, first.vocabularies)

  @parameterized.named_parameters(
    ("no_files", {"train": None}, "train must be two files"),
    ("one_file", {"train": ["a"]}, "train must be two files"),
    ("tokens", {"train": ["a", "b"], "tokens": "bytes"}, "bytes"),
    ("layout", {"train": ["a", "b"], "layout": "upside"}, "upside"),
  )
  def test_parallel_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      tasks.parallel(**settings)

  def test_self_test_has_the_tutorials_five_pairs(self):
    task = tasks.self_test()
    self.assertLen(task.encoded["train"].examples, 5)
    self.assertEqual(task.encoded["train"].examples[2], ([5], [6]))
    self.assertLen(task.vocabularies.source, 10)


if __name__ == "__main__":
  absltest.main()
