"""Pipelines that grow along one axis while all else stays the same.

Everything else is small, so that a figure shows the effect of that axis alone.
The same pipeline trains split and joint.
"""

from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from tangle import errors
from tangle.benchmarks import names
from tangle.compat import tf1
from tangle.nets import cells, checks, feedforward, recurrent
from tangle.pipeline import pieces, pipeline


class FixedSizes(NamedTuple):
  """The sizes that do not grow.

  Attributes:
    units: width of layers and inputs.
    batch_size: examples per batch.
    bucket_steps: steps of the middle bucket; the others are shorter and longer.
  """

  units: int = 32
  batch_size: int = 16
  bucket_steps: int = 8


class Axis(NamedTuple):
  """One axis along which a pipeline grows.

  Attributes:
    make: a function of a size and `FixedSizes` that returns a `Pipeline`, not
      yet built, and a list of batches, one per choice of buckets.
    label: what the size counts.
    smallest: the smallest size.
    joint_largest: the largest size to measure joint training at, `None` for
      all.
  """

  make: Callable[..., Any]
  label: str
  smallest: int = 1
  joint_largest: Optional[int] = None


def make(axis, size, sizes):
  """Returns an unbuilt `Pipeline` of `size` along `axis`, and its batches."""
  check(axis, [size], sizes)
  return AXES[axis].make(size, sizes)


@errors.named("axes")
def check(axis, points, sizes):
  """Raises unless pipelines of these sizes can be made.

  Args:
    axis: one of `NAMES`.
    points: the sizes along the axis, rising, at least one.
    sizes: a `FixedSizes`.

  Raises:
    ArgumentError: if the axis is unknown, `points` are none or do not rise or
      begin below the axis's `smallest`, one of them or a field of `sizes` is
      not a positive integer, or there are `2 * bucket_steps` buckets or more.
  """
  names.check("the axis", axis, NAMES)
  for field, value in sizes._asdict().items():
    checks.check_positive(f"FixedSizes.{field}", value)
  smallest = AXES[axis].smallest
  points = [checks.check_positive("a size", point) for point in points]
  if points != sorted(set(points)) or not points or points[0] < smallest:
    raise errors.ArgumentError(
      f"{axis} must be different sizes from small to large, none below "
      f"{smallest}, got {points}."
    )
  if axis == BUCKETS and points[-1] >= 2 * sizes.bucket_steps:
    raise errors.ArgumentError(
      f"{points[-1]} buckets around one of {sizes.bucket_steps} steps "
      f"would have to be shorter than one step. Give fewer than "
      f"{2 * sizes.bucket_steps}, or more bucket_steps."
    )


def _input(sizes, *steps):
  shape = [sizes.batch_size, *steps, sizes.units]
  return tf1.placeholder(tf1.float32, shape, "x_ph")


def _batch(sizes, *steps):
  shape = [sizes.batch_size, *steps, sizes.units]
  return {"x": np.random.RandomState(0).standard_normal(shape)}


def _score(head, x):
  """Returns a loss of `[B, D]`."""
  return tf1.reduce_mean(tf1.square(head(x)))


def _add_head(found, source):
  """Adds a sub-model that has the loss of an output `[B, D]`."""
  head = feedforward.Dense(1, name="head")

  def build(bucket, reads):
    del bucket
    return pieces.Piece(feeds={}, loss=_score(head, reads["x"]))

  found.add("head", build, reads={"x": source})


def _make_chain(sizes, compute, *steps):
  """Returns a sub-model of a function of its input, below a head; a batch."""

  def build(bucket, reads):
    del bucket, reads
    x = _input(sizes, *steps)
    return pieces.Piece(feeds={"x": x}, outputs={"x": compute(x)})

  found = pipeline.Pipeline()
  found.add("chain", build)
  _add_head(found, "chain.x")
  return found, [{"chain": _batch(sizes, *steps), "head": {}}]


def _make_length(size, sizes):
  """An LSTM of `size` steps, with a copy of its cell for each."""
  layer = recurrent.RecurrentLayer(cells.LSTMCell(sizes.units))
  return _make_chain(sizes, lambda x: layer(x).state.h, size)


def _make_buckets(size, sizes):
  """An LSTM that starts from another's final state, each in `size` buckets.

  The mean length of the buckets is `bucket_steps` for any `size`, to within
  half a step. The first batch is that of the middle pair.
  """
  lower = recurrent.LSTM(sizes.units, name="lower")
  upper = recurrent.LSTM(sizes.units, name="upper")
  head = feedforward.Dense(1, name="head")

  def build_lower(bucket, reads):
    del reads
    x = _input(sizes, bucket)
    outputs = dict(lower(x).state._asdict())
    return pieces.Piece(feeds={"x": x}, outputs=outputs)

  def build_upper(bucket, reads):
    x = _input(sizes, bucket)
    state = upper(x, initial_state=cells.LSTMState(**reads)).state
    return pieces.Piece(feeds={"x": x}, loss=_score(head, state.h))

  first = sizes.bucket_steps - size // 2
  buckets = list(range(first, first + size))
  found = pipeline.Pipeline()
  found.add("lower", build_lower, buckets)
  reads = {name: f"lower.{name}" for name in cells.LSTMState._fields}
  found.add("upper", build_upper, buckets, reads)
  pairs = [(low, up) for low in buckets for up in buckets]
  pairs.sort(key=lambda pair: pair != (sizes.bucket_steps,) * 2)
  return found, [
    {"lower": _batch(sizes, low), "upper": _batch(sizes, up)}
    for low, up in pairs
  ]


def _make_sub_models(size, sizes):
  """A chain of `size` sub-models: layers of a network, then its loss."""
  found = pipeline.Pipeline()

  def add_layer(k):
    layer = feedforward.Dense(sizes.units, tf1.tanh, name=f"layer_{k}")

    def build(bucket, reads):
      del bucket
      x = reads["x"] if k else _input(sizes)
      feeds = {} if k else {"x": x}
      return pieces.Piece(feeds=feeds, outputs={"x": layer(x)})

    found.add(f"layer_{k}", build, reads={"x": f"layer_{k - 1}.x"} if k else {})

  for k in range(size - 1):
    add_layer(k)
  _add_head(found, f"layer_{size - 2}.x")
  batch = {name: {} for name in found.nodes}
  batch["layer_0"] = _batch(sizes)
  return found, [batch]


def _make_residuals(size, sizes):
  """A layer and a chain of hyperbolic tangents that keep `size` tensors.

  One of them is the input, which the gradient of the kernel reads; the gradient
  of each tangent reads its output.
  """
  layer = feedforward.Dense(sizes.units, name="layer")

  def compute(x):
    x = layer(x)
    for _ in range(size - 1):
      x = tf1.tanh(x)
    return x

  return _make_chain(sizes, compute)


def _make_layers(size, sizes):
  """A network of `size` layers, each with its own weights, then a loss."""

  def compute(x):
    for k in range(size):
      x = feedforward.Dense(sizes.units, tf1.tanh, name=f"layer_{k}")(x)
    return x

  return _make_chain(sizes, compute)


def _make_outputs(size, sizes):
  """A layer and `size` functions of it, all of which the loss reads."""
  layer = feedforward.Dense(sizes.units, name="layer")
  head = feedforward.Dense(1, name="head")

  def build(bucket, reads):
    del bucket, reads
    x = _input(sizes)
    y = layer(x)
    outputs = {f"y_{k}": tf1.sin(y + k) for k in range(size)}
    return pieces.Piece(feeds={"x": x}, outputs=outputs)

  def build_head(bucket, reads):
    del bucket
    mean = tf1.add_n(list(reads.values())) / size
    return pieces.Piece(feeds={}, loss=_score(head, mean))

  found = pipeline.Pipeline()
  found.add("layer", build)
  reads = {f"y_{k}": f"layer.y_{k}" for k in range(size)}
  found.add("head", build_head, reads=reads)
  return found, [{"layer": _batch(sizes), "head": {}}]


LENGTH = "length"
BUCKETS = "buckets"
SUB_MODELS = "sub_models"
RESIDUALS = "residuals"
LAYERS = "layers"
OUTPUTS = "outputs"

AXES = {
  LENGTH: Axis(_make_length, "steps of a sequence"),
  BUCKETS: Axis(_make_buckets, "buckets each side", joint_largest=6),
  SUB_MODELS: Axis(_make_sub_models, "sub-models", smallest=2),
  RESIDUALS: Axis(_make_residuals, "residuals"),
  LAYERS: Axis(_make_layers, "layers"),
  OUTPUTS: Axis(_make_outputs, "outputs of a sub-model"),
}
"""Name → `Axis`."""

NAMES = tuple(AXES)
"""Names of the axes."""
