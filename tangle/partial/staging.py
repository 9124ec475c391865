"""Keeps tensors in the runtime, under a key, between two runs.

`Staging` adds the ops and runs none of them. It carries any tensors that one
run makes and another run reads, such as residuals, boundaries and gradients,
without a copy to Python.
"""

import collections
import random
import weakref

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import aliases, references

_HOST_ONLY = (tf1.string,)

_random = random.SystemRandom()  # differs between forked processes
_programs = weakref.WeakKeyDictionary()


def new_key():
  """Returns a random int, 0 to 2**63 - 1, that no other call should return.

  The calls of other processes, also forked ones, give others too.
  """
  return _random.getrandbits(63)


def _program(graph):
  """Returns a random name that no other graph in any process should have.

  On the tasks of a cluster the content of a staging area outlives the session.
  Another program with a staging area of the same name would find it.
  """
  if graph not in _programs:
    _programs[graph] = f"{_random.getrandbits(64):016x}"
  return _programs[graph]


def own_values(tensors):
  """Copies the tensors that share memory with a reference variable.

  Args:
    tensors: tensors of any shapes.

  Returns:
    The list of tensors, with a copy, made in the graph, in place of each that
    may change with a variable.

  Raises:
    CutError: if a tensor may change with a variable and cannot be copied.
  """
  sharing = aliases.of_references(tensors)
  for tensor in tensors:
    if tensor.name in sharing:
      check_copyable(tensor)
  return [
    references.copy(tensor) if tensor.name in sharing else tensor
    for tensor in tensors
  ]


def check_copyable(tensor):
  """Refuses the value of a reference variable that cannot be copied.

  Args:
    tensor: a tensor of any shape.

  Raises:
    CutError: if its dtype is one that TensorFlow cannot copy.
  """
  if not references.is_copyable(tensor.dtype):
    base = tensor.dtype.base_dtype
    raise errors.CutError(
      f"the residual {tensor.name!r} ({base.name}) is the value of "
      f"a reference variable and cannot be copied before the variable "
      f"changes. If it does not change between a forward run and its backward "
      f"run, say so by weights_unchanged=True."
    )


class StagingArea:
  """A staging area in the runtime: from key to a list of tensors.

  Put and read ops of the same name, dtypes and device use the same area,
  wherever they are in a graph; those of different graphs never do. A put under
  a key that exists has no effect (measured on 1.15 and 2.21).

  Attributes:
    dtypes: the dtypes of the tensors.
  """

  def __init__(self, dtypes, shared_name, device=None):
    """Adds nothing to the graph.

    Args:
      dtypes: the dtypes of the tensors, at least one.
      shared_name: a name, unique among the staging areas of the default graph.
      device: its device; by default TensorFlow chooses it. For strings, the CPU
        of the same task is used instead.
    """
    self.dtypes = [dtype.base_dtype for dtype in dtypes]
    program = _program(tf1.get_default_graph())
    self._shared_name = f"{shared_name}/{program}"
    self._device = device
    host = any(dtype in _HOST_ONLY for dtype in self.dtypes)
    if host:
      self._device = _host_of(device)

  @classmethod
  def of(cls, op):
    """Returns the staging area that a put op writes to, for use in any graph.

    Args:
      op: a `MapStage` op.

    Returns:
      A `StagingArea`.
    """
    area = cls(op.get_attr("dtypes"), "", op.device or None)
    area._shared_name = op.get_attr("shared_name").decode()
    return area

  def _options(self, key):
    indices = list(range(len(self.dtypes)))
    return {
      "key": key,
      "indices": tf1.constant(indices, tf1.int32, name="indices"),
      "dtypes": self.dtypes,
      "shared_name": self._shared_name,
    }

  def put(self, values, key, after=(), name="put"):
    """Returns the op that puts `values` under `key`.

    Args:
      values: one tensor of any shape for each dtype.
      key: a scalar int64 tensor.
      after: ops that must have run before.
      name: name of the op.

    Returns:
      The op.
    """
    after = list(collections.OrderedDict.fromkeys(after))
    # `tf.device(None)` cancels the device scopes around it.
    with tf1.device(None), tf1.device(self._device):
      options = self._options(key)
      with tf1.control_dependencies(after):
        return tf1.raw_ops.MapStage(values=values, name=name, **options)

  def read(self, shapes, key, peek=False, name="restore"):
    """Returns the tensors under `key`; a run of them waits until it exists.

    Args:
      shapes: the static shapes of the tensors, which the results get.
      key: a scalar int64 tensor.
      peek: whether the tensors stay in the staging area; else they are taken
        out.
      name: name of the op.

    Returns:
      A list of tensors, one for each of `dtypes`, in order.
    """
    kind = tf1.raw_ops.MapPeek if peek else tf1.raw_ops.MapUnstage
    with tf1.device(None), tf1.device(self._device):
      found = kind(name=name, **self._options(key))
    for tensor, shape in zip(found, shapes):
      tensor.set_shape(shape)
    return list(found)

  def drop(self, key, name="drop"):
    """Returns the op that removes `key`, if it exists, and never waits.

    Args:
      key: a scalar int64 tensor.
      name: name of the op.

    Returns:
      The op. No other op of the same run may put or read under `key`.
    """
    with tf1.device(None), tf1.device(self._device):
      empty = {dtype: _empty(dtype) for dtype in dict.fromkeys(self.dtypes)}
      values = [empty[dtype] for dtype in self.dtypes]
      ensure = self.put(values, key, name="ensure")
      with tf1.control_dependencies([ensure]):
        found = tf1.raw_ops.MapUnstage(name=name, **self._options(key))
    return found[0].op


class Staging:
  """Puts tensors under a key in one run and takes them out in another.

  There is one `StagingArea` per device of the tensors. Nothing is put before
  all of `after` has run, so that a run that fails before then keeps nothing.

  Attributes:
    key: the scalar int64 tensor that the ops read their key from.
    put: the op that puts all tensors; `None` if there are no tensors.
    restored: for each tensor the one that has its value in a later run, of the
      same shape. A run that reads one waits for ever if the key does not exist.
    take: the op that runs all reads of `restored`, so that the key is removed
      from every staging area; `None` if there are no tensors.
    drop: the op that removes a key, if it exists; `None` if there are no
      tensors.
  """

  def __init__(self, tensors, key, after=(), name="staging"):
    """Adds the ops to the default graph.

    Args:
      tensors: the tensors to keep, of any shapes, none of them a handle.
      key: a scalar int64 tensor.
      after: tensors or ops that must have run before anything is put.
      name: name scope of the ops.
    """
    self.key = key
    self.restored = [None] * len(tensors)
    groups = collections.OrderedDict()
    for k, tensor in enumerate(tensors):
      host = tensor.dtype.base_dtype in _HOST_ONLY
      groups.setdefault((_device_of(tensor.op), host), []).append(k)
    waits = [getattr(item, "op", item) for item in after]
    if len(groups) > 1:  # so that all groups are put, or none
      waits += [tensor.op for tensor in tensors]
    puts, takes, drops = [], [], []
    with tf1.name_scope(name) as scope, tf1.control_dependencies(None):
      for n, ((device, _), members) in enumerate(groups.items()):
        values = [tensors[k] for k in members]
        dtypes = [value.dtype for value in values]
        area = StagingArea(dtypes, f"{scope}{n}", device or None)
        puts.append(area.put(values, key, waits))
        found = area.read([value.shape for value in values], key)
        takes.append(found[0].op)
        drops.append(area.drop(key))
        for k, tensor in zip(members, found):
          self.restored[k] = tensor
      self.put = tf1.group(*puts, name="put_all") if groups else None
      self.take = tf1.group(*takes, name="take_all") if groups else None
      self.drop = tf1.group(*drops, name="drop_all") if groups else None


def _device_of(op):
  """Returns the device of an op, or else of the variable that it reads."""
  for tensor in op.inputs:
    if not op.device and tensor.dtype.base_dtype == tf1.resource:
      return tensor.op.device
  return op.device


def _empty(dtype):
  if dtype == tf1.variant:
    return tf1.raw_ops.EmptyTensorList(
      element_shape=tf1.constant([], tf1.int32),
      max_num_elements=tf1.constant(0, tf1.int32),
      element_dtype=tf1.float32,
    )
  return tf1.zeros([0], dtype, name="empty")


def _host_of(device):
  """Names the CPU device on the same task as `device`."""
  spec = tf1.DeviceSpec.from_string(device or "")
  return tf1.DeviceSpec(
    job=spec.job,
    replica=spec.replica,
    task=spec.task,
    device_type="CPU",
    device_index=0,
  )
