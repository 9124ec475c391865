"""Tests of tasks."""

import os
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import cmudict_data, directions, tasks
from tangle.seq2seq import bucketing, corpora
from tests.experiments import babel, spelling

PAIR = directions.PAIR


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
    sources, references = task.evaluations["test"][PAIR]
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
    buckets = task.buckets[PAIR]
    self.assertEqual(buckets.longest[0], 12)
    self.assertEqual(
      isinstance(buckets, bucketing.JointBuckets), kind == "joint"
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
    self.assertEqual(task.vocabularies["source"].symbols[4:], ("a",))
    self.assertEqual(task.vocabularies["target"].symbols[4:], ("x", "y"))
    self.assertEqual(task.encoded["train"][PAIR].report.replaced, 2)
    self.assertNotIn("test", task.encoded)
    self.assertEqual(task.evaluations["validation"][PAIR].sources[1], ("q",))
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
    self.assertIn("00", task.vocabularies["source"])
    self.assertEqual(
      task.buckets[PAIR],
      bucketing.JointBuckets(
        [(5, 10), (10, 15), (20, 25), (40, 50)], strict=True
      ),
    )
    self.assertEqual(task.encoded["train"][PAIR].report.too_long, 1)
    self.assertEqual(task.evaluations, {})

  def test_vocabularies_of_another_run_can_be_used(self):
    first = tasks.parallel(train=self.files("one", [("a b", "x")]), buckets=1)
    both = corpora.Vocabularies(**first.vocabularies)
    corpora.save_vocabularies(both, self.folder)
    second = tasks.parallel(
      train=self.files("two", [("b c", "x")]),
      vocabularies=self.folder,
      buckets=1,
    )
    self.assertEqual(second.vocabularies, first.vocabularies)

  @parameterized.named_parameters(
    ("no_files", {"train": None}, "train must be 2 files, one for each of sou"),
    ("one_file", {"train": ["a"]}, "train must be 2 files"),
    ("no_place", {"train": ["a"], "sources": ["x+y"]}, "be 3 files.*x, y, tar"),
    ("names", {"train": ["{}"], "sources": ["target"]}, "none is left to"),
    (
      "joint",
      {"train": ["{}", "{}", "{}"], "sources": ["x+y"], "bucketing": "joint"},
      "'joint' is for one direction",
    ),
    ("tokens", {"train": ["a", "b"], "tokens": "bytes"}, "bytes"),
    ("layout", {"train": ["a", "b"], "layout": "upside"}, "upside"),
  )
  def test_parallel_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      tasks.parallel(**settings)

  def test_several_sources_become_one_task(self):
    texts = {
      "train": ("a b\nc\n\n", "x\ny z\nx\n", "K\nL M\nK\n"),
      "test": ("a q\n\n", "x\nx\n", "K\nM\n"),
    }
    for split, sides in texts.items():
      for name, text in zip(("de", "fr", "en"), sides):
        with open(os.path.join(self.folder, f"{split}.{name}"), "w") as file:
          file.write(text)
    train, test = ([f"{self.folder}/{split}.{{}}"] for split in texts)
    named = {"sources": ["de+fr"], "targets": ["en"]}
    task = tasks.parallel(train, train, test, **named)
    (one,) = task.directions
    self.assertEqual([len(v) for v in task.vocabularies.values()], [7, 7, 7])
    self.assertEqual(
      task.buckets[one], bucketing.IndependentBuckets([1, 2], [1, 2], [2, 3])
    )
    encoded = task.encoded["train"][one]
    self.assertLen(encoded.examples, 2)
    self.assertEqual(encoded.report.empty, 1)
    same = task.encoded["validation"][one].examples
    self.assertEqual(list(same), list(encoded.examples))
    self.assertEqual(
      task.evaluations["test"][one],
      ([(("a", "q"), ("x",)), ((), ("x",))], [[("K",)], [("M",)]]),
    )
    limited = tasks.parallel(train, limit=1, **named)
    self.assertLen(limited.encoded["train"][one].examples, 1)
    longest = tasks.parallel(
      train, longest=["2", "2"], min_count=2, buckets=1, **named
    )
    self.assertEqual(longest.buckets[one].cells, ((2, 1, 2),))
    self.assertEqual(longest.encoded["train"][one].report.too_long, 1)
    self.assertEmpty(longest.vocabularies["de"].symbols[4:])
    self.assertEqual(longest.vocabularies["fr"].symbols[4:], ("x",))

  def test_languages_have_a_vocabulary_and_buckets_in_all_directions(self):
    folder = babel.write(self)
    paths = [[f"{folder}/{split}.{{}}"] for split in babel.LINES]
    task = tasks.parallel(
      *paths,
      sources=babel.NAMES,
      targets=babel.NAMES,
      held_out=["cc-aa"],
      buckets=2,
    )
    self.assertEqual(
      list(map(str, task.directions)),
      ["aa-bb", "aa-cc", "bb-aa", "bb-cc", "cc-bb"],
    )
    for name, symbols in task.vocabularies.items():
      self.assertTrue(
        all(word.startswith(name) for word in symbols.symbols[4:])
      )
    for one, buckets in task.buckets.items():
      self.assertEqual(buckets.longest, (5, 6))
      self.assertEqual(list(map(len, buckets.sides)), [2, 2])
      in_training = str(one) != "cc-aa"
      for found in (*task.encoded.values(), task.evaluations["validation"]):
        self.assertEqual(one in found, in_training)
      self.assertLen(task.evaluations["test"][one].sources, babel.LINES["test"])
    pair = directions.Direction(("bb",), "cc")
    encoded = task.encoded["train"][pair]
    self.assertEqual(encoded.report.kept, babel.LINES["train"])
    both = zip(encoded.examples[0], task.vocabularies_of(pair))
    source, target = (symbols.decode(ids) for ids, symbols in both)
    self.assertEqual([w.replace("bb", "cc") for w in source], list(target))
    drawn = task.batches("validation", pair, 4)
    self.assertEqual(
      sum(batch.examples for batch in drawn.in_order()),
      babel.LINES["validation"],
    )

  def test_files_may_be_named_one_by_one(self):
    folder = babel.write(self)
    paths = [f"{folder}/train.{name}" for name in ("aa", "cc")]
    task = tasks.parallel(paths, sources=["aa"], targets=["cc"])
    self.assertEqual(list(task.vocabularies), ["aa", "cc"])
    self.assertEqual(list(task.encoded), ["train"])
    self.assertEqual(task.evaluations, {})

  def test_self_test_has_the_tutorials_five_pairs(self):
    task = tasks.self_test()
    examples = task.encoded["train"][PAIR].examples
    self.assertLen(examples, 5)
    self.assertEqual(examples[2], ([5], [6]))
    self.assertLen(task.vocabularies["source"], 10)


if __name__ == "__main__":
  absltest.main()
