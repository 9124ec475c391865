"""What a training run needs besides its model."""

from tangle.training import (
  checkpoints,
  determinism,
  loop,
  meters,
  progress,
  schedules,
  sources,
  summaries,
)

__all__ = [
  "checkpoints",
  "determinism",
  "loop",
  "meters",
  "progress",
  "schedules",
  "sources",
  "summaries",
]
