"""Tests of simplifications."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.graphs import simplifications
from tests import case


class ApplyTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 3], "x")
    self.w = self.variable("w", self.normal(6, 3))
    h = tf1.tanh(tf1.matmul(tf1.concat([self.x, self.x], 1), self.w))
    self.y = h * tf1.sigmoid(h)

  def types(self, fed):
    """Returns the types of the backward ops that are left."""
    before = self.graph.get_operations()
    upstream = tf1.stop_gradient(self.y, name="upstream")
    targets = tf1.gradients(self.y, [self.x, self.w], upstream)
    made = self.graph.get_operations()[len(before) :]
    found, _ = simplifications.apply(
      before, made, targets, fed, [(self.y, upstream)]
    )
    with self.session() as sess:
      given = {self.x: self.normal(4, 3)}
      old, new = sess.run(
        [tf1.gradients(self.y, [self.x, self.w]), found], given
      )
    for a, b in zip(old, new):
      self.assertEqual(np.shape(a), np.shape(b))
    seen, todo = set(), [tensor.op for tensor in found]
    while todo:
      op = todo.pop()
      if op not in seen:
        seen.add(op)
        todo += [tensor.op for tensor in op.inputs]
    return [op.type for op in seen if op in set(made)]

  def test_all_are_applied_where_it_is_known_what_is_fed(self):
    types = self.types(frozenset(["x:0"]))
    self.assertNotIn("Sum", types)
    self.assertNotIn("ConcatOffset", types)

  def test_sums_stay_where_anything_may_be_fed(self):
    types = self.types(None)
    self.assertIn("Sum", types)
    self.assertNotIn("ConcatOffset", types)


class SwitchTest(case.GraphTestCase):
  """The switches of `SubModel` and `Pipeline.minimize`."""

  @parameterized.parameters("device", "host", "session", "recompute")
  def test_a_sub_model_has_the_same_gradients_with_and_without(self, store):
    x = tf1.placeholder(tf1.float64, [None, 3], "x")
    w = self.variable("w", self.normal(6, 3))
    y = tf1.tanh(tf1.matmul(tf1.concat([x, tf1.sin(x)], 1), w)) * x
    feed, upstream = {x: self.normal(4, 3)}, self.normal(4, 3)
    found, kept = [], []
    sess = self.session()
    for simplify in (True, False):
      sub_model = tangle.SubModel(
        [x], [y], store=store, simplify_gradients=simplify
      )
      kept.append(len(sub_model.residuals))
      sess.run(tf1.global_variables_initializer())
      gradients = sub_model.forward(sess, feed).backward([upstream])
      found.append([*gradients.inputs, *gradients.variables])
    for a, b in zip(*found):
      np.testing.assert_array_equal(a, b)
    self.assertLessEqual(kept[0], kept[1] - (store == "device"))

  @parameterized.parameters(1, 2)
  def test_a_pipeline_trains_alike_with_and_without(self, micro_batches):
    ends, sums = [], []
    for simplify in (True, False):
      with tf1.Graph().as_default() as graph, tf1.Session() as sess:
        trainer = self.trained(simplify, micro_batches)
        sess.run(tf1.global_variables_initializer())
        rng = np.random.RandomState(3)
        for _ in range(3):
          batch = {"lower": {"x": rng.randn(4, 3)}, "upper": {}}
          trainer.step(sess, batch)
        ends.append(sess.run(tf1.trainable_variables()))
        sums.append(sum(op.type == "Sum" for op in graph.get_operations()))
    for a, b in zip(*ends):
      np.testing.assert_allclose(a, b, rtol=1e-12)
    self.assertLess(sums[0], sums[1])

  def trained(self, simplify, micro_batches):
    rng = np.random.RandomState(4)
    v, w = (self.variable(name, rng.randn(3, 3)) for name in "vw")

    def lower(bucket, reads):
      del bucket, reads
      x = tf1.placeholder(tf1.float64, [None, 3], "x")
      h = tf1.tanh(tf1.matmul(x, v))
      return tangle.Piece(feeds={"x": x}, outputs={"h": h * tf1.sigmoid(h)})

    def upper(bucket, reads):
      del bucket
      h = tf1.sin(tf1.matmul(reads["h"], w))
      return tangle.Piece(
        feeds={}, outputs={}, loss=tf1.reduce_mean(h * tf1.tanh(h))
      )

    pipeline = tangle.Pipeline()
    pipeline.add("lower", lower)
    pipeline.add("upper", upper, reads={"h": "lower.h"})
    return pipeline.minimize(
      tf1.train.GradientDescentOptimizer(0.1),
      micro_batches=micro_batches,
      simplify_gradients=simplify,
    )


if __name__ == "__main__":
  absltest.main()
