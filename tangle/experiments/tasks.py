"""Sequence-to-sequence tasks: vocabularies, buckets, examples, evaluation."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from tangle import errors
from tangle.experiments import bucket_plans, cmudict_data
from tangle.seq2seq import (
  bucketing,
  corpora,
  encoding,
  metrics,
  planner,
  rows,
  vocabulary,
)

TOKENS = {
  "words": corpora.split_words,
  "tutorial": corpora.split_as_tutorial,
  "characters": tuple,
}
"""Tokenizers of source and target lines, by name."""

LAYOUTS = {
  "plain": rows.PLAIN,
  "tutorial": rows.TUTORIAL,
  "self_test": rows.TUTORIAL._replace(add_eos=False),
}
"""Layouts of examples in a batch, by name; see `rows.Layout`."""


class Evaluation(NamedTuple):
  """Sources to decode, and references to compare the results with.

  Attributes:
    sources: N sequences of symbols.
    references: for each source, a list of accepted sequences of symbols.
  """

  sources: Any
  references: Any


class Task(NamedTuple):
  """Data of a task.

  Attributes:
    vocabularies: a `corpora.Vocabularies`.
    buckets: an `IndependentBuckets` or a `JointBuckets`.
    encoded: split name → `encoding.Encoded`; `"train"` is always there.
    evaluations: split name → `Evaluation`.
    metric: `"error_rates"` or `"bleu"`.
    tokens: tokenizers of source and target lines, keys of `TOKENS`.
    layout: layout of examples in a batch, a key of `LAYOUTS`.
  """

  vocabularies: Any
  buckets: Any
  encoded: Dict[str, Any]
  evaluations: Dict[str, Evaluation]
  metric: str
  tokens: Tuple[str, str]
  layout: str

  def measure(self, split, predictions):
    """Compares predictions with the references of a split.

    Args:
      split: name of the split.
      predictions: a sequence of symbols for each of its sources.

    Returns:
      A dict. If the metric is `"error_rates"`: `per` and `wer`, the phoneme and
      word error rates as fractions, and `words`, the number of words. If it is
      `"bleu"`: `bleu`, from 0 to 100.
    """
    references = self.evaluations[split].references
    if self.metric == "error_rates":
      return dict(metrics.error_rates(predictions, references)._asdict())
    found = metrics.bleu(
      [" ".join(symbols) for symbols in predictions],
      [[" ".join(one) for one in accepted] for accepted in references],
    )
    return {"bleu": found.score}


def cmudict(data, bucketing="independent", buckets=5, layout="plain"):
  """Makes the task of grapheme-to-phoneme conversion.

  Args:
    data: a `cmudict_data.Data`.
    bucketing: `"independent"` or `"joint"`.
    buckets: how many buckets per side, or how many pairs, planned for the least
      padding of the training data.
    layout: a key of `LAYOUTS`.

  Returns:
    A `Task` whose metric is the error rates over distinct words.
  """
  both = corpora.Vocabularies(
    vocabulary.Vocabulary.build(word for word, _ in data.train),
    vocabulary.Vocabulary.build(phones for _, phones in data.train),
  )
  counts = planner.count_lengths(data.train)
  # So that longer words of other splits can be converted, too.
  everything = data.train + data.validation + data.test
  longest = max(len(word) for word, _ in everything)
  chosen = bucket_plans.make_buckets(
    counts, bucketing, buckets, longest_source=longest
  )
  splits = {"train": data.train, "validation": data.validation}
  words = {
    name: cmudict_data.evaluation_words(
      getattr(data, name), data.pronunciations
    )
    for name in ("validation", "test")
  }
  return Task(
    vocabularies=both,
    buckets=chosen,
    encoded={
      name: encoding.encode_pairs(pairs, *both, chosen)
      for name, pairs in splits.items()
    },
    evaluations={name: Evaluation(*found) for name, found in words.items()},
    metric="error_rates",
    tokens=("characters", "words"),
    layout=layout,
  )


def parallel(
  train: Optional[List[str]] = None,
  validation: Optional[List[str]] = None,
  test: Optional[List[str]] = None,
  vocabularies: Optional[str] = None,
  max_vocabulary: Optional[int] = None,
  min_count=1,
  tokens="words",
  limit: Optional[int] = None,
  bucketing="independent",
  source_buckets: Optional[List[str]] = None,
  target_buckets: Optional[List[str]] = None,
  pairs: Optional[List[str]] = None,
  buckets=4,
  longest: Optional[List[str]] = None,
  strict_buckets=False,
  layout="plain",
):
  """Makes the task of translating lines of parallel files.

  Args:
    train: two aligned text files, source and target, UTF-8, maybe .gz.
    validation: two such files, for evaluations during training.
    test: two such files, for the evaluation after training.
    vocabularies: a folder with `source_vocabulary.txt` and
      `target_vocabulary.txt` to use; by default they are built by frequency.
    max_vocabulary: the largest size of a vocabulary, including the four special
      symbols.
    min_count: symbols that occur less often are not in a vocabulary.
    tokens: how lines are tokenized: words (at white space), tutorial (as in the
      translate tutorial) or characters.
    limit: the largest number of lines to read from each file.
    bucketing: independent or joint.
    source_buckets: lengths of the source buckets; planned by default.
    target_buckets: lengths of the target buckets, including EOS; planned by
      default.
    pairs: joint buckets, such as 5:10,10:15,20:25; planned by default.
    buckets: how many buckets to plan per side, or how many pairs.
    longest: the longest source and the longest target, with EOS, that planned
      buckets hold; longer examples are left out and counted.
    strict_buckets: whether a length must be less than its bucket, as in the
      tutorial, instead of at most equal to it.
    layout: layout of batches: plain, or tutorial (source reversed, PAD first).

  Returns:
    A `Task` whose metric is BLEU.

  Raises:
    ArgumentError: if `train` is missing, or settings contradict each other.
    DataError: if a file cannot be read, or the files have different numbers of
      lines.
  """
  if tokens not in TOKENS or layout not in LAYOUTS:
    raise errors.ArgumentError(
      f"tasks.parallel: tokens must be one of {sorted(TOKENS)}, layout one of "
      f"{sorted(LAYOUTS)}, got {tokens!r} and {layout!r}."
    )
  paths = {"train": train, "validation": validation, "test": test}
  corpus = {
    split: _corpus(split, files, tokens, limit)
    for split, files in paths.items()
    if files or split == "train"
  }
  both = (
    corpora.load_vocabularies(vocabularies)
    if vocabularies
    else corpora.build_vocabularies(corpus["train"], max_vocabulary, min_count)
  )
  chosen = bucket_plans.choose_buckets(
    corpus["train"],
    bucketing,
    (pairs, source_buckets, target_buckets),
    buckets,
    strict_buckets,
    longest,
  )
  return Task(
    vocabularies=both,
    buckets=chosen,
    encoded={
      split: encoding.encode_pairs(found, *both, chosen, unknown="unk")
      for split, found in corpus.items()
      if split != "test"
    },
    evaluations={
      split: _evaluation(found)
      for split, found in corpus.items()
      if split != "train"
    },
    metric="bleu",
    tokens=(tokens, tokens),
    layout=layout,
  )


def self_test():
  """Makes the task of the translate tutorial's self-test: five pairs of ids.

  Source: TensorFlow's translate tutorial (2015, `translate.self_test`).

  Returns:
    A `Task` without evaluation data.
  """
  examples = [
    ([1, 1], [2, 2]),
    ([3, 3], [4]),
    ([5], [6]),
    ([1, 1, 1, 1, 1], [2, 2, 2, 2, 2]),
    ([3, 3, 3], [5, 6]),
  ]
  symbols = vocabulary.Vocabulary([str(number) for number in range(4, 10)])
  report = encoding.Report()
  for pair in examples:
    report.count("kept", [tuple(map(str, side)) for side in pair])
  found = encoding.Encoded(rows.collect(examples), report, None)
  return Task(
    vocabularies=corpora.Vocabularies(symbols, symbols),
    buckets=bucketing.JointBuckets([(3, 3), (6, 6)], strict=True),
    encoded={"train": found},
    evaluations={},
    metric="error_rates",
    tokens=("words", "words"),
    layout="self_test",
  )


def _corpus(split, files, tokens, limit):
  if not files or len(files) != 2:
    raise errors.ArgumentError(
      f"tasks.parallel: {split} must be two files, source and target, got "
      f"{files}."
    )
  return corpora.ParallelCorpus(*files, tokenize=TOKENS[tokens], limit=limit)


def _evaluation(corpus):
  sources, targets = zip(*corpus)
  return Evaluation(list(sources), [[target] for target in targets])
