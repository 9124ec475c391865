"""PyTorch on the tasks: as two modules with a cut between them, or as one.

Split is done as users do it: the boundary is detached, the loss is
differentiated down to it, and then the boundary's `backward` is called with
this gradient. Layers are PyTorch's own over whole sequences, run eagerly,
without `torch.compile`.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
  """The layers of `networks`, of one part of a task."""

  def __init__(self, layers, weights):
    """Makes the modules.

    Args:
      layers: name → `outline.Layer`.
      weights: name → array, as in `tasks`.
    """
    super().__init__()
    self._layers = nn.ModuleDict()
    for name, layer in layers.items():
      self._layers[name] = _MAKERS[layer.kind](name, layer, weights)

  def dense(self, name, x, units):
    """Applies the dense layer `name` of `units` to `x`."""
    return self._layers[name](x)

  def normalize(self, name, x):
    """Normalizes `x` over its last axis, with the weights of `name`."""
    return self._layers[name](x)

  def lstm(self, name, x, units, state=None):
    """Runs the LSTM `name` of `units` over `x` from `state`."""
    if state is not None:
      c, h = state
      state = (h[None], c[None])
    outputs, (h, c) = self._layers[name](x, state)
    return outputs, [c[0], h[0]]

  def gru(self, name, x, units, state=None):
    """Runs the GRU `name` of `units` over `x` from `state`."""
    state = None if state is None else state[0][None]
    outputs, h = self._layers[name](x, state)
    return outputs, [h[0]]

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    """Attends to `values`.

    Args:
      queries: `[B, S, D]`.
      keys: `[B, T, D]`.
      values: `[B, T, D]`.
      heads: number of heads.
      scale: factor of the scores.
      causal: whether a query sees no later key.

    Returns:
      `[B, S, D]`.
    """
    parts = [
      x.unflatten(-1, (heads, -1)).transpose(1, 2)
      for x in (queries, keys, values)
    ]
    found = functional.scaled_dot_product_attention(
      *parts, is_causal=causal, scale=scale
    )
    return found.transpose(1, 2).flatten(2)

  def relu(self, x):
    """Returns the positive part of `x`."""
    return torch.relu(x)

  def tanh(self, x):
    """Returns the hyperbolic tangent of `x`."""
    return torch.tanh(x)

  def add(self, x, y):
    """Returns the sum of `x` and `y`."""
    return x + y

  def concat(self, x, y):
    """Returns the concatenation of `x` and `y`."""
    return torch.cat([x, y], -1)

  def cross_entropy(self, logits, targets):
    """Returns the mean cross entropy of `logits` on `targets`."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def _set(parameter, array):
  parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _make_dense(name, layer, weights):
  found = nn.Linear(layer.depth, layer.units)
  _set(found.weight, weights[f"{name}/kernel"].T)
  _set(found.bias, weights[f"{name}/bias"])
  return found


def _make_normalize(name, layer, weights):
  found = nn.LayerNorm(layer.depth, eps=1e-5)
  _set(found.weight, weights[f"{name}/gain"])
  _set(found.bias, weights[f"{name}/offset"])
  return found


def _make_lstm(name, layer, weights):
  """Reorders the gates to PyTorch's order i, f, g, o."""

  def turn(array):
    i, g, f, o = np.split(array, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1).T

  found = nn.LSTM(layer.depth, layer.units, batch_first=True)
  kernel = weights[f"{name}/kernel"]
  _set(found.weight_ih_l0, turn(kernel[: layer.depth]))
  _set(found.weight_hh_l0, turn(kernel[layer.depth :]))
  _set(found.bias_ih_l0, turn(weights[f"{name}/bias"]))
  _freeze_second_bias(found)
  return found


def _make_gru(name, layer, weights):
  found = nn.GRU(layer.depth, layer.units, batch_first=True)
  _set(found.weight_ih_l0, weights[f"{name}/kernel"].T)
  _set(found.weight_hh_l0, weights[f"{name}_cell/kernel"].T)
  _set(found.bias_ih_l0, weights[f"{name}/bias"])
  _freeze_second_bias(found)
  return found


def _freeze_second_bias(layer):
  """Keeps one of the two biases, as the other frameworks have one."""
  nn.init.zeros_(layer.bias_hh_l0)
  layer.bias_hh_l0.requires_grad_(False)


_MAKERS = {
  "dense": _make_dense,
  "normalize": _make_normalize,
  "lstm": _make_lstm,
  "gru": _make_gru,
}


def build(task, optimizer, threads, mode):
  """Builds a contender.

  Args:
    task: a `tasks.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op.
    mode: split or joint.

  Returns:
    A function without arguments that trains for a step and returns the loss,
    and a dict of versions.
  """
  torch.set_num_threads(threads)
  lower = Net(task.lower_layers, task.weights)
  upper = Net(task.upper_layers, task.weights)
  parameters = [
    p for net in (lower, upper) for p in net.parameters() if p.requires_grad
  ]
  kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer.name]
  update = kind(parameters, lr=optimizer.learning_rate)
  lower_feeds, upper_feeds = (
    {name: _tensor(array) for name, array in feeds.items()}
    for feeds in (task.lower_feeds, task.upper_feeds)
  )

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
