"""What is known of shapes before a run, unknown sizes by name.

TensorFlow tells in Python which dimensions of a tensor are unknown, but not
which of them are the same. `Dims` does: a dimension is an int, or a symbol, and
two tensors whose dimensions are equal have the same shape in every run. It
knows the ops that networks are made of; what it does not know gets symbols of
its own, which equal nothing else.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import shape_rules, symbols


class Dims:
  """Dimensions of the tensors of ops that were noted down.

  A dimension is an int or a symbol, which can be compared and hashed. Ops that
  take only what is alike, such as a concatenation, make symbols the same: a run
  in which they differ fails there.
  """

  def __init__(self):
    """Knows nothing yet."""
    self._known = {}
    self._same = {}  # symbol → what it is the same as

  def note(self, op, given=frozenset()):
    """Notes down the outputs of an op.

    Args:
      op: a `tf.Operation` whose inputs were noted down before.
      given: names of tensors of which no more is to be known.
    """
    rule = None if compat.in_v1_control_flow(op) else shape_rules.find(op)
    for index, tensor in enumerate(op.outputs):
      known = rule is not None and tensor.shape.rank is not None
      if known and tensor.name not in given:
        found = rule(self, op, index)
        own = self.of(tensor)
        if found is not None and len(found) == len(own):
          self.unify(own, found)

  def of(self, tensor):
    """Returns the dimensions of a tensor, `None` if not even the rank is known.

    Args:
      tensor: a tensor of any shape.

    Returns:
      A tuple of ints and symbols.
    """
    if tensor.name not in self._known:
      rank = tensor.shape.rank
      self._known[tensor.name] = (
        None
        if rank is None
        else tuple(
          symbols.of_axis(tensor, axis) if size is None else size
          for axis, size in enumerate(tensor.shape.as_list())
        )
      )
    known = self._known[tensor.name]
    return None if known is None else tuple(map(self._find, known))

  def unify(self, left, right):
    """Takes dimensions for the same, one by one.

    Args:
      left: dimensions, or `None`.
      right: as many, or `None`.
    """
    if left is None or right is None or len(left) != len(right):
      return
    for a, b in zip(map(self._find, left), map(self._find, right)):
      if a == b or (isinstance(a, int) and isinstance(b, int)):
        continue
      if isinstance(a, int) or (
        a[0] != symbols.SIZE and not isinstance(b, int)
      ):
        a, b = b, a
      if a[0] == symbols.SIZE and not symbols.mentions(b, a):
        self._same[a] = b

  def _find(self, size):
    """Returns what stands for a dimension and all that are the same."""
    if isinstance(size, int):
      return size
    if size[0] == symbols.SIZE:
      end = size
      while end in self._same:
        end = self._same[end]
        if isinstance(end, int) or end[0] != symbols.SIZE:
          end = self._find(end)
          break
      while size != end and size in self._same:  # the next look is short
        self._same[size], size = end, self._same[size]
      return end
    return symbols.divide(*(tuple(map(self._find, part)) for part in size[1:]))

  def value(self, tensor):
    """Returns what is known of a shape that a tensor holds.

    Args:
      tensor: an integer tensor, `[N]` or a scalar.

    Returns:
      A tuple of N ints and symbols, a tuple of one for a scalar, or `None`.
    """
    op = tensor.op
    if op.type == "Const":
      found = tf1.get_static_value(tensor)
      return None if found is None else tuple(found.reshape(-1).tolist())
    if op.type == "Shape":
      return self.of(op.inputs[0])
    if op.type == "ShapeN":
      return self.of(op.inputs[tensor.value_index])
    if op.type in ("Identity", "Cast"):
      return self.value(op.inputs[0])
    if op.type == "Pack":
      return _joined(self.value(part) for part in op.inputs)
    if op.type == "ConcatV2":
      return _joined(self.value(part) for part in list(op.inputs)[:-1])
    if op.type == "StridedSlice":
      return self._sliced_value(op)
    return None

  def _sliced_value(self, op):
    whole = self.value(op.inputs[0])
    begin, end, stride = (self.value(part) for part in list(op.inputs)[1:])
    masks = [op.get_attr(f"{k}_mask") for k in ("ellipsis", "new_axis")]
    if None in (whole, begin, end) or stride != (1,) or any(masks):
      return None
    if not all(isinstance(size, int) for size in begin + end):
      return None
    first = None if op.get_attr("begin_mask") else begin[0]
    if op.get_attr("shrink_axis_mask"):
      return (whole[first],) if -len(whole) <= first < len(whole) else None
    return whole[first : None if op.get_attr("end_mask") else end[0]]


def _joined(parts):
  found = ()
  for part in parts:
    if part is None:
      return None
    found += part
  return found
