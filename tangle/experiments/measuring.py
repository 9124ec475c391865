"""Validation in training, and the measurement at the end."""

import io
import itertools
import os

from tangle import errors, files
from tangle.experiments import networks, tasks
from tangle.seq2seq import encoding, metrics

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
      ArgumentError: if there are several sources or directions to convert from.
      DataError: if a line is empty or has an unknown symbol.
      BucketError: if one is longer than the largest bucket.
    """
    task = self._task
    for line in lines:
      if not networks.is_plain(task.buckets):
        raise errors.ArgumentError(
          "measuring: sample_lines are for one direction from one source. "
          "Decode lines of others from a file, with decode_seq2seq.py."
        )
      (direction,) = task.buckets
      symbols = tasks.TOKENS[task.tokens[0]](line)
      longest = task.buckets[direction].longest[0]
      known, _ = task.vocabularies_of(direction)
      for symbol in symbols:
        if symbol not in known:
          raise errors.DataError(
            f"measuring: the line {line!r} of sample_lines has {symbol!r}, "
            f"which is not in the source vocabulary. Leave the line out, or "
            f"write it with symbols of the training data."
          )
      encoding.encode_word(symbols, known, longest)

  def validate(self, model, sess):
    """Measures a model in training, by greedy search.

    Args:
      model: a `translator.Translator`.
      sess: its session.

    Returns:
      A dict: `validation_loss` in nats per symbol, `validation_perplexity`, and
      the metric such as `validation_wer`, with `validation_samples`: source,
      reference and what was decoded, for the first lines. Without validation
      data the loss is measured on the training data. With several directions,
      each figure is also there for each of them, such as
      `validation_loss_en-de`; that without a direction is their mean, or of
      numbers of lines and words the sum.
    """
    task = self._task
    split = "validation" if "validation" in task.encoded else "train"
    found, samples = {}, []
    for one in task.directions:
      drawn = task.batches(split, one, BATCH_SIZE)
      found[one] = own = {
        "validation_loss": model.loss(sess, drawn.in_order(), one)
      }
      if "validation" in task.evaluations:
        decoder = tasks.make_decoder(
          model.converter(sess, one),
          task.vocabularies_of(one),
          task.buckets[one],
          BATCH_SIZE,
          layout=tasks.LAYOUTS[task.layout],
          tokenize=tuple,
        )
        figures, candidates = self._evaluate("validation", one, decoder)
        own.update(figures)
        samples += self._samples("validation", one, candidates)
    record = {
      name: _sum_up(name, [own[name] for own in found.values()])
      for name in found[task.directions[0]]
    }
    record["validation_perplexity"] = metrics.perplexity(
      record["validation_loss"], 1
    )
    if len(found) > 1:
      for one, own in found.items():
        record.update((f"{name}_{one}", value) for name, value in own.items())
    self.curve.append(dict(record, step=self.every * (len(self.curve) + 1)))
    return dict(record, **({"validation_samples": samples} if samples else {}))

  def final(self, decoders, lines, out_dir):
    """Measures on the test split, and converts sample lines.

    What is found is written to `test.txt`; with several directions, to a file
    such as `test_en-de.txt` for each.

    Args:
      decoders: direction → a `decoding.LineDecoder` that reads lines.
      lines: lines to convert.
      out_dir: the folder to write to.

    Returns:
      A dict: the metric such as `test_wer`, and `samples`, line → text. With
      several directions, the metric is a dict from direction to value.
    """
    figures, several = {}, len(self._task.buckets) > 1
    for one in self._task.evaluations.get("test", ()):
      decoder = decoders[one].reading(tuple)
      found, candidates = self._evaluate("test", one, decoder)
      text = io.StringIO()
      decoder.write(candidates, text)
      name = f"test_{one}.txt" if several else "test.txt"
      files.write_text(os.path.join(out_dir, name), text.getvalue())
      for name, value in found.items():
        if several:
          figures.setdefault(name, {})[str(one)] = value
        else:
          figures[name] = value
    figures["samples"] = {}
    if lines:
      (decoder,) = decoders.values()
      for line, found in zip(lines, decoder.decode_lines(lines).candidates):
        figures["samples"][line] = " ".join(_best(found))
    return figures

  def _evaluate(self, split, direction, decoder):
    """Returns the figures of a split, and the candidates of all lines.

    The figures are the metric, and how many lines were not decoded.
    """
    sources = self._task.evaluations[split][direction].sources
    found = decoder.decode_lines(sources)
    predictions = list(map(_best, found.candidates))
    figures = dict(self._task.measure(split, predictions, direction))
    figures["left_out"] = found.report.dropped
    figures = {f"{split}_{name}": value for name, value in figures.items()}
    return figures, found.candidates

  def _samples(self, split, direction, candidates):
    """Returns the first lines of a split, with what was decoded."""
    evaluation = self._task.evaluations[split][direction]
    lines = zip(evaluation.sources, evaluation.references, candidates)
    several, found = len(self._task.buckets) > 1, []
    for sources, references, decoded in itertools.islice(lines, SAMPLES):
      if len(direction.sources) == 1:
        sources = [sources]
      texts = [" ".join(source) for source in sources]
      if several:  # rows of one table, so all have the same columns
        sample = {"direction": str(direction), "source": " | ".join(texts)}
      else:
        sample = dict(zip(direction.sources, texts))
      sample["reference"] = " ".join(references[0])
      found.append(dict(sample, decoded=" ".join(_best(decoded))))
    return found

  def state(self):
    """Returns the curve."""
    return {"curve": self.curve}

  def restore(self, state):
    """Resumes from what `state` returned."""
    self.curve = [dict(record) for record in state["curve"]]


def _best(candidates):
  """Returns the symbols of the best candidate; none if nothing was found."""
  return candidates[0].symbols if candidates else ()


def _sum_up(name, values):
  """Returns the mean of a figure over directions; of counts the sum."""
  total = sum(values)
  counted = name.endswith(("left_out", "words"))
  return total if counted or len(values) == 1 else total / len(values)
