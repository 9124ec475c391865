import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.nets import cells, composites, recurrent
from tests.nets import reference, support

B, T, D, U = 3, 4, 2, 3
LENGTHS = (2, 4, 0)


class BidirectionalTest(support.NetTestCase):
  def build(self, dtype=tf1.float64):
    return composites.Bidirectional(
      recurrent.LSTM(U, dtype=dtype),
      recurrent.LSTM(2, reverse=True, dtype=dtype),
    )

  def test_joins_both_directions(self):
    both = self.build()
    self.assertEqual(both.units, U + 2)
    x = self.normal(B, T, D)
    result = both(tf1.constant(x), LENGTHS)
    sess = self.session()
    weights = self.fill(sess, both.variables)
    outputs, state = sess.run(result)
    for way, units, reverse, columns in (
      ("forward", U, False, slice(None, U)),
      ("backward", 2, True, slice(U, None)),
    ):
      own = weights[2:] if reverse else weights[:2]
      desired, final = reference.run(
        reference.bind(reference.lstm_step, own),
        x,
        LENGTHS,
        [np.zeros([B, units])] * 2,
        reverse,
      )
      self.assert_close(outputs[:, :, columns], desired)
      self.assert_close(getattr(state, way).c, final[0])
      self.assert_close(getattr(state, way).h, final[1])

  def test_initial_states_go_to_their_directions(self):
    x = tf1.zeros([B, T, D], tf1.float64)
    both = self.build()
    start = composites.BidirectionalState(
      cells.LSTMState(self.normal(B, U), self.normal(B, U)),
      cells.LSTMState(self.normal(B, 2), self.normal(B, 2)),
    )
    # Length 0 gives the initial states back.
    state = both(x, [0] * B, start).state
    pairs = zip(
      tf1.nest.flatten(self.session().run(state)), tf1.nest.flatten(start)
    )
    for actual, desired in pairs:
      self.assert_close(actual, desired, 0)

  def test_layers_of_one_name_have_scopes_of_their_own(self):
    both = self.build()
    both(tf1.zeros([B, T, D], tf1.float64))
    both(tf1.zeros([B, T, D], tf1.float64))
    self.assertEqual(
      [variable.op.name for variable in both.variables],
      [
        "bidirectional/forward/lstm/kernel",
        "bidirectional/forward/lstm/bias",
        "bidirectional/backward/lstm/kernel",
        "bidirectional/backward/lstm/bias",
      ],
    )
    self.assertLen(tf1.global_variables(), 4)

  def test_ops_are_in_the_scope_that_is_named(self):
    both = self.build()
    x = tf1.zeros([B, T, D], tf1.float64)
    both(x)
    before = self.count_ops()
    both(x, name="here")
    self.assert_ops_under("here", before)

  @parameterized.named_parameters(
    ("both_forward", False, False, "backward must be .*reverse=True"),
    ("both_backward", True, True, "forward must be .*reverse=False"),
  )
  def test_wrong_direction_raises(self, first, second, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      composites.Bidirectional(
        recurrent.GRU(U, reverse=first), recurrent.GRU(U, reverse=second)
      )

  def test_one_state_raises(self):
    x = tf1.zeros([B, T, D], tf1.float64)
    with self.assertRaisesRegex(errors.ArgumentError, "list of 2 states"):
      self.build()(x, initial_state=[None])


class StackTest(support.NetTestCase):
  def test_each_layer_reads_the_one_below(self):
    stack = composites.Stack(
      [recurrent.GRU(U, dtype=tf1.float64), recurrent.GRU(5, dtype=tf1.float64)]
    )
    self.assertEqual(stack.units, 5)
    x = self.normal(B, T, D)
    result = stack(tf1.constant(x), LENGTHS)
    sess = self.session()
    weights = self.fill(sess, stack.variables)
    outputs, state = sess.run(result)
    self.assertIsInstance(state, list)
    desired = x
    for k, units in enumerate((U, 5)):
      own = weights[4 * k : 4 * k + 4]
      zero = [np.zeros([B, units])]
      step = reference.bind(reference.gru_step, own)
      desired, final = reference.run(step, desired, LENGTHS, zero)
      self.assert_close(state[k], final[0])
    self.assert_close(outputs, desired)

  def test_gradients_are_numeric_gradients(self):
    stack = composites.Stack(
      [
        composites.Bidirectional(
          recurrent.GRU(2, dtype=tf1.float64),
          recurrent.GRU(2, reverse=True, dtype=tf1.float64),
        ),
        recurrent.LSTM(2, dtype=tf1.float64),
      ]
    )
    x = tf1.placeholder(tf1.float64, [2, 3, D])
    loss = self.weigh(stack(x, [3, 2]))
    sess = self.session()
    self.fill(sess, stack.variables)
    feed = {x: self.normal(2, 3, D)}
    self.assert_gradients(sess, loss, feed, stack.variables)

  def test_layers_of_one_name_have_scopes_of_their_own(self):
    stack = composites.Stack([recurrent.LSTM(U), recurrent.LSTM(U)])
    for _ in range(2):
      stack(tf1.zeros([B, T, D]))
    self.assertEqual(
      [variable.op.name for variable in stack.variables],
      [
        "stack/layer_0/lstm/kernel",
        "stack/layer_0/lstm/bias",
        "stack/layer_1/lstm/kernel",
        "stack/layer_1/lstm/bias",
      ],
    )

  def test_one_layer_twice_counts_its_variables_once(self):
    layer = recurrent.GRU(D)
    stack = composites.Stack([layer, layer])
    stack(tf1.zeros([B, T, D]))
    self.assertLen(stack.variables, 4)
    self.assertLen(tf1.global_variables(), 4)

  def test_drops_out_between_layers_only(self):
    stack = composites.Stack([recurrent.GRU(U) for _ in range(3)])
    rate = tf1.placeholder(tf1.float32, [])
    x = tf1.constant(self.normal(B, T, D, dtype=np.float32))
    plain = stack(x).outputs
    self.assertEqual(self.count_random_uniforms(), 0)
    dropped = stack(x, dropout_rate=rate, seed=3).outputs
    self.assertEqual(self.count_random_uniforms(), 2)
    self.assertLen(tf1.global_variables(), 12)
    sess = self.session()
    plain_np, at_zero = sess.run([plain, dropped], {rate: 0.0})
    self.assert_close(at_zero, plain_np, 1e-6)
    at_half = sess.run(dropped, {rate: 0.5})
    self.assertGreater(np.abs(at_half - plain_np).max(), 1e-3)

  def count_random_uniforms(self):
    return len(
      [
        op
        for op in self.graph.get_operations()
        if op.type == "RandomUniform" and "Initializer" not in op.name
      ]
    )

  def test_masks_between_layers_differ_under_one_seed(self):
    stack = composites.Stack([recurrent.GRU(U) for _ in range(3)])
    stack(tf1.zeros([B, T, D]), dropout_rate=0.5, seed=3)
    seeds = [
      op.get_attr("seed2")
      for op in self.graph.get_operations()
      if op.type == "RandomUniform" and "Initializer" not in op.name
    ]
    self.assertLen(set(seeds), 2)

  def test_ops_are_in_the_scope_that_is_named(self):
    stack = composites.Stack([recurrent.GRU(U), recurrent.GRU(U)])
    x = tf1.zeros([B, T, D])
    stack(x)
    before = self.count_ops()
    stack(x, LENGTHS, dropout_rate=0.5, name="here")
    self.assert_ops_under("here", before)

  def test_no_layer_raises(self):
    with self.assertRaisesRegex(errors.ArgumentError, "at least one"):
      composites.Stack([])

  def test_too_many_states_raise(self):
    stack = composites.Stack([recurrent.GRU(U)])
    with self.assertRaisesRegex(errors.ArgumentError, "list of 1 states"):
      stack(tf1.zeros([B, T, D]), initial_state=[None, None])


if __name__ == "__main__":
  absltest.main()
