"""A grapheme-to-phoneme converter: its data as ids, and its pipeline."""

import collections
from typing import Any, List, NamedTuple

from tangle.experiments import cmudict_data
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import (
  attention_model,
  batches,
  bucketing,
  buckets,
  encoding,
  metrics,
  vocabulary,
)

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
    encoded: split name → `encoding.Encoded` of training and validation.
  """

  data: Any
  source: Any
  target: Any
  source_buckets: List[int]
  target_buckets: List[int]
  encoded: Any

  @property
  def buckets(self):
    """The buckets of both sides, an `IndependentBuckets`."""
    return bucketing.IndependentBuckets(
      self.source_buckets, self.target_buckets
    )


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
  source_lengths = collections.Counter(len(word) for word, _ in data.train)
  target_lengths = collections.Counter(len(p) + 1 for _, p in data.train)
  source_buckets = list(buckets.propose_buckets(source_lengths, bucket_count))
  target_buckets = list(buckets.propose_buckets(target_lengths, bucket_count))
  # So that a longer word of another split can be converted too.
  everything = data.train + data.validation + data.test
  source_buckets[-1] = max(len(word) for word, _ in everything)
  independent = bucketing.IndependentBuckets(source_buckets, target_buckets)
  encoded = {
    name: encoding.encode_pairs(
      getattr(data, name), source, target, independent
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
    """Trains on a `rows.Batch`; returns a `Result`."""
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
      (encoding.encode_word(word, task.source, largest, unknown), ())
      for word in words
    ]
    pairs = batches.PairBatches(examples, task.buckets, batch_size)
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
    task.encoded[split].examples, task.buckets, batch_size, seed=seed
  )
