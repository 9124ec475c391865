"""Networks in sequence: the output of one feeds the next."""

from __future__ import annotations

from typing import Optional, Sequence, Union

from tangle import errors, hints
from tangle.combine import fitting, parts
from tangle.compat import tf1


class Sequential(parts.Combined):
  """Networks in sequence; see `sequential`."""

  @errors.named("sequential {name!r}")
  def __init__(
    self,
    networks: Sequence[parts.Named],
    adapter: Union[str, Sequence[str], None],
    name: str,
  ) -> None:
    """Checks the declared shapes; `sequential` has the arguments and errors."""
    self._adapters = fitting.check_adapters(adapter)
    self._row = parts.make_parts(networks)
    for first, second in zip(self._row, self._row[1:]):
      fitting.check_declared(first, second, self._adapters)
    unique = {part.name: part for part in self._row}
    super().__init__(list(unique.values()), name)
    self._dense = {}

  @property
  def input_depth(self) -> Optional[int]:
    """The last dimension of the first network's input, None if unknown."""
    return self._row[0].input_depth

  @property
  def input_dtype(self) -> Optional[tf1.DType]:
    """The type of the first network's input, None if unknown."""
    return self._row[0].input_dtype

  @property
  def output_depth(self) -> Optional[int]:
    """The last dimension of the last network's output, None if unknown."""
    return self._row[-1].output_depth

  @errors.named("sequential {self._name!r}")
  def __call__(
    self, inputs: hints.Nest, name: Optional[str] = None
  ) -> hints.Nest:
    """Runs the networks, one after the other.

    Args:
      inputs: the input of the first network.
      name: name scope of the new ops; the network's name for None.

    Returns:
      The output of the last network.

    Raises:
      DtypeError: if a network does not take the type of the output before it,
        and no adapter is allowed that changes it.
      ShapeError: if a network does not take the shape of the output before it,
        and no adapter is allowed that changes it.
    """
    with self.enter(name), self._variable_scope():
      value, giver = inputs, "the input"
      for k, part in enumerate(self._row):

        def adapt(depth, value, k=k, giver=giver):
          return self._adapt(k, depth, value, giver)

        value = fitting.fit(giver, part, value, self._adapters, adapt)
        value = fitting.call(giver, part, value)
        giver = repr(part.name)
      return value

  def _adapt(self, k, depth, value, giver):
    """Puts a dense layer before the k-th network, shared by all calls."""
    if k not in self._dense:
      name = f"{self._row[k].name}_adapter"
      if k != self._row.index(self._row[k]):
        name = f"{name}_{k}"
      dense = fitting.make_dense(depth, value.dtype.base_dtype, name)
      self._dense[k] = parts.Part(dense, name)
      self._children.append((name, self._dense[k]))
    return fitting.call(giver, self._dense[k], value)


def sequential(
  *networks: parts.Named,
  adapter: Union[str, Sequence[str], None] = None,
  name: str = "sequential",
) -> Sequential:
  """Puts networks in sequence: `f_K(... f_2(f_1(x)))`.

  Shapes are checked as early as possible: at once if two declared depths
  differ, else at the call.

  Args:
    *networks: callables from a tensor or nest to a tensor or nest, or pairs of
      a name and a callable. One that occurs twice shares its variables. Without
      a name, it gets the default one of a `combine.Part`.
    adapter: the adapters that may be put between two networks that do not fit:
      `"dense"` (another depth), `"reshape"` (the same number of entries per
      row), `"cast"` (another type), or a list of these. The second network must
      declare its input; see `combine.Part`. None to raise instead.
    name: variable scope around those of the parts, and default name scope of
      calls.

  Returns:
    A `Sequential`, a network: call it on inputs. `parts` maps names to the
    networks, and to the dense adapters that calls have made.

  Raises:
    ArgumentError: if there is no network, one is not callable, given names are
      not unique, or `adapter` is unknown.
    ShapeError: if the declared shapes of two networks do not fit.
  """
  return Sequential(networks, adapter, name)
