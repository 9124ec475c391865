import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.graphs import cloning
from tangle.partial import choice
from tests import case
from tests.partial import checks, zoo


def halfway(model, least, frontier):
  """Returns the options of a sub-model with a budget between two others."""
  middle = (least.residuals.bytes + frontier.residuals.bytes) // 2
  return {"residuals": tangle.Budget(bytes=middle), "sizes": zoo.BATCH}


class MakeTest(case.GraphTestCase):
  def test_a_policy_stands_for_itself(self):
    policy = choice.make("min_cut", keep=lambda t: True)
    self.assertIs(choice.make(policy), policy)

  @parameterized.parameters("recompute", "keep", "sizes")
  def test_what_has_no_meaning_is_refused(self, name):
    value = 3 if name == "sizes" else lambda t: True
    for residuals in ("frontier", "all", "none", lambda t: True):
      with self.assertRaises(errors.ArgumentError) as caught:
        choice.make(residuals, **{name: value})
      self.assert_message(caught.exception, name, "min_cut")

  def test_what_is_no_predicate_is_refused(self):
    for name in ("recompute", "keep"):
      with self.assertRaises(errors.ArgumentError) as caught:
        choice.make("min_cut", **{name: "MatMul"})
      self.assert_message(caught.exception, name, "MatMul")
    with self.assertRaises(errors.ArgumentError):
      choice.make("min_cut", sizes="many")

  @parameterized.parameters(
    (tangle.Budget(),),
    (tangle.Budget(bytes=10, fraction=0.5),),
    (tangle.Budget(bytes=-1),),
    (tangle.Budget(fraction=1.1),),
    (tangle.Budget(bytes="10"),),
    (tangle.Budget(bytes=True),),
  )
  def test_bad_budgets_are_refused(self, budget):
    with self.assertRaises(errors.ArgumentError) as caught:
      choice.make(budget)
    self.assert_message(caught.exception, "Budget", str(budget))

  @parameterized.parameters("session", "recompute")
  def test_stores_that_choose_themselves_are_refused(self, store):
    model = zoo.mlp(self)
    for residuals in ("min_cut", tangle.Budget(fraction=0.5)):
      with self.assertRaises(errors.ArgumentError) as caught:
        checks.sub_model(model, store, residuals=residuals)
      self.assert_message(caught.exception, store, "device")


class SeenThroughTest(case.GraphTestCase):
  """A policy knows originals, whatever copy is cut."""

  def setUp(self):
    super().setUp()
    x = tf1.placeholder(tf1.float64, [2], name="x")
    self.h = tf1.square(x, name="h")
    self.other = tf1.placeholder(tf1.float64, [2], name="other")
    self.copy = cloning.clone([self.h], {"x:0": self.other})

  def test_predicates_are_asked_of_originals(self):
    seen = []
    policy = choice.Policy(
      seen.append, seen.append, seen.append, lambda tensor: tensor.name
    )
    found = choice.seen_through(policy, self.copy)
    for predicate in (found.residuals, found.recompute, found.keep):
      predicate(self.copy.find(self.h))
      predicate(self.other)
    self.assertEqual([t.name for t in seen], ["h:0", "x:0"] * 3)
    self.assertEqual(found.sizes(self.copy.find(self.h)), "h:0")

  def test_sizes_of_originals_are_those_of_copies(self):
    sizes = {self.h: [2], "x:0": [3], "else": [4]}
    policy = choice.Policy("min_cut", sizes=sizes)
    found = choice.seen_through(policy, self.copy)
    self.assertEqual(
      found.sizes, {"clone/h:0": [2], "other:0": [3], "else:0": [4]}
    )
    self.assertEqual(found.residuals, "min_cut")

  @parameterized.parameters(None, 5)
  def test_the_rest_stays(self, sizes):
    policy = choice.Policy(tangle.Budget(bytes=3), sizes=sizes)
    self.assertEqual(choice.seen_through(policy, self.copy), policy)


class MinCutTest(case.GraphTestCase):
  def chain(self, steps=6):
    """Returns the input and the output of alike layers of 100 numbers."""
    x = tf1.placeholder(tf1.float64, [100])
    y = x
    for _ in range(steps):
      y = tf1.matmul(
        self.variable(f"w{len(tf1.global_variables())}", self.normal(100, 100)),
        tf1.expand_dims(y, 1),
      )
      y = tf1.exp(tf1.sin(tf1.tanh(tf1.squeeze(y, 1))))
    return x, y

  def sub_model(self, residuals, **options):
    x, y = self.model
    return tangle.SubModel([x], [y], residuals=residuals, **options)

  def types(self, sub_model):
    return {record.op_type for record in sub_model.residuals}

  def test_the_least_is_one_tensor_a_layer(self):
    self.model = self.chain()
    least = self.sub_model("min_cut").residuals
    # A product a layer, and the input.
    self.assertEqual(least.bytes, (1 + 6) * 800)
    self.assertEqual(least.predicted_bytes, least.bytes)
    frontier = self.sub_model("frontier").residuals
    # tanh and exp, and exp once more in the shape that the product reads.
    self.assertEqual(frontier.bytes, (1 + 6 * 2 + 5) * 800)
    self.assertEqual(frontier.recomputed, ())
    self.assertIsNone(frontier.predicted_bytes)

  def test_a_report_names_what_is_computed_again(self):
    self.model = self.chain(2)
    found = self.sub_model("min_cut").residuals
    again = dict(found.recomputed_types)
    # exp needs sin, and what comes after needs exp.
    self.assertEqual(again["Exp"] + again["Sin"], 4)
    self.assertLen(found.recomputed, sum(again.values()))
    self.assertIn("ops are computed again: ", str(found).splitlines()[-1])
    for name in found.recomputed:
      self.assertIn(self.graph.get_operation_by_name(name).type, again)

  def test_products_are_computed_again_if_asked(self):
    self.model = self.chain()
    least = self.sub_model(
      "min_cut", recompute=lambda t: t.op.type == "MatMul"
    ).residuals
    self.assertEqual(least.bytes, 800)
    self.assertIn(("MatMul", 6), least.recomputed_types)

  def test_random_numbers_are_not_drawn_again_even_if_asked(self):
    x = tf1.placeholder(tf1.float64, [50])
    y = x * tf1.random_uniform([50], dtype=tf1.float64)
    self.model = x, y
    sub_model = self.sub_model("min_cut", recompute=lambda t: True)
    sess = self.session()
    call = sub_model.forward(sess, {x: np.ones(50)})
    found = call.backward([np.ones(50)])
    np.testing.assert_array_equal(found.inputs[0], call.outputs[0])

  def test_what_is_to_be_kept_is_kept(self):
    self.model = self.chain()
    sub_model = self.sub_model("min_cut", keep=lambda t: t.op.type == "Sin")
    self.assertIn("Sin", self.types(sub_model))
    self.assertNotIn("Exp", self.types(sub_model))
    found = sub_model.residuals
    self.assertNotIn("Sin", dict(found.recomputed_types))
    self.assertEqual(found.predicted_bytes, found.bytes)

  def test_a_loss_of_some_outputs_takes_what_is_kept(self):
    model = zoo.several_outputs(self)
    sub_model = checks.sub_model(model, "min_cut")
    sub_model.prepare(model.used)
    kept = {id(g) for g in sub_model._residual_sets.values()}
    self.assertLen(kept, 1)


class BudgetTest(MinCutTest):
  def test_stays_within_and_uses_most_of_it(self):
    self.model = self.chain(20)
    frontier = self.sub_model("frontier").residuals.bytes
    least = self.sub_model("min_cut").residuals.bytes
    repeated = []
    for fraction in (0.4, 0.6, 0.8, 0.95):
      for budget in (
        tangle.Budget(fraction=fraction),
        tangle.Budget(bytes=int(fraction * frontier)),
      ):
        found = self.sub_model(budget).residuals
        self.assertLessEqual(found.bytes, fraction * frontier)
        # Alike layers change sides one by one.
        self.assertGreater(found.bytes, fraction * frontier - 2 * 800)
        self.assertGreater(found.bytes, least)
        self.assertEqual(found.bytes, found.predicted_bytes)
      repeated.append(len(found.recomputed))
    self.assertEqual(repeated, sorted(repeated, reverse=True))
    self.assertLen(set(repeated), 4)

  def test_a_budget_of_all_computes_nothing_again(self):
    self.model = self.chain()
    found = self.sub_model(tangle.Budget(fraction=1.0)).residuals
    self.assertEqual(found.bytes, self.sub_model("frontier").residuals.bytes)
    self.assertEqual(found.recomputed, ())

  def test_names_the_least_where_it_cannot_be_met(self):
    self.model = self.chain()
    least = self.sub_model("min_cut").residuals.bytes
    with self.assertRaises(errors.CutError) as caught:
      self.sub_model(tangle.Budget(bytes=least - 1))
    self.assert_message(
      caught.exception, f"{least - 1:,}", f"{least:,}", "recompute="
    )
    found = self.sub_model(tangle.Budget(bytes=least)).residuals
    self.assertEqual(found.bytes, least)

  def test_bytes_of_unknown_shapes_must_be_told(self):
    model = zoo.lstm(self)
    with self.assertRaises(errors.ArgumentError) as caught:
      tangle.SubModel(
        model.inputs, model.outputs, residuals=tangle.Budget(bytes=10**6)
      )
    self.assert_message(caught.exception, "sizes=")

  @parameterized.named_parameters(
    (build.__name__, build)
    for build in (zoo.lstm, zoo.attention, zoo.batch_norm, zoo.several_outputs)
  )
  def test_measured_bytes_are_those_predicted(self, build):
    model = build(self)
    sess = self.session()
    both = [
      checks.sub_model(model, strategy) for strategy in ("min_cut", "device")
    ]
    for sub_model in both:
      sub_model.forward(sess, model.feed_dict).discard()
    options = halfway(model, *both)
    sub_model = tangle.SubModel(model.inputs, model.outputs, **options)
    call = sub_model.forward(sess, model.feed_dict)
    found = sub_model.residuals
    self.assertLessEqual(found.bytes, options["residuals"].bytes)
    self.assertBetween(found.bytes / found.predicted_bytes, 0.95, 1.05)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    joint = checks.Joint(model).run(sess, model.feed_dict, upstream)
    checks.assert_same(self, call.backward(upstream), joint)


class PipelineTest(case.GraphTestCase):
  def train(self, **options):
    """Trains one step; returns the weights, and how many ops there are."""
    values = np.linspace(-1.0, 1.0, 16).reshape([4, 4])
    with tf1.Graph().as_default() as graph:

      def build_lower(bucket, reads):
        del bucket, reads
        x_ph = tf1.placeholder(tf1.float64, [None, 4])
        h = tf1.tanh(tf1.matmul(x_ph, self.variable("w", values)))
        return tangle.Piece(feeds={"x": x_ph}, outputs={"h": tf1.exp(h)})

      def build_upper(bucket, reads):
        del bucket
        return tangle.Piece(feeds={}, loss=tf1.reduce_sum(reads["h"] ** 2))

      pipeline = tangle.Pipeline()
      pipeline.add("lower", build_lower, **options)
      pipeline.add("upper", build_upper, reads={"h": "lower.h"})
      trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
      with tf1.Session(graph=graph) as sess:
        sess.run(tf1.global_variables_initializer())
        trainer.step(sess, {"lower": {"x": values[:3]}, "upper": {}})
        copied = [op.type for op in graph.get_operations()]
        return sess.run(tf1.trainable_variables()), copied.count("Exp")

  def test_trains_the_same_and_computes_again_what_is_cheap(self):
    (expected,), once = self.train()
    for options in (
      {"residuals": "min_cut", "sizes": 3},
      {"residuals": tangle.Budget(bytes=2 * 3 * 4 * 8), "sizes": 3},
    ):
      (found,), twice = self.train(**options)
      self.assert_close(found, expected)
      self.assertEqual((once, twice), (1, 2))

  def test_one_output_of_an_op_is_the_input(self):
    values = tf1.constant(self.normal(5, 4)) * tf1.placeholder_with_default(
      np.float64(1), []
    )
    first, second, _, _ = tf1.unstack(values, 4, 1)
    y = tf1.minimum(first, second)
    for policy in ("min_cut", tangle.Budget(fraction=1.0)):
      cut = tangle.SubModel([first], [y], residuals=policy)
      sess = self.session()
      with cut.forward(sess) as call:
        found = call.backward([np.ones(5)])
      desired = sess.run(first) <= sess.run(second)
      self.assert_close(found.inputs[0], desired.astype(float))

  @parameterized.parameters("frontier", "none", "min_cut")
  def test_an_input_beside_what_is_computed_again_may_be_fed(self, policy):
    x = tf1.placeholder(tf1.float64, [3, 4])
    first, second = tf1.split(x, 2, -1)
    y = tf1.minimum(first, second)
    cut = tangle.SubModel([second], [y], residuals=policy)
    feed_dict = {x: self.normal(3, 4), second: self.normal(3, 2)}
    sess = self.session()
    with cut.forward(sess, feed_dict) as call:
      found = call.backward([np.ones([3, 2])])
    desired = feed_dict[second] < feed_dict[x][:, :2]
    self.assert_close(found.inputs[0], desired.astype(float))

  def test_refuses_what_a_sub_model_refuses(self):
    for options in ({"keep": len}, {"residuals": tangle.Budget()}):
      with self.assertRaises(errors.ArgumentError) as caught:
        tangle.Pipeline().add("a", self.fail, **options)
      self.assert_message(caught.exception, "Pipeline.add('a')")


if __name__ == "__main__":
  absltest.main()
