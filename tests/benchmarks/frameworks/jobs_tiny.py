"""A job of a few short examples, and its losses in numpy."""

import functools
import os
import tempfile

import numpy as np

from tangle.benchmarks.frameworks import jobs

RATE = 0.01


@functools.lru_cache(maxsize=None)
def make(name="g2p_demo", seed=0):
  """Returns the task of the tiny size."""
  sizes = jobs.SIZES[name]["tiny"]
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "examples.npz")
    jobs.write(path, name, sizes, seed)
    return jobs.make(name, sizes, seed, path)


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _run(weights, prefix, inputs, state, real):
  """Runs an LSTM; returns outputs `[B, T, U]` and the last state."""
  outputs = []
  for x, now in zip(inputs.swapaxes(0, 1), real.T[..., np.newaxis]):
    c, h = state
    z = np.concatenate([x, h], 1) @ weights[f"{prefix}/kernel"]
    i, g, f, o = np.split(z + weights[f"{prefix}/bias"], 4, 1)
    c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    state = np.where(now, c, state[0]), np.where(now, h, state[1])
    outputs.append(np.where(now, h, 0))
  return np.stack(outputs, 1), state


def loss(batch, weights):
  """Returns the loss of a batch by the formulas of the paper."""
  source = weights["source_embedding/table"][batch.source]
  real = np.arange(source.shape[1]) < batch.source_lengths[:, np.newaxis]
  zeros = np.zeros([len(source), weights["attention/kernel"].shape[0]])
  there, after = _run(weights, jobs.LAYERS[0], source, (zeros, zeros), real)
  back, before = _run(
    weights, jobs.LAYERS[1], source[:, ::-1], (zeros, zeros), real[:, ::-1]
  )
  memory = np.concatenate([there, back[:, ::-1]], 2)
  summary = np.concatenate([after[1], before[1]], 1)
  bridge = summary @ weights["decoder_bridge_0/kernel"]
  state = np.split(np.tanh(bridge + weights["decoder_bridge_0/bias"]), 2, 1)
  inputs = weights["target_embedding/table"][batch.decoder_inputs]
  always = np.ones(inputs.shape[:2], bool)
  outputs, _ = _run(weights, jobs.LAYERS[2], inputs, state, always)
  scores = outputs @ weights["attention/kernel"] @ memory.swapaxes(1, 2)
  scores = np.where(real[:, np.newaxis], scores, -np.inf)
  shares = np.exp(scores - scores.max(2, keepdims=True))
  context = shares / shares.sum(2, keepdims=True) @ memory
  joined = np.concatenate([context, outputs], 2)
  joined = np.tanh(joined @ weights["attentional/kernel"])
  logits = joined @ weights["logits/kernel"] + weights["logits/bias"]
  totals = np.log(np.exp(logits).sum(2))
  chosen = np.take_along_axis(logits, batch.targets[..., np.newaxis], 2)[..., 0]
  return ((totals - chosen) * batch.weights).sum() / batch.weights.sum()


@functools.lru_cache(maxsize=None)
def first_losses():
  """Returns two losses of `make()`, with a step of Adam between.

  Gradients are numeric; their norm is below that which they are clipped to.
  """
  task = make()
  batch = jobs.step_batch(task)
  weights = {k: v.astype(np.float64) for k, v in task.draw().items()}
  found, gradients = [loss(batch, weights)], {}
  for name, array in weights.items():
    gradients[name] = np.zeros_like(array)
    for k in np.ndindex(array.shape):
      kept, both = array[k], []
      for shift in (1e-5, -1e-5):
        array[k] = kept + shift
        both.append(loss(batch, weights))
      array[k] = kept
      gradients[name][k] = (both[0] - both[1]) / 2e-5
  norm = np.sqrt(sum((array**2).sum() for array in gradients.values()))
  assert norm < jobs.CLIP_NORM, norm
  epsilon = 1e-8 / np.sqrt(1 - 0.999)  # where TensorFlow adds it
  for name, array in gradients.items():
    weights[name] -= RATE * array / (np.abs(array) + epsilon)
  return found + [loss(batch, weights)]
