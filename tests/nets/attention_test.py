import functools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.nets import attention
from tests.nets import reference, support

B, S, T, D, Q, A = 3, 2, 4, 3, 2, 5
LENGTHS = (2, 4, 0)


def bahdanau():
  return attention.BahdanauAttention(A, dtype=tf1.float64)


def luong():
  return attention.LuongAttention(dtype=tf1.float64)


def additive(s, h, u, w, v):
  return np.tanh(s @ w + h @ u) @ v[:, 0]


def multiplicative(s, h, w):
  return s @ w @ h


def luong_by_memory():
  return attention.LuongAttention(dtype=tf1.float64, query_depth=Q)


KINDS = (
  ("bahdanau", bahdanau, additive),
  ("luong", luong, multiplicative),
  ("luong_by_memory", luong_by_memory, multiplicative),
)


class AttentionTest(support.NetTestCase):
  @parameterized.named_parameters(*KINDS)
  def test_attends_by_the_formula(self, make, score):
    query = tf1.placeholder(tf1.float64, [None, None, Q])
    memory = tf1.placeholder(tf1.float64, [None, None, D])
    lengths = tf1.placeholder(tf1.int32, [None])
    attend = make()
    context, weights = attend(query, memory, lengths)
    self.assertEqual(context.shape.as_list(), [None, None, D])
    sess = self.session()
    kernels = self.fill(sess, attend.variables)
    feed = {
      query: self.normal(B, S, Q),
      memory: self.normal(B, T, D),
      lengths: LENGTHS,
    }
    context, weights = sess.run([context, weights], feed)
    desired_context, desired_weights = reference.attend(
      lambda s, h: score(s, h, *kernels), feed[query], feed[memory], LENGTHS
    )
    self.assert_close(context, desired_context)
    self.assert_close(weights, desired_weights)

  @parameterized.named_parameters(*KINDS)
  def test_one_step_is_a_slice_of_all_steps(self, make, score):
    del score
    query = tf1.constant(self.normal(B, S, Q))
    attend = make()
    memory = attend.memory(tf1.constant(self.normal(B, T, D)), LENGTHS)
    everything = memory(query)
    single = memory(query[:, 1])
    self.assertEqual(single.context.shape.as_list(), [B, D])
    self.assertEqual(single.weights.shape.as_list(), [B, T])
    sess = self.session()
    self.fill(sess, attend.variables)
    everything, single = sess.run([everything, single])
    self.assert_close(single.context, everything.context[:, 1])
    self.assert_close(single.weights, everything.weights[:, 1])

  @parameterized.named_parameters(*KINDS)
  def test_without_lengths_all_steps_count(self, make, score):
    del score
    query = tf1.constant(self.normal(B, Q))
    memory = tf1.constant(self.normal(B, T, D))
    attend = make()
    unmasked = attend(query, memory)
    full = attend(query, memory, [T] * B)
    unmasked, full = self.session().run([unmasked, full])
    self.assert_close(unmasked.context, full.context)
    self.assert_close(unmasked.weights, full.weights)
    self.assert_close(full.weights.sum(axis=1), np.ones(B))

  @parameterized.named_parameters(*KINDS)
  def test_masked_weights_are_exactly_zero(self, make, score):
    del score
    attend = make()
    query = tf1.constant(1e3 * self.normal(B, S, Q))
    result = attend(query, 1e3 * self.normal(B, T, D), LENGTHS)
    weights = self.session().run(result.weights)
    for b, length in enumerate(LENGTHS):
      self.assertFalse(weights[b, :, length:].any())
      if length:
        self.assert_close(weights[b].sum(axis=1), np.ones(S))

  @parameterized.named_parameters(*KINDS)
  def test_gradients_are_numeric_gradients(self, make, score):
    del score
    query = tf1.placeholder(tf1.float64, [B, S, Q])
    memory = tf1.placeholder(tf1.float64, [B, T, D])
    attend = make()
    loss = self.weigh(attend(query, memory, LENGTHS))
    sess = self.session()
    self.fill(sess, attend.variables)
    feed = {query: self.normal(B, S, Q), memory: self.normal(B, T, D)}
    self.assert_gradients(sess, loss, feed, attend.variables)

  @parameterized.named_parameters(*KINDS)
  def test_padding_does_not_reach_outputs_or_gradients(self, make, score):
    del score
    query = tf1.constant(self.normal(B, S, Q))
    memory = tf1.placeholder(tf1.float64, [B, T, D])
    attend = make()
    result = attend(query, memory, LENGTHS)
    points = [query, memory] + attend.variables
    fetches = list(result) + tf1.gradients(self.weigh(result), points)
    sess = self.session()
    self.fill(sess, attend.variables)
    padding = np.arange(T)[None, :] >= np.array(LENGTHS)[:, None]
    memory_np = self.normal(B, T, D)
    clean = sess.run(
      fetches, {memory: np.where(padding[:, :, None], 0, memory_np)}
    )
    for dirt in (1e3, np.inf, np.nan):
      dirty = np.where(padding[:, :, None], dirt, memory_np)
      for actual, desired in zip(sess.run(fetches, {memory: dirty}), clean):
        self.assert_close(actual, desired, 0)

  @parameterized.named_parameters(*KINDS)
  def test_memories_and_queries_share_the_variables(self, make, score):
    del score
    attend = make()
    for steps in (T, T + 1):
      memory = attend.memory(tf1.zeros([B, steps, D], tf1.float64))
      memory(tf1.zeros([B, Q], tf1.float64))
      memory(tf1.zeros([B, S, Q], tf1.float64))
    self.assertLen(attend.variables, 3 if make is bahdanau else 1)
    self.assertLen(tf1.global_variables(), len(attend.variables))

  @parameterized.named_parameters(*KINDS)
  def test_keys_are_computed_once_for_a_memory(self, make, score):
    del score
    attend = make()
    memory = attend.memory(tf1.zeros([B, T, D], tf1.float64))
    keys = memory.keys
    query = tf1.zeros([B, Q], tf1.float64)
    attend(query, memory)
    before = self.count_ops()
    attend(query, memory)
    reads = [
      op
      for op in self.graph.get_operations()[before:]
      if op.type == "ReadVariableOp"
    ]
    # W and v, W or nothing: what the query needs, not kernels of the memory.
    counts = {bahdanau: 2, luong: 1, luong_by_memory: 0}
    self.assertLen(reads, counts[make])
    self.assertIs(memory.keys, keys)

  @parameterized.named_parameters(*KINDS)
  def test_ops_are_in_the_scope_that_is_named(self, make, score):
    del score
    attend = make()
    query = tf1.zeros([B, Q], tf1.float64)
    memory = tf1.zeros([B, T, D], tf1.float64)
    prepared = attend.memory(memory, LENGTHS)
    prepared(query)
    for k, call in enumerate(
      (
        lambda name: attend.memory(memory, LENGTHS, name=name),
        lambda name: prepared(query, name=name),
        lambda name: attend(query, memory, LENGTHS, name=name),
        lambda name: attend(query, prepared, name=name),
      )
    ):
      before = self.count_ops()
      call(f"here_{k}")
      self.assert_ops_under(f"here_{k}", before)

  @parameterized.named_parameters(*KINDS)
  def test_memory_of_another_depth_raises(self, make, score):
    del score
    attend = make()
    attend.memory(tf1.zeros([B, T, D], tf1.float64))
    with self.assertRaisesRegex(
      errors.ShapeError, f"memory must have depth {D}.*depth 7"
    ):
      attend.memory(tf1.zeros([B, T, 7], tf1.float64))

  @parameterized.named_parameters(*KINDS)
  def test_query_of_another_depth_raises(self, make, score):
    del score
    attend = make()
    memory = attend.memory(tf1.zeros([B, T, D], tf1.float64))
    memory(tf1.zeros([B, Q], tf1.float64))
    with self.assertRaisesRegex(
      errors.ShapeError, f"query must have depth {Q}.*depth 7"
    ):
      memory(tf1.zeros([B, 7], tf1.float64))

  def test_memory_of_unknown_depth_raises(self):
    memory = tf1.placeholder(tf1.float64, [B, T, None])
    with self.assertRaisesRegex(errors.ShapeError, "memory.*set_shape"):
      luong().memory(memory)

  def test_memory_of_another_type_raises(self):
    with self.assertRaisesRegex(errors.DtypeError, "memory must be float64"):
      luong().memory(tf1.zeros([B, T, D]))

  def test_lengths_with_a_prepared_memory_raise(self):
    attend = luong()
    memory = attend.memory(tf1.zeros([B, T, D], tf1.float64))
    with self.assertRaisesRegex(errors.ArgumentError, "Leave out lengths"):
      attend(tf1.zeros([B, Q], tf1.float64), memory, LENGTHS)

  def test_memory_of_another_attention_raises(self):
    memory = bahdanau().memory(tf1.zeros([B, T, D], tf1.float64))
    for lengths in (None, LENGTHS):  # its attention is the first fault
      with self.assertRaisesRegex(errors.ArgumentError, "bahdanau_attention"):
        luong()(tf1.zeros([B, Q], tf1.float64), memory, lengths)

  def test_zero_units_raise(self):
    with self.assertRaisesRegex(errors.ArgumentError, "units"):
      attention.BahdanauAttention(0)


class AttentionalVectorTest(support.NetTestCase):
  def test_is_that_of_contexts_of_the_memories_themselves(self):
    depths, units = [D, D + 1], 5
    query = tf1.constant(self.normal(B, S, Q))
    memories = [tf1.constant(self.normal(B, T, depth)) for depth in depths]
    join = attention.AttentionalVector(units, depths, Q, dtype=tf1.float64)
    contexts, plain = [], []
    for k, memory in enumerate(memories):
      attend = attention.LuongAttention(dtype=tf1.float64, name=f"attend_{k}")
      project = functools.partial(join.project, k=k)
      prepared = attend.memory(memory, LENGTHS, project)
      contexts.append(prepared(query).context)
      plain.append(attend(query, memory, LENGTHS).context)
    found = join(query, contexts)
    (kernel,) = join.variables
    self.assertEqual(kernel.shape.as_list(), [2 * D + 1 + Q, units])
    side_by_side = tf1.concat(plain + [query], 2)
    desired = tf1.tanh(tf1.tensordot(side_by_side, kernel, 1))
    points = memories + [query, kernel]
    upstream = self.normal(B, S, units)
    fetches = [
      [result] + tf1.gradients(result, points, upstream)
      for result in (found, desired)
    ]
    sess = self.session()
    self.fill(sess, tf1.global_variables())
    for one, other in zip(*sess.run(fetches)):
      self.assert_close(one, other)

  def test_multiplies_each_memory_once(self):
    join = attention.AttentionalVector(A, [D], Q, dtype=tf1.float64)
    attend = luong_by_memory()
    memory = attend.memory(
      tf1.placeholder(tf1.float64, [None, T, D]), None, join.project
    )
    before = self.count_ops()
    query = tf1.placeholder(tf1.float64, [None, 1, Q])
    join(query, [memory(query).context])
    kinds = [op.type for op in self.graph.get_operations()[before:]]
    self.assertEqual(kinds.count("MatMul"), 1)  # of the query

  def test_another_depth_raises(self):
    join = attention.AttentionalVector(A, [D], Q, name="join")
    with self.assertRaisesRegex(errors.ShapeError, "join: memory .*depth 3"):
      join.project(tf1.zeros([B, T, D + 1]))
    with self.assertRaisesRegex(errors.ShapeError, "join: context .*depth 5"):
      join(tf1.zeros([B, S, Q]), [tf1.zeros([B, S, D])])

  def test_depths_that_are_not_positive_raise(self):
    with self.assertRaisesRegex(errors.ArgumentError, "depths"):
      attention.AttentionalVector(A, [0], Q)
    with self.assertRaisesRegex(errors.ArgumentError, "query_depth"):
      attention.LuongAttention(query_depth=0)


if __name__ == "__main__":
  absltest.main()
