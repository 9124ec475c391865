"""Networks in two parts, for any framework, with weights, a batch and counts.

A network is two functions of a framework's layers: `lower(net, sizes, feeds)`
returns a list of tensors, the boundary, and `upper(net, sizes, boundary,
feeds)` returns the loss. Every candidate trains it from the same weights on the
same batch, so that losses can be compared.

The recurrent networks are an encoder over T steps, whose last state is the
first state of a decoder over S steps; each output h of the decoder attends to
all outputs of the encoder by dot products, and softmax(V tanh(W [h, context] +
b) + d) is the distribution of the target. The context is not fed to the next
step, so that a framework may use its fastest layer over whole sequences.

Sources: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
Neural Machine Translation", eq. 5 and 7 ("dot"); Vaswani et al. 2017,
"Attention Is All You Need", section 3. Departures: no embeddings, as the inputs
are features; the Transformer is normalized before each part, and has no
dropout. The GRU multiplies by the reset gate after the product, as cuDNN's; it
has one bias.
"""

from typing import Any, Callable, Dict, NamedTuple, Tuple

import numpy as np

from tangle.benchmarks.frameworks import layers

CLASSES = 10


class Optimizer(NamedTuple):
  """The optimizer of all candidates.

  Attributes:
    name: sgd or adam (Kingma & Ba 2015, with its default settings).
    learning_rate: the factor of the gradients.
    clip_norm: global norm that gradients are scaled down to.
  """

  name: str = "sgd"
  learning_rate: float = 0.1
  clip_norm: float = 1.0


class Sizes(NamedTuple):
  """Sizes of a network.

  Attributes:
    batch: B, examples per step.
    units: U, width of layers and of features.
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


def _mlp():
  def lower(net, sizes, feeds):
    x = feeds["source"]
    for k in range(4):
      x = net.relu(net.dense(f"lower_{k}", x, sizes.units))
    return [x]

  def upper(net, sizes, boundary, feeds):
    x = boundary[0]
    for k in range(2):
      x = net.relu(net.dense(f"upper_{k}", x, sizes.units))
    return net.cross_entropy(net.dense("logits", x, CLASSES), feeds["targets"])

  return lower, upper


def _recurrent(kind):
  """An encoder and a decoder with attention; `kind` is lstm or gru."""

  def lower(net, sizes, feeds):
    layer = getattr(net, kind)
    outputs, state = layer("encoder", feeds["source"], sizes.units)
    return [outputs] + list(state)

  def upper(net, sizes, boundary, feeds):
    memory, state = boundary[0], boundary[1:]
    layer = getattr(net, kind)
    outputs, _ = layer("decoder", feeds["inputs"], sizes.units, state)
    both = net.concat(outputs, net.attend(outputs, memory, memory))
    joined = net.tanh(net.dense("joined", both, sizes.units))
    logits = net.dense("logits", joined, sizes.symbols)
    return net.cross_entropy(logits, feeds["targets"])

  return lower, upper


def _transformer():
  def attention(net, sizes, name, x, memory=None, causal=False):
    """Returns `x` plus attention to `memory`; to `x` itself without it."""
    found = net.normalize(f"{name}_norm", x)
    memory = found if memory is None else memory
    queries = net.dense(f"{name}_queries", found, sizes.units)
    keys = net.dense(f"{name}_keys", memory, sizes.units)
    values = net.dense(f"{name}_values", memory, sizes.units)
    scale = (sizes.units // sizes.heads) ** -0.5
    found = net.attend(queries, keys, values, sizes.heads, scale, causal)
    return x + net.dense(f"{name}_out", found, sizes.units)

  def hidden(net, sizes, name, x):
    found = net.normalize(f"{name}_norm", x)
    found = net.relu(net.dense(f"{name}_wide", found, 4 * sizes.units))
    return x + net.dense(f"{name}_narrow", found, sizes.units)

  def lower(net, sizes, feeds):
    x = feeds["source"]
    for k in range(sizes.layers):
      x = attention(net, sizes, f"encoder_{k}_self", x)
      x = hidden(net, sizes, f"encoder_{k}_hidden", x)
    return [net.normalize("encoder_norm", x)]

  def upper(net, sizes, boundary, feeds):
    x = feeds["inputs"]
    for k in range(sizes.layers):
      x = attention(net, sizes, f"decoder_{k}_self", x, causal=True)
      x = attention(net, sizes, f"decoder_{k}_cross", x, boundary[0])
      x = hidden(net, sizes, f"decoder_{k}_hidden", x)
    x = net.normalize("decoder_norm", x)
    logits = net.dense("logits", x, sizes.symbols)
    return net.cross_entropy(logits, feeds["targets"])

  return lower, upper


NETWORKS = {
  "lstm": _recurrent("lstm"),
  "gru": _recurrent("gru"),
  "mlp": _mlp(),
  "transformer": _transformer(),
}
"""Name → lower and upper function."""

NAMES = tuple(NETWORKS)
"""Names of the tasks of this kind."""

_SIZES = {
  "tiny": Sizes(2, 4, 3, 2, 5, 1, 2),
  "small": Sizes(16, 32, 40, 20, 100, 2, 4),
  "design": Sizes(),
}

SIZES = dict.fromkeys(NAMES, _SIZES)
"""Task → name → `Sizes`."""

SIZE_NAMES = tuple(_SIZES)
"""Names of sizes, those of tasks of other kinds, too."""


class Task(NamedTuple):
  """A network in two parts, and all else that training needs.

  Attributes:
    name: one of `NAMES`.
    sizes: a `Sizes`.
    lower_feeds: name → array, for the lower part.
    upper_feeds: name → array, for the upper part.
    weights: name → initial array.
    lower_names: names of the weights of the lower part.
    boundary: number of tensors between the parts.
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
  weights: Dict[str, Any]
  lower_names: Tuple[str, ...]
  boundary: int
  flops: int
  lower: Callable[..., Any]
  upper: Callable[..., Any]
  words: int = 0


def make(name, sizes, seed=0, data=""):
  """Makes a `Task` as `kinds` has it, of a drawn batch and unused `data`."""
  del data
  lower, upper = NETWORKS[name]
  rng = np.random.RandomState(seed)
  lower_feeds, upper_feeds = _draw_batch(name, sizes, rng)
  lower_shapes, upper_shapes = (
    {k: layers.Shape(array.shape, False) for k, array in feeds.items()}
    for feeds in (lower_feeds, upper_feeds)
  )
  found = layers.Outline()
  boundary = lower(found, sizes, lower_shapes)
  lower_names = tuple(found.weights)
  upper(found, sizes, boundary, upper_shapes)
  return Task(
    name=name,
    sizes=sizes,
    lower_feeds=lower_feeds,
    upper_feeds=upper_feeds,
    weights={k: _draw(k, shape, rng) for k, shape in found.weights.items()},
    lower_names=lower_names,
    boundary=len(boundary),
    flops=found.flops,
    lower=lambda net, feeds: lower(net, sizes, feeds),
    upper=lambda net, boundary, feeds: upper(net, sizes, boundary, feeds),
  )


def _draw_batch(name, sizes, rng):
  """Returns the feeds of both parts."""

  def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)

  def ids(count, *shape):
    return rng.randint(0, count, shape).astype(np.int32)

  if name == "mlp":
    source = normal(sizes.batch, sizes.units)
    return {"source": source}, {"targets": ids(CLASSES, sizes.batch)}
  source = normal(sizes.batch, sizes.steps, sizes.units)
  shape = sizes.batch, sizes.target_steps
  inputs = normal(*shape, sizes.units)
  targets = ids(sizes.symbols, *shape)
  return {"source": source}, {"inputs": inputs, "targets": targets}


def _draw(name, shape, rng):
  """Draws a weight; no entry is zero, so that all affect the loss."""
  values = rng.standard_normal(shape)
  if len(shape) == 2:
    values = values / np.sqrt(shape[0])
  else:
    values = 0.1 * values + name.endswith("/gain")
  return values.astype(np.float32)
