"""The base class of networks: variables, scopes and checks.

A network is a callable from tensors to tensors. It creates its variables at the
first call, and uses the same ones in later calls in the same graph. It holds no
values: those are in the session's variables.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import Iterator, List, Optional, Sequence, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks

# Opening of a variable scope -> name -> the network that took the name there.
# The key is an opening, not the scope's full name: opening a scope again with
# reuse means sharing; repeating a name within one opening does not.
_OWNERS = weakref.WeakKeyDictionary()


class Network:
  """A callable with variables that are created once and then shared.

  A subclass writes the body of `__call__` under `with self.enter(name):`. There
  it reads its arguments with `check_tensor` and `check_depth`, and its
  variables with `make_variable`.

  Variables are resource variables under the variable scope in which the
  network is first called, extended by the network's name. Two networks may
  have the same name only in different scopes, or in a scope that is opened
  again with reuse: then they share variables, as with TensorFlow's `reuse`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    name: str,
    dtype: hints.Dtype = tf1.float32,
    kernel_initializer: Optional[hints.Initializer] = None,
  ) -> None:
    """Names the network; makes neither ops nor variables.

    Args:
      name: variable scope of the variables and default name scope of calls.
      dtype: float type of the variables, inputs and outputs.
      kernel_initializer: the TensorFlow initializer of variables for which
        `make_variable` is given none; Glorot uniform for None.

    Raises:
      ArgumentError: if `name` is not valid as a scope name.
      DtypeError: if `dtype` is not a float type.
    """
    self._name = checks.check_name(type(self).__name__, name)
    self._dtype = checks.to_float("dtype", dtype)
    self._kernel_initializer = kernel_initializer
    self._graph = None
    self._scope = None
    self._made = {}
    self._depths = {}

  @property
  def name(self) -> str:
    """The name given to the constructor, without the outer scopes."""
    return self._name

  @property
  def dtype(self) -> tf1.DType:
    """The dtype of variables, inputs and outputs."""
    return self._dtype

  @property
  def variables(self) -> List[hints.Variable]:
    """The variables in order of creation; none before the first call."""
    return list(self._made.values())

  @property
  def scope(self) -> Optional[str]:
    """The full name of the variable scope; None before the first call."""
    return None if self._scope is None else self._scope.name

  @property
  def input_depth(self) -> Optional[int]:
    """The depth of `inputs` in the first call; None before it.

    Always None for `Bidirectional`, `Stack`, and networks without an argument
    `inputs`.
    """
    return self._depths.get("inputs")

  @property
  def input_dtype(self) -> Optional[tf1.DType]:
    """The dtype of the inputs, None if several are possible."""

  @property
  def output_depth(self) -> Optional[int]:
    """The depth of the output, None if it is not a single tensor."""

  @contextlib.contextmanager
  def enter(
    self, name: Optional[str], default: Optional[str] = None
  ) -> Iterator[None]:
    """Checks the graph, and opens the name scope of one call.

    Args:
      name: the scope's name; `default` for None.
      default: the scope's name if `name` is None; the network's name if both
        are None.

    Yields:
      Nothing.

    Raises:
      GraphError: if the network has its variables in another graph, or eager
        execution is on.
    """
    self._check_graph()
    with tf1.name_scope(name or default or self._name):
      yield

  @errors.named("{self._name}")
  def _check_graph(self):
    if tf1.executing_eagerly():
      raise errors.GraphError(
        "called eagerly, but networks of tangle are for graphs. Call it under "
        "`with tf1.Graph().as_default():`."
      )
    graph = checks.outermost(tf1.get_default_graph())
    if self._graph is not None and self._graph() is not graph:
      raise errors.GraphError(
        "called in another graph than the one that holds its variables. Make "
        "a network for each graph, or call this one under "
        "`with graph.as_default():` of its own graph."
      )

  @contextlib.contextmanager
  def _variable_scope(self):
    """Opens the network's variable scope, without a name scope.

    The first time, registers the network's name in the current scope.

    Yields:
      Nothing.

    Raises:
      ArgumentError: if another network has the name in the current scope.
    """
    target = self._scope
    if target is None:
      self._register()
      target = self._name
    with tf1.variable_scope(target, auxiliary_name_scope=False) as scope:
      if self._scope is None:
        self._scope = scope
        self._graph = weakref.ref(checks.outermost(tf1.get_default_graph()))
      yield

  @errors.named("{self._name}")
  def _register(self):
    """Takes the network's name in the current variable scope."""
    parent = tf1.get_variable_scope()
    owners = _OWNERS.setdefault(parent, {})
    if self._name in owners and owners[self._name]() is not self:
      raise errors.ArgumentError(
        f"another network has this name in variable scope {parent.name!r}. "
        "Give one of them another name=, or call the one object twice if they "
        "are to share variables."
      )
    owners[self._name] = weakref.ref(self)

  @errors.named("{self._name}")
  def make_variable(
    self,
    name: str,
    shape: Sequence[int],
    initializer: Optional[hints.Initializer] = None,
  ) -> hints.Variable:
    """Returns the variable `name`, created at the first request.

    A later request for `name` returns the same variable; it does not compare
    `shape` and `initializer`.

    Args:
      name: name below the network's scope.
      shape: list of ints.
      initializer: a TensorFlow initializer; None for the network's
        `kernel_initializer`.

    Returns:
      A resource variable of `shape` and of the network's dtype.

    Raises:
      ArgumentError: if another network has this network's name in the current
        variable scope, or TensorFlow refuses the variable: one of this name
        exists already, or does not exist in a scope that only reuses variables.
    """
    if name not in self._made:
      if initializer is None:
        initializer = (
          self._kernel_initializer or tf1.glorot_uniform_initializer()
        )
      with self._variable_scope():
        try:
          self._made[name] = tf1.get_variable(
            name,
            shape,
            self._dtype,
            initializer=initializer,
            use_resource=True,
          )
        except ValueError as error:
          raise errors.ArgumentError(
            f"cannot make variable {name!r} of shape "
            f"{list(shape)} in variable scope "
            f"{tf1.get_variable_scope().name!r}: give the network another "
            "name=, or call the one network again if variables are to be "
            f"shared. TensorFlow says: {errors.summarize(error)}"
          ) from error
    return self._made[name]

  @errors.named("{self._name}")
  def check_tensor(
    self,
    argument: str,
    value: hints.Value,
    ranks: Optional[Tuple[int, ...]] = None,
  ) -> tf1.Tensor:
    """Returns `value` as a tensor of the network's graph and type.

    Args:
      argument: the argument's name, for messages.
      value: a tensor, a variable, or a value that TensorFlow converts to one.
      ranks: the allowed ranks; None for any known rank.

    Returns:
      A tensor of known rank.

    Raises:
      ArgumentError: if `value` is None.
      DtypeError: if `value` is not of the network's dtype. Python numbers get
        that dtype.
      GraphError: if `value` is from another graph.
      ShapeError: if the rank of `value` is unknown or not in `ranks`.
    """
    tensor = checks.convert_floats(
      argument, value, self._dtype, "make the network"
    )
    checks.check_rank(argument, tensor, ranks)
    return tensor

  @errors.named("{self._name}")
  def check_depth(
    self, argument: str, tensor: tf1.Tensor, expected: Optional[int] = None
  ) -> int:
    """Returns the last dimension of `tensor`, the same at every call.

    Without `expected`, the network remembers D for the argument.

    Args:
      argument: the argument's name, for messages.
      tensor: `[..., D]`.
      expected: D if the network's settings define it; None for any D at the
        first call with this `argument`, and the same D from then on.

    Returns:
      D.

    Raises:
      ShapeError: if D is unknown, or differs from `expected` or from that of
        the first call.
    """
    depth = tf1.dimension_value(tensor.shape[-1])
    if depth is None:
      raise errors.ShapeError(
        f"{argument} must have a known last dimension, got "
        f"{checks.describe(tensor)}. Call set_shape on it."
      )
    if expected is None:
      expected = self._depths.setdefault(argument, depth)
    if depth != expected:
      raise errors.ShapeError(
        f"{argument} must have depth {expected}, for which the "
        f"network was made, got depth {depth} in {checks.describe(tensor)}. "
        "Make another network for that depth."
      )
    return depth
