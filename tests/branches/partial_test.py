"""Tests of branches as sub-models of a pipeline."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.branches import support


class PartialTest(case.GraphTestCase):
  def test_a_mix_that_is_not_named_is_refused(self):
    model = support.make()
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="partial"
    )
    sess = self.session()
    records = [support.record(self.rng, name) for name in model.paths]
    with self.assertRaisesRegex(errors.ArgumentError, "mixtures"):
      trainer.step(sess, model.schema.batch(records))

  def test_branches_and_head_are_a_sub_model_each(self):
    model = support.make(("image", "token", "pair"))
    trainer = support.minimize(model, tf1.train.AdamOptimizer, "partial")
    self.assertEqual(
      list(trainer.pipeline.nodes),
      [
        "branch_image",
        "branch_token",
        "branch_pair",
        "head",
        "mixed_image_token",
      ],
    )

  def test_only_the_branch_of_the_batch_runs(self):
    model = support.make()
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="partial"
    )
    sess = self.session()
    batch = model.schema.batch([support.record(self.rng, "image")])
    # Nothing feeds the other branch: it would fail if it ran.
    before = support.state(sess)
    trainer.step(sess, batch)
    changed = support.changed(before, support.state(sess))
    self.assertFalse([name for name in changed if "table" in name])
    self.assertTrue([name for name in changed if "dense" in name])

  def test_each_branch_of_a_mixture_trains_and_no_other(self):
    model = support.make(("image", "token", "pair"))
    trainer = support.minimize(model, tf1.train.AdamOptimizer, "partial")
    sess = self.session()
    types = ("image", "token", "image")
    batch = [support.record(self.rng, name) for name in types]
    before = support.state(sess)
    trainer.step(sess, model.schema.batch(batch))
    changed = support.changed(before, support.state(sess))
    for part in ("dense", "table", "end"):
      self.assertTrue([name for name in changed if part in name], part)
    self.assertFalse([name for name in changed if "pairs" in name])

  def test_losses_of_a_mixture_are_those_of_its_records(self):
    model = support.make()
    keep = tf1.train.GradientDescentOptimizer(0.0)
    trainer = support.minimize(model, keep, "partial")
    sess = self.session()
    types = ("token", "image", "image", "token", "token")
    records = [support.record(self.rng, name) for name in types]
    alone = [trainer.step(sess, model.schema.batch([r])).loss for r in records]
    found = trainer.step(sess, model.schema.batch(records))
    self.assertAlmostEqual(found.loss, np.mean(alone))
    for name in ("image", "token"):
      own = [loss for loss, kind in zip(alone, types) if kind == name]
      self.assertAlmostEqual(found.losses[name], np.mean(own))

  @parameterized.parameters(
    ((("image",),),),
    ((("image", "sound"),),),
    ((("image", "image"),),),
    ((("image", "token"), ("pair", "pairs")),),
  )
  def test_a_mixture_of_other_types_is_refused(self, mixtures):
    model = support.make(("image", "token", "pair"))
    with self.assertRaisesRegex(
      errors.ArgumentError, "two or more of the"
    ) as e:
      model.minimize(
        make_optimizer=tf1.train.AdamOptimizer,
        mode="partial",
        mixtures=mixtures,
      )
    self.assertIn(repr(mixtures[-1]), str(e.exception))

  def test_types_of_a_mixture_may_come_in_any_order(self):
    model = support.make()
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer,
      mode="partial",
      mixtures=[("token", "image")],
    )
    self.assertIn("mixed_image_token", trainer.pipeline.nodes)
    sess = self.session()
    records = [support.record(self.rng, name) for name in model.paths]
    found = trainer.step(sess, model.schema.batch(records))
    self.assertEqual(found.types, ("image", "token"))


if __name__ == "__main__":
  absltest.main()
