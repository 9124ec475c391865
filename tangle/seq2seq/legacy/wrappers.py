"""Cells made of cells, with the variables of TensorFlow 1.15's wrappers."""

from __future__ import annotations

import math
from typing import Any, Optional, Sequence, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks, half
from tangle.seq2seq.legacy import base, scopes


class MultiRNNCell(base.Cell):
  """Stacked cells: each reads the output of the one below.

  Source: `tf.nn.rnn_cell.MultiRNNCell` 1.15. The variables of the k-th cell are
  below `multi_rnn_cell/cell_k`. As there, a cell object that occurs twice has
  one set of variables, at its first position: `[cell] * 2` ties the layers. If
  it would read inputs of two depths, `bind` raises `ShapeError`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    cells: Sequence[base.Cell],
    state_is_tuple: bool = True,
    name: str = "multi_rnn_cell",
  ) -> None:
    """Stacks the cells; makes neither ops nor variables.

    Args:
      cells: list of cells, from the lowest to the highest.
      state_is_tuple: whether the state is a tuple of the cells' states; else it
        is one tensor of all of them, concatenated.
      name: variable scope.

    Raises:
      ArgumentError: if there is no cell, an element is not a cell, or a cell's
        state is a tuple while `state_is_tuple` is False.
    """
    super().__init__(name)
    if not isinstance(cells, (list, tuple)) or not cells:
      raise errors.ArgumentError(
        f"cells must be a list of at least one cell, got {cells!r}."
      )
    for cell in cells:
      base.check_cell(cell)
    sizes = [cell.state_size for cell in cells]
    if not state_is_tuple and any(tf1.nest.is_nested(s) for s in sizes):
      raise errors.ArgumentError(
        f"state_is_tuple is False, but cells have the states {sizes}. "
        "Make them with state_is_tuple=False too."
      )
    self._cells = tuple(cells)
    self._state_is_tuple = state_is_tuple

  @property
  def state_size(self) -> Any:
    """A tuple of the cells' `state_size`; their sum if not `state_is_tuple`."""
    sizes = tuple(cell.state_size for cell in self._cells)
    return sizes if self._state_is_tuple else sum(sizes)

  @property
  def output_size(self) -> int:
    """The depth of the output of the highest cell."""
    return self._cells[-1].output_size

  @errors.named("{self.name}")
  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    steps, first = [], {}
    for k, cell in enumerate(self._cells):
      if id(cell) not in first:
        with scopes.inner(f"cell_{k}"):
          first[id(cell)] = k, depth, cell.bind(depth, dtype)
      owner, expected, step = first[id(cell)]
      if depth != expected:
        raise errors.ShapeError(
          f"layer {k} is the same object as layer {owner} and "
          f"shares its variables, for inputs of depth {expected}, but reads "
          f"depth {depth}. Make a cell for each layer."
        )
      steps.append(step)
      depth = cell.output_size

    def run(inputs, state):
      if not self._state_is_tuple:
        state = tf1.split(state, [cell.state_size for cell in self._cells], 1)
      after = []
      for step, part in zip(steps, state):
        inputs, part = step(inputs, part)
        after.append(part)
      after = tuple(after) if self._state_is_tuple else tf1.concat(after, 1)
      return inputs, after

    return run


class _Wrapper(base.Cell):
  """A cell with another one inside, whose sizes it has."""

  def __init__(self, cell: base.Cell, name: str) -> None:
    super().__init__(name)
    self._cell = cell

  @property
  def state_size(self) -> Any:
    """The `state_size` of the wrapped cell."""
    return self._cell.state_size

  @property
  def output_size(self) -> int:
    """The `output_size` of the wrapped cell."""
    return self._cell.output_size


class EmbeddingWrapper(_Wrapper):
  """A cell that reads ids, looking them up in a table first.

  Source: `tf.contrib.rnn.EmbeddingWrapper` 1.15. The table is `embedding`
  `[V, E]`, and the cell's variables are below `embedding_wrapper`. The initial
  table is drawn from U(-sqrt 3, sqrt 3), variance one, if the scope has no
  initializer.
  """

  @errors.named("{name}")
  def __init__(
    self,
    cell: base.Cell,
    embedding_classes: int,
    embedding_size: int,
    initializer: Optional[hints.Initializer] = None,
    name: str = "embedding_wrapper",
  ) -> None:
    """Wraps a cell; makes neither ops nor variables.

    Args:
      cell: a cell.
      embedding_classes: V, number of symbols.
      embedding_size: E, depth of the cell's inputs.
      initializer: of the table; for None see the class.
      name: variable scope.

    Raises:
      ArgumentError: if `cell` is not a cell, or a size is not a positive
        integer.
    """
    base.check_cell(cell)
    super().__init__(cell, name)
    check = checks.check_positive
    self._classes = check("embedding_classes", embedding_classes)
    self._depth = check("embedding_size", embedding_size)
    self._initializer = initializer

  def bind_parts(self, dtype: tf1.DType) -> Tuple[hints.Variable, hints.Step]:
    """Creates or reuses the variables below the current variable scope.

    Args:
      dtype: float type of variables and states.

    Returns:
      The table, a variable `[V, E]`, and the step function of the inner cell,
      which reads `[B, E]`.

    Raises:
      ArgumentError: if a variable cannot be made, see `scopes.make_variable`.
    """
    with scopes.inner(self.name):
      return self._make_parts(dtype)

  def _make_parts(self, dtype):
    initializer = self._initializer or tf1.get_variable_scope().initializer
    if initializer is None:
      limit = math.sqrt(3)
      initializer = tf1.random_uniform_initializer(-limit, limit)
    table = scopes.make_variable(
      "embedding", [self._classes, self._depth], dtype, initializer
    )
    return table, self._cell.bind(self._depth, dtype)

  def make_step(self, depth: Optional[int], dtype: tf1.DType) -> hints.Step:
    del depth  # ids have none
    table, inner = self._make_parts(dtype)

    def step(inputs, state):
      return inner(half.look_up(table, inputs, tf1.nn.embedding_lookup), state)

    return step

  @errors.named("{self.name}")
  def check_inputs(self, inputs: tf1.Tensor) -> Tuple[tf1.Tensor, None]:
    """Returns the input of one step as a tensor.

    Args:
      inputs: `[B]` int.

    Returns:
      A tensor `[B]`, and None.

    Raises:
      ArgumentError: if it is None.
      DtypeError: if it is neither int32 nor int64.
      GraphError: if it is from another graph.
      ShapeError: if it is not of rank 1.
    """
    (inputs,) = scopes.check_ids("inputs", [inputs])
    return inputs, None


class OutputProjectionWrapper(_Wrapper):
  """A cell with a linear map of its output.

  Source: `tf.contrib.rnn.OutputProjectionWrapper` 1.15. Variables: `kernel`
  `[output_size of the cell, V]` and `bias` `[V]`, with the cell's own below
  `output_projection_wrapper`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    cell: base.Cell,
    output_size: int,
    activation: Optional[hints.Function] = None,
    name: str = "output_projection_wrapper",
  ) -> None:
    """Wraps a cell; makes neither ops nor variables.

    Args:
      cell: a cell.
      output_size: V, depth of the output.
      activation: function applied to the output; None for none.
      name: variable scope.

    Raises:
      ArgumentError: if `cell` is not a cell, or `output_size` is not a positive
        integer.
    """
    base.check_cell(cell)
    super().__init__(cell, name)
    self._output_size = checks.check_positive("output_size", output_size)
    self._activation = activation

  @property
  def output_size(self) -> int:
    """The depth of the output."""
    return self._output_size

  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    inner = self._cell.bind(depth, dtype)
    project = scopes.linear([self._cell.output_size], self._output_size, dtype)

    def step(inputs, state):
      output, state = inner(inputs, state)
      output = project([output])
      return self._activation(output) if self._activation else output, state

    return step


class Placed(_Wrapper):
  """A cell whose variables are below `place`, a given `tf1.VariableScope`.

  Wherever it is used, so that a decoder can share its cell with the encoder.
  """

  @errors.named("Placed")
  def __init__(self, cell: base.Cell, place: tf1.VariableScope) -> None:
    """Wraps a cell; makes neither ops nor variables.

    Args:
      cell: a cell.
      place: the `tf1.VariableScope` in which the cell was bound. If its reuse
        is `AUTO_REUSE`, the cell may also be bound there later.

    Raises:
      ArgumentError: if `cell` is not a cell.
    """
    base.check_cell(cell)
    super().__init__(cell, cell.name)
    self._place = place

  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    """Reuses the variables below the other scope, `place`.

    Variables that do not exist are created only if the reuse of `place` is
    `AUTO_REUSE`.

    Args:
      depth: D, depth of the inputs.
      dtype: float type of variables, inputs and states.

    Returns:
      The step function of the cell.

    Raises:
      ArgumentError: if a variable does not exist and must not be created.
    """
    reuse = self._place.reuse or True
    with tf1.variable_scope(
      self._place, reuse=reuse, auxiliary_name_scope=False
    ):
      return self._cell.bind(depth, dtype)
