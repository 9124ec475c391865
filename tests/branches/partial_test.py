"""Tests of branches as sub-models of a pipeline."""

from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.branches import support


class PartialTest(case.GraphTestCase):
  def test_a_mix_that_is_not_named_is_refused(self):
    model = support.make()
    trainer = model.minimize(tf1.train.AdamOptimizer, "partial")
    sess = self.session()
    records = [support.record(self.rng, name) for name in model.paths]
    with self.assertRaisesRegex(errors.ArgumentError, "mixtures"):
      trainer.step(sess, model.schema.batch(records))

  def test_branches_and_end_are_a_sub_model_each(self):
    model = support.make(("image", "token", "pair"))
    trainer = support.minimize(model, tf1.train.AdamOptimizer, "partial")
    self.assertEqual(
      list(trainer.pipeline.nodes),
      [
        "branch_image",
        "branch_token",
        "branch_pair",
        "end",
        "mixed_image_token",
      ],
    )

  def test_only_the_branch_of_the_batch_runs(self):
    model = support.make()
    trainer = model.minimize(tf1.train.AdamOptimizer, "partial")
    sess = self.session()
    batch = model.schema.batch([support.record(self.rng, "image")])
    # Nothing feeds the other branch: it would fail if it ran.
    before = support.state(sess)
    trainer.step(sess, batch)
    changed = support.changed(before, support.state(sess))
    self.assertFalse([name for name in changed if "table" in name])
    self.assertTrue([name for name in changed if "dense" in name])


if __name__ == "__main__":
  absltest.main()
