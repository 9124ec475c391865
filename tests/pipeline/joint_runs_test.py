"""Tests of joint_runs."""

import numpy as np
from absl.testing import absltest

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import joint, joint_runs
from tests import case


class JointRunsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.w = self.variable("w", np.float64(3))
    self.pipeline = tangle.Pipeline("p")
    self.pipeline.add("one", self.build, buckets=[2, 4], pad={"x": 0.0})
    self.trainer = joint.JointTrainer(
      self.pipeline, tf1.train.GradientDescentOptimizer(0.5)
    )

  def build(self, bucket, reads):
    del reads
    x = tf1.placeholder(tf1.float64, [bucket])
    y = tf1.placeholder(tf1.float64, [])
    product = self.w * tf1.reduce_sum(x)
    return tangle.Piece({"x": x, "y": y}, {"product": product}, product - y)

  def choose(self, batch, needed=None):
    return joint_runs.choose(
      self.pipeline, self.trainer.combinations, batch, needed
    )

  def test_the_first_graph_that_fits_is_chosen(self):
    for size, bucket in ((1, 2), (2, 2), (3, 4)):
      chosen, fed = self.choose({"one": {"x": np.ones(size), "y": 1.0}})
      self.assertEqual(chosen.buckets, {"one": bucket})
      self.assertEqual(
        [np.shape(array) for array in fed["one"].values()], [(bucket,), ()]
      )
    with self.assertRaisesRegex(errors.BucketError, "sub-model 'one'.*'x'"):
      self.choose({"one": {"x": np.ones(5), "y": 1.0}})

  def test_feeds_of_names_what_the_tensors_depend_on(self):
    chosen = self.trainer.combinations[0]
    wanted = {"one": {"one.product": chosen.pieces["one"].outputs["product"]}}
    needed = joint_runs.feeds_of(chosen.pieces, wanted)
    self.assertEqual(needed("one"), {"x"})
    self.choose({"one": {"x": np.ones(2)}}, needed)

  def test_only_a_program_with_weights_changes_variables(self):
    chosen, fed = self.choose({"one": {"x": np.ones(2), "y": 1.0}})
    feeds = {"one": list(fed["one"])}
    given = {"one": list(fed["one"].values())}
    sess = self.session()
    for weights, loss, w in ((None, 5.0, 3.0), ({"one": 2.0}, 10.0, 2.0)):
      program = joint_runs.JointProgram(
        self.pipeline, chosen, feeds, {}, True, weights
      )
      result = program.call(sess, given)
      self.assertEqual(result.loss, loss)
      self.assertEqual(sess.run(self.w), w)


if __name__ == "__main__":
  absltest.main()
