"""Tests of images as tokens."""

import numpy as np
from absl.testing import absltest

from tangle import branches
from tangle.experiments import codebooks


class CodebooksTest(absltest.TestCase):
  def test_a_codebook_has_the_means_of_what_it_stands_for(self):
    rng = np.random.RandomState(0)
    pixels = rng.uniform(size=[50, 64]).astype(np.float32)
    codebook = codebooks.make_codebook(pixels, 5, rng, rounds=100)
    tokens = codebooks.find_tokens(pixels, codebook)
    distances = np.square(pixels[:, None] - codebook).sum(2)
    self.assertTrue(np.array_equal(tokens, distances.argmin(1)))
    for token in range(5):
      np.testing.assert_allclose(
        codebook[token], pixels[tokens == token].mean(0), rtol=1e-5
      )

  def test_the_majority_tells_the_digit_of_a_token(self):
    batch = branches.Batch(
      {"token": np.array([0, 1, 1, 2])},
      {"token": np.arange(4)},
      np.array([5, 7, 3, 0]),
    )
    found = codebooks.share_of_majority(
      np.array([0, 1, 1, 1]), np.array([5, 7, 7, 3]), batch
    )
    # Token 2 is known from nowhere, and taken for a 0.
    self.assertEqual(found, 0.75)


if __name__ == "__main__":
  absltest.main()
