"""Validation in training, and the measurement at the end."""

import itertools

from tangle.experiments import tasks
from tangle.seq2seq import batches, decoding, encoding, metrics

BATCH_SIZE = 256
SAMPLES = 5
"""The number of validation lines that are shown with what was decoded."""


class Measure:
  """Measures a task, and keeps the curve as part of a checkpoint.

  Attributes:
    curve: the records of all validations.
    every: steps between validations, for the curve.
    watch: the figure that selects the best checkpoint; lower is better.
  """

  def __init__(self, task):
    """Checks that the package of the metric is installed.

    Args:
      task: a `tasks.Task`.

    Raises:
      MissingPackageError: if the package of the metric is not installed.
    """
    self._task = task
    self.curve, self.every = [], 1
    self.watch = "validation_loss"
    if task.metric == "bleu":
      if task.evaluations:
        metrics.bleu(["a"], ["a"])  # fails now, not after an hour
    elif "validation" in task.evaluations:
      self.watch = "validation_wer"

  def check_words(self, lines):
    """Raises if a line cannot be converted.

    Args:
      lines: texts.

    Raises:
      DataError: if one is empty or has an unknown symbol.
      BucketError: if one is longer than the largest bucket.
    """
    task = self._task
    for line in lines:
      symbols = tasks.TOKENS[task.tokens[0]](line)
      longest = task.buckets.longest[0]
      encoding.encode_word(symbols, task.vocabularies.source, longest)

  def validate(self, model, sess):
    """Measures a model in training, by greedy search.

    Args:
      model: a `translator.Translator`.
      sess: its session.

    Returns:
      A dict: `validation_loss` in nats per symbol, `validation_perplexity`, and
      the metric such as `validation_wer`, with `validation_samples`: source,
      reference and what was decoded, for the first lines. Without validation
      data the loss is measured on the training data.
    """
    task = self._task
    split = "validation" if "validation" in task.encoded else "train"
    held_out = batches.PairBatches(
      task.encoded[split].examples,
      task.buckets,
      BATCH_SIZE,
      layout=tasks.LAYOUTS[task.layout],
    )
    loss = model.loss(sess, held_out.in_order())
    samples = {}
    record = {
      "validation_loss": loss,
      "validation_perplexity": metrics.perplexity(loss, 1),
    }
    if "validation" in task.evaluations:
      decoder = decoding.LineDecoder(
        model.converter(sess),
        *task.vocabularies,
        task.buckets,
        BATCH_SIZE,
        unknown="unk",
        layout=tasks.LAYOUTS[task.layout],
        tokenize=lambda symbols: symbols,
      )
      figures, predictions = self._evaluate("validation", decoder)
      record.update(figures)
      samples["validation_samples"] = self._samples("validation", predictions)
    self.curve.append(dict(record, step=self.every * (len(self.curve) + 1)))
    return dict(record, **samples)

  def final(self, decoder, lines):
    """Measures on the test split, and converts sample lines.

    Args:
      decoder: a `decoding.LineDecoder` that reads lines.
      lines: lines to convert.

    Returns:
      A dict: the metric such as `test_wer`, and `samples`, line → text.
    """
    figures = {}
    if "test" in self._task.evaluations:
      found, _ = self._evaluate("test", decoder.reading(lambda s: s))
      figures.update(found)
    found = decoder.decode_lines(lines).candidates
    figures["samples"] = {
      line: " ".join(candidates[0].symbols) if candidates else ""
      for line, candidates in zip(lines, found)
    }
    return figures

  def _evaluate(self, split, decoder):
    """Returns the figures of a split, and what was decoded.

    The figures are the metric, and how many lines were not decoded.
    """
    found = decoder.decode_lines(self._task.evaluations[split].sources)
    predictions = [
      candidates[0].symbols if candidates else ()
      for candidates in found.candidates
    ]
    figures = dict(self._task.measure(split, predictions))
    figures["left_out"] = found.report.dropped
    figures = {f"{split}_{name}": value for name, value in figures.items()}
    return figures, predictions

  def _samples(self, split, predictions):
    """Returns the first lines of a split, with what was decoded."""
    evaluation = self._task.evaluations[split]
    lines = zip(evaluation.sources, evaluation.references, predictions)
    return [
      {
        "source": " ".join(source),
        "reference": " ".join(references[0]),
        "decoded": " ".join(decoded),
      }
      for source, references, decoded in itertools.islice(lines, SAMPLES)
    ]

  def state(self):
    """Returns the curve."""
    return {"curve": self.curve}

  def restore(self, state):
    """Resumes from a state.

    Args:
      state: what `state` returned.
    """
    self.curve = [dict(record) for record in state["curve"]]
