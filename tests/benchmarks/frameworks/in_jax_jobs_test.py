"""Tests of JAX on jobs, and of its search on a table of probabilities."""

import numpy as np
from absl.testing import absltest

from tests.benchmarks.frameworks import cases


class InJaxJobsTest(cases.JobsCase):
  framework = "jax"
  module = "in_jax_jobs"


class SearchTest(absltest.TestCase):
  def search(self, beam_size, table):
    """Searches where the last symbol alone decides on the next one."""
    lib = cases.load(self, "jax", "in_jax_jobs")

    def encode(weights, source, lengths):
      zeros = lib.jnp.zeros([len(source), 1])
      return source, source > 0, (zeros, zeros)

    def decode(weights, memory, mask, state, inputs):
      return weights[inputs], state

    run = lib.make_search(encode, decode, 4, beam_size)
    logits = np.log(np.array(table, np.float32) + 1e-30)
    source = np.zeros([3, 1], np.int32)
    return np.asarray(run(logits, source, np.ones(3, np.int32))).tolist()

  def test_greedy_and_beam_find_what_they_should(self):
    # From GO (1): 3 is likelier, but 4 ends (2) surely, 3 does not.
    table = np.zeros([5, 5])
    table[1, 3], table[1, 4] = 0.6, 0.4
    table[3, 3] = table[3, 2] = 0.5
    table[4, 2] = 1
    table[3, 3] += 1e-3
    self.assertEqual(self.search(1, table), [[3, 3, 3, 3]] * 3)
    self.assertEqual(self.search(2, table), [[4, 2, 2, 2]] * 3)


if __name__ == "__main__":
  absltest.main()
