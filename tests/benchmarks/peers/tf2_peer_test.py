"""Tests of TensorFlow 2 on the tasks, in a process of its own for each.

Eager execution and threads are the process's, so that none is the test's.
"""

import json
import sys

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import harness, roster, tasks, tf2_peer
from tangle.compat import IS_TF1
from tests.benchmarks.peers import reference


class Tf2PeerTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("lstm", "lstm"), ("gru", "gru"), ("transformer", "transformer")
  )
  def test_split_trains_as_numeric_gradients_do(self, name):
    if IS_TF1:
      self.skipTest("TensorFlow 1.15 has no tapes over compiled functions")
    task = reference.tiny(name)
    optimizer = tasks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    settings = roster.Settings({"python2": sys.executable}, task.sizes)
    settings = settings._replace(optimizer=optimizer, threads=1)
    contender = roster.make_contender("tf2_split", name, settings)
    process = harness.Process(contender)
    self.addCleanup(process.close)
    process.answer(300)
    losses = process.steps(2, 300)["values"]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)

  def test_tensorflow_1_is_refused(self):
    if not IS_TF1:
      self.skipTest("for TensorFlow 1.15")
    with self.assertRaisesRegex(errors.ArgumentError, "TensorFlow 2, got 1"):
      tf2_peer.build(reference.tiny("mlp"), tasks.Optimizer(), 1, "split")

  def test_its_command_is_plain_json(self):
    settings = roster.Settings({"python2": "p"}, tasks.SIZES["tiny"])
    found = roster.make_contender("tf2_split", "gru", settings)
    self.assertEqual(json.loads(found.command[-1])["module"], "tf2_peer")


if __name__ == "__main__":
  absltest.main()
