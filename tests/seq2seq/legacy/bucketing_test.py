"""Tests of bucketing."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import bucketing
from tests import case
from tests.seq2seq.legacy import support

BUCKETS = [(1, 2), (3, 1)]


def build(library, cell, per_example, feed_previous=False):
  """Makes placeholders and a model with buckets.

  Returns:
    Lists of placeholders, outputs and losses.
  """
  ids = [
    [tf1.placeholder(tf1.int32, [None]) for _ in range(3)] for _ in range(3)
  ]
  weights = [tf1.placeholder(tf1.float32, [None]) for _ in range(3)]

  def seq2seq(source, target):
    # A cell for each bucket: contrib cannot copy one that was called.
    return library.embedding_attention_seq2seq(
      source,
      target,
      library.cell(cell),
      support.SOURCES,
      support.TARGETS,
      support.DEPTH,
      feed_previous=feed_previous,
    )

  outputs, losses = library.model_with_buckets(
    *ids, weights, BUCKETS, seq2seq, per_example_loss=per_example
  )
  return sum(ids, []) + weights, outputs, losses


class ModelWithBucketsTest(support.LegacyTestCase):
  def feed(self, placeholders):
    arrays = np.concatenate([self.source, self.target[:3], self.target[1:]])
    values = list(arrays) + list(self.weights)
    return dict(zip(placeholders, values))

  def results(self, *arguments):
    with tf1.Graph().as_default() as graph:
      placeholders, outputs, losses = build(*arguments)
      variables = tf1.trainable_variables()
      gradients = [tf1.gradients(loss, variables) for loss in losses]
      with support.quick_session(graph) as sess:
        support.load(sess, tf1.global_variables())
        found = sess.run([outputs, losses, gradients], self.feed(placeholders))
    names = [variable.op.name for variable in variables]
    dense = [
      dict(zip(names, (case.dense(value) for value in row))) for row in found[2]
    ]
    return found[0], found[1], dense

  @parameterized.named_parameters(
    ("gru", "gru_cell", False), ("lstm_by_example", "basic_lstm_cell", True)
  )
  @support.needs_contrib
  def test_every_bucket_is_contribs(self, cell, per_example):
    ours = self.results(support.ours, cell, per_example)
    theirs = self.results(support.theirs, cell, per_example)
    for k in range(len(BUCKETS)):
      self.assert_close(np.stack(ours[0][k]), np.stack(theirs[0][k]), 1e-6)
      self.assert_close(ours[1][k], theirs[1][k], 1e-6)
      self.assert_same_gradients(ours[2][k], theirs[2][k])

  @parameterized.named_parameters(("mean", False), ("by_example", True))
  def test_every_bucket_is_the_model_on_its_own(self, per_example):
    placeholders, outputs, losses = build(
      support.ours, "gru_cell", per_example, True
    )
    with support.quick_session(self.graph) as sess:
      support.load(sess, tf1.global_variables())
      outputs, losses = sess.run([outputs, losses], self.feed(placeholders))
    source, target, weights = self.source, self.target, self.weights
    settings = support.Settings(feed_previous=True)
    function = support.ours.sequence_loss
    if per_example:
      function = support.ours.sequence_loss_by_example
    for k, (s, t) in enumerate(BUCKETS):
      self.source = source[:s]
      self.target, self.weights = target[: t + 1], weights[:t]
      alone = self.run_model(
        support.attention_model(settings), function, wanted=False
      )
      self.assert_close(np.stack(outputs[k]), alone.outputs, 1e-6)
      self.assert_close(losses[k], alone.loss, 1e-6)

  def test_buckets_share_their_variables(self):
    build(support.ours, "gru_cell", False)
    self.assertLen(tf1.global_variables(), 20)

  def test_one_cell_serves_all_buckets(self):
    cell = support.ours.cell("gru_cell", 2)
    ids = [[tf1.placeholder(tf1.int32, [None])] * 3 for _ in range(3)]
    weights = [tf1.placeholder(tf1.float32, [None])] * 3
    outputs, losses = bucketing.model_with_buckets(
      *ids,
      weights,
      BUCKETS,
      lambda x, y: support.ours.embedding_attention_seq2seq(
        x, y, cell, 6, 5, 4
      ),
    )
    self.assertEqual([len(found) for found in outputs], [2, 1])
    self.assertLen(losses, 2)

  def test_ops_lie_in_the_name_scope(self):
    before = len(self.graph.get_operations())
    ids = [tf1.placeholder(tf1.int32, [None], name="mine/ids")]
    weights = [tf1.placeholder(tf1.float32, [None], name="mine/weights")]

    def seq2seq(source, target):
      del source
      return [tf1.one_hot(target[0], 5)], None

    bucketing.model_with_buckets(
      ids, ids, ids, weights, [(1, 1)], seq2seq, name="mine"
    )
    for op in self.graph.get_operations()[before:]:
      self.assertRegex(op.name, "^mine(_1)?/")

  @parameterized.named_parameters(
    ("none", [], "at least one pair"),
    ("tuple", (5, 10), "pair of positive lengths"),
    ("zero", [(0, 1)], "pair of positive lengths"),
    ("long_source", [(1, 1), (4, 1)], "encoder_inputs must be at least 4"),
    ("long_target", [(1, 4), (1, 1)], "decoder_inputs must be at least 4"),
  )
  def test_bad_buckets_raise(self, buckets, message):
    ids = [tf1.placeholder(tf1.int32, [None])] * 3
    with self.assertRaisesRegex(errors.ArgumentError, message):
      bucketing.model_with_buckets(ids, ids, ids, ids, buckets, None)

  def test_too_few_targets_or_weights_raise(self):
    ids = [tf1.placeholder(tf1.int32, [None])] * 3
    for lists, name in (
      ((ids[1:], ids), "targets"),
      ((ids, ids[1:]), "weights"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, f"{name} must be at"):
        bucketing.model_with_buckets(ids, ids, *lists, [(3, 3)], None)


if __name__ == "__main__":
  absltest.main()
