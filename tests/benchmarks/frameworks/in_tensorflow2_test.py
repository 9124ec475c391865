"""Tests of TensorFlow 2 on the tasks, in a process of its own for each.

Eager execution and threads are the process's, so that none is the test's.
"""

import sys

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.frameworks import (
  candidates,
  in_tensorflow2,
  networks,
  turns,
)
from tangle.compat import IS_TF1
from tests.benchmarks.frameworks import reference


class InTensorflow2Test(parameterized.TestCase):
  @parameterized.named_parameters(
    ("lstm", "lstm"), ("gru", "gru"), ("transformer", "transformer")
  )
  def test_split_trains_as_numeric_gradients_do(self, name):
    if IS_TF1:
      self.skipTest("TensorFlow 1.15 has no tapes over compiled functions")
    task = reference.tiny(name)
    optimizer = networks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    settings = candidates.SharedSettings(
      {"python2": sys.executable}, task.sizes
    )
    settings = settings._replace(optimizer=optimizer, threads=1)
    candidate = candidates.make_candidate("tf2_split", name, settings)
    process = turns.Process(candidate)
    self.addCleanup(process.close)
    process.answer(300)
    losses = process.ask({"steps": 2}, 300)["values"]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)

  def test_tensorflow_1_is_refused(self):
    if not IS_TF1:
      self.skipTest("for TensorFlow 1.15")
    with self.assertRaisesRegex(errors.ArgumentError, "TensorFlow 2, got 1"):
      in_tensorflow2.build(
        reference.tiny("mlp"), networks.Optimizer(), 1, "split"
      )


if __name__ == "__main__":
  absltest.main()
