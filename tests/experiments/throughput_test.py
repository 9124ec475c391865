"""Tests of throughput."""

import collections

import numpy as np
from absl.testing import absltest

from tangle.experiments import throughput
from tangle.seq2seq import vocabulary

Result = collections.namedtuple("Result", ["loss"])


class Trainer:
  def step(self, sess, batch):
    del sess
    return Result(float(len(batch)))


def batch_of(*targets):
  """Returns a batch with these targets, EOS and PAD among them."""
  targets = np.array(targets)
  return {
    "encoder": {"source": np.ones([len(targets), 9])},
    "decoder": {
      "inputs": np.ones_like(targets),
      "targets": targets,
      "weights": (targets != vocabulary.PAD_ID).astype(np.float32),
    },
  }


class ThroughputMeterTest(absltest.TestCase):
  def test_words_are_those_of_the_targets(self):
    batch = batch_of([7, 8, 9, 2, 0, 0], [3, 2, 0, 0, 0, 0])
    self.assertEqual(throughput.count_words(batch), 4)  # UNK is a word
    self.assertEqual(throughput.count_examples(batch), 2)
    del batch["decoder"]["targets"]  # nothing tells which is EOS
    self.assertEqual(throughput.count_words(batch), 6)
    del batch["decoder"]["weights"]  # nothing tells what is padding
    self.assertEqual(throughput.count_words(batch), 12)

  def test_counts_examples_words_and_seconds_over_runs(self):
    first = throughput.ThroughputMeter(Trainer())
    nothing = {"train_s": 0.0, "examples_per_s": 0.0, "words_per_s": 0.0}
    self.assertEqual(first.figures(), nothing)
    batch = batch_of([7, 8, 2], [7, 8, 2], [9, 2, 0])
    self.assertEqual(first.step(None, batch).loss, 2.0)
    second = throughput.ThroughputMeter(Trainer())
    second.restore(first.state())
    second.step(None, batch)
    self.assertGreater(second.state()["seconds"], first.state()["seconds"])
    figures = second.figures()
    self.assertAlmostEqual(figures["words_per_s"] * figures["train_s"], 10.0)
    self.assertAlmostEqual(figures["examples_per_s"] * figures["train_s"], 6.0)

  def test_where_nothing_tells_what_a_word_is_none_are_counted(self):
    meter = throughput.ThroughputMeter(Trainer(), None)
    meter.step(None, batch_of([7, 8, 2]))
    self.assertNotIn("words_per_s", meter.figures())
    shown = []
    meter.shown(lambda *arguments: shown.append(arguments))(1, 5, Result(0.5))
    self.assertRegex(shown[0][-1], "^[0-9,]+ examples/s$")

  def test_shows_the_speed_beside_the_loss(self):
    shown = []
    meter = throughput.ThroughputMeter(Trainer())
    meter.restore({"seconds": 2.0, "examples": 5, "words": 3000})
    meter.shown(lambda *arguments: shown.append(arguments))(1, 5, Result(0.5))
    self.assertEqual(shown, [(1, 5, Result(0.5), "1,500 words/s")])


if __name__ == "__main__":
  absltest.main()
