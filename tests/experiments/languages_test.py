"""Tests of languages."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import languages
from tests.experiments import babel


class LanguagesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = babel.write(self)

  def load(self, **settings):
    paths = {
      split: f"{self.folder}/{split}.{{}}"
      for split in ("train", "validation", "test")
    }
    settings = dict(dict(paths, names=["aa", "bb", "cc"]), **settings)
    return languages.load(min_count=1, **settings)

  def test_each_language_has_its_vocabulary_and_buckets(self):
    corpus = self.load(buckets=2)
    self.assertEqual(
      [str(direction) for direction in corpus.directions],
      ["aa-bb", "aa-cc", "bb-aa", "bb-cc", "cc-aa", "cc-bb"],
    )
    for name, language in corpus.languages.items():
      words = language.symbols.symbols[4:]
      self.assertTrue(all(word.startswith(name) for word in words))
      self.assertEqual(language.source_buckets[-1], 5)
      self.assertEqual(language.target_buckets[-1], 6)
      self.assertLen(language.source_buckets, 2)

  def test_a_direction_pairs_line_with_line(self):
    corpus = self.load()
    direction = languages.Direction("bb", "cc")
    encoded = corpus.encode("train", direction)
    self.assertEqual(encoded.report.kept, babel.LINES["train"])
    source, target = encoded.examples[0]
    words = corpus.languages["bb"].symbols.decode(source)
    translated = corpus.languages["cc"].symbols.decode(target)
    self.assertEqual(
      [word.replace("bb", "cc") for word in words], list(translated)
    )
    drawn = corpus.batches("test", direction, 4)
    self.assertEqual(
      sum(batch.examples for batch in drawn.in_order()), babel.LINES["test"]
    )
    self.assertLen(corpus.lines("test", "aa"), babel.LINES["test"])

  def test_splits_may_be_left_out(self):
    corpus = self.load(validation=None, test=None)
    self.assertEqual(list(corpus.paths), ["train"])

  @parameterized.named_parameters(
    ("one", {"names": ["aa"]}, "two or more"),
    ("twice", {"names": ["aa", "aa"]}, "two or more"),
    ("no_place", {"train": "train.aa"}, r"train must be a path with {}"),
    ("no_train", {"train": None}, "train must be a path"),
    ("test", {"test": "x"}, "test must be a path"),
  )
  def test_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.load(**settings)

  def test_directions_are_parsed(self):
    corpus = self.load()
    self.assertEqual(
      languages.parse_directions(corpus, ["cc-aa"]), [("cc", "aa")]
    )
    with self.assertRaisesRegex(errors.ArgumentError, "'aa-dd'.*aa-bb"):
      languages.parse_directions(corpus, ["aa-dd"])


if __name__ == "__main__":
  absltest.main()
