"""Whether what one network gives fits the next one, and adapters.

What a network takes is known if it says so: one of `tangle.nets` knows its
depth after its first call, a Keras layer when it is built, and
`combine.Part(network, input_shape=, input_dtype=)` says it for any other. Else
the call shows it.
"""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, feedforward

ADAPTERS = ("dense", "reshape", "cast")
"""What can be put between two networks that do not fit."""


def check_adapters(caller, adapter):
  """Returns the kinds of adapters that are asked for.

  Args:
    caller: who asks, for the message.
    adapter: None, one of `ADAPTERS`, or a list of them.

  Returns:
    A tuple of strings.

  Raises:
    ArgumentError: if one is unknown.
  """
  kinds = (adapter,) if isinstance(adapter, str) else tuple(adapter or ())
  for kind in kinds:
    if kind not in ADAPTERS:
      raise errors.ArgumentError(
        f"{caller}: adapter must be None or some of {ADAPTERS}, got {kind!r}; "
        f"any other adapter is a network: put it between"
      )
  return kinds


def check_declared(caller, first, second, adapters=()):
  """Raises if two networks say that they do not fit.

  Args:
    caller: who asks, for the message.
    first: the `Part` that gives.
    second: the `Part` that takes.
    adapters: the kinds that may be put between them.

  Raises:
    ShapeError: if the depths that they tell differ.
  """
  gives, takes = first.output_depth, second.input_depth
  if None in (gives, takes) or gives == takes:
    return
  if "dense" not in adapters and "reshape" not in adapters:
    raise errors.ShapeError(
      f"{caller}: {second.name!r} takes [..., {takes}], but {first.name!r} "
      f'gives [..., {gives}]; pass adapter="dense" to put a dense layer '
      f"between, or make one of them for the other's depth"
    )


def fit(caller, first, second, value, adapters, make_dense):
  """Makes a value fit the network that takes it next.

  Args:
    caller: who asks, for messages.
    first: what gives the value, as messages call it.
    second: the `Part` that takes it.
    value: a tensor; a nest is returned as it is.
    adapters: the kinds of adapters that may be used.
    make_dense: called with the depth that is needed, type and value; returns
      the output of the dense layer, as `call` wraps it.

  Returns:
    A tensor that fits what `second` says it takes; `value` itself if it does
    already, or `second` says nothing.

  Raises:
    DtypeError: if the type differs, and no cast may be used.
    ShapeError: if the shape differs, and no adapter that would do may be used.
  """
  if not isinstance(value, tf1.Tensor):
    return value
  both = f"{caller}: {second.name!r} takes"
  got = f"but {first} gives {checks.describe(value)}"
  dtype = second.input_dtype
  if dtype is not None and value.dtype.base_dtype != dtype:
    if "cast" not in adapters:
      raise errors.DtypeError(
        f'{both} {dtype.name}, {got}; pass adapter="cast" to cast it'
      )
    value = tf1.cast(value, dtype)
  wanted = _wanted(second, value)
  if wanted is None or value.shape.is_compatible_with(wanted):
    return value
  able = _able(value.shape, wanted)
  for kind in able:
    if kind in adapters and kind == "reshape":
      return tf1.reshape(value, [-1] + wanted.as_list()[1:])
    if kind in adapters:
      return make_dense(tf1.dimension_value(wanted[-1]), value)
  remedy = " or ".join(f'adapter="{kind}"' for kind in able)
  remedy = f"pass {remedy}" if able else "put a network of your own between"
  raise errors.ShapeError(f"{both} shape {wanted.as_list()}, {got}; {remedy}")


def _wanted(part, value):
  """Returns the shape that a part takes in place of that of `value`."""
  if part.input_shape is not None:
    return part.input_shape if part.input_shape.ndims else None
  if part.input_depth is None or not value.shape.ndims:
    return None
  return tf1.TensorShape([None] * (value.shape.ndims - 1) + [part.input_depth])


def _able(shape, wanted):
  """Lists the kinds of adapters that lead from one shape to another."""
  able = []
  if shape.ndims:
    here, there = shape[1:], wanted[1:]
    known = here.is_fully_defined() and there.is_fully_defined()
    if known and np.prod(here.as_list()) == np.prod(there.as_list()):
      able.append("reshape")
    same = shape.ndims == wanted.ndims
    depths = [tf1.dimension_value(s[-1]) for s in (shape, wanted) if s.ndims]
    if (
      same
      and None not in depths
      and (shape[:-1].is_compatible_with(wanted[:-1]))
    ):
      able.append("dense")
  return able


def call(caller, first, second, value):
  """Calls a network on what another gives; says who does not fit if it fails.

  Args:
    caller: who asks, for messages.
    first: what gives the value, as messages call it.
    second: the `Part` that takes it.
    value: a tensor or a nest.

  Returns:
    What `second` gives.

  Raises:
    DtypeError: if it raises `TypeError`.
    ShapeError: if it raises `ValueError`, but for errors of tangle's that have
      nothing to do with shapes.
  """
  try:
    return second(value)
  except (ValueError, TypeError) as error:
    kind = errors.DtypeError
    if isinstance(error, ValueError):
      kind = errors.ShapeError
    if isinstance(error, errors.TangleError) and not isinstance(error, kind):
      raise
    raise kind(
      f"{caller}: {second.name!r} cannot take what {first} gives, "
      f"{describe(value)}; make one fit the other, or put an adapter between, "
      f"such as nets.Dense. It says: {error}"
    ) from error


def describe(value):
  """Says name, type and static shape of a tensor or of a nest of them.

  Args:
    value: a tensor or a nest.

  Returns:
    A string.
  """
  leaves = tf1.nest.flatten(value)
  return ", ".join(
    checks.describe(leaf) if hasattr(leaf, "shape") else repr(leaf)
    for leaf in leaves
  )


def make_dense(depth, dtype, name):
  """Returns a dense layer to put between two networks.

  Args:
    depth: what it gives.
    dtype: a `tf.DType`.
    name: its name.

  Returns:
    A `nets.Dense`.

  Raises:
    DtypeError: if the type is no float type.
  """
  if not dtype.is_floating:
    raise errors.DtypeError(
      f"{name}: a dense adapter takes floats, got {dtype.name}; cast before, "
      f'or pass adapter=["cast", "dense"] with the type that is taken'
    )
  return feedforward.Dense(depth, dtype=dtype, name=name)
