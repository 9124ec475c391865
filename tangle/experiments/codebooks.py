"""Images as tokens: the index of the nearest image of a codebook."""

import numpy as np


def make_codebook(pixels, count, rng, rounds=10):
  """Computes a codebook of images by k-means.

  Source: Lloyd 1982, "Least squares quantization in PCM", from images drawn at
  random. A mean that is not the nearest of any image stays as it is.

  Args:
    pixels: `[B, 64]` images.
    count: V, number of images in the codebook, at most B.
    rng: a `np.random.RandomState`.
    rounds: how often each is moved to the mean of its nearest images.

  Returns:
    `[V, 64]`, in no particular order.
  """
  means = pixels[rng.permutation(len(pixels))[:count]].copy()
  for _ in range(rounds):
    tokens = find_tokens(pixels, means)
    for token in np.unique(tokens):
      means[token] = pixels[tokens == token].mean(0)
  return means


def find_tokens(pixels, codebook):
  """Returns `[B]` int32: which image of a codebook is nearest to each image."""
  products = pixels @ codebook.T
  distances = np.square(codebook).sum(1) - 2 * products
  return distances.argmin(1).astype(np.int32)


def share_of_majority(tokens, digits, batch):
  """Returns the accuracy of predicting each token's most frequent digit.

  Args:
    tokens: `[N]` ints, the tokens of N labelled images.
    digits: `[N]` ints, the digits of these images.
    batch: a `branches.Batch` of tokens, with digits as targets.

  Returns:
    A float: the share of the batch whose digit is the most frequent one of its
    token.
  """
  values = batch.inputs["token"]
  counts = np.zeros([max(tokens.max(), values.max()) + 1, 10])
  np.add.at(counts, (tokens, digits), 1)
  return float(np.mean(counts.argmax(1)[values] == batch.targets))
