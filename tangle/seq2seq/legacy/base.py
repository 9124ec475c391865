"""The base class of legacy cells: settings that are bound to a variable scope.

A cell is a set of settings. `bind` creates its variables in the current
variable scope and returns the function for one step. So one cell object serves
the encoder, the decoder and every bucket, each with its own variables.
TensorFlow's cells instead keep the scope of their first call, and so cannot be
copied for the encoder of a second bucket.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks
from tangle.seq2seq.legacy import scopes


class Cell:
  """Base class of the cells: settings, and a name for the variable scope.

  A subclass defines `state_size`, `output_size` and `make_step`.
  """

  def __init__(self, name: str) -> None:
    """Names the cell; makes neither ops nor variables.

    Args:
      name: variable scope of the variables, below that of the call.

    Raises:
      ArgumentError: if `name` is not valid as a scope name.
    """
    self.name = checks.check_name(type(self).__name__, name)

  @property
  def state_size(self) -> Any:
    """Depth of the state: an int, or a structure of ints for its parts."""
    raise NotImplementedError

  @property
  def output_size(self) -> int:
    """Depth of the output, an int."""
    raise NotImplementedError

  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    """Creates or reuses the variables in the current variable scope.

    Args:
      depth: D, depth of the inputs.
      dtype: float type of variables, inputs and states.

    Returns:
      A function of an input `[B, D]` and a state, which returns an output
      `[B, output_size]` and the next state.

    Raises:
      ArgumentError: if a variable exists and the scope does not reuse it, or
        the other way round, or it has another shape or dtype.
    """
    raise NotImplementedError

  def bind(self, depth: int, dtype: tf1.DType) -> hints.Step:
    """Calls `make_step` in the scope `name` below the current variable scope.

    Args:
      depth: D, depth of the inputs.
      dtype: float type of variables, inputs and states.

    Returns:
      The step function that `make_step` returns.

    Raises:
      ArgumentError: as `make_step`.
    """
    with scopes.inner(self.name):
      return self.make_step(depth, dtype)

  @errors.named("{self.name}")
  def __call__(
    self,
    inputs: tf1.Tensor,
    state: hints.Nest,
    scope: Union[str, tf1.VariableScope, None] = None,
    name: Optional[str] = None,
  ) -> Tuple[tf1.Tensor, hints.Nest]:
    """Runs one step; further calls in the same scope share the variables.

    Args:
      inputs: `[B, D]` float.
      state: the previous state, as `zero_state` returns it.
      scope: variable scope to use instead of the cell's own name, as in
        TensorFlow's cells; None for the name.
      name: name scope of the new ops; the cell's name for None.

    Returns:
      The output `[B, output_size]`, and the next state.

    Raises:
      ArgumentError: if `inputs` is None, `state` does not have the parts of
        this cell's state, or a variable of another shape or dtype exists.
      DtypeError: if `inputs` are not floats, or not ints for a cell of ids.
      GraphError: if eager execution is on, or a tensor is from another graph.
      ShapeError: if `inputs` are of another rank, D is unknown, or a part of
        the state has another depth.
    """
    inputs, depth = self.check_inputs(inputs)
    state = check_state("state", state, self)
    dtype = tf1.nest.flatten(state)[0].dtype.base_dtype
    with tf1.name_scope(name or self.name):
      with scopes.reusing(), scopes.inner(scope or self.name):
        step = self.make_step(depth, dtype)
      return step(inputs, state)

  @errors.named("{self.name}")
  def check_inputs(
    self, inputs: tf1.Tensor
  ) -> Tuple[tf1.Tensor, Optional[int]]:
    """Returns the input of one step as a tensor, and its depth.

    Args:
      inputs: `[B, D]` float.

    Returns:
      A tensor `[B, D]`, and D; of a cell that reads ids, `[B]` and None.

    Raises:
      ArgumentError: if `inputs` is None.
      DtypeError: if it does not contain floats.
      GraphError: if it is from another graph.
      ShapeError: if it is not of rank 2, or D is unknown.
    """
    (inputs,), depth = scopes.check_vectors("inputs", [inputs])
    return inputs, depth

  @errors.named("{self.name}")
  def zero_state(
    self,
    batch_size: Union[int, tf1.Tensor],
    dtype: hints.Dtype,
    name: Optional[str] = None,
  ) -> hints.Nest:
    """Makes a state of zeros.

    Args:
      batch_size: B, an int or a scalar int tensor.
      dtype: float type.
      name: name scope of the new ops; `<name of the cell>_zero_state` for None,
        with `_` for each `/`.

    Returns:
      The state, in the structure of `state_size`, each part `[B, size]`.

    Raises:
      DtypeError: if `dtype` is not a float type.
    """
    dtype = checks.to_float("dtype", dtype)
    with tf1.name_scope(name or f"{self.name.replace('/', '_')}_zero_state"):
      return tf1.nest.map_structure(
        lambda size: tf1.zeros(tf1.stack([batch_size, size]), dtype),
        self.state_size,
      )


def check_cell(cell):
  """Raises unless `cell` is a cell of this package.

  Args:
    cell: any value.

  Raises:
    ArgumentError: if it is not.
  """
  if not isinstance(cell, Cell):
    raise errors.ArgumentError(
      f"cell must be a GRUCell, LSTMCell or BasicLSTMCell of "
      "tangle.seq2seq.legacy.cells, or a wrapper of tangle.seq2seq.legacy."
      f"wrappers, got {cell!r}. They take the arguments of tf.nn.rnn_cell's."
    )


def check_state(argument, state, cell):
  """Returns `state` as tensors in the structure of a cell's state.

  Args:
    argument: the argument's name, for messages.
    state: the parts of a state.
    cell: the cell.

  Returns:
    The state, each part `[B, size]`.

  Raises:
    ArgumentError: if it does not have the structure of `cell.state_size`, or a
      part is None.
    GraphError: if a part is from another graph.
    ShapeError: if a part has another rank or depth.
  """
  sizes = cell.state_size
  try:
    tf1.nest.assert_same_structure(sizes, state, check_types=False)
  except (TypeError, ValueError) as error:
    raise errors.ArgumentError(
      f"{argument} must have the structure {sizes!r}, which are the "
      f"depths of its parts, got {state!r}. Make one with zero_state of "
      f"the cell."
    ) from error
  parts = []
  for size, part in zip(tf1.nest.flatten(sizes), tf1.nest.flatten(state)):
    checks.check_graph(argument, part)
    part = tf1.convert_to_tensor(part)
    if not part.shape.is_compatible_with([None, size]):
      raise errors.ShapeError(
        f"{argument} must have parts [B, {sizes!r}], got "
        f"{checks.describe(part)}. Give the state of this cell."
      )
    parts.append(part)
  return tf1.nest.pack_sequence_as(sizes, parts)
