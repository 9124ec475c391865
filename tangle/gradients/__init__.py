"""Gradients of several losses, or networks, over shared variables.

    found = gradients.of_losses(losses, variables, "mgda", boundary=[code])
    pairs = list(zip(found.gradients, variables))
    train_op = optimizer.apply_gradients(pairs)

`combine` is what that stands on: from K lists of gradients to one. `balancing`
weighs losses by what they have been, with one backward pass. `take_turns`, one
optimizer a loss, is what to compare with.
"""

from tangle.gradients.backward import of_losses
from tangle.gradients.balancing import (
  Balance,
  DynamicWeightAveraging,
  GradNorm,
  RandomWeighting,
  UncertaintyWeighting,
)
from tangle.gradients.combining import Combined, combine, explain
from tangle.gradients.gramians import gramian
from tangle.gradients.options import METHODS
from tangle.gradients.reports import Report, report, summarize
from tangle.gradients.totals import total
from tangle.gradients.turns import take_turns

__all__ = [
  "METHODS",
  "Balance",
  "Combined",
  "DynamicWeightAveraging",
  "GradNorm",
  "RandomWeighting",
  "Report",
  "UncertaintyWeighting",
  "combine",
  "explain",
  "gramian",
  "of_losses",
  "report",
  "summarize",
  "take_turns",
  "total",
]
