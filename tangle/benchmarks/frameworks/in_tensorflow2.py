"""TensorFlow 2 on the networks: compiled parts and two tapes, or one function.

Split: a `tf.function` runs each part; eager code holds the boundary and one
tape per part. Recurrent layers are unrolled in the function, with one product
of the inputs for all steps.
"""

import numpy as np

from tangle import errors
from tangle.benchmarks.frameworks import in_tangle
from tangle.compat import IS_TF1, tf1


class Net(in_tangle.Net):
  """The `Layers` as plain ops on given variables."""

  def __init__(self, weights):
    """Keeps `weights`, name → variable."""
    super().__init__()
    self._weights = weights

  def dense(self, name, x, units):
    bias = self._weights[f"{name}/bias"]
    return self._multiply(x, self._weights[f"{name}/kernel"], bias)

  def _multiply(self, x, kernel, bias):
    """Returns `x kernel + bias` over the last axis, in one product."""
    found = tf1.matmul(tf1.reshape(x, [-1, x.shape[-1]]), kernel)
    found = tf1.nn.bias_add(found, bias)
    return tf1.reshape(found, x.shape[:-1] + bias.shape)

  def lstm(self, name, x, units, state=None):
    kernel, width = self._weights[f"{name}/kernel"], x.shape[-1]
    kernel, bias = tf1.convert_to_tensor(kernel), self._weights[f"{name}/bias"]
    below = self._multiply(x, kernel[:width], bias)
    zeros = tf1.zeros([x.shape[0], units])
    c, h = (zeros, zeros) if state is None else state
    outputs = []
    kernel = kernel[width:]
    for row in tf1.unstack(below, axis=1):
      i, g, f, o = tf1.split(row + tf1.matmul(h, kernel), 4, axis=1)
      c = tf1.sigmoid(f) * c + tf1.sigmoid(i) * tf1.tanh(g)
      h = tf1.sigmoid(o) * tf1.tanh(c)
      outputs.append(h)
    return tf1.stack(outputs, 1), [c, h]

  def gru(self, name, x, units, state=None):
    kernel = tf1.convert_to_tensor(self._weights[f"{name}_cell/kernel"])
    below = self.dense(name, x, 3 * units)
    h = tf1.zeros([x.shape[0], units]) if state is None else state[0]
    outputs = []
    step = in_tangle.ResetAfterCell(units).step
    for row in tf1.unstack(below, axis=1):
      h = step(row, h, kernel)
      outputs.append(h)
    return tf1.stack(outputs, 1), [h]

  def normalize(self, name, x):
    gain, offset = (self._weights[f"{name}/{k}"] for k in ("gain", "offset"))
    return self._normalize(x, gain, offset)


def build(task, optimizer, threads, mode):
  """Builds a `networks.Task` in eager mode; see `candidates`."""
  if IS_TF1:
    raise errors.ArgumentError(
      f"in_tensorflow2.build: tapes over compiled functions need "
      f"TensorFlow 2, got {tf1.VERSION}. Name an "
      f"interpreter that has it, by --python2."
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
  lower = [weights[k] for k in task.lower_names]
  upper = [v for k, v in weights.items() if k not in task.lower_names]
  run_lower = tf1.function(lambda feeds: task.lower(net, feeds))
  run_upper = tf1.function(
    lambda boundary, feeds: task.upper(net, boundary, feeds)
  )
  update = in_tangle.make_optimizer(optimizer)

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
