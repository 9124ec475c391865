"""TensorFlow 2 on the tasks: compiled parts and two tapes, or one function.

Split: a `tf.function` runs each part; eager code holds the boundary and one
tape per part. Recurrent layers are unrolled in the function, with one product
of the inputs for all steps.
"""

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import ours
from tangle.compat import IS_TF1, tf1


class Net(ours.Net):
  """The layers of `networks`, on variables."""

  def __init__(self, weights):
    """Keeps the weights.

    Args:
      weights: name → variable.
    """
    super().__init__()
    self._weights = weights

  def dense(self, name, x, units):
    """Applies the dense layer `name` of `units` to `x`."""
    kernel = self._weights[f"{name}/kernel"]
    found = tf1.matmul(tf1.reshape(x, [-1, x.shape[-1]]), kernel)
    found = tf1.nn.bias_add(found, self._weights[f"{name}/bias"])
    return tf1.reshape(found, x.shape[:-1] + [units])

  def lstm(self, name, x, units, state=None):
    """Runs the LSTM `name` of `units` over `x` from `state`."""
    kernel, depth = self._weights[f"{name}/kernel"], x.shape[-1]
    kernel = tf1.convert_to_tensor(kernel)
    below = tf1.matmul(tf1.reshape(x, [-1, depth]), kernel[:depth])
    below = tf1.nn.bias_add(below, self._weights[f"{name}/bias"])
    below = tf1.reshape(below, x.shape[:2] + [4 * units])
    zeros = tf1.zeros([x.shape[0], units])
    c, h = (zeros, zeros) if state is None else state
    outputs = []
    kernel = kernel[depth:]
    for row in tf1.unstack(below, axis=1):
      gates = tf1.split(row + tf1.matmul(h, kernel), 4, axis=1)
      i, g, f, o = gates
      c = tf1.sigmoid(f) * c + tf1.sigmoid(i) * tf1.tanh(g)
      h = tf1.sigmoid(o) * tf1.tanh(c)
      outputs.append(h)
    return tf1.stack(outputs, 1), [c, h]

  def gru(self, name, x, units, state=None):
    """Runs the GRU `name` of `units` over `x` from `state`."""
    kernel = tf1.convert_to_tensor(self._weights[f"{name}_cell/kernel"])
    below = self.dense(name, x, 3 * units)
    h = tf1.zeros([x.shape[0], units]) if state is None else state[0]
    outputs = []
    for row in tf1.unstack(below, axis=1):
      r, z, n = tf1.split(row, 3, axis=1)
      found = tf1.split(tf1.matmul(h, kernel), 3, axis=1)
      z = tf1.sigmoid(z + found[1])
      found = tf1.tanh(n + tf1.sigmoid(r + found[0]) * found[2])
      h = found + z * (h - found)
      outputs.append(h)
    return tf1.stack(outputs, 1), [h]

  def normalize(self, name, x):
    """Normalizes `x` over its last axis, with the weights of `name`."""
    gain, offset = (self._weights[f"{name}/{k}"] for k in ("gain", "offset"))
    mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
    return tf1.nn.batch_normalization(x, mean, variance, offset, gain, 1e-5)


def build(task, optimizer, threads, mode):
  """Builds a contender.

  Args:
    task: a `tasks.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and between ops.
    mode: split or joint.

  Returns:
    A function without arguments that trains for a step and returns the loss,
    and a dict of versions.

  Raises:
    ArgumentError: if this is TensorFlow 1.15.
  """
  if IS_TF1:
    raise errors.ArgumentError(
      f"peers.tf2_peer.build: tapes over compiled functions need TensorFlow "
      f"2, got {tf1.VERSION}. Give an interpreter that has it."
    )
  tf1.config.threading.set_intra_op_parallelism_threads(threads)
  tf1.config.threading.set_inter_op_parallelism_threads(threads)
  weights = {
    name: tf1.Variable(array, use_resource=True)
    for name, array in task.weights.items()
  }
  net = Net(weights)
  lower_feeds, upper_feeds = (
    {name: tf1.constant(array) for name, array in feeds.items()}
    for feeds in (task.lower_feeds, task.upper_feeds)
  )
  owners = set(task.lower_layers) | {f"{k}_cell" for k in task.lower_layers}
  names = [k for k in weights if k.split("/")[0] in owners]
  lower = [weights[k] for k in names]
  upper = [v for k, v in weights.items() if k not in names]
  run_lower = tf1.function(lambda feeds: task.lower(net, feeds))
  run_upper = tf1.function(
    lambda boundary, feeds: task.upper(net, boundary, feeds)
  )
  update = ours.make_optimizer(optimizer)

  @tf1.function
  def change(gradients):
    gradients, _ = tf1.clip_by_global_norm(gradients, optimizer.clip_norm)
    update.apply_gradients(list(zip(gradients, lower + upper)))

  @tf1.function
  def train_joint(lower_feeds, upper_feeds):
    with tf1.GradientTape() as tape:
      boundary = task.lower(net, lower_feeds)
      loss = task.upper(net, boundary, upper_feeds)
    change(tape.gradient(loss, lower + upper))
    return loss

  def train_split(lower_feeds, upper_feeds):
    with tf1.GradientTape() as lower_tape:
      boundary = run_lower(lower_feeds)
    with tf1.GradientTape() as upper_tape:
      upper_tape.watch(boundary)
      loss = run_upper(boundary, upper_feeds)
    found = upper_tape.gradient(loss, list(boundary) + upper)
    count = len(boundary)
    below = lower_tape.gradient(boundary, lower, found[:count])
    change(below + found[count:])
    return loss

  step = {"split": train_split, "joint": train_joint}[mode]
  versions = {"tensorflow": tf1.VERSION}
  return lambda: np.float32(step(lower_feeds, upper_feeds)), versions
