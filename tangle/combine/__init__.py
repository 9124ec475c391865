"""Combination: one model made of several networks, pre-trained or new.

    model = combine.sequential(
      combine.parallel(("left", left), ("right", right), inputs="each"),
      nets.Dense(10, name="head"),
    )
    logits = model([left_ph, right_ph])
    weights = combine.pretrained("runs/left", model.part("parallel/left"))
    groups = [combine.Group(model.part("head"), 1e-3)]
    step = combine.minimize(loss, groups, frozen=[model.part("parallel")])

A network is any callable from tensors to tensors: one of `tangle.nets`, a Keras
layer, a Sonnet module, a plain function. A combination is a network too.
"""

from tangle.combine.cutting import Cut, cut
from tangle.combine.fine_tuning import Group, Tuning, gradual, minimize
from tangle.combine.loading import LoadReport, Pretrained, pretrained
from tangle.combine.parallels import Parallel, parallel
from tangle.combine.parts import Combined, Part
from tangle.combine.sequences import Sequential, sequential
from tangle.combine.trunks import Shared, shared, weighted_loss

__all__ = [
  "Combined",
  "Cut",
  "Group",
  "Parallel",
  "Part",
  "Pretrained",
  "LoadReport",
  "Sequential",
  "Shared",
  "Tuning",
  "cut",
  "gradual",
  "minimize",
  "parallel",
  "pretrained",
  "sequential",
  "shared",
  "weighted_loss",
]
