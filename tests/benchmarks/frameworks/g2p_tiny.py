"""A g2p task of a few small batches, and its losses in numpy."""

import os
import tempfile

import numpy as np

from tangle.benchmarks.frameworks import g2p
from tangle.seq2seq import vocabulary
from tests.seq2seq.legacy import reference

SYMBOLS = 6, 7
PAIRS = (2, 3), (3, 2), (2, 3)


def draw_batches(size):
  """Returns a cycle of batches in the tutorial's layout."""
  rng = np.random.RandomState(3)
  found = []
  for steps, target_steps in PAIRS:
    source = rng.randint(4, SYMBOLS[0], [size, steps])
    source[0, 0] = vocabulary.PAD_ID
    targets = rng.randint(4, SYMBOLS[1], [size, target_steps])
    weights = np.ones([size, target_steps])
    targets[1, -1], weights[1, -1] = vocabulary.PAD_ID, 0
    first = np.full([size, 1], vocabulary.GO_ID)
    inputs = np.concatenate([first, targets[:, :-1]], 1)
    arrays = [array.astype(np.int32) for array in (source, inputs, targets)]
    found.append(g2p.Batch(*arrays, weights.astype(np.float32)))
  return found


def make(layers=1, seed=0):
  """Returns the task."""
  sizes = g2p.Sizes(2, 3, layers, 3, 2, len(PAIRS))
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "batches.npz")
    g2p.save(path, SYMBOLS, draw_batches(sizes.batch))
    return g2p.make("g2p", sizes, seed, path)


def loss(task, batch, weights):
  """Returns the loss of a batch, by the formulas."""
  prefix, layers = "embedding_attention_seq2seq/", task.sizes.layers
  memory, states = reference.encode(
    weights,
    prefix,
    "basic_lstm_cell",
    layers,
    task.sizes.units,
    batch.source.T,
  )
  outputs, _ = reference.attention_decode(
    weights, prefix, "basic_lstm_cell", layers, memory, states, batch.inputs.T
  )
  losses = []
  for logits, targets in zip(outputs, batch.targets.T):
    chosen = reference.softmax(logits)[np.arange(len(targets)), targets]
    losses.append(-np.log(chosen))
  totals = (np.stack(losses, 1) * batch.weights).sum(1)
  return float((totals / batch.weights.sum(1)).mean())
