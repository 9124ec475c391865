"""Tests of speedometer."""

import collections

from absl.testing import absltest

from tangle.experiments import speedometer

Result = collections.namedtuple("Result", ["loss"])


class Trainer:
  def step(self, sess, batch):
    del sess
    return Result(float(len(batch)))


class SpeedometerTest(absltest.TestCase):
  def test_counts_examples_and_seconds_over_runs(self):
    first = speedometer.Speedometer(Trainer())
    self.assertEqual(first.figures(), {"train_s": 0.0, "words_per_s": 0.0})
    batch = {"decoder": {"inputs": [[1, 2], [3, 4], [5, 6]]}}
    self.assertEqual(first.step(None, batch).loss, 1.0)
    second = speedometer.Speedometer(Trainer())
    second.restore(first.state())
    second.step(None, batch)
    other = speedometer.Speedometer(Trainer(), len)
    other.step(None, [1, 2])
    self.assertEqual(other.state()["words"], 2)
    self.assertEqual(second.state()["words"], 6)
    self.assertGreater(second.state()["seconds"], first.state()["seconds"])
    figures = second.figures()
    self.assertAlmostEqual(figures["words_per_s"] * figures["train_s"], 6.0)

  def test_shows_the_speed_beside_the_loss(self):
    shown = []
    meter = speedometer.Speedometer(Trainer())
    meter.restore({"seconds": 2.0, "words": 3000})
    meter.shown(lambda *arguments: shown.append(arguments))(1, 5, Result(0.5))
    self.assertEqual(shown, [(1, 5, Result(0.5), "1,500 words/s")])


if __name__ == "__main__":
  absltest.main()
