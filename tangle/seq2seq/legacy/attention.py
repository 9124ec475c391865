"""Additive attention with several heads, and contrib's decoder step."""

from tangle import compat, errors
from tangle.compat import tf1
from tangle.nets import arrays, checks, half
from tangle.seq2seq.legacy import base, scopes


class Heads:
  """Attention of H heads over the same states.

  For head k, with the decoder's state parts concatenated in q `[B, Q]`:

      y = q Attention_k/kernel + Attention_k/bias                 [B, D]
      e_t = AttnV_k . tanh(AttnW_k h_t + y)                       for each step
      context_k = sum_t softmax(e)_t h_t                          [B, D]

  All steps count, padding included: nothing is masked.

  Source: Vinyals et al. 2015, "Grammar as a Foreign Language", section 2.1,
  with `tf.contrib.legacy_seq2seq.attention_decoder` for the variables, the
  bias, the heads and the query, which is the whole state of all layers, c and
  h. As there, the softmax is computed in float32, whatever the dtype.
  Departure: matrix products instead of the convolution and the sums of
  products.

  Variables: `AttnW_k` `[1, 1, D, D]`, `AttnV_k` `[D]`, `Attention_k/kernel`
  `[Q, D]` and `Attention_k/bias` `[D]`, with D the depth of the states.
  """

  def __init__(self, states, num_heads, dtype):
    """Creates, in the current scope, what does not depend on the query.

    Args:
      states: `[B, T, D]` of `dtype`; B and T may be unknown.
      num_heads: H.
      dtype: float type.

    Raises:
      ArgumentError: if a variable cannot be made, see `scopes.make_variable`.
    """
    self.states = states
    self.depth = tf1.dimension_value(states.shape[2])
    self._dtype = dtype
    self._keys, self._vectors, self._queries = [], [], []
    for k in range(num_heads):
      shape = [1, 1, self.depth, self.depth]
      kernel = scopes.read(f"AttnW_{k}", shape, dtype)
      kernel = tf1.reshape(kernel, shape[2:])
      self._keys.append(arrays.multiply(states, kernel))
      vector = scopes.read(f"AttnV_{k}", [self.depth], dtype)
      self._vectors.append(vector[:, None])

  def bind_queries(self, depth):
    """Creates, in the current scope, the variables that depend on the query.

    To be called once, before the first attention.

    Args:
      depth: Q.

    Raises:
      ArgumentError: if a variable cannot be made, see `scopes.make_variable`.
    """
    for k in range(len(self._keys)):
      with scopes.inner(f"Attention_{k}"):
        query = scopes.linear([depth], self.depth, self._dtype)
      self._queries.append(query)

  def zero_contexts(self, batch_size):
    """Returns zero contexts, for a decoder before its first attention.

    Args:
      batch_size: B, a scalar int tensor.

    Returns:
      A list of H tensors `[B, D]`.
    """
    zeros = tf1.zeros(tf1.stack([batch_size, self.depth]), self._dtype)
    zeros.set_shape([None, self.depth])
    return [zeros] * len(self._keys)

  def __call__(self, state, batch_size=None):
    """Attends once with each head; `bind_queries` is to be called before.

    Args:
      state: the decoder's state, tensors `[R, ...]` of total depth Q.
      batch_size: B, a scalar int tensor, if R is B times any number of beams;
        the beams of an example are adjacent rows and share its memory. None if
        R is B.

    Returns:
      A list of H contexts `[R, D]`.
    """
    if not self._queries:
      raise errors.ArgumentError(
        "there are no queries. Call bind_queries first."
      )
    parts = tf1.nest.flatten(state)
    query = parts[0] if len(parts) == 1 else tf1.concat(parts, 1)
    if batch_size is not None:
      beams = tf1.shape(query)[0] // tf1.maximum(batch_size, 1)
      shape = tf1.stack([batch_size, beams, 1, self.depth])
    contexts = []
    for keys, vector, apply in zip(self._keys, self._vectors, self._queries):
      query_of_head = apply([query])
      if batch_size is None:
        query_of_head = query_of_head[:, None, :]
      else:
        query_of_head = tf1.reshape(query_of_head, shape)
        keys = keys[:, None]
      mixed = tf1.tanh(half.in_float32(tf1.add, keys, query_of_head))
      scores = tf1.squeeze(arrays.multiply(mixed, vector), axis=-1)
      weights = tf1.nn.softmax(tf1.cast(scores, tf1.float32))
      weights = tf1.cast(weights, self._dtype)
      if batch_size is None:
        context = _mix(weights, self.states)
      else:
        context = tf1.matmul(weights, self.states)
        context = tf1.reshape(context, [-1, self.depth])
      context.set_shape([None, self.depth])
      contexts.append(context)
    return contexts


def _mix(weights, states):
  """Returns `sum_t weights_t states_t`, `[B, D]`, of `[B, T]` and `[B, T, D]`.

  On TensorFlow 2, small batched matrix products take ten times as long as
  elementwise products and sums; on 1.15 they are faster.
  """
  if compat.IS_TF1:
    return tf1.squeeze(tf1.matmul(weights[:, None, :], states), axis=1)
  return half.reduce_sum(weights[:, :, None] * states, axis=1)


class Step:
  """The step function of `decoders.attention_decoder`, with its variables."""

  def __init__(
    self,
    cell,
    depth,
    attention_states,
    initial_state,
    output_size,
    num_heads,
    initial_state_attention,
    dtype,
  ):
    """Creates the variables in the current scope, in contrib's order.

    Args:
      cell: a cell.
      depth: E, depth of the inputs.
      attention_states: `[B, T, D]`; B and T may be unknown.
      initial_state: state of the cell.
      output_size: O, depth of the outputs; that of the cell for None.
      num_heads: number of attention heads.
      initial_state_attention: whether the first contexts come from the initial
        state; zeros if not.
      dtype: float type.

    Raises:
      ArgumentError: if `num_heads` or `output_size` is not a positive integer,
        `initial_state` has another structure than the cell's state,
        `attention_states` is None, or a variable cannot be made, see
        `scopes.make_variable`.
      DtypeError: if `attention_states` are of another type than `dtype`.
      GraphError: if a tensor is from another graph.
      ShapeError: if `attention_states` are not of rank 3, D is unknown, or a
        part of `initial_state` has another depth.
    """
    checks.check_positive("num_heads", num_heads)
    if output_size is None:
      output_size = cell.output_size
    checks.check_positive("output_size", output_size)
    self._state = base.check_state("initial_state", initial_state, cell)
    states = check_states(attention_states, dtype)
    self._initial_state_attention = initial_state_attention
    self._dtype = dtype
    self._heads = heads = Heads(states, num_heads, dtype)
    query_depth = sum(tf1.nest.flatten(cell.state_size))
    if initial_state_attention:
      heads.bind_queries(query_depth)
    self._mix = scopes.linear([depth] + [heads.depth] * num_heads, depth, dtype)
    self._cell_step = cell.bind(depth, dtype)
    if not initial_state_attention:
      heads.bind_queries(query_depth)
    with scopes.inner("AttnOutputProjection"):
      depths = [cell.output_size] + [heads.depth] * num_heads
      self._join = scopes.linear(depths, output_size, dtype)

  def start(self, batch_size):
    """Returns the contexts and the state before the first step.

    Args:
      batch_size: B, a scalar int tensor.

    Returns:
      A pair: a list of contexts `[B, D]`, one for each head; the initial state.
    """
    if self._initial_state_attention:
      return self._heads(self._state), self._state
    return self._heads.zero_contexts(batch_size), self._state

  def __call__(self, inputs, before, batch_size=None):
    """Runs a step.

    Args:
      inputs: `[R, E]`.
      before: the previous contexts and state, as `start` returns them.
      batch_size: as for `Heads`: B if there are several beams per example.

    Returns:
      The output `[R, O]`, and the next contexts and state.
    """
    contexts, state = before
    inputs = self._mix([tf1.cast(inputs, self._dtype)] + contexts)
    output, state = self._cell_step(inputs, state)
    contexts = self._heads(state, batch_size)
    output = self._join([tf1.cast(output, self._dtype)] + contexts)
    return output, (contexts, state)


def check_states(states, dtype):
  """Returns the states to attend to, as a tensor.

  Args:
    states: `[B, T, D]`; D must be known.
    dtype: float type.

  Returns:
    A tensor `[B, T, D]`.

  Raises:
    ArgumentError: if `states` is None.
    DtypeError: if `states` are of another type.
    GraphError: if `states` are from another graph.
    ShapeError: if the rank is not 3, or D is unknown.
  """
  states = checks.convert_floats(
    "attention_states", states, dtype, "call the function"
  )
  checks.check_rank("attention_states", states, (3,))
  if tf1.dimension_value(states.shape[2]) is None:
    raise errors.ShapeError(
      f"attention_states must have a known last dimension, got "
      f"{checks.describe(states)}. Call set_shape on it."
    )
  return states
