"""What a step with micro-batches holds at a time, as the runtime tells it."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests.pipeline import support

STAGES, PARTS, ROWS, DEPTH, LAYERS = 3, 5, 4, 6, 2
"""Stages, micro-batches, rows of each, and what a stage consists of."""

VALUE = 8 * ROWS * DEPTH
"""Bytes of the value of a layer for one micro-batch."""


class Looks(list):
  """A timeline that looks into the runtime after each run.

  Attributes:
    most: stage → the most bytes of residuals that were there at once.
  """

  def __init__(self, sess, sizes, set_bytes):
    """Takes sub-model → op that counts sets, and the bytes of each."""
    super().__init__()
    self._sess, self._sizes, self._set_bytes = sess, sizes, set_bytes
    self.most = collections.Counter()

  def append(self, ran):
    """Counts the sets that wait now."""
    super().append(ran)
    for name, count in self._sess.run(self._sizes).items():
      found = int(count) * self._set_bytes[name]
      self.most[name] = max(self.most[name], found)


class HeldTest(support.PipelineTestCase):
  def build(self, residuals):
    """Returns a chain of stages."""

    def stage(k):
      def build(bucket, reads):
        del bucket
        feeds = {}
        if k:
          h = reads["h"]
        else:
          feeds["x"] = h = tf1.placeholder(tf1.float64, [None, DEPTH])
        for n in range(LAYERS):
          w = tf1.get_variable(
            f"w{k}{n}", [DEPTH, DEPTH], tf1.float64, use_resource=True
          )
          h = tf1.tanh(h @ w)
        if k < STAGES - 1:
          return tangle.Piece(feeds, {"h": h})
        return tangle.Piece(feeds, loss=tf1.reduce_mean(h))

      return build

    pipeline = tangle.Pipeline()
    for k in range(STAGES):
      pipeline.add(
        f"stage_{k}",
        stage(k),
        reads={"h": f"stage_{k - 1}.h"} if k else None,
        residuals=residuals,
      )
    return pipeline

  def sets(self, sess, x):
    """Returns for each stage that keeps residuals their count and bytes.

    Only those of the first stage are fetched, which reads no other one; the
    second has values of the same shapes.
    """
    sizes, fetches = {}, {}
    for op in self.graph.get_operations():
      if op.type == "MapStage" and op.name.endswith("/residuals/put"):
        name = op.name.split("/")[-3]
        sizes[name] = tf1.raw_ops.MapSize(
          dtypes=op.get_attr("dtypes"), shared_name=op.get_attr("shared_name")
        )
        fetches[name] = [
          t for t in op.inputs[2:] if t.op.type != "ReadVariableOp"
        ]
    values = sess.run(fetches["stage_0"], {self.x(): x})
    return sizes, sum(value.nbytes for value in values)

  def x(self):
    """Returns the placeholder of the batch."""
    (found,) = (
      op.outputs[0]
      for op in self.graph.get_operations()
      if op.type == "Placeholder" and op.outputs[0].shape.rank == 2
    )
    return found

  @parameterized.product(
    schedule=["1f1b", "gpipe"], residuals=["frontier", "none"]
  )
  def test_bytes_held_are_those_predicted(self, schedule, residuals):
    trainer = self.build(residuals).minimize(
      tf1.train.GradientDescentOptimizer(0.1),
      micro_batches=PARTS,
      schedule=schedule,
    )
    sess = self.session()
    batch = {f"stage_{k}": {} for k in range(STAGES)}
    batch["stage_0"]["x"] = self.normal(PARTS * ROWS, DEPTH)
    sizes, set_bytes = self.sets(sess, batch["stage_0"]["x"][:ROWS])
    # Inputs, and the value of each layer; inputs only where all is computed
    # again.
    per_set = VALUE * (1 if residuals == "none" else 1 + LAYERS)
    self.assertEqual(set_bytes, per_set)
    self.assertCountEqual(sizes, ["stage_0", "stage_1"])  # the last has none
    looks = Looks(sess, sizes, dict.fromkeys(sizes, set_bytes))
    trainer.record(looks)
    for _ in range(2):
      trainer.step(sess, batch)
    kept = {"gpipe": lambda k: PARTS, "1f1b": lambda k: STAGES - k}[schedule]
    predicted = {f"stage_{k}": kept(k) * per_set for k in range(STAGES - 1)}
    self.assertEqual(dict(looks.most), predicted)
    self.assertEqual(sum(sess.run(sizes).values()), 0)
    self.assertTrue(np.isfinite(trainer.step(sess, batch).loss))


if __name__ == "__main__":
  absltest.main()
