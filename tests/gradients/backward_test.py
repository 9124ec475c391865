"""Tests of backward: few passes, and the gradients of the whole graph."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, gradients
from tangle.compat import tf1
from tests import case

CONFLICT_AWARE = ("mgda", "cagrad", "nash_mtl", "upgrad")


class BackwardTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.table = self.variable("table", self.normal(6, 4))
    self.trunk = [self.variable(f"trunk_{k}", self.normal(4, 4)) for k in "ab"]
    self.heads = [self.variable(f"head_{k}", self.normal(4, 2)) for k in "abc"]
    self.variables = [self.table, *self.trunk, *self.heads]
    h = tf1.gather(self.table, [1, 4, 1, 0])
    for kernel in self.trunk:
      h = tf1.tanh(tf1.matmul(h, kernel))
    self.code = h
    self.losses = []
    for head in self.heads:
      y = tf1.sin(tf1.matmul(h, head))
      target = tf1.constant(self.normal(4, 2))
      self.losses.append(tf1.reduce_mean((y - target) ** 2))

  def dense(self, found):
    """Returns values of gradients as arrays."""
    return [case.dense(array) for array in self.session().run(list(found))]

  def ops_of(self, found):
    """Counts the kinds of ops that gradients need."""
    size = collections.Counter()
    seen, stack = set(), []
    for gradient in found:
      sparse = isinstance(gradient, tf1.IndexedSlices)
      stack.append((gradient.values if sparse else gradient).op)
    while stack:
      op = stack.pop()
      if op.name not in seen:
        seen.add(op.name)
        size[op.type] += 1
        stack.extend(tensor.op for tensor in op.inputs)
    return size

  @parameterized.parameters("sum", "mean", "weighted")
  def test_linear_methods_give_the_gradient_of_the_weighted_sum(self, method):
    weights = {"sum": [1, 1, 1], "mean": [1 / 3] * 3, "weighted": [1, 0.5, 9]}
    options = {"weights": weights[method]} if method == "weighted" else {}
    found = gradients.of_losses(self.losses, self.variables, method, **options)
    self.assertIsNone(found.gramian)
    joint = tf1.add_n([w * x for w, x in zip(weights[method], self.losses)])
    expected = tf1.gradients(joint, self.variables)
    self.assertIsInstance(found.gradients[0], tf1.IndexedSlices)
    pairs = zip(self.dense(found.gradients), self.dense(expected))
    for actual, desired in pairs:
      self.assert_close(actual, desired)

  def test_linear_methods_are_one_backward_pass(self):
    expected = self.ops_of(tf1.gradients(self.losses[:1], self.variables[:4]))
    # Two trunk layers and three heads; a layer is a product forward, and two
    # backward.
    self.assertEqual(expected["MatMul"], 3 + 2 * 3)
    for method, options in (
      ("sum", {}),
      ("mean", {}),
      ("weighted", {"weights": [1.0, 2.0, 3.0]}),
    ):
      found = gradients.of_losses(
        self.losses, self.variables, method, **options
      )
      counts = self.ops_of(found.gradients)
      self.assertEqual(counts["MatMul"], 5 + 2 * 5, method)
      self.assertEqual(counts["TanhGrad"], 2, method)

  def test_a_coupled_loss_is_one_backward_pass(self):
    coupled = tf1.log(self.losses[0]) * self.losses[1] + self.losses[2] ** 2
    found = gradients.of_losses([coupled], self.variables)
    counts = self.ops_of(found.gradients)
    self.assertEqual((counts["MatMul"], counts["TanhGrad"]), (15, 2))
    expected = self.dense(tf1.gradients(coupled, self.variables))
    for actual, desired in zip(self.dense(found.gradients), expected):
      self.assert_close(actual, desired)

  def test_the_trunk_is_passed_once_with_a_boundary_and_k_times_without(self):
    for boundary, passes in (([self.code], 1), (None, 3)):
      found = gradients.of_losses(
        self.losses, self.variables, "mgda", boundary=boundary
      )
      counts = self.ops_of(found.gradients)
      self.assertEqual(counts["TanhGrad"], 2 * passes)

  @parameterized.parameters(*CONFLICT_AWARE)
  def test_on_the_shared_variables(self, method):
    found = gradients.of_losses(self.losses, self.variables, method)
    shared = [self.table, *self.trunk]
    rows = [tf1.gradients(loss, shared) for loss in self.losses]
    expected = gradients.combine(rows, method)
    expected += [
      tf1.gradients(loss, head)[0]
      for loss, head in zip(self.losses, self.heads)
    ]
    self.assertIsInstance(found.gradients[0], tf1.IndexedSlices)
    pairs = zip(self.dense(found.gradients), self.dense(expected))
    for actual, desired in pairs:
      self.assert_close(actual, desired, 1e-9)

  @parameterized.parameters(*CONFLICT_AWARE)
  def test_on_the_boundary(self, method):
    found = gradients.of_losses(
      self.losses, self.variables, method, boundary=[self.code]
    )
    rows = [tf1.gradients(loss, [self.code]) for loss in self.losses]
    combined = gradients.combine(rows, method)
    expected = tf1.gradients(self.code, [self.table, *self.trunk], combined)
    expected += [
      tf1.gradients(loss, head)[0]
      for loss, head in zip(self.losses, self.heads)
    ]
    pairs = zip(self.dense(found.gradients), self.dense(expected))
    for actual, desired in pairs:
      self.assert_close(actual, desired, 1e-9)

  def test_any_weights_on_the_boundary_are_those_weights_on_the_trunk(self):
    found = gradients.of_losses(
      self.losses, self.variables, "cagrad", boundary=[self.code]
    )
    kernels = self.trunk
    rows = [tf1.gradients(loss, kernels) for loss in self.losses]
    weights, actual, each = self.session().run(
      [found.weights, found.gradients[1:3], rows]
    )
    for n in range(2):
      desired = sum(w * row[n] for w, row in zip(weights, each))
      self.assert_close(actual[n], desired, 1e-9)

  def test_a_path_around_the_boundary_is_added(self):
    losses = [
      self.losses[0] + tf1.reduce_sum(self.trunk[0] ** 3),
      self.losses[1],
    ]
    found = gradients.of_losses(
      losses, self.variables, "mgda", boundary=[self.code]
    )
    without = gradients.of_losses(
      self.losses[:2], self.variables, "mgda", boundary=[self.code]
    )
    actual, desired, kernel = self.session().run(
      [found.gradients[1], without.gradients[1], self.trunk[0]]
    )
    self.assert_close(actual, desired + 3 * kernel**2)
    self.assertIsNone(found.gradients[5])  # nobody reaches the third head

  def test_shared_may_be_named(self):
    found = gradients.of_losses(
      self.losses, self.variables, "mgda", shared=[self.trunk[1]]
    )
    rows = [tf1.gradients(loss, [self.trunk[1]]) for loss in self.losses]
    expected = gradients.combine(rows, "mgda")
    expected += tf1.gradients(self.losses, [self.trunk[0]])
    actual = self.dense([found.gradients[2], found.gradients[1]])
    for one, other in zip(actual, self.dense(expected)):
      self.assert_close(one, other, 1e-9)

  def test_one_loss_is_its_gradient(self):
    for boundary in (None, [self.code]):
      found = gradients.of_losses(
        self.losses[:1], self.variables[:4], "upgrad", boundary=boundary
      )
      expected = tf1.gradients(self.losses[0], self.variables[:4])
      pairs = zip(self.dense(found.gradients), self.dense(expected))
      for actual, desired in pairs:
        self.assert_close(actual, desired, 1e-9)

  def test_works_with_reference_variables(self):
    kernel = self.variable("kernel", self.normal(2), use_resource=False)
    losses = [tf1.reduce_sum(kernel**2), tf1.reduce_sum(kernel * [1.0, -2.0])]
    (found,) = gradients.of_losses(losses, [kernel], "mgda").gradients
    self.assertTrue(np.all(np.isfinite(self.dense([found])[0])))

  def test_refuses_a_loss_that_does_not_reach(self):
    apart = tf1.reduce_sum(self.heads[2] ** 2)
    losses = [*self.losses[:2], apart]
    for options, what in (
      ({"method": "mgda"}, "a shared variable"),
      ({"method": "sum"}, "a shared variable"),
      ({"method": "mgda", "boundary": [self.code]}, "the boundary"),
      ({"method": "mean", "boundary": [self.code]}, "the boundary"),
    ):
      before = self.count_ops()
      with self.assertRaises(errors.DisconnectedError) as caught:
        gradients.of_losses(losses, self.variables, **options)
      self.assert_message(caught.exception, "losses[2]", apart.name, what)
      self.assertEqual(self.count_ops(), before)

  def test_refuses_a_loss_without_a_gradient(self):
    stopped = tf1.reduce_sum(tf1.stop_gradient(self.code))
    for options in ({}, {"boundary": [self.code]}):
      with self.assertRaisesRegex(errors.DisconnectedError, "stop_gradient"):
        gradients.of_losses(
          [self.losses[0], stopped], self.variables, "mgda", **options
        )

  def test_refuses_bad_arguments(self):
    call = gradients.of_losses
    with self.assertRaisesRegex(
      errors.ArgumentError, "one loss and one variable"
    ):
      call([], self.variables)
    with self.assertRaisesRegex(errors.ArgumentError, "both given"):
      call(self.losses, self.variables, shared=self.trunk, boundary=[self.code])
    with self.assertRaisesRegex(errors.ArgumentError, "not among"):
      call(self.losses, self.heads, shared=self.trunk)
    with self.assertRaisesRegex(errors.ArgumentError, "3 numbers"):
      call(self.losses, self.variables, "weighted", weights=[1.0])
    with self.assertRaisesRegex(errors.ArgumentError, "one of"):
      call(self.losses, self.variables, "average")
    with self.assertRaisesRegex(errors.ShapeError, "scalars"):
      call([self.code], self.variables)
    with tf1.Graph().as_default():
      other = tf1.zeros([])
    with self.assertRaises(errors.GraphError):
      call([self.losses[0], other], self.variables)

  def test_ops_land_in_the_scope(self):
    before = self.count_ops()
    for options in ({}, {"boundary": [self.code]}):
      gradients.of_losses(
        self.losses, self.variables, "mgda", name="joined", **options
      )
    made = [op.name for op in self.graph.get_operations()[before:]]
    self.assertEqual([name for name in made if name[:6] != "joined"], [])


if __name__ == "__main__":
  absltest.main()
