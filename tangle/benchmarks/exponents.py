"""How figures grow with a size: exponents.

The growth of a figure y with the size x is given by the exponent e of y ~ x^e:
0 is constant, 1 is linear, 2 quadratic. It is the slope of the least-squares
line through the points (log x, log y):

    overall: through all sizes
    tail: through the last `TAIL` sizes

Fixed costs dominate at small sizes, so that `overall` is too low where they are
high; `tail` is closer to the growth at large sizes.
"""

from typing import NamedTuple

import numpy as np

TAIL = 3
"""Number of largest sizes from which the exponent of the tail is fitted."""


class Exponent(NamedTuple):
  """Exponents of a figure's growth, as defined in the module."""

  overall: float
  tail: float


def fit(xs, ys):
  """Fits exponents, as defined in the module.

  Args:
    xs: positive sizes, rising.
    ys: as many figures.

  Returns:
    An `Exponent`; `None` if there are fewer than two sizes, or a figure is not
    positive.
  """
  if len(xs) < 2 or min(ys) <= 0:
    return None
  x, y = np.log(xs), np.log(ys)
  return Exponent(
    float(np.polyfit(x, y, 1)[0]),
    float(np.polyfit(x[-TAIL:], y[-TAIL:], 1)[0]),
  )


def fit_each(rows, figures):
  """Returns figure → what `fit` returns, for `rows`, each with its `size`."""
  sizes = [row["size"] for row in rows]
  return {name: fit(sizes, [row[name] for row in rows]) for name in figures}


def write(fitted):
  """Returns figure → "overall / tail", or `None` where `fitted` has `None`.

  Args:
    fitted: what `fit_each` returns.
  """
  return {
    figure: value and f"{value.overall:.2f} / {value.tail:.2f}"
    for figure, value in fitted.items()
  }
