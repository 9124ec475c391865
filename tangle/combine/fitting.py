"""Checks whether the output of one network fits the next, and adapters.

The input shape of a network is known if it declares one: those of `tangle.nets`
know their input depth after the first call, a Keras layer once it is built, and
`combine.Part(network, input_shape=, input_dtype=)` declares it for any other.
Otherwise a misfit shows at the call.
"""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, feedforward

ADAPTERS = ("dense", "reshape", "cast")
"""The adapters that can be put between two networks that do not fit."""


def check_adapters(adapter):
  """Returns the kinds of adapters that may be used.

  Args:
    adapter: None, one of `ADAPTERS`, or a list of them.

  Returns:
    A tuple of strings, in the order given; empty for None.

  Raises:
    ArgumentError: if one is unknown.
  """
  kinds = (adapter,) if isinstance(adapter, str) else tuple(adapter or ())
  for kind in kinds:
    if kind not in ADAPTERS:
      raise errors.ArgumentError(
        f"adapter must be None or some of {ADAPTERS}, got {kind!r}. "
        f"To adapt in another way, put a network of your own between."
      )
  return kinds


def check_declared(first, second, adapters=()):
  """Raises if the declared shapes of two networks do not fit.

  Args:
    first: the `Part` whose output is passed on.
    second: the `Part` that takes it.
    adapters: the kinds of adapters that may be put between them.

  Raises:
    ShapeError: if both declare their depths, these differ, and neither
      `"dense"` nor `"reshape"` is in `adapters`.
  """
  gives, takes = first.output_depth, second.input_depth
  if None in (gives, takes) or gives == takes:
    return
  if "dense" not in adapters and "reshape" not in adapters:
    raise errors.ShapeError(
      f"{second.name!r} takes [..., {takes}], but {first.name!r} "
      f'gives [..., {gives}]. Pass adapter="dense" to put a dense layer '
      f"between, or make one of them for the other's depth."
    )


def fit(first, second, value, adapters, make_dense):
  """Makes a value fit the network that takes it.

  Args:
    first: the name in messages of the network that computed the value.
    second: the `Part` that takes it.
    value: a tensor; anything else, such as a nest, is returned unchanged.
    adapters: the kinds of adapters that may be used.
    make_dense: a function of the required depth and of the value, which returns
      the output of a dense layer; `None` if `adapters` has no `"dense"`.

  Returns:
    A tensor of the declared shape and type of `second`; `value` itself if it
    fits already, or if `second` declares nothing.

  Raises:
    DtypeError: if the type differs, and no cast is allowed.
    ShapeError: if the shape differs, and no suitable adapter is allowed.
  """
  if not isinstance(value, tf1.Tensor):
    return value
  both = f"{second.name!r} takes"
  got = f"but {first} gives {checks.describe(value)}"
  dtype = second.input_dtype
  if dtype is not None and value.dtype.base_dtype != dtype:
    if "cast" not in adapters:
      raise errors.DtypeError(
        f'{both} {dtype.name}, {got}. Pass adapter="cast" to cast it.'
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
  """Returns the shape, like that of `value`, that a part takes."""
  if part.input_shape is not None:
    return part.input_shape if part.input_shape.ndims else None
  if part.input_depth is None or not value.shape.ndims:
    return None
  return tf1.TensorShape([None] * (value.shape.ndims - 1) + [part.input_depth])


def _able(shape, wanted):
  """Lists the kinds of adapters that turn one shape into another."""
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


def call(first, second, value):
  """Calls a network on a value; an error names the networks that do not fit.

  Args:
    first: the name in messages of the network that computed the value.
    second: the `Part` that takes it.
    value: a tensor or a nest.

  Returns:
    The output of `second`, which may be a nest.

  Raises:
    DtypeError: if `second` raises `TypeError`.
    ShapeError: if `second` raises `ValueError`, except for tangle's own errors
      that are not about shapes.
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
      f"{second.name!r} cannot take what {first} gives, "
      f"{describe(value)}; make one fit the other, or put an adapter between, "
      f"such as nets.Dense. It says: {errors.join_lines(error)}"
    ) from error


def describe(value):
  """Returns name, type and static shape of a tensor or a nest, as text.

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


@errors.named("{name}")
def make_dense(depth, dtype, name):
  """Returns a dense layer to put between two networks; it adds no ops yet.

  Args:
    depth: the output depth.
    dtype: a `tf.DType`.
    name: the name of the layer.

  Returns:
    A `nets.Dense`.

  Raises:
    DtypeError: if the type is not a float type.
  """
  if not dtype.is_floating:
    raise errors.DtypeError(
      f"a dense adapter takes floats, got {dtype.name}. Cast before, "
      f'or pass adapter=["cast", "dense"] with the type that is taken.'
    )
  return feedforward.Dense(depth, dtype=dtype, name=name)
