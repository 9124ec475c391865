"""Tests that the constructs are what their names say."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.experiments import constructs
from tests import case

_IN_LOOPS = frozenset(["scan", "foldl", "map_fn"])


def _moved(point, k, step):
  return [part + step if j == k else part for j, part in enumerate(point)]


def _dense(x, w):
  return np.tanh(x @ w)


def _loop(x, w, body=_dense):
  return _states(x, w, body)[-1]


def _states(x, w, body=_dense):
  found = [x]
  for _ in range(constructs.STEPS):
    found.append(body(found[-1], w))
  return found[1:]


def _until(x, w):
  while np.sum(np.abs(x)) > 1:
    x = 0.7 * np.tanh(x @ w)
  return x


def _scan(rows):
  found = [rows[0]]
  for row in rows[1:]:
    found.append(np.tanh(found[-1] * row + row))
  return np.stack(found)


def _sequence(x):
  return np.stack([x, 2 * x, -x, x * x], axis=1)


def _rnn(sequence, w, lengths):
  """Returns outputs, zero after the end of a sequence, and last states."""
  outputs, states = np.zeros([3, 4, 4]), np.zeros([3, 4])
  for k, length in enumerate(lengths):
    for t in range(length):
      states[k] = outputs[k, t] = np.tanh((sequence[k, t] + states[k]) @ w)
  return outputs, states


def _summed_rnn(x, w, lengths):
  outputs, states = _rnn(_sequence(x), w, lengths)
  return outputs.sum(1) + states


def _turned(sequence, lengths):
  found = sequence.copy()
  for k, length in enumerate(lengths):
    found[k, :length] = sequence[k, :length][::-1]
  return found


def _both_ways(x, w, lengths=(4, 2, 1)):
  sequence = _sequence(x)
  backward = _rnn(_turned(sequence, lengths), 0.5 * w, lengths)[0]
  forward = _rnn(sequence, w, lengths)[0]
  return np.concatenate([forward, _turned(backward, lengths)], 2)


def _cond(x, w):
  return _dense(x, w) if x.sum() > 0 else 2 * x


def _case(x, w):
  if x.sum() > 1:
    return _dense(x, w)
  return x * x if x.sum() > 0 else 2 * x @ w


def _cond_body(y, w):
  return _dense(y, w) if y.sum() > 0 else 0.5 * y + 1


_NUMPY = {
  "while_loop": _loop,
  "while_loop, steps by value": _until,
  "while_loop, swap_memory": _loop,
  "while_loop, rows of a variable": lambda x, w: x * w[0] * w[1] * w[2],
  "while_loop, tensor array": lambda x, w: np.stack(_states(x, w)),
  "scan": lambda x, w: _scan(x * w[:1]),
  "foldl": lambda x, w: _scan(x @ w)[-1],
  "map_fn": lambda x, w: np.tanh(x @ w.T),
  "dynamic_rnn": lambda x, w: _summed_rnn(x, w, (4, 2, 0)),
  "bidirectional_dynamic_rnn": _both_ways,
  "raw_rnn": lambda x, w: _summed_rnn(x, w, (4, 2, 1)),
  "cond": _cond,
  "case": _case,
  "switch_case": _cond,
  "cond in while_loop": lambda x, w: _loop(x, w, _cond_body),
  "while_loop in cond": lambda x, w: _loop(x, w) if x.sum() > 0 else 2 * x,
  "while_loop in while_loop": lambda x, w: _loop(
    x, w, lambda y, w: 0.5 * _loop(y, w)
  ),
  "custom gradient in while_loop": lambda x, w: _loop(
    x, w, lambda y, w: _dense(2 * y, w)
  ),
  "tf.function": _dense,
  "tf.function in while_loop": _loop,
  "while_loop in tf.function": _loop,
  "cond in tf.function": _cond,
  "Defun": _dense,
}
"""Name → what the construct computes, of input and weight."""


class ConstructsTest(case.GraphTestCase):
  @parameterized.named_parameters(
    (name.replace(" ", "_").replace(",", ""), name) for name in constructs.ALL
  )
  def test_uses_its_construct_and_the_weight(self, name):
    self.use_control_flow(v2=False)
    x_ph = tf1.placeholder(tf1.float64, [3, 4])
    w = self.variable("w", self.normal(4, 4))
    before = {op.name for op in self.graph.get_operations()}
    constructs.ALL[name].build(x_ph, tf1.convert_to_tensor(w))
    kinds = {
      op.type for op in self.graph.get_operations() if op.name not in before
    }
    loops = "while" in name or "rnn" in name or name in _IN_LOOPS
    if "unction" in name or name == "Defun":
      self.assertTrue(
        [kind for kind in kinds if "Call" in kind or kind.startswith("dense")],
        kinds,
      )
    if loops and "in tf.function" not in name:
      self.assertIn("Enter", kinds)
    if "cond" in name and not loops and "in tf.function" not in name:
      self.assertIn("Switch", kinds)

  @parameterized.named_parameters(
    (f"{name}_v{1 + v2}".replace(" ", "_").replace(",", ""), name, v2)
    for name, construct in constructs.ALL.items()
    if not construct.draws
    for v2 in (False, True)
  )
  def test_values_and_gradients_are_those_of_numpy(self, name, v2):
    self.use_control_flow(v2)
    x_ph = tf1.placeholder(tf1.float64, [3, 4])
    w_ph = tf1.placeholder(tf1.float64, [4, 4])
    y = constructs.ALL[name].build(x_ph, w_ph)
    kernel = self.rng.uniform(-0.8, 0.8, (4, 4))
    rows = self.rng.uniform(0.1, 1.0, (3, 4))
    upstream = self.normal(*_NUMPY[name](rows, kernel).shape)
    gradients = tf1.gradients(y, [x_ph, w_ph], tf1.constant(upstream))
    sess = self.session()
    for x in (rows, 0.1 * rows, -rows):  # conditionals go all ways
      found, by_x, by_w = sess.run([y] + gradients, {x_ph: x, w_ph: kernel})
      self.assertEqual(found.shape, upstream.shape)
      self.assert_close(found, _NUMPY[name](x, kernel))
      self.assertGreater(np.max(np.abs(by_x)), 0)
      for k, gradient in enumerate([by_x, case.dense(by_w)]):
        way = self.normal(*gradient.shape)
        ahead, behind = [
          np.sum(upstream * _NUMPY[name](*_moved([x, kernel], k, step * way)))
          for step in (1e-6, -1e-6)
        ]
        slope = (ahead - behind) / 2e-6
        self.assertAlmostEqual(np.sum(gradient * way), slope, delta=1e-6)

  @parameterized.named_parameters(
    (f"{name}_v{1 + v2}".replace(" ", "_"), name, v2)
    for name, construct in constructs.ALL.items()
    if construct.draws
    for v2 in (False, True)
  )
  def test_draws_anew_in_each_run(self, name, v2):
    self.use_control_flow(v2)
    x = tf1.constant(np.full([3, 4], 0.5))
    w = self.variable("w", self.normal(4, 4))
    y = constructs.ALL[name].build(x, tf1.convert_to_tensor(w))
    found = [y] + tf1.gradients(y, [x, w])
    sess = self.session()
    for first, second in zip(sess.run(found), sess.run(found)):
      self.assertGreater(np.max(np.abs(first)), 0)
      self.assertGreater(np.max(np.abs(first - second)), 1e-3)

  def test_cell_is_a_recurrent_cell(self):
    w = tf1.constant(self.normal(4, 4))
    x, h = self.normal(3, 4), self.normal(3, 4)
    output, state = constructs.Cell(w)(tf1.constant(x), tf1.constant(h))
    with self.session() as sess:
      kernel, output_np, state_np = sess.run([w, output, state])
      zero = sess.run(constructs.Cell(w).zero_state(3, tf1.float64))
    np.testing.assert_allclose(output_np, np.tanh((x + h) @ kernel))
    np.testing.assert_array_equal(output_np, state_np)
    np.testing.assert_array_equal(zero, np.zeros([3, 4]))

  def test_defun_defines_a_function(self):
    @compat.defun(tf1.float64)
    def double(x):
      return 2 * x

    with self.session() as sess:
      value = sess.run(double(tf1.constant(3.0, tf1.float64)))
    self.assertEqual(value, 6.0)


if __name__ == "__main__":
  absltest.main()
