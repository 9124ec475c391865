"""Tests of the legacy models and losses in half precision."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, losses, models
from tests.nets import half_test

B = 6400


class LegacyHalfTest(half_test.HalfTestCase):
  @parameterized.named_parameters(
    *half_test.each_type(
      ("gru", lambda: cells.GRUCell(2)),
      ("lstm", lambda: cells.LSTMCell(2, use_peepholes=True)),
    )
  )
  def test_cell_over_many_rows(self, make, dtype, rtol):
    def build(dtype, tensor):
      inputs = [tensor(self.inputs(B, 3))] * 2
      outputs, _ = models.basic_rnn_seq2seq(inputs, inputs, make(), dtype=dtype)
      return outputs, tf1.trainable_variables()

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*half_test.TYPES)
  def test_attention_model_over_many_rows(self, dtype, rtol):
    def build(dtype, tensor):
      del tensor
      ids = [np.full([B], k, np.int32) for k in (1, 2)]
      outputs, _ = models.embedding_attention_seq2seq(
        ids, ids, cells.GRUCell(2), 4, 4, 3, dtype=dtype
      )
      # The gradients to the attention's own variables cancel.
      names = ("AttnOutputProjection/bias", "embedding")
      variables = tf1.trainable_variables()
      return outputs, [v for v in variables if v.op.name.endswith(names)]

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*half_test.TYPES)
  def test_loss_of_many_examples_is_that_of_float64(self, dtype, rtol):
    def build(dtype, tensor):
      logits = [tensor(self.inputs(B, 3)), tensor(-self.inputs(B, 3))]
      logits[1] *= 2
      weights = [tensor(np.ones([B])), tensor(np.arange(B) % 2)]
      targets = [np.zeros([B], np.int32)] * 2
      return [losses.sequence_loss(logits, targets, weights)], weights

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*half_test.TYPES)
  def test_an_example_without_weight_has_the_loss_zero(self, dtype, _):
    logits = [tf1.cast(tf1.constant(self.normal(2, 3)), dtype)]
    weights = [tf1.cast(tf1.constant([0.0, 1.0]), dtype)]
    loss = losses.sequence_loss_by_example(logits, [[1, 1]], weights)
    self.assertEqual(loss.dtype, dtype)
    found = self.session().run(tf1.cast(loss, tf1.float32))
    self.assertEqual(found[0], 0)
    self.assertGreater(found[1], 0)


if __name__ == "__main__":
  absltest.main()
