"""Tensors that wait in the runtime, under a key, between two runs.

`Staging` adds the ops and runs none of them. It carries residuals, boundaries
and gradients alike: whatever one run makes and another run reads, without a
trip through Python.
"""

import collections
import itertools
import random

from tangle import compat, errors
from tangle.compat import tf1

_ALIASING = frozenset(
  [
    "Bitcast",
    "CheckNumerics",
    "ExpandDims",
    "Identity",
    "IdentityN",
    "PreventGradient",
    "RefIdentity",
    "Reshape",
    "Slice",
    "Snapshot",
    "Split",
    "SplitV",
    "Squeeze",
    "StopGradient",
    "StridedSlice",
    "Unpack",
  ]
)
"""Types of ops whose output may share the memory of an input."""

_HOST_ONLY = (tf1.string,)

_keys = itertools.count(random.SystemRandom().getrandbits(31) << 32)


def new_key():
  """Returns an int64 that no other call, in any process, is likely to have."""
  return next(_keys)


def aliases_reference(tensor):
  """Whether `tensor` may share the memory of a reference variable.

  Such a tensor changes when the variable does, so that its value must be
  copied to be kept.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool.
  """
  stack, seen = [tensor], set()
  while stack:
    tensor = stack.pop()
    if compat.is_ref(tensor):
      return True
    if tensor.op.type in _ALIASING and tensor.op not in seen:
      seen.add(tensor.op)
      stack.extend(tensor.op.inputs)
  return False


def check_ownable(caller, tensors):
  """Refuses values of reference variables that cannot be copied.

  Args:
    caller: what messages name as the place of the error.
    tensors: tensors of any shapes.

  Raises:
    CutError: if a tensor may change with a variable and cannot be copied.
  """
  for tensor in tensors:
    base = tensor.dtype.base_dtype
    copyable = base.is_floating or base.is_integer or base.is_complex
    if not copyable and aliases_reference(tensor):
      raise errors.CutError(
        f"{caller}: the residual {tensor.name!r} ({base.name}) is the value of "
        f"a reference variable and cannot be copied before the variable "
        f"changes. Make it a resource variable (use_resource=True)."
      )


def own_values(tensors):
  """Copies what shares memory with a reference variable.

  Args:
    tensors: tensors of any shapes that pass `check_ownable`.

  Returns:
    The list of tensors, with a copy in the place of each that may change.
  """
  return [
    tf1.raw_ops.DeepCopy(x=tensor) if aliases_reference(tensor) else tensor
    for tensor in tensors
  ]


class Staging:
  """Adds the ops that put tensors under a key and take them out again.

  One `MapStage`/`MapUnstage` pair for each device that the tensors are placed
  on. Nothing is staged before all of `after` has run, so that a run that fails
  leaves nothing behind.

  Attributes:
    key: the scalar int64 tensor that the ops read their key from.
    put: the op that stages, `None` if there are no tensors.
    restored: for each tensor what stands for it in a later run, of its shape.
      An op that reads one of these waits for ever unless the key is there.
    take: the op that runs all reads of `restored`, so that without `peek`
      nothing of the key stays behind; `None` if there are no tensors.
    drop: the op that takes a key out, if it is there; `None` if there are no
      tensors. To be run in one run with nothing else of this staging.
  """

  def __init__(self, tensors, key, after=(), peek=False, name="staging"):
    """Adds the ops to the default graph.

    Args:
      tensors: the tensors to stage, of any shapes, none of them a handle.
      key: a scalar int64 tensor.
      after: tensors or ops that must have run before anything is staged.
      peek: whether `restored` leaves the tensors where they are, so that they
        can be read again until they are dropped.
      name: name scope of the ops.
    """
    self.key = key
    self.restored = [None] * len(tensors)
    groups = collections.OrderedDict()
    for k, tensor in enumerate(tensors):
      host = tensor.dtype.base_dtype in _HOST_ONLY
      groups.setdefault((tensor.op.device, host), []).append(k)
    waits = [getattr(item, "op", item) for item in after]
    if len(groups) > 1:  # all groups are staged, or none
      waits += [tensor.op for tensor in tensors]
    self._puts, self._takes, self._drops = [], [], []
    with tf1.name_scope(name) as scope, tf1.control_dependencies(None):
      for n, ((device, host), members) in enumerate(groups.items()):
        place = _host_of(device) if host else device or None
        with tf1.device(place):
          values = [tensors[k] for k in members]
          found = self._add(values, waits, peek, f"{scope}{n}")
        for k, value in zip(members, found):
          value.set_shape(tensors[k].shape)
          self.restored[k] = value
      self.put = tf1.group(*self._puts, name="put_all") if groups else None
      self.take = tf1.group(*self._takes, name="take_all") if groups else None
      self.drop = tf1.group(*self._drops, name="drop_all") if groups else None

  def _add(self, values, waits, peek, shared_name):
    """Adds the ops of one device; returns what stands for `values`."""
    dtypes = [value.dtype.base_dtype for value in values]
    indices = tf1.constant(list(range(len(values))), tf1.int32, name="indices")
    common = {
      "key": self.key,
      "indices": indices,
      "dtypes": dtypes,
      "shared_name": shared_name,
    }
    with tf1.control_dependencies(
      list(collections.OrderedDict.fromkeys(waits))
    ):
      put = tf1.raw_ops.MapStage(values=values, name="put", **common)
    read = tf1.raw_ops.MapPeek if peek else tf1.raw_ops.MapUnstage
    found = read(name="restore", **common)
    # To stage under a key that is there changes nothing (measured on 1.15 and
    # 2.21), so that after this the key is there for sure, and taking it out
    # cannot wait for ever.
    empty = {dtype: _empty(dtype) for dtype in dtypes}
    ensure = tf1.raw_ops.MapStage(
      values=[empty[dtype] for dtype in dtypes], name="ensure", **common
    )
    with tf1.control_dependencies([ensure]):
      drop = tf1.raw_ops.MapUnstage(name="drop", **common)
    self._puts.append(put)
    self._takes.append(found[0].op)
    self._drops.append(drop[0].op)
    return found


def _empty(dtype):
  if dtype == tf1.variant:
    return tf1.raw_ops.EmptyTensorList(
      element_shape=tf1.constant([], tf1.int32),
      max_num_elements=tf1.constant(0, tf1.int32),
      element_dtype=tf1.float32,
    )
  return tf1.zeros([0], dtype, name="empty")


def _host_of(device):
  """Names the host's device beside `device`."""
  spec = tf1.DeviceSpec.from_string(device or "")
  return tf1.DeviceSpec(
    job=spec.job,
    replica=spec.replica,
    task=spec.task,
    device_type="CPU",
    device_index=0,
  )
