"""Tests of tangle.seq2seq.searching."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.seq2seq import attention_model, search, searching
from tangle.seq2seq.legacy import parts
from tests import case


class Table(searching.Searchable):
  """A model whose next logits are a row of a table, whatever was encoded."""

  dtype = tf1.float64

  def __init__(self, table):
    self.table = tf1.constant(table, self.dtype)

  def start(self, encoded, name="start"):
    def step(symbols, state):
      return tf1.gather(self.table, symbols), state

    return searching.Start(step, encoded)

  def _batch_size(self, encoded):
    return tf1.shape(encoded)[0]


class SearchableTest(case.GraphTestCase):
  def test_searches_with_its_own_step_state_and_batch_size(self):
    model = Table(self.rng.normal(size=[6, 6]))
    encoded = tf1.zeros([2, 1])
    start = model.start(encoded)
    found = model.greedy(encoded, 5), model.beam(encoded, 5, 3, 0.5, 2)
    desired = (
      search.greedy(*start, 2, 5, dtype=model.dtype),
      search.beam(*start, 2, 3, 5, 0.5, 2, dtype=model.dtype),
    )
    found, desired = self.session().run([found, desired])
    for one, other in zip(sum(found, ()), sum(desired, ())):
      np.testing.assert_array_equal(one, other)

  def test_what_it_leaves_to_a_model_is_not_implemented(self):
    model = searching.Searchable()
    for call in (model.start, model.take, model._batch_size):
      with self.assertRaises(NotImplementedError):
        call({})

  def test_both_models_are_searchable(self):
    for model in (attention_model.AttentionModel, parts.AttentionModel):
      self.assertTrue(issubclass(model, searching.Searchable))


if __name__ == "__main__":
  absltest.main()
