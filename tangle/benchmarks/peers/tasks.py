"""The tasks: networks with sizes, initial weights and a batch, from numpy.

Every contender trains the same network from the same weights on the same batch,
so that losses can be compared.
"""

import collections
from typing import Any, Callable, Dict, NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import networks, outline

NAMES = tuple(networks.NETWORKS)
"""Names of the tasks."""


class Sizes(NamedTuple):
  """Sizes of a task.

  Attributes:
    batch: B, examples per step.
    units: U, depth of layers and of features.
    steps: T, of the source.
    target_steps: S, of the target.
    symbols: number of target classes.
    layers: layers of a Transformer's encoder, and of its decoder.
    heads: heads of its attention.
  """

  batch: int = 64
  units: int = 256
  steps: int = 40
  target_steps: int = 20
  symbols: int = 1000
  layers: int = 3
  heads: int = 4


SIZES = {
  "tiny": Sizes(2, 4, 3, 2, 5, 1, 2),
  "small": Sizes(16, 32, 40, 20, 100, 2, 4),
  "design": Sizes(),
}
"""Name → `Sizes`."""


class Task(NamedTuple):
  """A network in two parts, and all else that training needs.

  Attributes:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    lower_feeds: name → array, for the lower part.
    upper_feeds: name → array, for the upper part.
    lower_layers: name → `outline.Layer` of the lower part, in order.
    upper_layers: name → `outline.Layer` of the upper part, in order.
    weights: name → initial array.
    boundary: shapes of the tensors between the parts.
    flops: operations of the matrix products of a step, forward and backward.
    lower: a function from a framework's layers and feeds to the boundary, a
      list.
    upper: a function from layers, boundary and feeds to the loss.
    words: words that a step trains on: 0.
  """

  name: str
  sizes: Sizes
  lower_feeds: Dict[str, Any]
  upper_feeds: Dict[str, Any]
  lower_layers: Dict[str, outline.Layer]
  upper_layers: Dict[str, outline.Layer]
  weights: Dict[str, Any]
  boundary: Any
  flops: int
  lower: Callable[..., Any]
  upper: Callable[..., Any]
  words: int = 0


class Optimizer(NamedTuple):
  """The optimizer of all contenders.

  Attributes:
    name: sgd or adam (Kingma & Ba 2015, with its default settings).
    learning_rate: the factor of the gradients.
    clip_norm: global norm that gradients are scaled down to.
  """

  name: str = "sgd"
  learning_rate: float = 0.1
  clip_norm: float = 1.0


def make(name, sizes, seed=0):
  """Makes a task.

  Args:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    seed: of weights and batch.

  Returns:
    A `Task`.

  Raises:
    ArgumentError: if the name is unknown.
  """
  if name not in NAMES:
    raise errors.ArgumentError(
      f"peers.tasks.make: the task must be one of {NAMES}, got {name!r}."
    )
  lower, upper = networks.NETWORKS[name]
  rng = np.random.RandomState(seed)
  lower_feeds, upper_feeds = _draw_batch(name, sizes, rng)
  found = outline.Outline()
  boundary = lower(found, sizes, _shapes(lower_feeds))
  count = len(found.layers)
  upper(found, sizes, boundary, _shapes(upper_feeds))
  layers = list(found.layers.items())
  return Task(
    name=name,
    sizes=sizes,
    lower_feeds=lower_feeds,
    upper_feeds=upper_feeds,
    lower_layers=collections.OrderedDict(layers[:count]),
    upper_layers=collections.OrderedDict(layers[count:]),
    weights={k: _draw(k, shape, rng) for k, shape in found.weights.items()},
    boundary=[shape.shape for shape in boundary],
    flops=found.flops,
    lower=lambda net, feeds: lower(net, sizes, feeds),
    upper=lambda net, boundary, feeds: upper(net, sizes, boundary, feeds),
  )


def _draw_batch(name, sizes, rng):
  """Returns the feeds of both parts."""
  if name == "mlp":
    source = _normal(rng, sizes.batch, sizes.units)
    targets = _ids(rng, networks.CLASSES, sizes.batch)
    return {"source": source}, {"targets": targets}
  source = _normal(rng, sizes.batch, sizes.steps, sizes.units)
  shape = sizes.batch, sizes.target_steps
  upper = {
    "inputs": _normal(rng, *(shape + (sizes.units,))),
    "targets": _ids(rng, sizes.symbols, *shape),
  }
  return {"source": source}, upper


def _normal(rng, *shape):
  return rng.standard_normal(shape).astype(np.float32)


def _ids(rng, count, *shape):
  return rng.randint(0, count, shape).astype(np.int32)


def _shapes(feeds):
  return {k: outline.Shape(v.shape, False) for k, v in feeds.items()}


def _draw(name, shape, rng):
  """Draws a weight; no entry is zero, so that all affect the loss."""
  values = rng.standard_normal(shape)
  if len(shape) == 2:
    values = values / np.sqrt(shape[0])
  else:
    values = 0.1 * values + name.endswith("/gain")
  return values.astype(np.float32)
