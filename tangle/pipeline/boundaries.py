"""Boundaries carry outputs to other sub-models, and gradients back."""

from tangle import errors
from tangle.compat import tf1
from tangle.partial import staging


class Boundary:
  """One tensor that a sub-model produces and others read.

  Outputs that a read may choose among share one boundary. A value is kept in
  the runtime under the key of its producer in a step; so is its gradient, the
  sum over all readers so far.

  Attributes:
    dtype: dtype of the tensor.
    shape: its static shape, as far as all producers and buckets agree.
    readers: how many reads there are in the pipeline.
  """

  def __init__(self, dtype, shape, shared_name, device=None):
    """Adds nothing to the graph.

    Args:
      dtype: dtype of the tensor.
      shape: its static shape.
      shared_name: a name, unique among all boundaries in the runtime.
      device: the device of the producer, which holds value and gradient.
    """
    self.dtype = dtype.base_dtype
    self.shape = shape
    self.readers = 0
    self._device = device
    self._values = staging.StagingArea([dtype], shared_name + "/values", device)
    self._gradients = staging.StagingArea(
      [dtype], shared_name + "/gradients", device
    )

  def put(self, tensor, key):
    """Adds and returns the op that puts `tensor` under `key`."""
    return self._values.put([tensor], key)

  def peek(self, key, device=None):
    """Adds the op that reads the value under `key`, which stays there.

    A run of the op waits until there is a value.

    Args:
      key: the key of the producer.
      device: the device of the reader, to which the value is copied unless it
        is that of the producer; `None` if TensorFlow chooses.

    Returns:
      The value, a tensor of the boundary's shape.
    """
    value = self._values.read([self.shape], key, peek=True)[0]
    if device == self._device:
      return value
    with tf1.device(device):
      return tf1.identity(value, name="arrived")

  def take(self, key):
    """Returns a new op that waits for the value under `key`, and removes it."""
    return self._values.read([self.shape], key, name="take")[0].op

  def drop(self, key):
    """Returns a new op that removes value and gradient under `key`, if any."""
    return tf1.group(self._values.drop(key), self._gradients.drop(key))

  def put_gradient(self, gradient, key):
    """Adds the ops that put the gradient of one reader.

    Args:
      gradient: the gradient of one reader, of the boundary's shape.
      key: the key of the producer.

    Returns:
      An op to run for the first reader of a step, and one for each later
      reader, which adds to the sum so far and waits until there is one. The
      latter is `None` if the pipeline has only one reader.
    """
    first = self._gradients.put([gradient], key)
    if self.readers < 2:
      return first, None
    # In a partial run, the first part feeds the key.
    with tf1.device(self._device), tf1.control_dependencies([gradient]):
      before = self._gradients.read([self.shape], key)[0]
      total = before + gradient
    return first, self._gradients.put([total], key)

  def take_gradient(self, shape, key):
    """Adds the op that reads and removes the sum of the readers' gradients.

    A run of the op waits until there is a gradient.

    Args:
      shape: the static shape of the sum.
      key: the key of the producer.

    Returns:
      The sum, a tensor of `shape`.
    """
    return self._gradients.read([shape], key)[0]


def check_dtype(source, dtype, boundary):
  """Refuses an output that cannot share a boundary with others.

  Args:
    source: `"sub_model.output"`.
    dtype: its dtype.
    boundary: the `Boundary` of the outputs that a read may choose instead.

  Raises:
    DtypeError: if their dtypes differ.
  """
  if dtype.base_dtype != boundary.dtype:
    raise errors.DtypeError(
      f"'{source}' is {dtype.base_dtype.name}, but a read may choose "
      f"between it and outputs that are {boundary.dtype.name}. Cast it where "
      f"it is made."
    )
