"""Sequence-to-sequence tasks: vocabularies, buckets, examples, evaluation."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from tangle import errors
from tangle.experiments import bucket_plans, cmudict_data
from tangle.experiments import directions as directions_lib
from tangle.seq2seq import (
  batches,
  bucketing,
  corpora,
  decoding,
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
    sources: N sequences of symbols; for several sources N tuples of them.
    references: for each, a list of accepted sequences of symbols.
  """

  sources: Any
  references: Any


class Task(NamedTuple):
  """Data of a task.

  Attributes:
    vocabularies: name of a side → `Vocabulary`.
    buckets: direction → an `IndependentBuckets` or a `JointBuckets`.
    encoded: split name → direction → `encoding.Encoded`; `"train"` is always
      there, and has the directions that are trained.
    evaluations: split name → direction → `Evaluation`; in `"test"` the
      directions that are held out of training are, too.
    metric: `"error_rates"` or `"bleu"`.
    tokens: tokenizers of source and target lines, keys of `TOKENS`.
    layout: layout of examples in a batch, a key of `LAYOUTS`.
  """

  vocabularies: Dict[str, Any]
  buckets: Dict[Any, Any]
  encoded: Dict[str, Dict[Any, Any]]
  evaluations: Dict[str, Dict[Any, Evaluation]]
  metric: str
  tokens: Tuple[str, str]
  layout: str

  @property
  def directions(self):
    """The directions that are trained, a list."""
    return list(self.encoded["train"])

  def vocabularies_of(self, direction):
    """Lists the vocabularies of a `Direction`, that of its target last."""
    return [self.vocabularies[name] for name in direction.sides]

  def batches(self, split, direction, size, seed=0):
    """Returns the `PairBatches` of a split.

    Args:
      split, direction: keys of `encoded`.
      size, seed: of the batches, as for `batches.PairBatches`.
    """
    return batches.PairBatches(
      self.encoded[split][direction].examples,
      self.buckets[direction],
      size,
      seed,
      LAYOUTS[self.layout],
    )

  def measure(self, split, predictions, direction=directions_lib.PAIR):
    """Compares predictions with the references of a split.

    Args:
      split, direction: keys of `evaluations`.
      predictions: a sequence of symbols for each source.

    Returns:
      A dict. With `"error_rates"`: `per` and `wer`, the phoneme and word error
      rates as fractions, and `words`, their number. With `"bleu"`: `bleu`, from
      0 to 100.
    """
    references = self.evaluations[split][direction].references
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
  pair = directions_lib.PAIR
  both = corpora.Vocabularies(
    vocabulary.Vocabulary.build(word for word, _ in data.train),
    vocabulary.Vocabulary.build(phones for _, phones in data.train),
  )
  counts = planner.count_lengths(data.train)
  # So that longer words of other splits can be converted, too.
  everything = data.train + data.validation + data.test
  longest = max(len(word) for word, _ in everything)
  chosen = bucket_plans.make_buckets(
    {pair: counts}, bucketing, buckets, longest_source=longest
  )
  splits = {"train": data.train, "validation": data.validation}
  words = {
    name: cmudict_data.evaluation_words(
      getattr(data, name), data.pronunciations
    )
    for name in ("validation", "test")
  }
  return Task(
    vocabularies=both._asdict(),
    buckets=chosen,
    encoded={
      name: {pair: encoding.encode_pairs(pairs, *both, chosen[pair])}
      for name, pairs in splits.items()
    },
    evaluations={
      name: {pair: Evaluation(*found)} for name, found in words.items()
    },
    metric="error_rates",
    tokens=("characters", "words"),
    layout=layout,
  )


def parallel(
  train: Optional[List[str]] = None,
  validation: Optional[List[str]] = None,
  test: Optional[List[str]] = None,
  sources=("source",),
  targets=("target",),
  directions: Optional[List[str]] = None,
  held_out: Optional[List[str]] = None,
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
    train: aligned text files, UTF-8, maybe .gz: one for each of the sources,
      then one for each further target; or one name with {} in the place of
      theirs, such as train.{}.gz.
    validation: such files, for evaluations during training.
    test: such files, for the evaluation after training.
    sources: names of the sources, such as languages; de+fr stands for two
      sources that are read at once, each by its encoder.
    targets: names of the targets, which may be sources, too.
    directions: which to train and measure, such as en-de,de+fr-en; by default
      from each of the sources to each of the targets that is not among them.
      They are trained in turn, one per step.
    held_out: directions that are measured on test, but not trained.
    vocabularies: a folder with the vocabularies to use, such as
      `source_vocabulary.txt` and `target_vocabulary.txt`; by default they are
      built by frequency.
    max_vocabulary: the largest size of a vocabulary, including the four special
      symbols.
    min_count: symbols that occur less often are not in a vocabulary.
    tokens: how lines are tokenized: words (at white space), tutorial (as in the
      translate tutorial) or characters.
    limit: the largest number of lines to read from each file; all by default.
    bucketing: independent, or joint for one direction from one source.
    source_buckets: lengths of the buckets of every source; planned by default.
    target_buckets: lengths of the buckets of every target, including EOS;
      planned by default.
    pairs: joint buckets, such as 5:10,10:15,20:25; planned by default.
    buckets: how many buckets to plan for each encoder and each decoder, or how
      many pairs.
    longest: the longest source and the longest target, with EOS, that planned
      buckets hold; longer examples are left out and counted.
    strict_buckets: whether a length must be less than its bucket, as in the
      tutorial, instead of at most equal to it.
    layout: layout of batches: plain, or tutorial (source reversed, PAD first).

  Returns:
    A `Task` whose metric is BLEU.

  Raises:
    ArgumentError: if `train` is missing, a direction is unknown or cannot be
      trained, or settings contradict each other.
    DataError: if a file cannot be read, or the files have different numbers of
      lines.
  """
  if tokens not in TOKENS or layout not in LAYOUTS:
    raise errors.ArgumentError(
      f"tasks.parallel: tokens must be one of {sorted(TOKENS)}, layout one of "
      f"{sorted(LAYOUTS)}, got {tokens!r} and {layout!r}."
    )
  trained, left_out = directions_lib.parse(
    sources, targets, directions, held_out
  )
  bucket_plans.check_kind(bucketing, trained + left_out)
  paths = {"train": train, "validation": validation, "test": test}
  files = _Files(paths, trained + left_out, TOKENS[tokens], limit)
  symbols = files.vocabularies(vocabularies, max_vocabulary, min_count)
  chosen = bucket_plans.choose_buckets(
    {d: planner.count_lengths(files.read("train", d.sides)) for d in trained},
    bucketing,
    (pairs, source_buckets, target_buckets),
    buckets,
    strict_buckets,
    longest,
    left_out,
  )
  found = Task(symbols, chosen, {}, {}, "bleu", (tokens, tokens), layout)
  return files.fill(found, trained, left_out)


class _Files:
  """The aligned files of all splits."""

  def __init__(self, paths, directions, tokenize, limit):
    """Checks `paths`, split → files."""
    self._names = names = directions_lib.names_of(directions)
    self._tokenize, self._limit, self._paths = tokenize, limit, {}
    for split, files in paths.items():
      if not files and split != "train":
        continue
      given = files
      if files and len(files) == 1 and "{}" in files[0]:
        files = [files[0].replace("{}", name) for name in names]
      if not files or len(files) != len(names):
        raise errors.ArgumentError(
          f"tasks.parallel: {split} must be {len(names)} files, one for each "
          f"of {', '.join(names)}, or one name with {{}} in the place of "
          f"theirs, got {given}. Name the sides by sources and targets."
        )
      self._paths[split] = dict(zip(names, files))

  def read(self, split, sides):
    """Returns the `corpora.AlignedFiles` of some sides."""
    paths = [self._paths[split][name] for name in sides]
    return corpora.AlignedFiles(paths, self._tokenize, self._limit)

  def vocabularies(self, folder, most, min_count):
    """Returns those of a folder, or builds them; name → `Vocabulary`."""
    if folder:
      found = corpora.load_vocabularies(folder, tuple(self._names))
      return dict(zip(self._names, found))
    files = self.read("train", self._names)
    return {
      name: vocabulary.Vocabulary.build(files.side(k), most, min_count)
      for k, name in enumerate(self._names)
    }

  def fill(self, task, trained, left_out):
    """Returns a `Task` with all examples and evaluations."""
    for split in self._paths:
      if split != "test":
        task.encoded[split] = {
          one: encoding.encode_tuples(
            self.read(split, one.sides),
            task.vocabularies_of(one),
            task.buckets[one],
            unknown="unk",
          )
          for one in trained
        }
      if split != "train":
        task.evaluations[split] = {
          one: _evaluation(self.read(split, one.sides))
          for one in trained + left_out * (split == "test")
        }
    return task


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
    vocabularies=corpora.Vocabularies(symbols, symbols)._asdict(),
    buckets={
      directions_lib.PAIR: bucketing.JointBuckets([(3, 3), (6, 6)], strict=True)
    },
    encoded={"train": {directions_lib.PAIR: found}},
    evaluations={},
    metric="error_rates",
    tokens=("words", "words"),
    layout="self_test",
  )


def make_decoder(convert, vocabularies, buckets, batch_size, **settings):
  """Returns a `decoding.LineDecoder` for a direction.

  Args:
    convert, batch_size, **settings: as for `LineDecoder`.
    vocabularies: those of the sources, and of the target.
    buckets: an `IndependentBuckets` or a `JointBuckets`.
  """
  *sources, target = vocabularies
  sources = sources if len(sources) > 1 else sources[0]
  settings.setdefault("unknown", "unk")
  return decoding.LineDecoder(
    convert, sources, target, buckets, batch_size, **settings
  )


def _evaluation(corpus):
  *sources, targets = zip(*corpus)
  return Evaluation(
    list(zip(*sources)) if len(sources) > 1 else list(sources[0]),
    [[target] for target in targets],
  )
