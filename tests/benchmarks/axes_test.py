"""Tests of axes."""

import os

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import axes
from tangle.compat import tf1
from tests import case

SIZES = axes.FixedSizes(units=3, batch_size=2, bucket_steps=2)


class AxesTest(case.GraphTestCase):
  def make(self, axis, size):
    """Returns a trainer of a pipeline, and its batches."""
    found, batches = axes.make(axis, size, SIZES)
    return found, found.minimize(tf1.train.AdamOptimizer()), batches

  def staged(self):
    """Returns how many tensors each op of the graph puts away, in order."""
    ops = self.graph.get_operations()
    # The key and the indices are no tensors that it puts.
    return sorted(len(op.inputs) - 2 for op in ops if op.type == "MapStage")

  @parameterized.parameters(1, 4)
  def test_length_is_steps_of_a_cell(self, size):
    found, batches = axes.make(axes.LENGTH, size, SIZES)
    found.build()
    self.assertEqual(batches[0]["chain"]["x"].shape, (2, size, 3))
    kinds = [op.type for op in self.graph.get_operations()]
    self.assertEqual(kinds.count("MatMul"), size + 1)  # one of the head

  @parameterized.parameters(1, 2, 3)
  def test_buckets_are_around_the_middle_one(self, size):
    found, _, batches = self.make(axes.BUCKETS, size)
    for node in found.nodes.values():
      self.assertLen(node.buckets, size)
      self.assertAlmostEqual(np.mean(node.buckets), 2, delta=0.5)
    self.assertLen(found.graph_counts(), 2 * size)
    shapes = {
      (b["lower"]["x"].shape[1], b["upper"]["x"].shape[1]) for b in batches
    }
    self.assertLen(shapes, size * size)
    self.assertLen(batches, size * size)
    self.assertEqual(batches[0]["lower"]["x"].shape, (2, 2, 3))
    self.assertEqual(batches[0]["upper"]["x"].shape, (2, 2, 3))

  @parameterized.parameters(2, 5)
  def test_sub_models_are_a_chain(self, size):
    found, _, batches = self.make(axes.SUB_MODELS, size)
    self.assertLen(found.nodes, size)
    self.assertLen(batches[0], size)
    reads = [len(node.reads) for node in found.nodes.values()]
    self.assertEqual(reads, [0] + [1] * (size - 1))

  @parameterized.parameters(2, 9)
  def test_residuals_are_as_many_as_said(self, size):
    self.make(axes.RESIDUALS, size)
    # The variables' gradients are at most two.
    self.assertEqual(self.staged()[-1], size)

  @parameterized.parameters(1, 6)
  def test_layers_have_weights_each(self, size):
    found, _, _ = self.make(axes.LAYERS, size)
    self.assertLen(found.nodes, 2)
    self.assertLen(tf1.trainable_variables(), 2 * size + 2)

  @parameterized.parameters(1, 7)
  def test_outputs_are_all_read(self, size):
    found, _, _ = self.make(axes.OUTPUTS, size)
    self.assertLen(found.nodes["head"].reads, size)
    self.assertLen(set(map(str, found.nodes["head"].reads.values())), size)

  @parameterized.parameters(*axes.NAMES)
  def test_every_axis_trains_and_all_variables_change(self, axis):
    _, trainer, batches = self.make(axis, 2)
    sess = self.session()
    before = sess.run(tf1.trainable_variables())
    losses = [trainer.step(sess, batches[0]).loss for _ in range(20)]
    self.assertLess(losses[-1], losses[0])
    for old, new in zip(before, sess.run(tf1.trainable_variables())):
      self.assertFalse(np.array_equal(old, new))

  @parameterized.parameters(
    ("width", [1], "'width'"),
    (axes.LENGTH, [], "length"),
    (axes.LENGTH, [2, 1], "length"),
    (axes.LENGTH, [0], "a size must be a positive integer, got 0"),
    (axes.SUB_MODELS, [1, 2], "none below 2"),
    (axes.LENGTH, [1.5, 3], "a size must be a positive integer, got 1.5"),
    (axes.BUCKETS, [4], "fewer than 4"),
  )
  def test_sizes_that_cannot_be_are_refused(self, axis, points, text):
    with self.assertRaisesRegex(errors.ArgumentError, text):
      axes.check(axis, points, SIZES)

  def test_what_does_not_grow_must_be_positive(self):
    with self.assertRaisesRegex(errors.ArgumentError, "units"):
      axes.check(axes.LENGTH, [1], SIZES._replace(units=0))


if __name__ == "__main__":
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  absltest.main()
