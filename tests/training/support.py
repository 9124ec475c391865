"""A small encoder and decoder, and their training, for the tests here."""

import numpy as np

import tangle
from tangle.compat import tf1
from tangle.nets import feedforward
from tangle.seq2seq import batches, bucketing
from tangle.training import determinism, schedules, sources

VOCABULARY = 20
DEPTH = 8
BUCKETS = [3, 6]


def examples(count=120):
  """Returns pairs of ids; a target is its source, last to first."""
  rng = np.random.RandomState(7)
  found = []
  for _ in range(count):
    source = rng.randint(4, VOCABULARY, rng.randint(1, 6)).tolist()
    found.append((source, source[::-1]))
  return found


def pair_batches(batch_size=8):
  """Returns the `PairBatches` of `examples`."""
  buckets = bucketing.IndependentBuckets(BUCKETS, BUCKETS)
  return batches.PairBatches(examples(), buckets, batch_size, seed=3)


class Model:
  """A pipeline with sparse gradients and stateless dropout.

  Attributes:
    pipeline: the `Pipeline`.
    rate: the `LearningRate`.
    trainer: the `Trainer`.
  """

  def __init__(self, schedule=None, optimizer=None, dropout_rate=0.3):
    rng = np.random.RandomState(1)

    def make(name, *shape):
      value = (rng.standard_normal(shape) * 0.3).astype(np.float32)
      return tf1.get_variable(name, initializer=value, use_resource=True)

    self._dropout_rate = dropout_rate
    self._tables = [make(n, VOCABULARY, DEPTH) for n in ("source", "target")]
    self._joined = make("joined", 2 * DEPTH, DEPTH)
    self._out = make("out", DEPTH, VOCABULARY)
    self.pipeline = tangle.Pipeline("copy")
    self.pipeline.add("encoder", self._encoder, buckets=BUCKETS)
    self.pipeline.add(
      "decoder",
      self._decoder,
      buckets=BUCKETS,
      reads={"memory": "encoder.memory"},
    )
    self.rate = schedules.LearningRate(schedule or schedules.Constant(0.01))
    optimizer = optimizer or tf1.train.AdamOptimizer
    self.trainer = self.pipeline.minimize(
      optimizer(self.rate.variable),
      clip_norm=5.0,
      global_step=tf1.train.get_or_create_global_step(),
    )

  def _dropout(self, x):
    seed_ph = tf1.placeholder_with_default(np.zeros(2, np.int32), [2])
    return feedforward.dropout(x, self._dropout_rate, seed_ph), seed_ph

  def _encoder(self, bucket, reads):
    del reads
    source_ph = tf1.placeholder(tf1.int32, [None, bucket], "source_ph")
    embedded, seed_ph = self._dropout(tf1.gather(self._tables[0], source_ph))
    memory = tf1.tanh(tf1.reduce_mean(embedded, 1))
    feeds = {"source": source_ph, "seed": seed_ph}
    return tangle.Piece(feeds=feeds, outputs={"memory": memory})

  def _decoder(self, bucket, reads):
    inputs_ph = tf1.placeholder(tf1.int32, [None, bucket], "inputs_ph")
    targets_ph = tf1.placeholder(tf1.int32, [None, bucket], "targets_ph")
    weights_ph = tf1.placeholder(tf1.float32, [None, bucket], "weights_ph")
    embedded, seed_ph = self._dropout(tf1.gather(self._tables[1], inputs_ph))
    memory = tf1.tile(reads["memory"][:, tf1.newaxis], [1, bucket, 1])
    hidden = tf1.tensordot(tf1.concat([embedded, memory], 2), self._joined, 1)
    logits = tf1.tensordot(tf1.tanh(hidden), self._out, 1)
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=targets_ph, logits=logits
    )
    total = tf1.reduce_sum(losses * weights_ph)
    symbols = tf1.reduce_sum(weights_ph)
    return tangle.Piece(
      feeds={
        "inputs": inputs_ph,
        "targets": targets_ph,
        "weights": weights_ph,
        "seed": seed_ph,
      },
      loss=total / symbols,
      metrics={"total_loss": total, "symbols": symbols},
    )

  def feeds(self, batch, step):
    """Returns what the trainer takes: the batch, and the seeds of the step."""
    seed = determinism.step_seed(5, step)
    return {
      "encoder": {"source": batch.source, "seed": seed},
      "decoder": {
        "inputs": batch.decoder_inputs,
        "targets": batch.targets,
        "weights": batch.weights,
        "seed": feedforward.shift_seed(seed, 1),
      },
    }

  def source(self):
    """Returns the source of its batches."""
    return sources.Epochs(pair_batches())


def read_variables(prefix):
  """Returns name → array of a checkpoint."""
  reader = tf1.train.load_checkpoint(prefix)
  names = sorted(reader.get_variable_to_shape_map())
  return {name: reader.get_tensor(name) for name in names}
