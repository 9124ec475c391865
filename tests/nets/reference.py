"""The formulas of the papers in numpy, one example and one step at a time."""

import numpy as np


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def lstm_step(x, c, h, kernel, bias, forget_bias=1.0):
  """x [D], c and h [U] -> c and h [U]; gates in the order i, g, f, o."""
  units = len(c)
  z = np.concatenate([x, h]) @ kernel + bias
  i, g, f, o = (z[k * units : (k + 1) * units] for k in range(4))
  c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(g)
  return c, sigmoid(o) * np.tanh(c)


def gru_step(x, h, gates_kernel, gates_bias, candidate_kernel, candidate_bias):
  """x [D], h [U] -> h [U]; gates in the order r, z."""
  units = len(h)
  gates = sigmoid(np.concatenate([x, h]) @ gates_kernel + gates_bias)
  r, z = gates[:units], gates[units:]
  reset = np.concatenate([x, r * h])
  g = np.tanh(reset @ candidate_kernel + candidate_bias)
  return z * h + (1 - z) * g


def bind(step, weights):
  """Returns `step` with its weights, giving a tuple of state parts."""

  def bound(x, *state):
    result = step(x, *state, *weights)
    return result if isinstance(result, tuple) else (result,)

  return bound


def run(step, inputs, lengths, initial, reverse=False):
  """Runs a step function over each example on its own, without padding.

  Args:
    step: function (x, *state) -> tuple of state parts; the last is the output.
    inputs: [B, T, D].
    lengths: [B] ints.
    initial: state parts, each [B, U].
    reverse: whether to go from the last real step to the first.

  Returns:
    Outputs [B, T, U], zero beyond the lengths; final state parts [B, U].
  """
  outputs = np.zeros(inputs.shape[:2] + initial[-1].shape[1:], inputs.dtype)
  final = [part.copy() for part in initial]
  for b, length in enumerate(lengths):
    state = tuple(part[b] for part in initial)
    order = range(length)
    for t in reversed(order) if reverse else order:
      state = step(inputs[b, t], *state)
      outputs[b, t] = state[-1]
    for part, value in zip(final, state):
      part[b] = value
  return outputs, final


def attend(score, query, memory, lengths):
  """Attention of each query on its own.

  Args:
    score: function of s [Q] and h [D] -> number.
    query: [B, S, Q].
    memory: [B, T, D].
    lengths: [B] ints.

  Returns:
    Context [B, S, D] and weights [B, S, T].
  """
  examples, queries = query.shape[:2]
  weights = np.zeros((examples, queries, memory.shape[1]))
  context = np.zeros((examples, queries, memory.shape[2]))
  for b, length in enumerate(lengths):
    for s in range(queries if length else 0):
      e = np.array([score(query[b, s], memory[b, j]) for j in range(length)])
      a = np.exp(e - e.max())
      weights[b, s, :length] = a / a.sum()
      context[b, s] = weights[b, s, :length] @ memory[b, :length]
  return context, weights


def cross_entropy(logits, targets, weights):
  """Sum over steps of weight * -log softmax(logits)[target]: [B]."""
  losses = np.zeros(len(logits))
  for b, t in np.ndindex(*targets.shape):
    if weights[b, t]:
      p = np.exp(logits[b, t]) / np.exp(logits[b, t]).sum()
      losses[b] -= weights[b, t] * np.log(p[targets[b, t]])
  return losses
