"""Tests of PyTorch on jobs, and of its searches."""

import numpy as np
from absl.testing import absltest

from tests.benchmarks.frameworks import cases, jobs_tiny


class InPytorchJobsTest(cases.JobsCase):
  framework = "torch"
  module = "in_pytorch_jobs"


class SearchTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.lib = cases.load(self, "torch", "in_pytorch_jobs")
    task = jobs_tiny.make()
    weights = {k: 3 * v for k, v in task.draw().items()}
    self.net = self.lib.Translator(task.sizes, weights).eval()

  def search(self, beam_size, steps=4):
    source = self.lib.torch.tensor([[4, 5, 6], [7, 8, 0]])
    lengths = np.array([3, 2])
    return self.lib.search(self.net, source, lengths, steps, beam_size)

  def probability(self, row):
    """Returns the log probability of symbols up to the first EOS."""
    ids, source = list(row), self.lib.torch.tensor([[4, 5, 6]])
    ids = ids[: ids.index(2) + 1] if 2 in ids else ids
    with self.lib.torch.no_grad():
      encoded = self.net.encode(source, np.array([3]))
      inputs = self.lib.torch.tensor([[1] + ids[:-1]])
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
