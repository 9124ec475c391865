"""Networks side by side, with merged outputs."""

from __future__ import annotations

from typing import Optional, Sequence, Union

from tangle import errors, hints
from tangle.combine import fitting, merging, parts
from tangle.compat import tf1
from tangle.nets import checks, feedforward

GATES = (None, "free", "input")


class Parallel(parts.Combined):
  """Networks side by side; see `parallel`."""

  @errors.named("parallel {name!r}")
  def __init__(
    self,
    networks: Sequence[parts.Named],
    merge: merging.Merge,
    inputs: str,
    gate: Union[str, hints.Network, None],
    axis: int,
    name: str,
  ) -> None:
    """Checks the settings, which `parallel` describes with the errors."""
    self._rows = parts.make_parts(networks)
    merging.check_merge(merge)
    if inputs not in ("same", "each"):
      raise errors.ArgumentError(
        f'inputs must be "same" or "each", got {inputs!r}.'
      )
    if gate not in GATES and not callable(gate):
      raise errors.ArgumentError(
        f"gate must be one of {GATES}, or a callable from the inputs "
        f"to logits [B, {len(self._rows)}], got {gate!r}."
      )
    plain = merge in merging.MERGES and merge not in merging.GATED
    if gate is not None and plain:
      raise errors.ArgumentError(
        f"a gate multiplies the output of each network by a weight "
        f"before the merge, and does not go with merge={merge!r}. Pass "
        f'merge="sum", "concat" or a callable, or leave out gate.'
      )
    self._merge, self._inputs, self._axis = merge, inputs, axis
    unique = list({part.name: part for part in self._rows}.values())
    super().__init__(unique, name)
    self._gate = gate
    self._gate_part = None

  @errors.named("parallel {self._name!r}")
  def __call__(
    self, inputs: hints.Nest, name: Optional[str] = None
  ) -> hints.Nest:
    """Runs all networks, and merges their outputs.

    Args:
      inputs: the input of the networks; with `inputs="each"` a list of K
        inputs, or a mapping from the networks' names.
      name: name scope of the new ops.

    Returns:
      The merged tensor, or the result of the callable `merge`.

    Raises:
      ArgumentError: if with `inputs="each"` there is not one input for each
        network, or a network returns more than one tensor while `merge` is a
        name or there is a gate.
      DtypeError: if types do not fit.
      ShapeError: if shapes do not fit.
    """
    with self.enter(name), self._variable_scope():
      given = self._split(inputs)
      values = []
      for part, value in zip(self._rows, given):
        value = fitting.fit("the input", part, value, (), None)
        values.append(fitting.call("the input", part, value))
      labels = [part.name for part in self._rows]
      if self._gate is not None:
        values = self._weigh(inputs, given, values)
      return merging.merge(labels, values, self._merge, self._axis)

  @errors.named("parallel {self._name!r}")
  def shares(self, inputs: hints.Nest, name: str = "shares") -> tf1.Tensor:
    """Returns the gate's weight for each network.

    Args:
      inputs: as in a call.
      name: name scope of the new ops.

    Returns:
      `[B, K]`, or `[1, K]` for free weights; columns in the order of the
      networks. Rows sum to 1.

    Raises:
      ArgumentError: if there is no gate, or with `inputs="each"` there is not
        one input for each network.
      ShapeError: if the gate does not give logits `[B, K]`, or an input for
        `gate="input"` is not `[B, D]`.
    """
    if self._gate is None:
      raise errors.ArgumentError(
        'has no gate. Pass gate="free" or gate="input".'
      )
    with self.enter(name), self._variable_scope():
      return self._make_shares(inputs, self._split(inputs), self._dtype)

  def _split(self, inputs):
    """Returns one input for each network."""
    count = len(self._rows)
    if self._inputs == "same":
      return [inputs] * count
    names = [part.name for part in self._rows]
    if hasattr(inputs, "keys"):
      if set(inputs) == set(names):
        return [inputs[name] for name in names]
    elif isinstance(inputs, (list, tuple)) and len(inputs) == count:
      return list(inputs)
    raise errors.ArgumentError(
      f"inputs must be one for each of {names}, got {inputs!r}."
    )

  def _weigh(self, inputs, given, values):
    for part, value in zip(self._rows, values):
      if not isinstance(value, tf1.Tensor) or not value.shape.ndims:
        raise errors.ArgumentError(
          f"with a gate {part.name!r} must give one tensor "
          f"[B, ...], got {value!r}. Let it return one tensor, or leave out "
          "the gate."
        )
    dtype = values[0].dtype.base_dtype
    shares = self._make_shares(inputs, given, dtype)
    return [
      value * tf1.reshape(shares[:, k], [-1] + [1] * (value.shape.ndims - 1))
      for k, value in enumerate(values)
    ]

  @errors.named("parallel {self._name!r}")
  def _make_shares(self, inputs, given, dtype):
    """Returns `[B, K]` or `[1, K]`, the softmax of the gate's logits."""
    count = len(self._rows)
    if self._gate_part is None:
      self._gate_part = parts.Part(self._make_gate(dtype), "gate")
      self._children.append(("gate", self._gate_part))
    if callable(self._gate):
      logits = self._gate_part(inputs)
    elif self._gate == "free":
      logits = self._gate_part()
    else:
      unique = list({id(value): value for value in given}.values())
      for value in unique:
        if not isinstance(value, tf1.Tensor) or value.shape.ndims != 2:
          raise errors.ShapeError(
            f'gate="input" reads inputs [B, D], got '
            f"{fitting.describe(value)}. Pass a callable as gate."
          )
      together = tf1.concat(unique, -1) if len(unique) > 1 else unique[0]
      logits = self._gate_part(together)
    if logits.shape.ndims != 2 or not logits.shape[-1:].is_compatible_with(
      [count]
    ):
      raise errors.ShapeError(
        f"the gate must give logits [B, {count}], got "
        f"{checks.describe(logits)}."
      )
    return tf1.nn.softmax(logits)

  def _make_gate(self, dtype):
    count = len(self._rows)
    if callable(self._gate):
      return self._gate
    zeros = tf1.zeros_initializer()
    if self._gate == "input":
      return feedforward.Dense(
        count, kernel_initializer=zeros, dtype=dtype, name="gate"
      )

    def free():
      logits = tf1.get_variable(
        "logits", [1, count], dtype, initializer=zeros, use_resource=True
      )
      return tf1.identity(logits)

    return free


def parallel(
  *networks: parts.Named,
  merge: merging.Merge = "concat",
  inputs: str = "same",
  gate: Union[str, hints.Network, None] = None,
  axis: int = -1,
  name: str = "parallel",
) -> Parallel:
  """Puts networks side by side: `merge(f_1(x_1), ..., f_K(x_K))`.

  With a gate, `merge(s_1 f_1(x_1), ..., s_K f_K(x_K))`, where the shares `s`
  are the softmax of K logits. The logits are free weights, one per network, or
  the output of a dense layer on the input. Both are initially zero, so that all
  shares are `1 / K`.

  Source: Jacobs, Jordan, Nowlan & Hinton 1991, "Adaptive Mixtures of Local
  Experts", for `gate="input"` with `merge="sum"`.

  Args:
    *networks: K callables from a tensor or nest to a tensor or nest, or pairs
      of a name and a callable.
    merge: `"concat"`, `"sum"`, `"mean"`, `"max"`, `"product"`, or a callable
      that takes the list of the networks' outputs.
    inputs: `"same"`: all networks get the input; or `"each"`: the input is a
      list with one input per network, or a mapping from the networks' names.
    gate: None for no gate; `"free"`: K weights; `"input"`: a dense layer on the
      input `[B, D]`, or on all inputs, concatenated; or a callable from the
      inputs to logits `[B, K]`. Only with a `merge` of `"sum"`, `"concat"` or a
      callable.
    axis: the dimension along which `"concat"` joins.
    name: variable scope around those of the parts, and default name scope of
      calls.

  Returns:
    A `Parallel`, a network: call it on inputs. `parts` maps names to the
    networks, and has `gate` after the first call if there is a gate.

  Raises:
    ArgumentError: if there is no network, one is not callable, names that were
      given are not unique, `merge`, `inputs` or `gate` has an unknown value, or
      there is a gate with a `merge` of `"mean"`, `"max"` or `"product"`.
  """
  return Parallel(networks, merge, inputs, gate, axis, name)
