"""Gradients of several losses, or networks, over shared variables.

    found = gradients.of_losses(losses, variables, "mgda", boundary=[code])
    pairs = list(zip(found.gradients, variables))
    train_op = optimizer.apply_gradients(pairs)

`combine` does the work inside: it turns K lists of gradients into one.
`balancing` weighs losses by their past values, in one backward pass.
`take_turns`, one optimizer per loss, is a baseline.
"""

from tangle.gradients.backward import of_losses
from tangle.gradients.balancing import (
  Balance,
  DynamicWeightAveraging,
  GradNorm,
  RandomWeighting,
  UncertaintyWeighting,
)
from tangle.gradients.combining import CombinedGradients, combine, explain
from tangle.gradients.gramians import gramian
from tangle.gradients.options import METHODS
from tangle.gradients.reports import GradientReport, report, summarize
from tangle.gradients.totals import total
from tangle.gradients.turns import take_turns

__all__ = [
  "METHODS",
  "Balance",
  "CombinedGradients",
  "DynamicWeightAveraging",
  "GradNorm",
  "RandomWeighting",
  "GradientReport",
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
