"""Tests that layers with joint products give what plain cells give."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.nets import cells, chains, recurrent
from tests.nets import support

B, T, D, U = 3, 5, 4, 6
LENGTHS = (5, 2, 0)
CELLS = {recurrent.LSTM: cells.LSTMCell, recurrent.GRU: cells.GRUCell}
LAYERS = [("lstm", recurrent.LSTM), ("gru", recurrent.GRU)]
CASES = [
  (f"{name}_{case}", kind, *settings)
  for name, kind in LAYERS
  for case, settings in {
    "all_steps": (None, False, False),
    "from_a_state": (None, True, False),
    "backward": (None, True, True),
    "lengths": (LENGTHS, False, False),
    "lengths_backward_from_a_state": (LENGTHS, True, True),
    "all_of_length_zero": ((0, 0, 0), True, False),
  }.items()
]


class ChainsTest(support.NetTestCase):
  def build(self, layer, lengths, with_state):
    """Returns inputs, flat results, and points to differentiate by."""
    self.rng = np.random.RandomState(7)  # the same draws for each layer
    x = tf1.placeholder_with_default(self.normal(B, T, D), [None, T, D])
    parts = 2 if isinstance(layer.cell, cells.LSTMCell) else 1
    state = [tf1.constant(self.normal(B, U)) for _ in range(parts)]
    given = tuple(state) if parts > 1 else state[0]
    result = layer(x, lengths, given if with_state else None)
    flat = tf1.nest.flatten(result)
    return flat, [x] + (state if with_state else []) + layer.variables

  def both(self, kind, **options):
    """Returns the plain layer and the other, each built with `options`."""
    pair, reverse = [], options.get("reverse", False)
    cell = CELLS[kind](U, dtype=tf1.float64, name="plain")
    for layer in (
      recurrent.RecurrentLayer(cell, reverse),
      kind(U, reverse=reverse, dtype=tf1.float64, name="fused"),
    ):
      found = self.build(layer, options.get("lengths"), options.get("state"))
      pair.append((layer,) + found)
    return pair

  def start(self, pair):
    """Returns a session in which both layers have the same weights."""
    sess = self.session()
    arrays = self.fill(sess, pair[0][0].variables)
    for variable, array in zip(pair[1][0].variables, arrays):
      support.set_variable(sess, variable, array)
    return sess

  @parameterized.named_parameters(*CASES)
  def test_values_and_gradients_are_those_of_the_cell(
    self, kind, lengths, state, reverse
  ):
    pair = self.both(kind, lengths=lengths, state=state, reverse=reverse)
    fetches = []
    for _, flat, points in pair:
      self.rng = np.random.RandomState(8)
      # An upstream gradient for each part of the result.
      loss = tf1.add_n(
        [
          tf1.reduce_sum(
            tf1.sin(tensor) * self.normal(*[B] + tensor.shape.as_list()[1:])
          )
          for tensor in flat
        ]
      )
      gradients = tf1.gradients(loss, points)
      self.assertNotIn(None, gradients)
      fetches.append(flat + gradients)
    for desired, found in zip(*self.start(pair).run(fetches)):
      self.assert_close(found, desired, 1e-12)

  @parameterized.named_parameters(*LAYERS)
  def test_state_may_come_from_the_inputs(self, kind):
    cell = CELLS[kind](U, dtype=tf1.float64, name="plain")
    fetches, layers = [], []
    x = tf1.constant(self.normal(B, T, D))
    part = tf1.reduce_sum(x, [1, 2])[:, None] * [[0.1] * U]
    state = [part, part] if kind is recurrent.LSTM else part
    for layer in (
      recurrent.RecurrentLayer(cell),
      kind(U, dtype=tf1.float64, name="fused"),
    ):
      outputs = layer(x, LENGTHS, state).outputs
      fetches.append(tf1.gradients(outputs**2, [x] + layer.variables))
      layers.append((layer,))
    for desired, found in zip(*self.start(layers).run(fetches)):
      self.assert_close(found, desired, 1e-12)

  @parameterized.named_parameters(*LAYERS)
  def test_second_gradients_are_those_of_the_cell(self, kind):
    pair = self.both(kind, lengths=LENGTHS, state=True)
    fetches = []
    for _, flat, points in pair:
      first = tf1.gradients(flat[0] ** 2, points)
      norm = tf1.add_n([tf1.reduce_sum(tf1.square(g)) for g in first])
      fetches.append(tf1.gradients(norm, points))
    for desired, found in zip(*self.start(pair).run(fetches)):
      self.assert_close(found, desired, 1e-11)

  @parameterized.named_parameters(
    # Steps, and then: inputs; their gradient, and two parts of the kernel's.
    # From a state of zeros, which is not multiplied; the same for each chain.
    ("lstm", recurrent.LSTM, T, T + 2),
    ("gru", recurrent.GRU, 2 * T - 1, 2 * T + 6),
  )
  def test_large_products_are_made_once(self, kind, forward, backward):
    layer = kind(U, dtype=tf1.float64)
    x = tf1.placeholder(tf1.float64, [None, T, D])
    outputs = layer(x).outputs
    counts = [self.count("MatMul")]
    tf1.gradients(outputs, [x] + layer.variables)
    counts.append(self.count("MatMul"))
    self.assertEqual(
      counts, [chains.CHAINS * n for n in (forward, forward + backward)]
    )

  def count(self, kind):
    return sum(op.type == kind for op in self.graph.get_operations())

  @parameterized.named_parameters(*LAYERS)
  def test_is_split_like_any_other(self, kind):
    x = tf1.placeholder(tf1.float64, [None, T, D])
    layer = kind(U, dtype=tf1.float64)
    outputs = layer(x, LENGTHS).outputs
    cut = tangle.SubModel([x], [outputs])
    upstream_ph = tf1.placeholder(tf1.float64, [B, T, U])
    joint = tf1.gradients(outputs, [x] + layer.variables, upstream_ph)
    sess = self.session()
    x_np, upstream = self.normal(B, T, D), self.normal(B, T, U)
    call = cut.forward(sess, {x: x_np})
    found = call.backward([upstream])
    desired = sess.run(joint, {x: x_np, upstream_ph: upstream})
    for one, other in zip(found.inputs + found.variables, desired):
      np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


if __name__ == "__main__":
  absltest.main()
