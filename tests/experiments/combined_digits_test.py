"""Tests of the networks of digits and the models of them."""

import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.experiments import combined_digits, combining, handwriting, weights

SIZES = (6, 4)


def draw_images(count, seed=0):
  """Returns images of noise."""
  rng = np.random.RandomState(seed)
  pixels = rng.uniform(0, 1, [count, 64]).astype(np.float32)
  return handwriting.Images(pixels, np.arange(count) % 10)


class CombinedDigitsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tempfile.TemporaryDirectory()
    cls.pieces = combining.pretrain(
      draw_images(20), draw_images(5, 1), SIZES, 3, 2, 0.01, cls.folder.name
    )

  @classmethod
  def tearDownClass(cls):
    cls.folder.cleanup()
    super().tearDownClass()

  def test_halves_are_the_columns_of_an_image(self):
    pixels = np.arange(128.0).reshape(2, 64)
    left, right = combined_digits.make_halves(pixels)
    self.assertEqual(left[1, :5].tolist(), [64, 65, 66, 67, 72])
    self.assertEqual(right[0, :5].tolist(), [4, 5, 6, 7, 12])

  @parameterized.named_parameters(
    ("parallel", "parallel", 8, 8),
    ("sequential", "sequential", 4, 10),
    ("shared", "shared", 4, 4),
  )
  def test_ways_train_what_they_say_from_what_was_saved(
    self, pattern, lower, loaded
  ):
    images = draw_images(20, 2)
    with tf1.Graph().as_default(), tf1.Session() as sess:
      model = combined_digits.Combination(
        pattern, self.pieces, *SIZES, learning_rate=0.01, steps=4
      )
      drawn = model.weights.draw(np.random.RandomState(5))
      start = model.load(sess, self.pieces, drawn)
      self.assertLen(model.lower, lower)
      self.assertLen(model.sources, loaded)
      for name, (piece, saved) in model.sources.items():
        prefix = self.pieces[piece].prefix
        reader = tf1.train.load_checkpoint(prefix)
        known = reader.get_tensor(saved)
        self.assertEqual(known.tobytes(), start[name].tobytes())
      for name in set(start) - set(model.sources):
        self.assertEqual(drawn[name].tobytes(), start[name].tobytes())
      for way in combined_digits.MODES:
        model.weights.load(sess, start)
        model.train(sess, way, images)
        after = model.weights.read(sess)
        moved = {n for n in start if weights.count_changed(start, after, [n])}
        low = set(model.lower)
        self.assertNotEmpty(moved - low)
        self.assertEqual(bool(moved & low), way != "frozen")
      self.assertBetween(model.test(sess, images), 0, 1)

  def test_the_sequence_reads_left_halves_only(self):
    images = draw_images(5, 2)
    other = handwriting.Images(images.pixels.copy(), images.digits)
    other.pixels.reshape([-1, 8, 8])[:, :, 4:] = 0
    with tf1.Graph().as_default():
      model = combined_digits.Combination(
        "sequential", self.pieces, *SIZES, learning_rate=0.01, steps=1
      )
      feeds = [list(model._feed(i).values()) for i in (images, other)]
    self.assertEqual(feeds[0][0].tobytes(), feeds[1][0].tobytes())


if __name__ == "__main__":
  absltest.main()
