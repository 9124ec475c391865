"""Grapheme-to-phoneme conversion through a pipeline of independent buckets."""

import collections
import os
import time
from typing import Any, List, NamedTuple

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import cmudict_data
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import (
  attention_model,
  batches,
  buckets,
  metrics,
  vocabulary,
)
from tangle.training import records

READS = {
  "memory": "encoder.memory",
  "lengths": "encoder.lengths",
  "summary": "encoder.summary",
}


class Task(NamedTuple):
  """Data of the task, as ids.

  Attributes:
    data: a `cmudict_data.Data`.
    source, target: the vocabularies.
    source_buckets, target_buckets: the buckets of each side.
    encoded: split name → `batches.Encoded` of training and validation.
  """

  data: Any
  source: Any
  target: Any
  source_buckets: List[int]
  target_buckets: List[int]
  encoded: Any


def make_task(data, bucket_count=5):
  """Builds vocabularies and buckets and encodes the data.

  Args:
    data: a `cmudict_data.Data`.
    bucket_count: how many buckets each side gets, those with the least
      padding of the training data.

  Returns:
    A `Task`.
  """
  source = vocabulary.Vocabulary.build(word for word, _ in data.train)
  target = vocabulary.Vocabulary.build(phones for _, phones in data.train)
  everything = data.train + data.validation + data.test
  longest = max(len(word) for word, _ in everything)
  source_lengths = collections.Counter(len(word) for word, _ in data.train)
  target_lengths = collections.Counter(len(p) + 1 for _, p in data.train)
  source_lengths[longest] += 0
  source_buckets = list(buckets.propose_buckets(source_lengths, bucket_count))
  target_buckets = list(buckets.propose_buckets(target_lengths, bucket_count))
  encoded = {
    name: batches.encode_pairs(
      getattr(data, name), source, target, source_buckets, target_buckets
    )
    for name in ("train", "validation")
  }
  return Task(data, source, target, source_buckets, target_buckets, encoded)


class Converter:
  """A pipeline that learns to convert words.

  Attributes:
    task: the `Task`.
    model: the `AttentionModel`.
    pipeline: the `Pipeline` of encoders, decoders and a greedy decoder.
    trainer: its `Trainer`.
  """

  def __init__(
    self, task, units, layers, depth, optimizer, clip_norm, global_step=None
  ):
    """Builds all graphs in the default graph.

    Args:
      task: a `Task`.
      units: depth of the recurrent layers.
      layers: how many there are in encoder and decoder each.
      depth: depth of the embeddings.
      optimizer: a `tf.compat.v1.train.Optimizer`.
      clip_norm: global norm to clip gradients to.
      global_step: a variable that counts the steps.
    """
    self.task = task
    self.model = attention_model.AttentionModel(
      len(task.source), len(task.target), units, layers, depth
    )
    self.pipeline = pipeline_lib.Pipeline("g2p")
    self.pipeline.add(
      "encoder",
      attention_model.encoder_builder(self.model),
      buckets=task.source_buckets,
      pad={"source": vocabulary.PAD_ID},
    )
    self.pipeline.add(
      "decoder",
      attention_model.decoder_builder(self.model),
      buckets=task.target_buckets,
      reads=READS,
    )
    self.pipeline.add(
      "greedy",
      attention_model.greedy_builder(self.model),
      buckets=[task.target_buckets[-1]],
      reads=READS,
    )
    self.trainer = self.pipeline.minimize(
      optimizer, clip_norm=clip_norm, global_step=global_step
    )

  def step(self, sess, batch, dropout_rate):
    """Trains on a `batches.Batch`; returns a `Result`."""
    return self.trainer.step(sess, self._feeds(batch, dropout_rate))

  def loss(self, sess, examples):
    """Returns the cross entropy per symbol of a `PairBatches`, in nats."""
    total, symbols = 0.0, 0.0
    for batch in examples.in_order():
      found = self.pipeline.forward(sess, self._feeds(batch, 0.0))
      total += found.metrics["decoder"]["total_loss"]
      symbols += found.metrics["decoder"]["symbols"]
    return float(total / symbols)

  def _feeds(self, batch, dropout_rate):
    return {
      "encoder": {
        "source": batch.source,
        "lengths": batch.source_lengths,
        "dropout_rate": dropout_rate,
      },
      "decoder": {
        "inputs": batch.decoder_inputs,
        "targets": batch.targets,
        "weights": batch.weights,
        "dropout_rate": dropout_rate,
      },
    }

  def convert(self, sess, words, batch_size=512, unknown="raise"):
    """Converts words greedily.

    Args:
      sess: a session.
      words: strings.
      batch_size: how many to convert at once.
      unknown: what to do with an unknown symbol, see `Vocabulary.encode`.

    Returns:
      A list with a tuple of phonemes for each word, in order.

    Raises:
      DataError: if a word is empty or has an unknown symbol.
      BucketError: if a word is longer than the largest bucket.
    """
    task = self.task
    largest = task.source_buckets[-1]
    examples = [
      (cmudict_data.encode_word(word, task.source, largest, unknown), ())
      for word in words
    ]
    pairs = batches.PairBatches(
      examples, task.source_buckets, task.target_buckets, batch_size
    )
    found = [None] * len(examples)
    for batch in pairs.in_order():
      result = self.pipeline.forward(
        sess,
        {
          "encoder": {"source": batch.source, "lengths": batch.source_lengths},
          "greedy": {},
        },
        fetch=["greedy.symbols"],
      )
      for index, ids in zip(batch.indices, result.outputs["greedy.symbols"]):
        found[index] = tuple(task.target.decode(ids))
    return found

  def error_rates(self, sess, split):
    """Measures a split of entries, unknown symbols read as UNK.

    Args:
      sess: a session.
      split: a list of (word, phonemes).

    Returns:
      A `metrics.ErrorRates` over the different words of the split.
    """
    evaluation = cmudict_data.evaluation_words(
      split, self.task.data.pronunciations
    )
    predictions = self.convert(sess, evaluation.words, unknown="unk")
    return metrics.error_rates(predictions, evaluation.references)


def graph_summary(pipeline, task):
  """Compares the graphs of training with those of a joint model.

  Args:
    pipeline: the `Pipeline` of a `Converter`.
    task: its `Task`.

  Returns:
    A dict: `graphs` and `graph_ops` of encoders and decoders, and
    `joint_graphs`, how many a joint model would take for the same buckets.
  """
  counts = [
    count for count in pipeline.graph_counts() if count.sub_model != "greedy"
  ]
  return {
    "graphs": len(counts),
    "graph_ops": sum(count.ops for count in counts),
    "joint_graphs": len(task.source_buckets) * len(task.target_buckets),
  }


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
  task = make_task(data, bucket_count)
  for word in words:
    cmudict_data.encode_word(word, task.source, task.source_buckets[-1])
  for name, encoded in task.encoded.items():
    report(f"{name}: {encoded.report.summary()}")
  pairs = make_batches(task, "train", batch_size, seed)
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
    converter = Converter(
      task, units, layers, depth, optimizer, clip_norm, global_step
    )
    figures = {"build_s": time.time() - begin, "steps": steps}
    figures.update(graph_summary(converter.pipeline, task))
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


def make_batches(task, split, batch_size, seed=0):
  """Returns the `PairBatches` of a split of a task.

  Args:
    task: a `Task`.
    split: `"train"` or `"validation"`.
    batch_size: examples a batch.
    seed: of the order.

  Returns:
    A `PairBatches`.
  """
  return batches.PairBatches(
    task.encoded[split].examples,
    task.source_buckets,
    task.target_buckets,
    batch_size,
    seed=seed,
  )


class Measure:
  """Measures a converter in training, at equal intervals and at the end.

  Attributes:
    curve: the records made so far.
  """

  def __init__(self, sess, converter, steps, evaluations, writer, report):
    """Plans the measurements.

    Args:
      sess: a session.
      converter: a `Converter`.
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
    self._held_out = make_batches(converter.task, "validation", 512)
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
