"""The interface of a model for searching: one step, and the state in between.

A model is searched through a function

    step(symbols [R] int32, state) -> (logits [R, V], state)

of R rows: the last symbol of each sequence, and the model's state after the
symbols before it. The state is any nest of tuples, namedtuples, lists and dicts
of tensors, each `[R, ...]`. R is B in greedy search and B * K in beam search,
where rows n K to n K + K - 1 are the beams of example n. The initial state has
B rows. Other tensors that `step` uses must not have a size that depends on R.

A part of the state that `step` returns as the very tensor that it got, such as
an encoder's outputs, is the same in all beams of an example and is not
reordered. If a part grows, such as the keys of the steps so far, the size that
grows must be unknown in the initial state (`[B, None, D]`).
"""

from tangle import errors
from tangle.compat import tf1
from tangle.nets import arrays, checks
from tangle.seq2seq import buckets


class Stepper:
  """A step function with checks, K rows per example, and log softmax.

  Attributes:
    state: the parts of the initial state as a list, each `[B * K, ...]`.
    eos_id: the symbol that ends a sequence.
    dtype: the `tf.DType` of the log probabilities.
  """

  def __init__(self, step, state, batch_size, beam_size, eos_id, dtype):
    """Repeats each row of the initial state K times.

    Args:
      step: the step function, see the module's description.
      state: the initial state, a nest of tensors `[B, ...]`.
      batch_size: B, an int or a scalar int32 tensor.
      beam_size: K, an int.
      eos_id: the symbol that ends a sequence, an int.
      dtype: float type of the log probabilities.

    Raises:
      ShapeError: if a part of the state is known not to have B rows. If only a
        run knows, it fails there with `InvalidArgumentError`.
    """
    self._step = step
    self._structure = state
    self.eos_id = eos_id
    self.dtype = checks.to_float("dtype", dtype)
    size = tf1.get_static_value(batch_size)
    size = None if size is None else int(size)
    self._rows = None if size is None else size * beam_size
    parts = [tf1.convert_to_tensor(part) for part in tf1.nest.flatten(state)]
    for part in parts:
      shape = part.shape
      if not shape.ndims or not shape[:1].is_compatible_with([size]):
        raise errors.ShapeError(
          f"each part of the state must be [{size or 'B'}, ...], one "
          f"row for each example, got {checks.describe(part)}. What is common "
          "to all examples does not belong in the state; let step take it "
          "from elsewhere."
        )
    self.state = parts and self._repeat(parts, batch_size, beam_size)

  def _repeat(self, parts, batch_size, beam_size):
    """Returns parts `[B * K, ...]` from parts `[B, ...]`."""
    sizes = tf1.stack([arrays.dimension(part, 0) for part in parts])
    scope = tf1.get_default_graph().get_name_scope()
    message = f"{scope}: a part of the state has not batch_size rows"
    check = tf1.debugging.assert_equal(sizes, batch_size, message=message)
    with tf1.control_dependencies([check]):
      rows = tf1.range(batch_size)[:, None]
    rows = tf1.reshape(tf1.tile(rows, [1, beam_size]), [-1])
    rows.set_shape([self._rows])
    return [tf1.gather(part, rows) for part in parts]

  def __call__(self, symbols, parts):
    """Runs one step.

    Args:
      symbols: `[B * K]` int32.
      parts: the state as a list.

    Returns:
      Log probabilities `[B * K, V]`, and the next state as a list.

    Raises:
      ArgumentError: if the step returns another structure than it got, or
        `eos_id` is not a symbol of the model.
      DtypeError: if the logits are not floats or are wider than `dtype`, or a
        part of the state changes its type.
      ShapeError: if the logits are not `[B * K, V]` with V known, or a part of
        the state changes its static shape.
    """
    state = tf1.nest.pack_sequence_as(self._structure, parts)
    logits, state = self._step(symbols, state)
    try:
      tf1.nest.assert_same_structure(self._structure, state)
    except (TypeError, ValueError) as error:
      said = errors.join_lines(error)
      raise errors.ArgumentError(
        f"step must return a state of the structure that it got. TensorFlow "
        f"says: {said}"
      ) from error
    following = tf1.nest.flatten(state)
    following = [tf1.convert_to_tensor(part) for part in following]
    for old, new in zip(parts, following):
      self._check_part(old, new)
    return self._log_probs(logits), following

  def _check_part(self, old, new):
    if new.dtype != old.dtype:
      raise errors.DtypeError(
        f"step must not change the type of a part of the "
        f"state; of {checks.describe(old)} it made {checks.describe(new)}. "
        "Cast the initial state, or what step returns."
      )
    if not new.shape.is_compatible_with(old.shape):
      raise errors.ShapeError(
        f"step must not change the static shape of a part of "
        f"the state; of {checks.describe(old)} it made {checks.describe(new)}. "
        "If the part grows, hide that size in the initial state: "
        "tf.compat.v1.placeholder_with_default(part, [None, None, D])."
      )
    new.set_shape(old.shape)

  def _log_probs(self, logits):
    logits = tf1.convert_to_tensor(logits)
    size = logits.shape.ndims == 2 and tf1.dimension_value(logits.shape[1])
    if not size or not logits.shape[:1].is_compatible_with([self._rows]):
      raise errors.ShapeError(
        f"step must return logits [{self._rows or 'R'}, V] "
        f"with V known, got {checks.describe(logits)}. If only V is "
        "unknown, call set_shape on the logits."
      )
    if not logits.dtype.is_floating or logits.dtype.size > self.dtype.size:
      other = ""
      if logits.dtype.is_floating:
        other = f", or search with dtype=tf.{logits.dtype.name}"
      raise errors.DtypeError(
        f"logits must be floats no wider than {self.dtype.name}, got "
        f"{checks.describe(logits)}. Convert them with tf.cast{other}."
      )
    buckets.check_int("eos_id", self.eos_id, 0, size - 1)
    logits.set_shape([self._rows, None])
    return tf1.nn.log_softmax(tf1.cast(logits, self.dtype))
