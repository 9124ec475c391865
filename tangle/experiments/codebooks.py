"""Images as tokens: the number of the image of a codebook that is nearest."""

import numpy as np


def make_codebook(pixels, count, rng, rounds=10):
  """Finds images that stand for all: k-means.

  Source: Lloyd 1982, "Least squares quantization in PCM", from images drawn at
  random. A mean that is nearest to none stays where it is.

  Args:
    pixels: `[B, 64]` images.
    count: V, how many to find, at most B.
    rng: a `np.random.RandomState`.
    rounds: how often each is moved to the mean of those it stands for.

  Returns:
    `[V, 64]`, in no order.
  """
  means = pixels[rng.permutation(len(pixels))[:count]].copy()
  for _ in range(rounds):
    tokens = find_tokens(pixels, means)
    for token in np.unique(tokens):
      means[token] = pixels[tokens == token].mean(0)
  return means


def find_tokens(pixels, codebook):
  """Returns the number of the image of a codebook that is nearest to each.

  Args:
    pixels: `[B, 64]` images.
    codebook: `[V, 64]`.

  Returns:
    `[B]` int32 in `[0, V)`.
  """
  products = pixels @ codebook.T
  distances = np.square(codebook).sum(1) - 2 * products
  return distances.argmin(1).astype(np.int32)


def share_of_majority(tokens, digits, batch):
  """Returns the share right of who knows what each token means.

  Args:
    tokens: `[N]` ints, of the images that are known.
    digits: `[N]` ints, what these are.
    batch: a `branches.Batch` of tokens, with digits as targets.

  Returns:
    How much of the batch has the most frequent digit of its token.
  """
  values = batch.inputs["token"]
  counts = np.zeros([max(tokens.max(), values.max()) + 1, 10])
  np.add.at(counts, (tokens, digits), 1)
  return float(np.mean(counts.argmax(1)[values] == batch.targets))
