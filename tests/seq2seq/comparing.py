"""Comparison of batches, for the tests of what makes them."""

import numpy as np


def assert_same(one, other):
  """Fails unless two `rows.Batch` are equal in every array and number."""
  for field, left, right in zip(one._fields, one, other):
    if field != "sources":
      np.testing.assert_array_equal(left, right, err_msg=field)
      continue
    assert len(left) == len(right)
    for source, its in zip(left, right):
      for name, a, b in zip(source._fields, source, its):
        np.testing.assert_array_equal(a, b, err_msg=name)
