"""Error rates, perplexity and BLEU, from plain sequences and numbers.

Ids, padding and EOS have no special meaning: sequences are compared as given.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Sequence, Union

from tangle import errors


class Bleu(NamedTuple):
  """BLEU from 0 to 100, and sacrebleu's description of how it was computed."""

  score: float
  signature: str


class ErrorRates(NamedTuple):
  """Phoneme and word error rate, as fractions of 1, and the number of words."""

  per: float
  wer: float
  words: int


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
  """Returns the smallest number of edits that turn `a` into `b`.

  An edit inserts, deletes or replaces one symbol.

  Source: Wagner and Fischer (1974), "The string-to-string correction
  problem", with two rows of the table kept.

  Args:
    a: a sequence of symbols.
    b: a sequence of symbols.

  Returns:
    An int, from 0 to the length of the longer.
  """
  above = list(range(len(b) + 1))
  for row, left in enumerate(a, 1):
    here = [row]
    for column, right in enumerate(b, 1):
      replaced = above[column - 1] + (left != right)
      here.append(min(replaced, above[column] + 1, here[-1] + 1))
    above = here
  return above[-1]


@errors.named("error_rates")
def error_rates(
  predictions: Sequence[Sequence[Any]],
  references: Sequence[Sequence[Sequence[Any]]],
) -> ErrorRates:
  """Returns phoneme and word error rate, with several references per word.

  Let `r_w` be the reference of word w nearest to its prediction `p_w`; at a
  tie, the first of the nearest. Then

    per = sum_w edit_distance(p_w, r_w) / sum_w len(r_w)
    wer = the share of words whose prediction equals none of its references

  Source: CMU g2p-seq2seq (`g2p_seq2seq/g2p.py`, `calc_error`) for the word
  error rate: each word counts once, and is correct if it equals any listed
  pronunciation. There the list is that of the test set; here the caller chooses
  it. That tool has no phoneme error rate; this is the usual one, with the
  nearest reference. It can be more than 1.

  Args:
    predictions: for each of W words, a sequence of symbols; may be empty.
    references: for each of W words, its accepted sequences, at least one.

  Returns:
    An `ErrorRates(per, wer, words)`: two floats, and W.

  Raises:
    ArgumentError: if there are no words, or `predictions` and `references` are
      not equally many.
    DataError: if a word has no references, or all the nearest references are
      empty sequences.
  """
  predictions, references = list(predictions), list(references)
  if not predictions or len(predictions) != len(references):
    raise errors.ArgumentError(
      f"predictions and references must be equally many, at least "
      f"one; got {len(predictions)} and {len(references)}. Give a prediction "
      f"and a list of references for each word."
    )
  distance, length, wrong = 0, 0, 0
  for word, (prediction, accepted) in enumerate(zip(predictions, references)):
    if not len(accepted):
      raise errors.DataError(
        f"references[{word}] is empty. Give each word at least "
        "one accepted sequence, or leave it out."
      )
    distances = [edit_distance(prediction, item) for item in accepted]
    nearest = distances.index(min(distances))
    distance += distances[nearest]
    length += len(accepted[nearest])
    wrong += distances[nearest] > 0
  if not length:
    raise errors.DataError(
      "all nearest references are empty sequences, so there is "
      "no length to divide by. Check how the references were made."
    )
  words = len(predictions)
  return ErrorRates(per=distance / length, wer=wrong / words, words=words)


@errors.named("perplexity")
def perplexity(total_loss: float, count: float) -> float:
  """Returns `exp(total_loss / count)`.

  Source: TensorFlow's translate tutorial, which also returns infinity if the
  exponential overflows.

  Args:
    total_loss: the summed cross entropy, in nats.
    count: the number of symbols in the sum, including EOS.

  Returns:
    A float: 1 is perfect; V is guessing among V symbols; nan for a nan loss;
    inf if the exponential overflows.

  Raises:
    ArgumentError: if `count` is not positive.
  """
  if not count > 0:
    raise errors.ArgumentError(
      f"count must be positive, got {count}. Was any batch seen?"
    )
  try:
    return math.exp(total_loss / count)
  except OverflowError:
    return math.inf


@errors.named("bleu")
def bleu(
  hypotheses: Sequence[str],
  references: Sequence[Union[str, Sequence[str]]],
  tokenize: str = "none",
) -> Bleu:
  """Returns the BLEU of a corpus.

  Source: Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of
  Machine Translation", as the package sacrebleu computes it (Post 2018, "A
  Call for Clarity in Reporting BLEU Scores"). Scores are comparable if their
  signatures are equal, up to the version.

  Args:
    hypotheses: N strings.
    references: for each of them one string, or a list of strings; as many for
      each.
    tokenize: sacrebleu's name of a tokenizer: "none" for text whose tokens are
      already separated by spaces; "13a", sacrebleu's default, for plain text.

  Returns:
    A `Bleu(score, signature)`: 0 to 100, and a string.

  Raises:
    ArgumentError: if there are no hypotheses, `hypotheses` and `references` are
      not equally many, or `tokenize` is unknown.
    DataError: if a hypothesis has another number of references than the first,
      or none.
    MissingPackageError: if `sacrebleu` is not installed.
  """
  with errors.needing("sacrebleu", "tangle-graph[bleu]"):
    import sacrebleu
  hypotheses, references = list(hypotheses), list(references)
  if not hypotheses or len(hypotheses) != len(references):
    raise errors.ArgumentError(
      "hypotheses and references must be equally many, at least one; got "
      f"{len(hypotheses)} and {len(references)}. Give references for each "
      "hypothesis."
    )
  references = [[r] if isinstance(r, str) else list(r) for r in references]
  for index, accepted in enumerate(references):
    if not accepted or len(accepted) != len(references[0]):
      raise errors.DataError(
        f"references[{index}] has {len(accepted)} strings, references[0] "
        f"has {len(references[0])}. Give each hypothesis as many references, "
        "at least one."
      )
  if tokenize not in sacrebleu.BLEU.TOKENIZERS:
    raise errors.ArgumentError(
      f"tokenize must be one of {list(sacrebleu.BLEU.TOKENIZERS)}, got "
      f"{tokenize!r}."
    )
  # force: sacrebleu warns of tokenized text, which may be intended.
  metric = sacrebleu.BLEU(tokenize=tokenize, force=True)
  score = metric.corpus_score(hypotheses, list(zip(*references))).score
  return Bleu(float(score), str(metric.get_signature()))
