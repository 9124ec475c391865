"""Attention over a padded memory: additive and multiplicative scores.

For the query s of each step and the memory h_1 ... h_T of the example:

    e_j = score(s, h_j)
    a = softmax(e) over the steps within the example's length, else zero
    context = sum_j a_j h_j

The part without the query is computed once per memory. Queries come one step at
a time, or, as in training, all at once.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import arrays, base, checks, half


class AttentionResult(NamedTuple):
  """The result of an attention; `[B, S, ...]` for S queries at once.

  Attributes:
    context: `[B, D]`; `[B, E]` if the memory was made with `project`.
    weights: `[B, T]`.
  """

  context: tf1.Tensor
  weights: tf1.Tensor


class Attention(base.Network):
  """Base class of the attentions; a subclass has `_keys` and `_scores`."""

  @errors.named("{self._name}")
  def memory(
    self,
    memory: hints.Value,
    lengths: Optional[hints.Value] = None,
    project: Optional[hints.Function] = None,
    name: Optional[str] = None,
  ) -> Memory:
    """Prepares a memory for any number of queries.

    Args:
      memory: `[B, T, D]`; T may be unknown, D is the same at every call.
      lengths: `[B]` int, each from 0 to T; None if all are T.
      project: a linear map without a bias from `[B, T, D]` to `[B, T, E]`, a
        function of a tensor. Contexts are then weighted sums of its output,
        which equal the maps of weighted sums of the memory. None to use the
        memory itself.
      name: name scope of the new ops; `<attention's name>_memory` for None.

    Returns:
      A `Memory`, to be called with queries.

    Raises:
      ArgumentError: if `memory` is None; also as `make_variable`.
      DtypeError: if `memory` is of another dtype, or `lengths` are not ints.
      GraphError: if a tensor is of another graph than the variables.
      ShapeError: if `memory` is not of rank 3 or `lengths` not of rank 1, or D
        is unknown or differs from that of the first call.
    """
    with self.enter(name, f"{self._name}_memory"):
      memory = self.check_tensor("memory", memory, ranks=(3,))
      lengths = checks.check_lengths(lengths)
      self.check_depth("memory", memory)
      values = arrays.mask_padding(memory, lengths)
      keys, mask = self._keys(values), None
      if project is not None:
        values = project(values)
      if lengths is not None:
        steps = arrays.dimension(memory, 1, lengths.dtype)
        mask = tf1.sequence_mask(lengths, steps)
      return Memory(self, keys, values, mask)

  @errors.named("{self._name}")
  def __call__(
    self,
    query: hints.Value,
    memory: Union[hints.Value, Memory],
    lengths: Optional[hints.Value] = None,
    name: Optional[str] = None,
  ) -> AttentionResult:
    """Prepares a memory and attends to it.

    Args:
      query: `[B, Q]`, or `[B, S, Q]` for S steps; Q the same at every call.
      memory: `[B, T, D]`, or a `Memory` made by this attention.
      lengths: `[B]` int, each from 0 to T; None if all are T, or if `memory` is
        a `Memory`, which has its own lengths.
      name: name scope of the new ops.

    Returns:
      An `AttentionResult`. Weights beyond the length are zero; for length 0
      all weights and the context are zero.

    Raises:
      ArgumentError: if `lengths` is given with a `Memory`, or the `Memory`
        belongs to another attention.
      ShapeError: if `query` is of another rank, or D or Q is unknown or differs
        from that of the first call.
      ArgumentError, DtypeError, GraphError: also as `memory`, for `query` too.
    """
    if isinstance(memory, Memory):
      if memory.attention is not self:
        problem = f"is one of {memory.attention.name!r}. Make it with this one"
      elif lengths is not None:
        problem = "has lengths. Leave out lengths, or give them to memory()"
      else:
        return memory(query, name=name)
      raise errors.ArgumentError(f"the memory {problem}.")
    with self.enter(name):
      return self._attend(query, self.memory(memory, lengths, name="memory"))

  def _keys(self, values):
    """Returns the part `[B, T, A]` of the score that needs only the memory."""
    raise NotImplementedError

  def _scores(self, query, keys):
    """Returns scores `[B, S, T]` before masking, for queries `[B, S, Q]`."""
    raise NotImplementedError

  def _attend(self, query, memory):
    query = self.check_tensor("query", query, ranks=(2, 3))
    self.check_depth("query", query)
    single = query.shape.ndims == 2
    if single:
      query = query[:, None, :]
    weights = arrays.masked_softmax(
      self._scores(query, memory.keys), memory.mask
    )
    context = tf1.matmul(weights, memory.values)
    if single:
      context, weights = context[:, 0, :], weights[:, 0, :]
    return AttentionResult(context, weights)


class Memory:
  """A memory that `Attention.memory` has prepared; call it with queries."""

  def __init__(
    self,
    attention: Attention,
    keys: tf1.Tensor,
    values: tf1.Tensor,
    mask: Optional[tf1.Tensor],
  ) -> None:
    """Stores what `Attention.memory` prepared.

    Args:
      attention: the `Attention`.
      keys: `[B, T, A]`.
      values: `[B, T, E]`, zero beyond the lengths.
      mask: `[B, T]` bool, true within the lengths; None if all steps count.
    """
    self.attention = attention
    self.keys = keys
    self.values = values
    self.mask = mask

  def __call__(
    self, query: hints.Value, name: Optional[str] = None
  ) -> AttentionResult:
    """Attends to the memory.

    Args:
      query: `[B, Q]`, or `[B, S, Q]` for S steps; Q the same at every call.
      name: name scope of the new ops.

    Returns:
      An `AttentionResult`, as of `Attention.__call__`.

    Raises:
      ArgumentError, DtypeError, GraphError: as `Attention.memory`, for `query`.
      ShapeError: if `query` is of another rank, or Q is unknown or differs from
        that of the first call.
    """
    with self.attention.enter(name):
      return self.attention._attend(query, self)


class BahdanauAttention(Attention):
  """Additive score: `e_j = v^T tanh(W s + U h_j)`.

  Source: Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly
  Learning to Align and Translate", appendix A.1.2.

  Variables: `memory_kernel` U `[D, A]`, `query_kernel` W `[Q, A]` and
  `score_kernel` v `[A, 1]`. S queries at once need a `[B, S, T, A]` tensor.
  """

  @errors.named("{name}")
  def __init__(
    self,
    units: int,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "bahdanau_attention",
  ) -> None:
    """Sets up the attention; makes neither ops nor variables.

    Args:
      units: A, depth of the hidden layer of the score.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, memory and queries.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, kernel_initializer)
    self._units = checks.check_positive("units", units)

  def _keys(self, values):
    return self._project(values, "memory_kernel")

  def _scores(self, query, keys):
    query = self._project(query, "query_kernel")
    hidden = tf1.tanh(
      half.in_float32(tf1.add, query[:, :, None, :], keys[:, None, :, :])
    )
    kernel = self.make_variable("score_kernel", [self._units, 1])
    return tf1.squeeze(arrays.multiply(hidden, kernel), axis=3)

  def _project(self, features, name):
    depth = tf1.dimension_value(features.shape[-1])
    kernel = self.make_variable(name, [depth, self._units])
    return arrays.multiply(features, kernel)


class LuongAttention(Attention):
  """Multiplicative score: `e_j = s^T W h_j`.

  Source: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
  Neural Machine Translation", eq. 8, "general".

  Variables: `kernel` W `[Q, D]`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "luong_attention",
    query_depth: Optional[int] = None,
  ) -> None:
    """Sets up the attention; makes neither ops nor variables.

    Args:
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, memory and queries.
      name: variable scope, and default name scope of calls.
      query_depth: Q. If given, each memory is multiplied by W once; else each
        query is.

    Raises:
      ArgumentError: if `query_depth` or `name` is not valid.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, kernel_initializer)
    self._query_depth = query_depth
    if query_depth is not None:
      checks.check_positive("query_depth", query_depth)

  def _keys(self, values):
    if self._query_depth is None:
      return values
    depth = tf1.dimension_value(values.shape[-1])
    kernel = self.make_variable("kernel", [self._query_depth, depth])
    return arrays.multiply(values, kernel, transpose_kernel=True)

  def _scores(self, query, keys):
    depth = tf1.dimension_value(query.shape[-1])
    if self._query_depth is None:
      shape = [depth, tf1.dimension_value(keys.shape[-1])]
      query = arrays.multiply(query, self.make_variable("kernel", shape))
    else:
      self.check_depth("query", query, self._query_depth)
    return tf1.matmul(query, keys, transpose_b=True)


class AttentionalVector(base.Network):
  """Combines contexts and a query: `tanh(W [c_1; ...; c_K; s])`, no bias.

  c_k is the context of the k-th of K memories, s the query. `project` takes the
  product of a memory and its rows of W once for all queries:

      join = AttentionalVector(U, [D], Q)
      memory = attention.memory(values, lengths, project=join.project)
      vector = join(query, [memory(query).context])  # [B, S, U]

  Source: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
  Neural Machine Translation", eq. 5, for one memory. Departure: `project`.

  Variables: `kernel` W `[D_1 + ... + D_K + Q, U]`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    units: int,
    depths: Sequence[int],
    query_depth: int,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "attentional_vector",
  ) -> None:
    """Sets up the network; makes neither ops nor variables.

    Args:
      units: U, depth of the result.
      depths: list of D_1 to D_K, the depths of the memories.
      query_depth: Q, depth of the queries.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, memories and queries.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if a size is not a positive integer or `name` not valid.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, kernel_initializer)
    self._units = checks.check_positive("units", units)
    self._depths_of_rows = [
      checks.check_positive("depths", depth) for depth in depths
    ] + [checks.check_positive("query_depth", query_depth)]

  def project(
    self, memory: hints.Value, k: int = 0, name: Optional[str] = None
  ) -> tf1.Tensor:
    """Multiplies a memory by its rows of W: `project` of `Attention.memory`.

    Args:
      memory: `[B, T, D_k]`.
      k: the index of the memory in `depths`, from 0 to K - 1; not checked.
      name: name scope of the new ops; `<its own name>_project` for None.

    Returns:
      `[B, T, U]`.

    Raises:
      ShapeError: if the memory's rank is unknown or its depth not `depths[k]`.
      ArgumentError, DtypeError, GraphError: as `Attention.memory`.
    """
    with self.enter(name, f"{self._name}_project"):
      return self._multiply("memory", memory, k)

  def __call__(
    self,
    query: hints.Value,
    contexts: Sequence[hints.Value],
    name: Optional[str] = None,
  ) -> tf1.Tensor:
    """Combines a query with contexts.

    Args:
      query: `[B, Q]`, or `[B, S, Q]` for S steps.
      contexts: K contexts `[B, U]` or `[B, S, U]`, of projected memories.
      name: name scope of the new ops.

    Returns:
      `[B, U]` or `[B, S, U]`.

    Raises:
      ShapeError: if the query's depth is not Q, a context's is not U, or the
        rank of one is unknown.
      ArgumentError, DtypeError, GraphError: as `Attention.memory`.
    """
    with self.enter(name):
      found = self._multiply("query", query, -1)
      for context in contexts:
        context = self.check_tensor("context", context)
        self.check_depth("context", context, self._units)
        found += context
      return tf1.tanh(found)

  def _multiply(self, argument, features, k):
    """Returns `features` multiplied by the k-th rows of W."""
    depths = self._depths_of_rows
    features = self.check_tensor(argument, features)
    self.check_depth(argument, features, depths[k])
    kernel = self.make_variable("kernel", [sum(depths), self._units])
    start = sum(depths[:k])
    return arrays.multiply(features, kernel[start : start + depths[k]])
