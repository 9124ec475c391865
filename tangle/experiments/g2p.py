"""Grapheme-to-phoneme conversion through a pipeline of independent buckets."""

import os
import time

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import converter as converter_lib
from tangle.seq2seq import encoding
from tangle.training import records


def train(
  data,
  out_dir,
  units=128,
  layers=1,
  depth=64,
  bucket_count=5,
  batch_size=128,
  learning_rate=3e-3,
  final_learning_rate=1e-5,
  dropout_rate=0.2,
  clip_norm=5.0,
  epochs=8.0,
  evaluations=4,
  seed=0,
  words=(),
  progress=None,
  report=None,
):
  """Trains a converter and measures it.

  The learning rate falls along half a cosine from `learning_rate` to
  `final_learning_rate`.

  Args:
    data: a `cmudict_data.Data`.
    out_dir: folder that gets `metrics.jsonl` and the checkpoint `model`.
    units: depth of the recurrent layers, see `AttentionModel`.
    layers: how many there are in encoder and decoder each.
    depth: depth of the embeddings.
    bucket_count: buckets of each side.
    batch_size: examples a step.
    learning_rate: of Adam at the first step.
    final_learning_rate: of Adam at the last step.
    dropout_rate: of embeddings and layers' outputs.
    clip_norm: global norm to clip gradients to.
    epochs: passes over the training data, may be a fraction.
    evaluations: how often to measure on validation, at equal intervals.
    seed: of batches, initial values and dropout.
    words: words to convert at the end, as samples.
    progress: called after each step as `progress(step, steps, loss,
      words_per_s)`.
    report: called with a line of text now and then.

  Returns:
    A dict of figures: `loss` (the last one), `curve` (records of step,
    `validation_loss` in nats a symbol, `validation_per`, `validation_wer`),
    `test_per`, `test_wer`, `words_per_s`, `train_s`, `build_s`, `steps`,
    `graphs`, `graph_ops`, `joint_graphs`, and `samples`, word → phonemes.

  Raises:
    DataError: if one of `words` is empty or has an unknown symbol; before
      anything is trained.
    BucketError: if one is longer than the largest bucket; likewise.
  """
  report = report or (lambda text: None)
  task = converter_lib.make_task(data, bucket_count)
  for word in words:
    encoding.encode_word(word, task.source, task.source_buckets[-1])
  for name, encoded in task.encoded.items():
    report(f"{name}: {encoded.report.summary()}")
  pairs = converter_lib.make_batches(task, "train", batch_size, seed)
  steps = max(1, int(round(epochs * len(pairs))))
  writer = records.Records(out_dir)
  with tf1.Graph().as_default():
    tf1.set_random_seed(seed)
    begin = time.time()
    global_step = tf1.train.create_global_step()
    rate = tf1.train.cosine_decay(
      learning_rate, global_step, steps, final_learning_rate / learning_rate
    )
    optimizer = tf1.train.AdamOptimizer(rate)
    converter = converter_lib.Converter(
      task, units, layers, depth, optimizer, clip_norm, global_step
    )
    figures = {"build_s": time.time() - begin, "steps": steps}
    figures.update(converter_lib.graph_summary(converter.pipeline, task))
    report(
      f"{figures['graphs']} static graphs of {figures['graph_ops']:,} ops for "
      f"source buckets {task.source_buckets} and target buckets "
      f"{task.target_buckets}; a joint model takes {figures['joint_graphs']}."
    )
    initialize = tf1.global_variables_initializer()
    saver = tf1.train.Saver()
    with tf1.Session() as sess:
      sess.run(initialize)
      measure = Measure(sess, converter, steps, evaluations, writer, report)
      figures.update(
        _run(sess, converter, pairs, steps, dropout_rate, measure, progress)
      )
      figures.update(curve=measure.curve, **measure.final(words))
      saver.save(sess, os.path.join(out_dir, "model"))
  writer.write(**figures)
  return figures


class Measure:
  """Measures a converter in training, at equal intervals and at the end.

  Attributes:
    curve: the records made so far.
  """

  def __init__(self, sess, converter, steps, evaluations, writer, report):
    """Plans the measurements.

    Args:
      sess: a session.
      converter: a `converter.Converter`.
      steps: how many steps the training has.
      evaluations: how often to measure.
      writer: a `records.Records`.
      report: a callable of a line of text.
    """
    self._sess = sess
    self._converter = converter
    self._marks = {
      max(1, round(steps * k / evaluations)) for k in range(1, evaluations + 1)
    }
    self._writer = writer
    self._report = report
    self._held_out = converter_lib.make_batches(
      converter.task, "validation", 512
    )
    self.curve = []

  def after(self, step):
    """Measures on validation if it is time to.

    Args:
      step: how many steps are done.
    """
    if step not in self._marks:
      return
    converter = self._converter
    rates = converter.error_rates(self._sess, converter.task.data.validation)
    record = {
      "step": step,
      "validation_loss": converter.loss(self._sess, self._held_out),
      "validation_per": rates.per,
      "validation_wer": rates.wer,
    }
    self.curve.append(record)
    self._writer.write(**record)
    self._report(
      f"step {step}: validation loss {record['validation_loss']:.4f}, "
      f"phoneme error rate {rates.per:.2%}, word error rate {rates.wer:.2%}"
    )

  def final(self, words):
    """Measures on test.

    Args:
      words: words to convert.

    Returns:
      A dict: `test_per`, `test_wer`, and `samples`, word → phonemes.
    """
    converter = self._converter
    rates = converter.error_rates(self._sess, converter.task.data.test)
    found = converter.convert(self._sess, words) if words else []
    samples = {word: " ".join(phones) for word, phones in zip(words, found)}
    return {"test_per": rates.per, "test_wer": rates.wer, "samples": samples}


def _run(sess, converter, pairs, steps, dropout_rate, measure, progress):
  """Runs the steps; returns the last loss, the seconds and the speed."""
  seconds, seen, step, epoch, result = 0.0, 0, 0, 0, None
  while step < steps:
    for batch in pairs.epoch(epoch):
      begin = time.time()
      result = converter.step(sess, batch, dropout_rate)
      seconds += time.time() - begin
      seen += batch.words
      step += 1
      if not np.isfinite(result.loss):
        raise errors.TrainingError(
          f"g2p.train: the loss is {result.loss} at step {step}, in buckets "
          f"{result.buckets}. Lower learning_rate or clip_norm."
        )
      if progress is not None:
        progress(step, steps, result.loss, seen / seconds)
      measure.after(step)
      if step == steps:
        break
    epoch += 1
  return {
    "loss": result.loss,
    "train_s": seconds,
    "words_per_s": seen / seconds,
  }
