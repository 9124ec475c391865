"""The legacy models' formulas in numpy, over arrays found by variable name.

Everything is batch-major within a step and time-major across steps. Nothing
here knows TensorFlow.
"""

import numpy as np


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def softmax(x):
  exps = np.exp(x - np.max(x, axis=1, keepdims=True))
  return exps / np.sum(exps, axis=1, keepdims=True)


def linear(weights, scope, *parts):
  """Returns the parts, side by side, times `kernel`, plus `bias`."""
  joined = np.concatenate(parts, axis=1)
  return joined @ weights[scope + "kernel"] + weights[scope + "bias"]


def gru(weights, scope, x, h):
  """x [B, D], h [B, U] -> output and state, both [B, U]."""
  units = h.shape[1]
  gates = sigmoid(linear(weights, scope + "gates/", x, h))
  reset, update = gates[:, :units], gates[:, units:]
  new = np.tanh(linear(weights, scope + "candidate/", x, reset * h))
  h = update * h + (1 - update) * new
  return h, h


def lstm(weights, scope, x, state, forget_bias=1.0):
  """x [B, D], state (c, h) -> output [B, P] and (c, h); all options of 1.15."""
  c, h = state
  i, j, f, o = np.split(linear(weights, scope, x, h), 4, axis=1)
  if scope + "w_f_diag" in weights:
    f = f + weights[scope + "w_f_diag"] * c
    i = i + weights[scope + "w_i_diag"] * c
  c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(j)
  if scope + "w_o_diag" in weights:
    o = o + weights[scope + "w_o_diag"] * c
  h = sigmoid(o) * np.tanh(c)
  if scope + "projection/kernel" in weights:
    h = h @ weights[scope + "projection/kernel"]
  return h, (c, h)


def step(weights, scope, cell, layers, x, states):
  """One step of a cell with its layers.

  Args:
    weights: name -> array.
    scope: where the cell was called, with a slash at its end.
    cell: "gru_cell", "lstm_cell" or "basic_lstm_cell".
    layers: how many.
    x: [B, D].
    states: one state per layer.

  Returns:
    The output [B, U] and a list of states.
  """
  function = gru if cell == "gru_cell" else lstm
  after = []
  for k in range(layers):
    inner = scope + (f"multi_rnn_cell/cell_{k}/" if layers > 1 else "")
    x, state = function(weights, inner + cell + "/", x, states[k])
    after.append(state)
  return x, after


def zero_states(cell, layers, batch, units, dtype):
  zeros = np.zeros([batch, units], dtype)
  return [zeros if cell == "gru_cell" else (zeros, zeros)] * layers


def flat(states):
  """Lists the parts of all layers' states, c before h."""
  parts = []
  for state in states:
    parts.extend(state if isinstance(state, tuple) else [state])
  return parts


def attend(weights, scope, memory, states, heads):
  """Returns one context [B, D] for each head; memory is [B, T, D]."""
  query = np.concatenate(flat(states), axis=1)
  contexts = []
  for k in range(heads):
    y = linear(weights, f"{scope}Attention_{k}/", query)
    keys = memory @ weights[f"{scope}AttnW_{k}"][0, 0]
    mixed = np.tanh(keys + y[:, None, :])
    alignment = softmax(mixed @ weights[f"{scope}AttnV_{k}"])
    contexts.append(np.sum(alignment[:, :, None] * memory, axis=1))
  return contexts


def encode(weights, scope, cell, layers, units, source):
  """source [T, B] -> memory [B, T, U] and states."""
  scope += "rnn/embedding_wrapper/"
  table = weights[scope + "embedding"]
  states = zero_states(cell, layers, source.shape[1], units, table.dtype)
  outputs = []
  for ids in source:
    output, states = step(weights, scope, cell, layers, table[ids], states)
    outputs.append(output)
  return np.stack(outputs, 1), states


def attention_decode(
  weights,
  scope,
  cell,
  layers,
  memory,
  states,
  target,
  heads=1,
  projection=None,
  feed_previous=False,
  initial_state_attention=False,
):
  """Returns outputs [S, B, O] and the final states; target is [S, B]."""
  scope += "embedding_attention_decoder/"
  table = weights[scope + "embedding"]
  scope += "attention_decoder/"
  if initial_state_attention:
    contexts = attend(weights, scope, memory, states, heads)
  else:
    contexts = [np.zeros_like(memory[:, 0])] * heads
  outputs = []
  for k, ids in enumerate(target):
    if feed_previous and k > 0:
      ids = best(outputs[-1], projection)
    x = linear(weights, scope, table[ids], *contexts)
    inner = scope
    if projection is None:
      inner += "output_projection_wrapper/"
    output, states = step(weights, inner, cell, layers, x, states)
    if projection is None:
      output = linear(weights, inner, output)
    contexts = attend(weights, scope, memory, states, heads)
    output = linear(weights, scope + "AttnOutputProjection/", output, *contexts)
    outputs.append(output)
  return np.stack(outputs), states


def rnn_decode(
  weights,
  scope,
  cell,
  layers,
  states,
  inputs,
  projected=True,
  feed_previous=None,
):
  """A cell over inputs [S, B, D], with an output projection wrapper if so.

  `feed_previous` maps an output to the next input; None reads them all.
  """
  inner = scope + ("output_projection_wrapper/" if projected else "")
  outputs = []
  for k, x in enumerate(inputs):
    if feed_previous is not None and k > 0:
      x = feed_previous(outputs[-1])
    output, states = step(weights, inner, cell, layers, x, states)
    outputs.append(linear(weights, inner, output) if projected else output)
  return np.stack(outputs), states


def best(output, projection=None):
  """Returns the ids of the largest logits, [B]."""
  if projection is not None:
    output = output @ projection[0] + projection[1]
  return np.argmax(output, axis=1)


def cross_entropy(logits, targets):
  """logits [S, B, V], targets [S, B] -> [S, B]."""
  shifted = logits - np.max(logits, axis=2, keepdims=True)
  log_z = np.log(np.sum(np.exp(shifted), axis=2))
  picked = np.take_along_axis(shifted, targets[:, :, None], axis=2)[:, :, 0]
  return log_z - picked


def loss_by_example(losses, weights, average=True):
  """losses and weights [S, B] -> [B]."""
  total = np.sum(losses * weights, axis=0)
  return total / (np.sum(weights, axis=0) + 1e-12) if average else total


def numeric_gradients(function, weights, step_size=1e-5):
  """Central differences of a scalar function of float64 arrays by name."""
  gradients = {}
  for name, array in weights.items():
    gradient = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
      kept = array[index]
      array[index] = kept + step_size
      above = function()
      array[index] = kept - step_size
      below = function()
      array[index] = kept
      gradient[index] = (above - below) / (2 * step_size)
    gradients[name] = gradient
  return gradients
