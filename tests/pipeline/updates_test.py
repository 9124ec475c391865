"""Tests of updates."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import passes as passes_lib
from tangle.pipeline import updates
from tests.pipeline import support


def make_pass(variables=None, backward=None, is_real=None):
  return passes_lib.Pass(
    [], backward, {}, variables, [], [], lambda item: item, is_real
  )


def make_group(*names):
  signature = tuple((name, None) for name in names)
  return passes_lib.VariableGradients(signature, None, [], [], None)


class PartsTest(absltest.TestCase):
  def test_first_sub_model_with_a_backward_run_applies_what_it_makes(self):
    passes = {
      "alone": make_pass(make_group("u")),
      "encoder": make_pass(make_group("v"), []),
      "middle": make_pass(make_group("w"), []),
      "idle": make_pass(),
    }
    found = [(p.name, p.direct) for p in updates.parts_of(passes)]
    expected = [("alone", False), ("encoder", True), ("middle", False)]
    self.assertEqual(found, expected)

  def test_second_part_of_a_run_applies_nothing(self):
    passes = {
      "encoder": make_pass(make_group("v"), [], is_real=tf1.no_op),
      "middle": make_pass(make_group("w"), []),
    }
    found = [(p.name, p.direct) for p in updates.parts_of(passes)]
    self.assertEqual(found, [("encoder", False), ("middle", False)])

  def test_last_run_without_variables_applies_nothing(self):
    passes = {
      "plain": make_pass(None, []),
      "middle": make_pass(make_group("w"), []),
    }
    found = [(p.name, p.direct) for p in updates.parts_of(passes)]
    self.assertEqual(found, [("middle", False)])

  def test_what_comes_from_shelves_is_the_same_for_all_buckets(self):
    groups = [make_group("w"), make_group("w"), make_group("v")]
    shelved = [updates.Part("a", group, False) for group in groups]
    direct = [updates.Part("a", group, True) for group in groups]
    keys = [updates.identify([part]) for part in shelved]
    self.assertEqual(keys[0], keys[1])
    self.assertNotEqual(keys[0], keys[2])
    self.assertLen({updates.identify([part]) for part in direct}, 3)


class BuildTest(support.PipelineTestCase):
  def chain(self, fragile=False):
    """Returns the wiring of an encoder with two weights, and a decoder."""
    w, u = self.weight("w", 3, 2), self.weight("u", 2, 2)

    def encoder(bucket, reads):
      del bucket, reads
      feeds = {"x": tf1.placeholder(tf1.float64, [None, 3])}
      h = tf1.matmul(feeds["x"], w)
      if fragile:
        feeds["factor"] = tf1.placeholder_with_default(np.float64(1.0), [])
        h = check_gradient(h, feeds["factor"])
      return tangle.Piece(feeds, {"out": tf1.tanh(tf1.matmul(h, u))})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    return wiring.add("decoder", decoder, reads={"x": "encoder.out"})

  @parameterized.parameters(None, 1.0)
  def test_nothing_is_applied_where_one_gradient_fails(self, clip_norm):
    pipeline = self.chain(fragile=True).pipeline()
    optimizer = tf1.train.GradientDescentOptimizer(0.5)
    trainer = pipeline.minimize(optimizer, clip_norm)
    sess = self.session()
    before = sess.run(trainer.variables)
    x = self.normal(4, 3)
    for _ in range(20):  # the order of ops may differ
      with self.assertRaisesRegex(tf1.errors.OpError, "late gradient"):
        batch = {"encoder": {"x": x, "factor": np.nan}, "decoder": {}}
        trainer.step(sess, batch)
      self.assert_nothing_waits(sess)
    for value, now in zip(before, sess.run(trainer.variables)):
      np.testing.assert_array_equal(value, now)
    trainer.step(sess, {"encoder": {"x": x}, "decoder": {}})
    for value, now in zip(before, sess.run(trainer.variables)):
      self.assertTrue(np.any(value != now))

  def test_update_is_part_of_the_last_backward_run(self):
    trainer = self.chain().pipeline().minimize(support.Recorder())
    sess = self.session()
    traced = support.Traced(sess)
    trainer.step(traced, {"encoder": {"x": self.normal(4, 3)}, "decoder": {}})
    self.assertLen(traced.runs, 3)
    *others, last = [set(run) for run in traced.runs]
    puts = {
      op.name
      for op in self.graph.get_operations()
      if op.type == "MapStage" and "/gradients/" in shared_name(op)
    }
    self.assertNotEmpty(puts & others[1])  # the decoder's wait for the others
    self.assertEmpty(puts & last)

  def test_update_that_needs_a_placeholder_says_so(self):
    rate_ph = tf1.placeholder(tf1.float32, [], name="rate")
    optimizer = tf1.train.GradientDescentOptimizer(rate_ph)
    with self.assertRaisesRegex(errors.ArgumentError, "placeholder 'rate:0'"):
      self.chain().pipeline().minimize(optimizer)


def shared_name(op):
  return op.get_attr("shared_name").decode()


@tf1.custom_gradient
def check_gradient(tensor, factor):
  """Returns `tensor`; its gradient is times `factor`, and must be finite."""

  def gradient(upstream):
    late = upstream * factor
    for _ in range(30):  # so that it is there after the other one
      late = tf1.sinh(tf1.asinh(late))
    return tf1.debugging.check_numerics(late, "late gradient"), None

  return tf1.identity(tensor), gradient


if __name__ == "__main__":
  absltest.main()
