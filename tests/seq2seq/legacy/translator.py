"""A small translator as the tutorial makes it, by contrib or by tangle.

As a program it trains and saves, or loads and decodes, so that one TensorFlow
can read what the other wrote:

    python -m tests.seq2seq.legacy.translator train contrib DIRECTORY
    python -m tests.seq2seq.legacy.translator decode tangle DIRECTORY

The last line on standard output is a JSON object: the symbols that the model
decodes, and the loss.
"""

import collections
import json
import os
import sys

import numpy as np

from tangle.compat import tf1
from tangle.seq2seq import vocabulary
from tangle.seq2seq.legacy import parts, tutorial
from tests.seq2seq.legacy import support

SOURCES, TARGETS, UNITS, SAMPLES = 11, 12, 8, 4
BUCKETS = [(2, 2), (3, 3)]
RATE, STEPS = 0.1, 8

Kind = collections.namedtuple("Kind", "cell layers heads projection")

KINDS = {
  "gru": Kind("gru_cell", 2, 1, True),
  "lstm": Kind("basic_lstm_cell", 1, 2, False),
}


class Translator:
  """The tutorial's variables, its model in every bucket, and its SGD.

  Source: `Seq2SeqModel` of the translate tutorial (2015, `seq2seq_model.py`).
  """

  def __init__(self, library, kind, decodes):
    """Builds the graph in the default graph.

    Args:
      library: `support.ours` or `support.theirs`.
      kind: a `Kind`.
      decodes: whether to feed symbols back, in place of training.
    """
    self.kind, self.library = kind, library
    if library is support.ours:
      counters = tutorial.make_counters(RATE)
      self.rate, self.global_step = counters
    else:
      self.rate = tf1.Variable(RATE, trainable=False, dtype=tf1.float32)
      self.global_step = tf1.Variable(0, trainable=False)
    pair, softmax_loss = self.projection()
    sources, targets = BUCKETS[-1]
    self.source_phs = ids(sources)
    self.target_phs = ids(targets + 1)
    self.weight_phs = [
      tf1.placeholder(tf1.float32, [None]) for _ in range(targets)
    ]
    self.outputs, self.losses = library.model_with_buckets(
      self.source_phs,
      self.target_phs[:-1],
      self.target_phs[1:],
      self.weight_phs,
      BUCKETS,
      lambda source, target: library.embedding_attention_seq2seq(
        source,
        target,
        library.cell(kind.cell, kind.layers, UNITS),
        SOURCES,
        TARGETS,
        UNITS,
        num_heads=kind.heads,
        output_projection=pair,
        feed_previous=decodes,
      ),
      softmax_loss_function=softmax_loss,
    )
    if pair is not None:
      self.outputs = [
        [tf1.nn.xw_plus_b(output, *pair) for output in outputs]
        for outputs in self.outputs
      ]
    if not decodes:
      self.train_ops = [self.train_op(loss) for loss in self.losses]
    self.saver = tf1.train.Saver()

  def projection(self):
    """Returns the pair and the loss of a projection, or None twice."""
    if not self.kind.projection:
      return None, None
    if self.library is support.ours:
      projection = tutorial.OutputProjection(TARGETS, UNITS, SAMPLES)
      return projection.pair(), projection.loss
    w = tf1.get_variable("proj_w", [TARGETS, UNITS])
    b = tf1.get_variable("proj_b", [TARGETS])

    def sampled(labels, logits):
      labels = tf1.reshape(labels, [-1, 1])
      return tf1.nn.sampled_softmax_loss(w, b, labels, logits, SAMPLES, TARGETS)

    return (tf1.transpose(w), b), sampled

  def train_op(self, loss):
    variables = tf1.trainable_variables()
    gradients, _ = tf1.clip_by_global_norm(tf1.gradients(loss, variables), 5.0)
    optimizer = tf1.train.GradientDescentOptimizer(self.rate)
    return optimizer.apply_gradients(
      zip(gradients, variables), global_step=self.global_step
    )

  def feed(self, bucket, seed):
    """Returns a feed dict for a bucket."""
    phs = self.source_phs, self.target_phs, self.weight_phs
    feed_dict = {}
    for some, rows in zip(phs, batch(bucket, seed)):
      feed_dict.update(zip(some, rows))
    return feed_dict

  def decode(self, sess):
    """Returns symbols [bucket][T][B] and, without sampling, the losses."""
    symbols, losses = [], []
    for bucket in range(len(BUCKETS)):
      outputs, loss = sess.run(
        [self.outputs[bucket], self.losses[bucket]], self.feed(bucket, 99)
      )
      symbols.append(np.argmax(outputs, axis=2).tolist())
      losses.append(None if self.kind.projection else float(loss))
    step, rate = sess.run([self.global_step, self.rate])
    return {
      "symbols": symbols,
      "losses": losses,
      "step": int(step),
      "rate": float(rate),
    }


def batch(bucket, seed):
  """Draws four examples, time-major: source, target and weights.

  As in the tutorial, PAD comes first in the source and GO in the target, and
  the last step does not count.
  """
  rng = np.random.RandomState(seed)
  s, t = BUCKETS[bucket]
  source = rng.randint(4, SOURCES, (s, 4))
  source[0, 1] = vocabulary.PAD_ID
  target = rng.randint(4, TARGETS, (t + 1, 4))
  target[0] = vocabulary.GO_ID
  weights = np.ones([t, 4])
  weights[-1] = 0
  return source, target, weights


def ids(count):
  return [tf1.placeholder(tf1.int32, [None]) for _ in range(count)]


def checkpoint(directory, kind):
  return os.path.join(directory, kind, "translate.ckpt")


def train(library, kind, directory, steps=STEPS):
  """Trains from drawn weights, saves, and decodes what it has learnt."""
  path = checkpoint(directory, kind)
  os.makedirs(os.path.dirname(path))
  with tf1.Graph().as_default() as graph:
    tf1.set_random_seed(1)  # of the sampled softmax
    model = Translator(library, KINDS[kind], decodes=False)
    with support.quick_session(graph) as sess:
      sess.run(tf1.global_variables_initializer())
      support.load(sess, tf1.trainable_variables())
      for step in range(steps):
        bucket = step % len(BUCKETS)
        sess.run(model.train_ops[bucket], model.feed(bucket, step))
      sess.run(model.rate.assign(model.rate * 0.99))
      model.saver.save(sess, path)
  return decode(library, kind, directory)


def decode(library, kind, directory):
  """Loads a checkpoint with a plain Saver, and decodes."""
  with tf1.Graph().as_default() as graph:
    model = Translator(library, KINDS[kind], decodes=True)
    with support.quick_session(graph) as sess:
      model.saver.restore(sess, checkpoint(directory, kind))
      return model.decode(sess)


def decode_in_parts(kind, directory):
  """Loads a checkpoint into the two parts, and decodes greedily.

  Returns:
    Symbols [bucket][T][B], EOS from the end on.
  """
  chosen, found = KINDS[kind], []
  with tf1.Graph().as_default() as graph:
    projection = None
    if chosen.projection:
      projection = tutorial.OutputProjection(TARGETS, UNITS, SAMPLES)
    model = parts.AttentionModel(
      support.ours.cell(chosen.cell, chosen.layers, UNITS),
      SOURCES,
      TARGETS,
      UNITS,
      num_heads=chosen.heads,
      output_projection=projection,
    )
    fetches = []
    for s, t in BUCKETS:
      source_ph = tf1.placeholder(tf1.int32, [None, s])
      symbols = model.greedy(model.encode(source_ph), t).symbols
      fetches.append((source_ph, symbols))
    saver = tf1.train.Saver()
    with support.quick_session(graph) as sess:
      saver.restore(sess, checkpoint(directory, kind))
      for bucket, (source_ph, symbols) in enumerate(fetches):
        source = batch(bucket, 99)[0].T
        found.append(sess.run(symbols, {source_ph: source}).T.tolist())
  return found


def main(verb, library, directory):
  chosen = {"contrib": support.theirs, "tangle": support.ours}[library]
  function = {"train": train, "decode": decode}[verb]
  found = {kind: function(chosen, kind, directory) for kind in KINDS}
  print(json.dumps(found))


if __name__ == "__main__":
  main(*sys.argv[1:])
