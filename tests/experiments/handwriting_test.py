"""Tests of handwriting."""

import sys
from unittest import mock

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.experiments import handwriting


def made_up():
  """Returns 30 images, three a class, told apart by their first pixel."""
  pixels = np.zeros([30, 64], np.float32)
  pixels[:, 0] = np.arange(30)
  return handwriting.Images(pixels, np.arange(30) % 10)


class LoadTest(absltest.TestCase):
  def test_the_end_of_the_images_is_held_out(self):
    pool, held_out = handwriting.load()
    self.assertEqual(pool.pixels.shape, (1200, 64))
    self.assertEqual(held_out.pixels.shape, (597, 64))
    self.assertLen(pool.digits, 1200)
    self.assertLen(held_out.digits, 597)
    self.assertEqual(pool.pixels.dtype, np.float32)
    self.assertEqual((pool.pixels.min(), pool.pixels.max()), (0, 1))
    for part, least in ((pool, 100), (held_out, 50)):
      self.assertGreater(min(np.bincount(part.digits, minlength=10)), least)

  def test_no_image_is_in_both_parts(self):
    first, second = (
      {row.tobytes() for row in part.pixels} for part in handwriting.load()
    )
    self.assertEmpty(first & second)

  def test_a_missing_package_is_told_with_its_extra(self):
    with mock.patch.dict(sys.modules, {"sklearn": None}):
      with self.assertRaisesRegex(
        errors.MissingPackageError, r"pip install tangle-graph\[digits\]"
      ):
        handwriting.load()


class DrawTest(absltest.TestCase):
  def test_each_class_gets_as_many_and_none_twice(self):
    images = made_up()
    found = handwriting.draw(images, 2, np.random.RandomState(0))
    np.testing.assert_array_equal(found.digits, np.repeat(np.arange(10), 2))
    numbers = found.pixels[:, 0].astype(int)
    self.assertLen(set(numbers), 20)
    np.testing.assert_array_equal(numbers % 10, found.digits)

  def test_the_generator_decides(self):
    one, same, other = (
      handwriting.draw(made_up(), 1, np.random.RandomState(seed)).pixels
      for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    self.assertTrue(np.any(one != other))

  def test_more_than_there_are_is_refused(self):
    for count in (0, 4):
      with self.assertRaisesRegex(errors.ArgumentError, f"got {count}"):
        handwriting.draw(made_up(), count, np.random.RandomState(0))


if __name__ == "__main__":
  absltest.main()
