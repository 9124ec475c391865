"""Tests of handles."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import handles
from tests import case


class SourceTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=True)
    self.x = tf1.placeholder(tf1.float64, [2])
    self.w = self.variable("w", np.ones(2))
    self.v = self.variable("v", np.ones(2))

  def loop(self, x):
    def body(n, y, z):
      return n + 1, tf1.sin(y * self.v), tf1.cos(z * self.w)

    return tf1.while_loop(lambda n, *_: n < 3, body, [0, x, x])[1]

  def resources(self, *types):
    """Lists the handles that ops of some types give."""
    return [
      tensor
      for op in self.graph.get_operations()
      if op.type in types
      for tensor in op.outputs
      if tensor.dtype == tf1.resource
    ]

  def test_a_handle_that_came_out_of_a_loop(self):
    self.loop(self.x)
    found = self.resources("While", "StatelessWhile")
    self.assertCountEqual(
      [handles.source(tensor).name for tensor in found], ["v:0", "w:0"]
    )

  def test_a_handle_that_came_out_of_two_loops_and_an_identity(self):
    y = tf1.identity(self.w.op.outputs[0])
    last = tf1.raw_ops.Identity(input=y)
    self.assertEqual(handles.source(last).name, "w:0")
    self.loop(self.loop(self.x))
    found = self.resources("While", "StatelessWhile")
    self.assertLen(found, 4)
    for tensor in found:
      self.assertIn(handles.source(tensor).name, ["v:0", "w:0"])

  @parameterized.parameters(False, True)
  def test_a_handle_that_came_out_of_a_function(self, nested):
    function = tf1.function(self.loop, autograph=False)
    if nested:
      inner = function
      function = tf1.function(lambda x: inner(x) + 1, autograph=False)
    y = function(self.x)
    tf1.gradients(y, [self.x])  # gives the call what the gradient reads
    found = self.resources("PartitionedCall", "StatefulPartitionedCall")
    names = {handles.source(tensor).name for tensor in found}
    self.assertEqual(names, {"v:0", "w:0"})

  def test_others_are_their_own_source(self):
    table = tf1.raw_ops.HashTableV2(key_dtype=tf1.int64, value_dtype=tf1.int64)
    for tensor in (self.x, self.w.op.outputs[0], table):
      self.assertIs(handles.source(tensor), tensor)


if __name__ == "__main__":
  absltest.main()
