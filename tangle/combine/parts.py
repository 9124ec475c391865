"""Parts: any callable as a network that knows its variables and updates.

A plain function, a Keras layer or a Sonnet module is a callable from tensors to
tensors. As a part of a combination it also has a name, and variables that can
be frozen, loaded and given a learning rate. Repeated calls share the variables.
"""

from __future__ import annotations

import collections
from typing import (
  AbstractSet,
  Any,
  Dict,
  List,
  Optional,
  Sequence,
  Tuple,
  Union,
)

from tangle import compat, errors, hints
from tangle.combine import variables as variables_lib
from tangle.compat import tf1
from tangle.nets import base, checks, composites

Named = Union[hints.Network, Tuple[str, hints.Network]]
"""A network, or a pair of a name and a network."""


class Part(base.Network):
  """A callable with a name, and with the variables that its calls use.

  These are, in this order: the variables that the callable lists itself
  (`variables`), those that a call creates, and those that a call reads, whoever
  created them. The last are not found in a call inside the body of a TensorFlow
  2 style loop or branch.

  The callable is called in a variable scope with the part's name, unless it is
  a `Part`, or a network of `tangle.nets` of that name. If it creates variables
  by `get_variable`, or keeps them, later calls reuse them, as with
  `tf.make_template`.

  Attributes:
    network: the callable.
    input_shape: the `tf.TensorShape` given to the constructor, or None.
  """

  @errors.named("Part")
  def __init__(
    self,
    network: hints.Network,
    name: Optional[str] = None,
    input_shape: Optional[hints.Shape] = None,
    input_dtype: Optional[hints.Dtype] = None,
  ) -> None:
    """Wraps a callable; makes neither ops nor variables.

    Args:
      network: a callable from tensors, or nests of them, to tensors or nests.
      name: the part's name; by default that of the network, or of the function;
        `network` if neither can name a scope, as for a lambda.
      input_shape: the input shape, such as `[None, 64]`; by default only its
        last dimension is known, if the network declares it.
      input_dtype: the input type; by default the one that the network declares.

    Raises:
      ArgumentError: if `network` is not callable, `name` is not a name, or
        `input_shape` is no shape.
      DtypeError: if `input_dtype` is no type.
    """
    if not callable(network):
      raise errors.ArgumentError(
        f"network must be callable, got {network!r}. For an existing "
        f"tensor, make one by combine.cut."
      )
    dtype = getattr(network, "dtype", None)
    floats = isinstance(dtype, tf1.DType) and dtype.is_floating
    super().__init__(
      default_name(network) if name is None else name,
      dtype if floats else tf1.float32,
    )
    self.network = network
    self.input_shape = None
    if input_shape is not None:
      self.input_shape = checks.to_shape("input_shape", input_shape)
    self._input_dtype = input_dtype and checks.to_dtype(
      "input_dtype", input_dtype
    )
    self._found = collections.OrderedDict()
    self._updates = collections.OrderedDict()
    self._called = False

  @property
  def input_depth(self) -> Optional[int]:
    """The last dimension of the input, None if it is not declared."""
    if self.input_shape is not None and self.input_shape.ndims:
      return tf1.dimension_value(self.input_shape[-1])
    return input_depth(self.network)

  @property
  def input_dtype(self) -> Optional[tf1.DType]:
    """The dtype of the input, None if it is not declared."""
    return self._input_dtype or getattr(self.network, "input_dtype", None)

  @property
  def output_depth(self) -> Optional[int]:
    """The last dimension of the output, None if it is not declared."""
    return getattr(self.network, "output_depth", None)

  @property
  def parts(self) -> Dict[str, Part]:
    """The parts of the network, name → `Part`; empty if it has no parts."""
    return getattr(self.network, "parts", {})

  @property
  def scope(self) -> Optional[str]:
    """The network's variable scope; the part's own if it has none.

    None if neither exists yet.
    """
    return getattr(self.network, "scope", None) or super().scope

  @property
  def variables(self) -> List[hints.Variable]:
    """All its variables, in the order that the class describes.

    Most networks have none before the first call.
    """
    found = collections.OrderedDict(
      (variable.op.name, variable)
      for variable in variables_lib.listed(self.network)
    )
    found.update(self._found)
    return list(found.values())

  @property
  def trainable_variables(self) -> List[hints.Variable]:
    """Those of its variables that the graph lists as trainable."""
    return variables_lib.trainable(self.variables)

  @property
  def updates(self) -> List[tf1.Operation]:
    """The ops of its calls that change its variables, except initializers.

    Examples are the updates of the moving averages of batch normalization. If
    nothing else depends on such an op, it runs only when fetched or made a
    dependency, as `combine.minimize` does.
    """
    return [op for op, _ in self._updates.values()]

  def updates_for(self, names: AbstractSet[str]) -> List[tf1.Operation]:
    """Returns the updates from those calls whose outputs are used.

    Args:
      names: the names of the ops that are used, such as those of a loss. A call
        is used if the op of one of its outputs is among them.

    Returns:
      A list of ops, in the order of `updates`.
    """
    return [op for op, made in self._updates.values() if made & names]

  def __call__(self, *inputs: hints.Nest, **options: Any) -> hints.Nest:
    """Calls the network.

    Args:
      *inputs: the inputs of the network.
      **options: further arguments of the network; `name` is not passed on, but
        is the name scope of the new ops.

    Returns:
      The output of the network.

    Raises:
      ArgumentError: if a plain function creates new variables in a later call
        instead of sharing them.
      GraphError: if its variables are in another graph, or eager execution is
        on.
    """
    with self.enter(options.pop("name", None)):
      graph = checks.outermost(tf1.get_default_graph())
      before = len(graph.get_operations())
      known = {
        variable.op.name for variable in variables_lib.all_variables(graph)
      }
      if self._keeps_own_scope():
        outputs = self.network(*inputs, **options)
      else:
        reuse = tf1.AUTO_REUSE if self._called else None
        with self._variable_scope():
          scope = tf1.get_variable_scope()
          with tf1.variable_scope(
            scope, reuse=reuse, auxiliary_name_scope=False
          ):
            outputs = self.network(*inputs, **options)
      self._note(graph, before, known, outputs)
      self._called = True
      return outputs

  def _keeps_own_scope(self):
    network = self.network
    return (
      isinstance(network, base.Network) and network.name == self._name
    ) or isinstance(network, Part)

  @errors.named("{self._name}")
  def _note(self, graph, before, known, outputs):
    """Records the variables and the updates of the last call."""
    ops = graph.get_operations()[before:]
    reads = {tensor.name for op in ops for tensor in op.inputs}
    handles = {}
    for variable in variables_lib.all_variables(graph):
      made = variable.op.name not in known
      if made and self._called and not self._lists_own():
        raise errors.ArgumentError(
          f"variable {variable.op.name!r} was made again in a "
          f"further call. A network shares its variables: make them by "
          f"tf.compat.v1.get_variable, or once, outside the function."
        )
      tensors = [variable.op.outputs[0].name]
      if not compat.is_resource_variable(variable):
        tensors.append(variable.value().name)
      if made or reads.intersection(tensors):
        self._found.setdefault(variable.op.name, variable)
        handles[tensors[0]] = variable
    leaves = tf1.nest.flatten(outputs)
    given = {leaf.op.name for leaf in leaves if hasattr(leaf, "op")}
    for op in ops:
      if op.type in variables_lib.ASSIGNMENTS and op.inputs[0].name in handles:
        variable = handles[op.inputs[0].name]
        if op.name != variable.initializer.name:
          self._updates[op.name] = (op, given)

  def _lists_own(self):
    return hasattr(self.network, "variables")


class Combined(composites.Composite):
  """A network made of parts, which can be looked up; it has their variables."""

  def __init__(self, parts: Sequence[Part], name: str) -> None:
    """Names the parts; makes neither ops nor variables.

    Args:
      parts: list of `Part`; one that is used twice is listed once.
      name: variable scope around those of the parts, and default name scope.
    """
    super().__init__([(part.name, part) for part in parts], name)

  @property
  def parts(self) -> Dict[str, Part]:
    """The parts, name → `Part`, in order."""
    return collections.OrderedDict(self._children)

  @errors.named("{self._name}")
  def part(self, path: str) -> Part:
    """Returns a part, or a part of a part.

    Args:
      path: names, the outermost first, such as `trunk/left`; "" for this
        network itself.

    Returns:
      A `Part`; this network for "".

    Raises:
      ArgumentError: if there is no part of that name; `gate` and dense adapters
        are parts only after the first call.
    """
    found, rest = self, path
    while rest:
      parts = found.parts
      fitting = [n for n in parts if rest == n or rest.startswith(n + "/")]
      if not fitting:
        raise errors.ArgumentError(
          f"there is no part {path!r}. The parts of "
          f"{found.name!r} are {sorted(parts)}."
        )
      name = max(fitting, key=len)
      found, rest = parts[name], rest[len(name) + 1 :]
    return found

  @property
  def trainable_variables(self) -> List[hints.Variable]:
    """Those of its variables that the graph lists as trainable."""
    return variables_lib.trainable(self.variables)

  @property
  def updates(self) -> List[tf1.Operation]:
    """The ops of its parts' calls that change their variables, each once."""
    found = collections.OrderedDict(
      (op.name, op) for _, part in self._children for op in part.updates
    )
    return list(found.values())

  def updates_for(self, names: AbstractSet[str]) -> List[tf1.Operation]:
    """Returns the updates from those calls of parts whose outputs are used.

    Args:
      names: the names of the ops that are used, such as those of a loss. A call
        is used if the op of one of its outputs is among them.

    Returns:
      A list of ops, each once, part by part.
    """
    found = collections.OrderedDict(
      (op.name, op)
      for _, part in self._children
      for op in part.updates_for(names)
    )
    return list(found.values())


def make_parts(networks):
  """Makes parts of networks; a network that occurs twice is one part.

  Args:
    networks: callables, or pairs of a name and a callable. Different networks
      whose default names are equal get the suffixes `_1`, `_2` and so on.

  Returns:
    A list of `Part`, one for each of `networks`.

  Raises:
    ArgumentError: if there is none, one is not callable, or given names are not
      unique.
  """
  found, by_network, taken = [], {}, {}
  for k, item in enumerate(networks):
    pair = isinstance(item, (tuple, list)) and len(item) == 2
    name, network = item if pair else (None, item)
    if not callable(network):
      raise errors.ArgumentError(
        f"network {k} must be callable, or a pair of a name and a "
        f"callable, got {item!r}."
      )
    key = (id(network), name)
    if key not in by_network:
      by_network[key] = _make_part(name, network, taken)
    found.append(by_network[key])
  if not found:
    raise errors.ArgumentError("give at least one network, got none.")
  return found


def _make_part(name, network, taken):
  given = name is not None or isinstance(network, Part)
  wanted = name if name is not None else default_name(network)
  if wanted in taken and given:
    raise errors.ArgumentError(
      f"two networks have the name {wanted!r}. Give them others."
    )
  unique, k = wanted, 0
  while unique in taken:
    k += 1
    unique = f"{wanted}_{k}"
  taken[unique] = True
  if isinstance(network, Part) and network.name == unique:
    return network
  return Part(network, unique)


def default_name(network):
  """Returns the name of a network that was given none.

  Args:
    network: a callable.

  Returns:
    Its own name, or that of a function; "network" if it has none that can be
    the name of a variable scope.
  """
  for attribute in ("name", "__name__"):
    name = getattr(network, attribute, None)
    if isinstance(name, str) and checks.NAME.match(name):
      return name
  return "network"


def input_depth(network):
  """Returns the last dimension of a network's input, if it declares one.

  Args:
    network: a callable; one of `tangle.nets` knows after its first call, a
      Keras layer when it is built.

  Returns:
    An int, or None if it is not known.
  """
  depth = getattr(network, "input_depth", None)
  if depth is None:
    axes = getattr(getattr(network, "input_spec", None), "axes", None)
    depth = axes.get(-1) if axes else None
  return None if depth is None else int(depth)
