"""Tests of transfer."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import handwriting, transfer, weights


def easy(count):
  """Returns images of which one pixel tells the digit, in turn."""
  digits = np.arange(count) % 10
  return handwriting.Images(np.eye(64, dtype=np.float32)[digits], digits)


def differ(before, after):
  """Returns the names of the networks whose weights differ in a bit."""
  return {
    name.rsplit("_", 1)[0]
    for name in before
    if weights.count_changed(before, after, [name])
  }


BOTH = ("kernel", "bias")
OLD = {"plus1", "times2", "binary_decoder", "decimal_decoder"}


class JoinedTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):  # the weights are set anew by each test
    super().setUpClass()
    with tf1.Graph().as_default():
      cls.joined = transfer.Joined(units=4, hidden=8)
      cls.sess = tf1.Session()
    cls.start = cls.joined.weights.draw(np.random.RandomState(20160814))

  @classmethod
  def tearDownClass(cls):
    cls.sess.close()
    super().tearDownClass()

  def train(self, steps=3, frozen=False, paths=transfer.PATHS):
    """Trains from the start; returns the loss and the weights."""
    self.joined.weights.load(self.sess, self.start)
    loss = self.joined.train(self.sess, easy(20), steps, frozen, paths)
    return loss, self.joined.weights.read(self.sess)

  def test_weights_are_set_bit_by_bit(self):
    self.joined.weights.load(self.sess, self.start)
    self.assertEmpty(differ(self.start, self.joined.weights.read(self.sess)))
    self.assertLen(self.start, 7 * 4)

  def test_setting_the_weights_sets_the_optimizers_back(self):
    first, _ = self.train(1)
    losses, after = zip(*(self.train(5) for _ in range(2)))
    self.assertEqual(losses[0], losses[1])
    self.assertLess(losses[0], first)
    self.assertEmpty(differ(*after))

  def test_frozen_trains_the_new_encoder_alone(self):
    _, after = self.train(frozen=True)
    self.assertEqual(differ(self.start, after), {"image_encoder"})
    self.assertEqual(
      self.joined.new,
      tuple(f"image_encoder_{k}/{n}" for k in (0, 1) for n in BOTH),
    )

  def test_fine_tuning_trains_all_that_an_image_passes(self):
    _, after = self.train()
    self.assertEqual(differ(self.start, after), OLD | {"image_encoder"})

  def test_a_path_without_labels_trains_nothing_of_its_own(self):
    _, after = self.train(paths=transfer.PATHS[1:2])
    self.assertEqual(
      differ(self.start, after), {"image_encoder", "plus1", "decimal_decoder"}
    )

  def test_the_loss_is_the_sum_of_the_paths(self):
    whole, _ = self.train(1)
    parts = [self.train(1, paths=[path])[0] for path in transfer.PATHS]
    self.assertGreater(min(parts), 0)
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-6)

  def test_frozen_and_all_take_the_same_step_of_the_encoder(self):
    (loss, one), (same, other) = self.train(1), self.train(1, frozen=True)
    self.assertEqual(loss, same)
    for name in self.joined.new:
      np.testing.assert_allclose(one[name], other[name], atol=1e-6)

  def test_the_share_is_the_mean_of_the_paths(self):
    self.train(20)
    images = easy(30)
    parts = [
      self.joined.test(self.sess, images, [path]) for path in transfer.PATHS
    ]
    whole = self.joined.test(self.sess, images)
    self.assertAlmostEqual(whole, np.mean(parts))
    self.assertBetween(whole, 0.01, 0.99)

  def test_images_with_labels_are_learned(self):
    self.train(400)
    self.assertEqual(self.joined.test(self.sess, easy(10)), 1.0)
    wrong = easy(10)._replace(digits=np.roll(np.arange(10), 1))
    self.assertLess(self.joined.test(self.sess, wrong), 0.5)

  def test_all_ways_begin_with_the_same_new_encoder(self):
    starts = transfer.make_starts(self.joined, self.sess, seed=3, steps=2)
    again = transfer.make_starts(self.joined, self.sess, seed=3, steps=2)
    for way, start in starts.items():
      self.assertEmpty(differ(start, again[way]))
    self.assertEmpty(differ(starts["frozen"], starts["fine_tuned"]))
    self.assertEqual(
      differ(starts["frozen"], starts["from_scratch"]),
      OLD | {"binary_encoder", "decimal_encoder"},
    )


class MeasureTest(absltest.TestCase):
  def test_what_is_known_carries_over_to_paths_without_labels(self):
    calls, records = [], []
    found = transfer.measure(
      per_class=["2"],
      seeds=2,
      steps=150,
      data=(easy(40), easy(20)),
      progress=lambda *counts: calls.append(counts),
      write_metrics=lambda **record: records.append(record),
    )
    self.assertEqual(found["frozen_changed"], 0)
    self.assertEqual(found["calculator"]["before"], 1.0)
    after = found["calculator"]["after"]
    self.assertEqual(after["frozen"], {"all_paths": 1.0, "one_path": 1.0})
    self.assertLessEqual(after["fine_tuned"]["all_paths"], 1.0)
    for way in transfer.MODES:
      self.assertEqual(found["all_paths"][way], {2: [1.0, 1.0]})
    # A code that one path takes for a digit need not be one for the others.
    for way, low, high in (
      ("frozen", 0.6, 1.0),
      ("fine_tuned", 0.4, 1.0),
      ("from_scratch", 0.0, 0.3),
    ):
      share = found["means"]["one_path"][way][2]
      self.assertBetween(share, low, high, way)
      self.assertAlmostEqual(share, np.mean(found["one_path"][way][2]))
      self.assertBetween(share, *found["quartiles"]["one_path"][way][2])
    self.assertEqual(calls, [(k, 12) for k in range(1, 13)])
    self.assertLen(records, 12)
    for record in records:
      shares = found[record["series"]][record["mode"]][record["images"]]
      self.assertEqual(record["accuracy"], shares[record["seed"]])

  def test_numbers_out_of_range_are_refused(self):
    for settings in (
      {"seeds": 0},
      {"steps": 0},
      {"calculator_steps": 0},
      {"per_class": []},
      {"per_class": [0, 1]},
      {"per_class": ["few"]},
    ):
      with self.assertRaisesRegex(errors.ArgumentError, "per_class"):
        transfer.measure(data=(easy(20), easy(10)), **settings)

  def test_plot(self):
    points = {way: {1: [0.2, 0.3], 50: [0.9]} for way in transfer.MODES}
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "transfer.png")
      transfer.plot({"all_paths": points, "one_path": points}, path)
      self.assertGreater(os.path.getsize(path), 1000)


if __name__ == "__main__":
  absltest.main()
