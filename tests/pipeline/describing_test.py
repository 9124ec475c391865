"""Tests of the lines that describe pipelines and trainers."""

from absl.testing import absltest

import tangle
from tangle.compat import tf1
from tests import case
from tests.pipeline import batches_test


class DescribingTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    encode, classify = batches_test.builders(self)
    self.pipeline = tangle.Pipeline("p")
    self.assertEqual(
      repr(self.pipeline), "<Pipeline 'p', not built: no sub-models>"
    )
    self.pipeline.add("encoder", encode, buckets=[2, 4], pad={"source": 0})
    self.pipeline.add("decoder", classify, reads={"h": "encoder.h"})

  def test_a_pipeline_tells_sub_models_buckets_and_reads(self):
    parts = "encoder (buckets 2, 4); decoder reads encoder.h>"
    self.assertEqual(repr(self.pipeline), f"<Pipeline 'p', not built: {parts}")
    self.pipeline.build()
    self.assertEqual(repr(self.pipeline), f"<Pipeline 'p', built: {parts}")

  def test_a_trainer_tells_variables_and_residuals(self):
    trainer = self.pipeline.minimize(tf1.train.AdamOptimizer())
    text = repr(trainer)
    kept = self.pipeline.nodes["encoder"].graphs[4].kept()
    self.assertNotEmpty(kept)
    self.assertStartsWith(text, "<Trainer of Pipeline 'p': 2 variables; ")
    self.assertIn(f"encoder at bucket 4 keeps {len(kept)} residuals (", text)
    self.assertIn("decoder keeps 0 residuals (0 bytes)", text)
    self.assertNotIn("\n", text)

  def test_a_joint_trainer_tells_its_graphs(self):
    trainer = tangle.JointTrainer(self.pipeline, tf1.train.AdamOptimizer())
    self.assertEqual(
      repr(trainer),
      "<JointTrainer of Pipeline 'p': 2 joint graphs of ['encoder', "
      "'decoder'], 2 variables>",
    )


if __name__ == "__main__":
  absltest.main()
