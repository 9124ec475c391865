"""Static shapes in which symbols stand for unknown sizes.

TensorFlow's static shapes tell which dimensions of a tensor are unknown, but
not which of them are equal. `Dims` does: a dimension is an int or a symbol, and
two tensors with equal dimensions have the same shape in every run. It has rules
for the ops of common networks; outputs of other ops get new symbols, which
equal no others.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import shape_rules, symbols


class Dims:
  """Dimensions of the output tensors of the ops that `note` has seen.

  A dimension is an int or a symbol, which can be compared and hashed. Ops that
  require equal sizes, such as a concatenation, make symbols equal: a run in
  which they differ fails at that op.
  """

  def __init__(self):
    """Begins with no ops."""
    self._known = {}
    self._same = {}  # symbol → an equal dimension

  def note(self, op, given=frozenset()):
    """Infers and stores the dimensions of the outputs of an op.

    Args:
      op: a `tf.Operation`; call this for the ops of its inputs before.
      given: names of tensors to which the rules do not apply, as they may be
        fed.
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
      A tuple of ints and symbols, or `None`.
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
    """Records that dimensions are equal, one by one.

    Does nothing if one of the arguments is `None`, or their numbers differ. Two
    different ints stay different.

    Args:
      left: a tuple of dimensions; `None` if they are unknown.
      right: as many dimensions, or `None`.
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
    """Returns the representative of a dimension and of all equal ones."""
    if isinstance(size, int):
      return size
    if size[0] == symbols.SIZE:
      end = size
      while end in self._same:
        end = self._same[end]
        if isinstance(end, int) or end[0] != symbols.SIZE:
          end = self._find(end)
          break
      while size != end and size in self._same:  # shortens the next look-up
        self._same[size], size = end, self._same[size]
      return end
    return symbols.divide(*(tuple(map(self._find, part)) for part in size[1:]))

  def value(self, tensor):
    """Returns the dimensions in a tensor whose values are a shape.

    Args:
      tensor: an integer tensor, `[N]` or a scalar.

    Returns:
      A tuple of N ints and symbols, a tuple of one for a scalar; `None` if the
      values are unknown.
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
