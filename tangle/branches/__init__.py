"""Multi-branch models: one branch per type of data, and a shared head.

    paths = {"image": branches.Branch(...), ...}
    model = branches.Model(paths, head, loss, target)
    trainer = model.minimize(tf1.train.AdamOptimizer(), mode="mixed")
    trainer.step(sess, model.schema.batch(records))

Batches come from `Schema.batch`, or from `tf.data` through `streams`;
`schedules` decide their order.
"""

from tangle.branches import schedules, streams
from tangle.branches.model import Branch, Model
from tangle.branches.records import Batch, Field, Record, Schema

__all__ = [
  "Batch",
  "Branch",
  "Field",
  "Model",
  "Record",
  "Schema",
  "schedules",
  "streams",
]
