"""Tests of many_to_many."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.experiments import languages, many_to_many, throughput
from tangle.pipeline import joint
from tests import case
from tests.experiments import babel


class ManyToManyTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.folder = babel.write(self)
    self.load(buckets=2)

  def load(self, buckets):
    """Sets the corpus and the model, which adds nothing to the graph yet."""
    self.corpus = languages.load(
      babel.NAMES,
      f"{self.folder}/train.{{}}",
      f"{self.folder}/validation.{{}}",
      min_count=1,
      buckets=buckets,
    )
    self.model = many_to_many.Translator(
      self.corpus, self.corpus.directions, 5, 1, 4
    )

  def test_six_networks_have_a_graph_for_each_bucket(self):
    self.model.pipeline.build()
    counts = self.model.count_graphs(self.corpus.directions)
    self.assertEqual(counts["graphs"], 3 * 2 + 3 * 2)
    self.assertEqual(counts["joint_graphs"], 6 * 2 * 2)
    scopes = {v.op.name.split("/")[0] for v in tf1.trainable_variables()}
    self.assertEqual(scopes, set(babel.NAMES))

  def test_every_direction_trains_as_in_a_joint_graph(self):
    # Two buckets a network make 24 joint graphs of the same six directions;
    # attention_pieces_test has every combination of buckets.
    self.load(buckets=1)
    pipeline = self.model.pipeline
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    pairs = [
      {f"{d.source}_encoder": s, f"{d.target}_decoder": t}
      for d in self.corpus.directions
      for s, t in self.corpus.buckets(d).cells
    ]
    trainers = [
      pipeline.minimize(optimizer, clip_norm=1.0),
      joint.JointTrainer(pipeline, optimizer, 1.0, combinations=pairs),
    ]
    sess = self.session()
    variables = tf1.trainable_variables()
    first, found = sess.run(variables), []
    batches = [
      self.model.feeds(direction, batch)
      for direction in self.corpus.directions
      for batch in self.corpus.batches("train", direction, 32).epoch(0)
    ]
    self.assertEqual(sum(map(throughput.count_examples, batches)), 6 * 96)
    for trainer in trainers:
      for variable, value in zip(variables, first):
        variable.load(value, sess)
      losses = [trainer.step(sess, batch).loss for batch in batches]
      found.append((losses, sess.run(variables)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for variable, *values in zip(variables, first, *(w for _, w in found)):
      start, one, other = values
      self.assertGreater(np.abs(one - start).max(), 1e-6, variable.name)
      np.testing.assert_allclose(
        one, other, rtol=1e-4, atol=1e-6, err_msg=variable.name
      )

  def test_a_step_leaves_the_other_networks_alone(self):
    trainer = self.model.pipeline.minimize(tf1.train.AdamOptimizer(0.1))
    sess = self.session()

    def step(direction):
      (batch, *_) = self.corpus.batches("train", direction, 96).epoch(0)
      trainer.step(sess, self.model.feeds(direction, batch))

    step(languages.Direction("bb", "cc"))
    before = sess.run(tf1.global_variables())
    step(languages.Direction("aa", "bb"))
    changed = {
      v.op.name
      for v, old, new in zip(
        tf1.global_variables(), before, sess.run(tf1.global_variables())
      )
      if np.any(old != new)
    }
    self.assertNotEmpty(changed)
    self.assertFalse([name for name in changed if name.startswith("cc/")])
    self.assertFalse([n for n in changed if n.startswith("bb/source_emb")])
    self.assertIn("bb/target_embedding/table", changed)


if __name__ == "__main__":
  absltest.main()
