"""Tests of PyTorch's searches; skipped where it is not installed."""

import importlib

import numpy as np
from absl.testing import absltest

from tests.benchmarks.peers import jobs_tiny


class JobsTorchSearchTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    try:
      self.torch = importlib.import_module("torch")
    except ImportError:
      self.skipTest("torch is not installed")
    folder = "tangle.benchmarks.peers"
    peer = importlib.import_module(f"{folder}.jobs_torch")
    self.lib = importlib.import_module(f"{folder}.jobs_torch_search")
    task = jobs_tiny.make()
    self.net = peer.Net(task.sizes, 0.0).eval()
    weights = {k: 3 * v for k, v in task.draw().items()}
    self.net.load(weights)

  def search(self, beam_size, steps=4):
    source = self.torch.tensor([[4, 5, 6], [7, 8, 0]])
    lengths = np.array([3, 2])
    return self.lib.search(self.net, source, lengths, steps, beam_size)

  def probability(self, row):
    """Returns the log probability of symbols up to the first EOS."""
    ids, source = list(row), self.torch.tensor([[4, 5, 6]])
    ids = ids[: ids.index(2) + 1] if 2 in ids else ids
    with self.torch.no_grad():
      encoded = self.net.encode(source, np.array([3]))
      inputs = self.torch.tensor([[1] + ids[:-1]])
      logits, _ = self.net.decode(*encoded, inputs)
      found = logits[0].log_softmax(-1)
    return float(sum(found[t, k] for t, k in enumerate(ids)))

  def test_a_beam_of_all_finds_the_best_of_all_sequences(self):
    steps, size = 2, 10
    every = [[a, b] for a in range(size) for b in range(size)]
    best = max(self.probability(row) for row in every)
    found = self.probability(self.search(size, steps)[0])
    self.assertAlmostEqual(found, best, places=5)

  def test_greedy_takes_the_best_symbol_each_time(self):
    greedy = list(self.search(1)[0])
    for t in range(greedy.index(2) + 1 if 2 in greedy else len(greedy)):
      best = max(range(10), key=lambda k: self.probability(greedy[:t] + [k]))
      self.assertEqual(greedy[t], best)

  def test_a_beam_is_no_worse_than_greedy(self):
    beam = self.probability(self.search(4)[0])
    self.assertGreaterEqual(beam, self.probability(self.search(1)[0]) - 1e-5)


if __name__ == "__main__":
  absltest.main()
