"""Tests of attention."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import attention, cells
from tests import case
from tests.seq2seq.legacy import reference, support


class HeadsTest(case.GraphTestCase):
  def test_there_must_be_queries(self):
    heads = attention.Heads(tf1.ones([2, 3, 4]), 2, tf1.float32)
    with self.assertRaisesRegex(errors.ArgumentError, "bind_queries first"):
      heads(tf1.ones([2, 5]))

  def heads(self, states, num_heads=2, depth=5):
    made = attention.Heads(states, num_heads, states.dtype)
    made.bind_queries(depth)
    return made

  @parameterized.named_parameters(
    ("known", [2, 6, 4]), ("unknown", [None, None, 4])
  )
  def test_contexts_are_the_formula(self, shape):
    states = self.normal(2, 6, 4, dtype=np.float32)
    parts = [self.normal(2, n, dtype=np.float32) for n in (2, 3)]
    states_ph = tf1.placeholder(tf1.float32, shape)
    contexts = self.heads(states_ph)([tf1.constant(part) for part in parts])
    for context in contexts:
      self.assertEqual(context.shape.as_list()[-1], 4)
    with support.quick_session(self.graph) as sess:
      support.load(sess, tf1.global_variables())
      found = sess.run(contexts, {states_ph: states})
    weights = {
      name: support.draw(name, variable.shape.as_list())
      for name, variable in support.by_name(tf1.global_variables()).items()
    }
    desired = reference.attend(weights, "", states, [tuple(parts)], 2)
    for context, other in zip(found, desired):
      self.assert_close(context, other, 1e-6)

  def test_one_memory_serves_every_length(self):
    states_ph = tf1.placeholder(tf1.float64, [None, None, 4])
    query = tf1.constant(self.normal(2, 5))
    (context,) = self.heads(states_ph, 1)(query)
    sess = self.session()
    for steps in (1, 3, 8):
      states = self.normal(2, steps, 4)
      found = sess.run(context, {states_ph: states})
      # A context is a mean with positive weights.
      self.assertTrue(np.all(found <= states.max(axis=1)))
      self.assertTrue(np.all(found >= states.min(axis=1)))

  def test_beams_read_the_memory_of_their_example(self):
    states, queries = self.normal(2, 3, 4), self.normal(6, 5)
    heads = self.heads(tf1.constant(states))
    found = heads(tf1.constant(queries), tf1.constant(2))
    with tf1.variable_scope("", reuse=True):
      repeated = self.heads(tf1.constant(np.repeat(states, 3, axis=0)))
    desired = repeated(tf1.constant(queries))
    found, desired = self.session().run([found, desired])
    for context, other in zip(found, desired):
      # The weights are of float32.
      self.assert_close(context, other, 1e-6)

  def test_no_examples_have_no_contexts(self):
    states_ph = tf1.placeholder(tf1.float64, [None, None, 4])
    query_ph = tf1.placeholder(tf1.float64, [None, 5])
    contexts = self.heads(states_ph)(query_ph, tf1.shape(states_ph)[0])
    feed_dict = {states_ph: np.zeros([0, 3, 4]), query_ph: np.zeros([0, 5])}
    for context in self.session().run(contexts, feed_dict):
      self.assertEqual(context.shape, (0, 4))

  def test_padding_counts_as_every_other_step(self):
    states = self.normal(1, 3, 4)
    padded = np.concatenate([np.zeros([1, 5, 4]), states], axis=1)
    states_ph = tf1.placeholder(tf1.float64, [None, None, 4])
    (context,) = self.heads(states_ph, 1)(tf1.constant(self.normal(1, 5)))
    sess = self.session()
    alone, among = (
      sess.run(context, {states_ph: array}) for array in (states, padded)
    )
    self.assertGreater(np.max(np.abs(alone - among)), 0.1)

  def test_softmax_is_taken_in_float32(self):
    states = tf1.constant(self.normal(2, 3, 4))
    self.heads(states)(tf1.constant(self.normal(2, 5)))
    types = {
      op.outputs[0].dtype
      for op in self.graph.get_operations()
      if op.type == "Softmax"
    }
    self.assertEqual(types, {tf1.float32})

  def test_contexts_before_the_first_are_zero(self):
    heads = self.heads(tf1.constant(self.normal(2, 3, 4)))
    contexts = heads.zero_contexts(tf1.constant(2))
    self.assertLen(contexts, 2)
    for context in self.session().run(contexts):
      self.assert_close(context, np.zeros([2, 4]), 0)

  def test_variables_have_contribs_names(self):
    self.heads(tf1.zeros([2, 3, 4]), 2)
    found = support.by_name(tf1.global_variables())
    shapes = {name: v.shape.as_list() for name, v in found.items()}
    desired = {}
    for k in range(2):
      desired[f"AttnW_{k}"] = [1, 1, 4, 4]
      desired[f"AttnV_{k}"] = [4]
      desired[f"Attention_{k}/kernel"] = [5, 4]
      desired[f"Attention_{k}/bias"] = [4]
    self.assertEqual(shapes, desired)

  def test_bad_states_raise(self):
    def check(states):
      attention.check_states(states, tf1.float32)

    check(tf1.placeholder(tf1.float32, [None, None, 4]))
    with self.assertRaisesRegex(errors.ShapeError, "set_shape"):
      check(tf1.placeholder(tf1.float32, [None, 3, None]))
    with self.assertRaisesRegex(errors.ShapeError, "rank 3"):
      check(tf1.zeros([3, 4]))
    with self.assertRaisesRegex(errors.DtypeError, "float32"):
      check(tf1.zeros([2, 3, 4], tf1.float64))
    with tf1.Graph().as_default():
      states = tf1.zeros([2, 3, 4])
    with self.assertRaisesRegex(errors.GraphError, "attention_states"):
      check(states)


class StepTest(case.GraphTestCase):
  def step(self, state, num_heads=2, output_size=None, attends=False):
    states = tf1.constant(self.normal(2, 3, 4))
    return attention.Step(
      cells.GRUCell(5),
      6,
      states,
      state,
      output_size,
      num_heads,
      attends,
      tf1.float64,
    )

  @parameterized.parameters(False, True)
  def test_the_first_contexts_are_zeros_or_those_of_the_state(self, attends):
    state = tf1.constant(self.normal(2, 5))
    contexts, first = self.step(state, attends=attends).start(tf1.constant(2))
    self.assertLen(contexts, 2)
    found, first, state = self.session().run([contexts, first, state])
    np.testing.assert_array_equal(first, state)
    for context in found:
      self.assertEqual(context.shape, (2, 4))
      self.assertEqual(np.any(context), attends)

  def test_an_output_is_of_the_given_depth_or_the_cells(self):
    for size, depth in ((None, 5), (7, 7)):
      with tf1.variable_scope(f"size_{size}"):
        step = self.step(tf1.zeros([2, 5], tf1.float64), output_size=size)
        inputs = tf1.zeros([2, 6], tf1.float64)
        output, (contexts, state) = step(inputs, step.start(tf1.constant(2)))
      self.assertEqual(output.shape.as_list(), [2, depth])
      self.assertEqual(state.shape.as_list(), [2, 5])
      self.assertLen(contexts, 2)

  def test_bad_settings_raise(self):
    state = tf1.zeros([2, 5], tf1.float64)
    with self.assertRaisesRegex(errors.ArgumentError, "num_heads"):
      self.step(state, num_heads=0)
    with self.assertRaisesRegex(errors.ArgumentError, "output_size"):
      self.step(state, output_size=0)
    with self.assertRaisesRegex(errors.ShapeError, "initial_state"):
      self.step(tf1.zeros([2, 4], tf1.float64))


if __name__ == "__main__":
  absltest.main()
