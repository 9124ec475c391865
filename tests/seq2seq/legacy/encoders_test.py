"""Tests of encoders."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, encoders
from tests.seq2seq.legacy import reference, support


class EncodersTest(support.LegacyTestCase):
  @parameterized.named_parameters(
    ("gru", "gru_cell", 2), ("lstm", "lstm_cell", 1)
  )
  def test_embedding_encoder_is_the_formula(self, name, layers):
    outputs, state, place = encoders.embedding_encoder(
      support.steps(self.source),
      support.ours.cell(name, layers),
      support.SOURCES,
      support.DEPTH,
      tf1.float32,
    )
    self.assertEqual(place.name, "rnn/embedding_wrapper")
    variables = support.by_name(tf1.global_variables())
    with support.quick_session(self.graph) as sess:
      support.load(sess, variables.values())
      outputs, state = sess.run([tf1.stack(outputs, 1), state])
    weights = {n: support.draw(n, v.shape) for n, v in variables.items()}
    memory, states = reference.encode(
      weights, "", name, layers, support.UNITS, self.source
    )
    self.assert_close(outputs, memory, 1e-6)
    for part, other in zip(tf1.nest.flatten(state), reference.flat(states)):
      self.assert_close(part, other, 1e-6)

  def test_padding_changes_the_state(self):
    def final(source):
      with scopes_again():
        _, state, _ = encoders.embedding_encoder(
          support.steps(source), cells.GRUCell(3), 6, 4, tf1.float32
        )
      return state

    source = np.int32([[4, 5], [1, 2]])
    padded = np.int32([[0, 0], [4, 5], [1, 2]])
    fetches = [final(source), final(padded)]
    short, long = self.session().run(fetches)
    self.assertGreater(np.max(np.abs(short - long)), 1e-3)

  def test_encoder_is_the_cell_over_the_inputs(self):
    inputs = [tf1.constant(self.normal(2, 4)) for _ in range(3)]
    cell = cells.LSTMCell(3)
    final = encoders.encoder(inputs, cell, tf1.float64)
    state = cell.zero_state(2, tf1.float64)
    for x in inputs:
      with scopes_again():
        _, state = cell(x, state)
    found, desired = self.session().run([final, state])
    self.assert_close(found.c, desired.c)
    self.assert_close(found.h, desired.h)

  @parameterized.named_parameters(
    ("known", [4], [4, 3]), ("unknown", [None], [None, 3])
  )
  def test_zero_state_is_of_the_batch(self, shape, desired):
    ids = [tf1.placeholder(tf1.int32, shape)]
    state = encoders.zero_state(cells.GRUCell(3), ids, tf1.float32)
    self.assertEqual(state.shape.as_list(), desired)
    found = self.session().run(state, {ids[0]: [1, 2, 3, 4]})
    np.testing.assert_array_equal(found, np.zeros([4, 3]))

  def test_bad_inputs_raise(self):
    floats = [tf1.placeholder(tf1.float32, [None, 4])]
    cell = cells.GRUCell(3)
    with self.assertRaisesRegex(errors.DtypeError, "encoder_inputs"):
      encoders.embedding_encoder(floats, cell, 6, 4, tf1.float32)
    with self.assertRaisesRegex(errors.ArgumentError, "embedding_classes"):
      ids = [tf1.placeholder(tf1.int32, [None])]
      encoders.embedding_encoder(ids, cell, 0, 4, tf1.float32)
    with self.assertRaisesRegex(errors.ArgumentError, "encoder_inputs"):
      encoders.encoder([], cell, tf1.float32)


def scopes_again():
  return tf1.variable_scope(
    tf1.get_variable_scope(), reuse=tf1.AUTO_REUSE, auxiliary_name_scope=False
  )


if __name__ == "__main__":
  absltest.main()
