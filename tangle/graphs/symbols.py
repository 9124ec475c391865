"""Symbols for dimensions that are not known before a run.

A dimension is an int or a symbol: the size of an axis of a tensor, or a
quotient of products of dimensions. Equal symbols are equal sizes.
"""

import math

SIZE = "size"
QUOTIENT = "quotient"


def of_axis(tensor, axis):
  """Returns the symbol of the size of an axis of a tensor.

  Args:
    tensor: a tensor of any shape.
    axis: an int, 0 or more.

  Returns:
    A tuple; calls with the same arguments return equal ones.
  """
  return (SIZE, tensor.name, axis)


def mentions(size, symbol):
  """Whether a dimension is `symbol`, or a quotient in which it occurs.

  Args:
    size: a dimension, an int or a symbol.
    symbol: a symbol, as `of_axis` returns it.

  Returns:
    A bool.
  """
  if isinstance(size, int) or size[0] == SIZE:
    return size == symbol
  return any(mentions(part, symbol) for parts in size[1:] for part in parts)


def broadcast(left, right):
  """Returns the dimensions of two tensors broadcast together.

  Args:
    left: dimensions of one, or `None`.
    right: dimensions of the other, or `None`.

  Returns:
    A tuple of dimensions; `None` if they are not known, which is so if two
    different symbols meet.
  """
  if left is None or right is None:
    return None
  rank = max(len(left), len(right))
  found = []
  for a, b in zip(_filled(left, rank), _filled(right, rank)):
    if a == b or b == 1:
      found.append(a)
    elif a == 1 or isinstance(b, int):
      found.append(b)  # the other one must equal an int that is not 1
    elif isinstance(a, int):
      found.append(a)
    else:
      return None
  return tuple(found)


def _filled(dimensions, rank):
  return (1,) * (rank - len(dimensions)) + tuple(dimensions)


def divide(given, wanted):
  """Returns the product of dimensions divided by that of others.

  Args:
    given: a sequence of dimensions, the factors above.
    wanted: a sequence of dimensions, the factors below; common factors cancel.

  Returns:
    A dimension: an int or a symbol.
  """
  above, below = _flatten(given, wanted)
  factor, above = _split(above)
  divisor, below = _split(below)
  for size in list(below):
    if size in above:
      above.remove(size)
      below.remove(size)
  common = math.gcd(factor, divisor) or 1
  factor, divisor = factor // common, divisor // common
  if not below and divisor == 1:
    if not above:
      return factor
    if factor == 1 and len(above) == 1:
      return above[0]
  above.sort(key=repr)
  below.sort(key=repr)
  return (QUOTIENT, (factor, *above), (divisor, *below))


def _flatten(given, wanted):
  """Returns numerator and denominator factors that are not quotients."""
  above, below = [], []
  for sizes, own, other in ((given, above, below), (wanted, below, above)):
    for size in sizes:
      if isinstance(size, int) or size[0] == SIZE:
        own.append(size)
      else:
        own.extend(size[1])
        other.extend(size[2])
  return above, below


def _split(sizes):
  """Returns the product of the ints, and the list of the symbols."""
  product = 1
  for size in sizes:
    product *= size if isinstance(size, int) else 1
  return product, [size for size in sizes if not isinstance(size, int)]
