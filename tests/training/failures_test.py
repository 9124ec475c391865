"""Tests of failures."""

import collections
import math
import os
import tempfile
import types

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.training import failures
from tests import case


def result(loss, global_norm=None):
  return types.SimpleNamespace(
    loss=loss, global_norm=global_norm, buckets={"encoder": 10}
  )


class FailuresTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "new")
    self.path = os.path.join(self.folder, "failed-step-00000012.npz")

  @parameterized.named_parameters(
    ("nan", result(math.nan), "loss is nan"),
    ("infinity", result(np.float32(np.inf)), "loss is inf"),
    ("norm", result(1.0, math.inf), "global norm is inf"),
  )
  def test_stops_with_step_bucket_and_batch(self, bad, message):
    guard = failures.Guard(self.graph, self.folder)
    batch = {"x": np.arange(3)}
    with self.assertRaisesRegex(
      errors.TrainingError,
      f"the {message} at step 12, in the buckets .'encoder': 10.*"
      f"batch is in '{self.path}'.*Lower",
    ):
      guard.check_result(12, bad, batch, batch)
    with np.load(self.path) as found:
      self.assertEqual(list(found), ["batch/x"])
      self.assertEqual(found["batch/x"].tolist(), [0, 1, 2])

  def test_lets_finite_ones_pass(self):
    guard = failures.Guard(self.graph, self.folder)
    guard.check_result(1, result(1.0), {}, {})
    guard.check_result(1, result(np.float32(1), 3.0), {}, {})
    guard.check_result(1, types.SimpleNamespace(loss=1), {}, {})
    self.assertFalse(os.path.exists(self.folder))

  def test_refuses_a_result_without_a_loss(self):
    guard = failures.Guard(self.graph, self.folder)
    for bad in (None, 1.0, types.SimpleNamespace(), result(None)):
      with self.assertRaisesRegex(errors.ArgumentError, "step has returned no"):
        guard.check_result(1, bad, {}, {})

  def test_names_the_weights_that_are_not_finite(self):
    for name, value in (
      ("good", [1.0, 2.0]),
      ("bad", [1.0, np.nan]),
      ("worse", [np.inf, 1.0]),
    ):
      self.variable(name, np.float32(value))
    self.variable("count", 3)
    self.variable("mask", np.float32([-np.inf]), trainable=False)
    guard = failures.Guard(self.graph, self.folder)
    with self.assertRaisesRegex(
      errors.TrainingError, r"after step 7 .*: \['bad', 'worse'\]. No"
    ):
      guard.check_weights(self.session(), 7)

  def test_lets_finite_weights_pass(self):
    self.variable("a", np.float32([1.0]))
    self.variable("b", np.float64([1.0]), use_resource=False)
    before = len(self.graph.get_operations())
    guard = failures.Guard(self.graph, self.folder, name="watch")
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "watch/")
    guard.check_weights(self.session(), 7)

  def test_a_batch_that_cannot_be_written_hides_nothing(self):
    self.variable("a", np.float32([1.0]))
    guard = failures.Guard(self.graph, "/dev/full")
    bad = types.SimpleNamespace(loss=np.nan)
    with self.assertRaisesRegex(
      errors.TrainingError, "loss is nan at step 3.* The batch is lost: .*dev/f"
    ):
      guard.check_result(3, bad, {"x": 1}, {"x": 1})

  def test_says_how_a_run_without_room_goes_on(self):
    error = errors.FileError("'x' cannot be written: full.")
    error.errno = 28
    found = failures.say_how_to_go_on(error, 4)
    self.assertIsInstance(found, errors.FileError)
    self.assertEqual(found.errno, 28)
    self.assertRegex(str(found), "after step 4: 'x' .*from its last checkpoint")
    found = failures.say_how_to_go_on(MemoryError(), 4)
    self.assertIsInstance(found, errors.TrainingError)
    self.assertRegex(str(found), "out of memory after step 4. Free memory, or")

  def test_a_graph_without_weights_passes(self):
    tf1.constant(0)
    guard = failures.Guard(self.graph, self.folder)
    guard.check_weights(self.session(initialize=False), 7)

  def test_writes_batches_of_any_kind(self):
    Pair = collections.namedtuple("Pair", "source target")
    x_ph = tf1.placeholder(tf1.float32, [2], "x_ph")
    failures.write_batch(
      self.path,
      Pair([[1, 2], [3]], np.zeros([2, 2], np.int32)),
      {"encoder": {x_ph: [0.5, 1.5], "words": ["a", "bc"]}, "other": None},
    )
    with np.load(self.path, allow_pickle=False) as found:
      arrays = {name: found[name].tolist() for name in found}
    self.assertEqual(
      arrays,
      {
        "batch/source/0": [1, 2],
        "batch/source/1": [3],
        "batch/target": [[0, 0], [0, 0]],
        "feeds/encoder/x_ph:0": [0.5, 1.5],
        "feeds/encoder/words": ["a", "bc"],
        "feeds/other": "None",
      },
    )


if __name__ == "__main__":
  absltest.main()
