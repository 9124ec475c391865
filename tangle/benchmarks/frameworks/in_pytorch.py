"""PyTorch: two modules with a cut between them, or as one.

Split is done as users do it: the boundary is detached, the loss is
differentiated down to it, and then the boundary's `backward` is called with
this gradient. Layers are PyTorch's own over whole sequences, run eagerly,
without `torch.compile`.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tangle.benchmarks.frameworks import layers


class _Net(layers.Layers, nn.Module):
  """The layers of one part of a network, made when they are first called."""

  relu = staticmethod(torch.relu)
  tanh = staticmethod(torch.tanh)

  def __init__(self, weights):
    """Keeps `weights`, name → array, for the layers."""
    super().__init__()
    self._weights = weights
    self._layers = nn.ModuleDict()

  def _get(self, name, make, *weights):
    """Returns a layer, which `make` makes of the weights of these names."""
    if name not in self._layers:
      self._layers[name] = make(*(self._weights[key] for key in weights))
    return self._layers[name]

  def concat(self, x, y):
    """Returns `x` and `y` side by side."""
    return torch.cat([x, y], -1)

  def dense(self, name, x, units):
    def make(kernel, bias):
      return fill(nn.Linear(*kernel.shape), weight=kernel.T, bias=bias)

    return self._get(name, make, f"{name}/kernel", f"{name}/bias")(x)

  def normalize(self, name, x):
    def make(gain, offset):
      layer = nn.LayerNorm(len(gain), eps=1e-5)
      return fill(layer, weight=gain, bias=offset)

    return self._get(name, make, f"{name}/gain", f"{name}/offset")(x)

  def lstm(self, name, x, units, state=None):
    def make(kernel, bias):
      return fill(
        nn.LSTM(len(kernel) - units, units, batch_first=True),
        weight_ih_l0=swap(kernel[:-units]).T,
        weight_hh_l0=swap(kernel[-units:]).T,
        bias_ih_l0=swap(bias),
      )

    if state is not None:
      c, h = state
      state = (h[None], c[None])
    layer = self._get(name, make, f"{name}/kernel", f"{name}/bias")
    outputs, (h, c) = layer(x, state)
    return outputs, [c[0], h[0]]

  def gru(self, name, x, units, state=None):
    def make(below, across, bias):
      return fill(
        nn.GRU(len(below), units, batch_first=True),
        weight_ih_l0=below.T,
        weight_hh_l0=across.T,
        bias_ih_l0=bias,
      )

    names = f"{name}/kernel", f"{name}_cell/kernel", f"{name}/bias"
    state = None if state is None else state[0][None]
    outputs, h = self._get(name, make, *names)(x, state)
    return outputs, [h[0]]

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    parts = [
      x.unflatten(-1, (heads, -1)).transpose(1, 2)
      for x in (queries, keys, values)
    ]
    found = functional.scaled_dot_product_attention(
      *parts, is_causal=causal, scale=scale
    )
    return found.transpose(1, 2).flatten(2)

  def cross_entropy(self, logits, targets):
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def fill(layer, **arrays):
  """Returns `layer` with one of its two biases, and parameters of `arrays`."""
  for name, bias in layer.named_parameters():
    if "bias_hh" in name:  # one bias, as the other frameworks have
      nn.init.zeros_(bias)
      bias.requires_grad_(False)
  for name, array in arrays.items():
    assign(getattr(layer, name), array)
  return layer


def assign(parameter, array):
  """Sets `parameter` to `array`."""
  with torch.no_grad():
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def swap(array):
  """Returns `array` with gates i, g, f, o in PyTorch's order i, f, g, o."""
  i, one, other, o = np.split(array, 4, axis=-1)
  return np.concatenate([i, other, one, o], axis=-1)


def build(task, optimizer, threads, mode):
  """Builds a `networks.Task`; see `candidates`."""
  torch.set_num_threads(threads)
  lower, upper = _Net(task.weights), _Net(task.weights)
  lower_feeds, upper_feeds = (
    {name: _tensor(array) for name, array in feeds.items()}
    for feeds in (task.lower_feeds, task.upper_feeds)
  )
  with torch.no_grad():  # makes the layers
    task.upper(upper, task.lower(lower, lower_feeds), upper_feeds)
  parameters = [
    p for net in (lower, upper) for p in net.parameters() if p.requires_grad
  ]
  kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer.name]
  update = kind(parameters, lr=optimizer.learning_rate)

  def step():
    update.zero_grad(set_to_none=True)
    boundary = task.lower(lower, lower_feeds)
    if mode == "split":
      read = [tensor.detach().requires_grad_() for tensor in boundary]
      loss = task.upper(upper, read, upper_feeds)
      loss.backward()
      # A tensor that the upper part does not use has no gradient.
      used = [(b, r.grad) for b, r in zip(boundary, read) if r.grad is not None]
      torch.autograd.backward(*map(list, zip(*used)))
    else:
      loss = task.upper(upper, boundary, upper_feeds)
      loss.backward()
    nn.utils.clip_grad_norm_(parameters, optimizer.clip_norm)
    update.step()
    return loss.item()

  return step, {"torch": torch.__version__}


def _tensor(array):
  found = torch.from_numpy(array)
  return found.long() if array.dtype == np.int32 else found
