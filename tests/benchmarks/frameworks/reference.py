"""The formulas of the layers in numpy, in float64: what losses must be."""

import numpy as np

from tangle.benchmarks.frameworks import networks


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def softmax(x):
  found = np.exp(x - x.max(-1, keepdims=True))
  return found / found.sum(-1, keepdims=True)


class Net:
  """The layers, forward only."""

  def __init__(self, weights):
    self.weights = {k: v.astype(np.float64) for k, v in weights.items()}

  def dense(self, name, x, units):
    return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

  def normalize(self, name, x):
    centered = x - x.mean(-1, keepdims=True)
    found = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5)
    return self.weights[f"{name}/gain"] * found + self.weights[f"{name}/offset"]

  def lstm(self, name, x, units, state=None):
    zeros = np.zeros([len(x), units])
    c, h = (zeros, zeros) if state is None else state
    outputs = []
    for t in range(x.shape[1]):
      both = np.concatenate([x[:, t], h], 1)
      i, g, f, o = np.split(self.dense(name, both, 4 * units), 4, 1)
      c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
      h = sigmoid(o) * np.tanh(c)
      outputs.append(h)
    return np.stack(outputs, 1), [c, h]

  def gru(self, name, x, units, state=None):
    h = np.zeros([len(x), units]) if state is None else state[0]
    outputs = []
    for t in range(x.shape[1]):
      r, z, n = np.split(self.dense(name, x[:, t], 3 * units), 3, 1)
      below = np.split(h @ self.weights[f"{name}_cell/kernel"], 3, 1)
      z = sigmoid(z + below[1])
      h = (1 - z) * np.tanh(n + sigmoid(r + below[0]) * below[2]) + z * h
      outputs.append(h)
    return np.stack(outputs, 1), [h]

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    found = []
    parts = [np.split(x, heads, -1) for x in (queries, keys, values)]
    for q, k, v in zip(*parts):
      scores = scale * q @ k.transpose(0, 2, 1)
      if causal:
        steps = np.arange(q.shape[1])
        scores = np.where(steps[:, None] >= steps, scores, -np.inf)
      found.append(softmax(scores) @ v)
    return np.concatenate(found, -1)

  def relu(self, x):
    return np.maximum(x, 0)

  def tanh(self, x):
    return np.tanh(x)

  def concat(self, x, y):
    return np.concatenate([x, y], -1)

  def cross_entropy(self, logits, targets):
    chosen = np.take_along_axis(softmax(logits), targets[..., None], -1)
    return -np.log(chosen).mean()


def loss(task, weights=None):
  """Returns the loss of a task's network, at its first weights or others."""
  net = Net(task.weights if weights is None else weights)
  return task.upper(net, task.lower(net, task.lower_feeds), task.upper_feeds)


def first_losses(task, optimizer, steps):
  """Trains by numeric gradients; returns the losses before each step."""
  weights = {k: v.astype(np.float64) for k, v in task.weights.items()}
  losses = []
  for _ in range(steps):
    losses.append(loss(task, weights))
    gradients = {k: np.zeros_like(v) for k, v in weights.items()}
    for name, array in weights.items():
      for index in np.ndindex(array.shape):
        value = array[index]
        both = []
        for sign in (1, -1):
          array[index] = value + sign * 1e-5
          both.append(loss(task, weights))
        array[index] = value
        gradients[name][index] = (both[0] - both[1]) / 2e-5
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    rate = optimizer.learning_rate * min(1, optimizer.clip_norm / norm)
    for name in weights:
      weights[name] -= rate * gradients[name]
  return losses


def tiny(name):
  """Returns a task of few weights, for numeric gradients."""
  return networks.make(name, networks.Sizes(2, 2, 3, 2, 3, 1, 2))
