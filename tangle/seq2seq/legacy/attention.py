"""Additive attention with several heads, as contrib's decoder has it."""

from tangle import errors
from tangle.compat import tf1
from tangle.nets import arrays, checks
from tangle.seq2seq.legacy import scopes


class Heads:
  """Attention of H heads over the same states.

  For head k, with the parts of the decoder's state side by side in q `[B, Q]`:

      y = q Attention_k/kernel + Attention_k/bias                 [B, D]
      e_t = AttnV_k . tanh(AttnW_k h_t + y)                       for each step
      context_k = sum_t softmax(e)_t h_t                          [B, D]

  Every step counts, whatever symbol was there: nothing is masked.

  Source: Vinyals et al. 2015, "Grammar as a Foreign Language", section 2.1,
  with `tf.contrib.legacy_seq2seq.attention_decoder` for the variables, the
  bias, the heads and the query, which is the whole state of all layers, c and
  h. As there, the softmax is taken in float32, whatever the dtype. Departure:
  matrix products in place of the convolution and the sums of products.

  Variables: `AttnW_k` `[1, 1, D, D]`, `AttnV_k` `[D]`, `Attention_k/kernel`
  `[Q, D]` and `Attention_k/bias` `[D]`, with D the depth of the states.
  """

  def __init__(self, states, num_heads, dtype):
    """Makes what does not depend on the query, in the current variable scope.

    Args:
      states: `[B, T, D]` of `dtype`; B and T may be unknown.
      num_heads: H.
      dtype: float type.
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
    """Makes the variables that depend on the query.

    Args:
      depth: Q.
    """
    for k in range(len(self._keys)):
      with scopes.inner(f"Attention_{k}"):
        query = scopes.linear([depth], self.depth, self._dtype)
      self._queries.append(query)

  def zero_contexts(self, batch_size):
    """Returns contexts of zeros, for a decoder that has not attended yet.

    Args:
      batch_size: B, a scalar int tensor.

    Returns:
      H tensors `[B, D]`.
    """
    zeros = tf1.zeros(tf1.stack([batch_size, self.depth]), self._dtype)
    zeros.set_shape([None, self.depth])
    return [zeros] * len(self._keys)

  def __call__(self, state):
    """Attends once with each head.

    Args:
      state: the decoder's state, tensors `[B, ...]` of depth Q together.

    Returns:
      H contexts `[B, D]`.
    """
    parts = tf1.nest.flatten(state)
    query = parts[0] if len(parts) == 1 else tf1.concat(parts, 1)
    contexts = []
    for keys, vector, apply in zip(self._keys, self._vectors, self._queries):
      mixed = tf1.tanh(keys + apply([query])[:, None, :])
      scores = tf1.squeeze(arrays.multiply(mixed, vector), axis=2)
      weights = tf1.nn.softmax(tf1.cast(scores, tf1.float32))
      weights = tf1.cast(weights, self._dtype)[:, None, :]
      context = tf1.squeeze(tf1.matmul(weights, self.states), axis=1)
      context.set_shape([None, self.depth])
      contexts.append(context)
    return contexts


def check_states(caller, states, dtype):
  """Returns the states to attend to, as a tensor.

  Args:
    caller: who asks, for messages.
    states: `[B, T, D]`; D must be known.
    dtype: float type.

  Returns:
    A tensor `[B, T, D]`.

  Raises:
    DtypeError: if `states` are of another type.
    GraphError: if `states` are from another graph.
    ShapeError: if the rank is not 3, or D is unknown.
  """
  states = checks.convert_floats(caller, "attention_states", states, dtype)
  checks.check_rank(caller, "attention_states", states, (3,))
  if tf1.dimension_value(states.shape[2]) is None:
    raise errors.ShapeError(
      f"{caller}: attention_states must have a known last dimension, got "
      f"{checks.describe(states)}; call set_shape on it"
    )
  return states
