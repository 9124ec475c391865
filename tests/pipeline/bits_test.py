"""Long trainings have the bits of the joint graph, denormal numbers and all.

Rows that are not used any more have moments that decay until they are denormal
numbers, and gradients are so small that their squares are. TensorFlow's threads
flush these to zero, other threads do not.
"""

import re

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.pipeline import joint
from tests import case
from tests.pipeline import support

MANY, FEWER = 2000, 600
"""Steps; after some 400 the first moments are denormal numbers."""

ROWS, USED, DEPTH = 40, 4, 3
SCALE = 1e-20
"""Of the gradients: their squares are denormal numbers."""


def _batches(steps):
  """Yields the rows that each step reads: all for a while, then a few."""
  for k in range(steps):
    turn = k % (ROWS // USED) if k < 100 else 0
    yield np.arange(USED, dtype=np.int32) + USED * turn


def _optimizer():
  return tf1.train.AdamOptimizer(1e-3, epsilon=SCALE)


class BitsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.table_np = self.normal(ROWS, DEPTH, dtype=np.float32)
    self.w_np = self.normal(DEPTH, 1, dtype=np.float32)

  def lower(self, bucket=None, reads=None):
    """Builds `out = tanh(table[ids])`, `[USED, DEPTH]`."""
    del bucket, reads
    ids = tf1.placeholder(tf1.int32, [USED], "ids")
    table = self.variable("table", self.table_np)
    return tangle.Piece({"ids": ids}, {"out": tf1.tanh(tf1.gather(table, ids))})

  def upper(self, bucket, reads):
    """Builds `loss = SCALE sum(out w)`."""
    del bucket
    found = tf1.matmul(reads["out"], self.variable("w", self.w_np))
    return tangle.Piece({}, loss=SCALE * tf1.reduce_sum(found))

  def train(self, build, steps):
    """Trains in a fresh graph by the steps that `build` makes.

    Args:
      build: a function without arguments that returns a function of a session
        and rows.
      steps: how many.

    Returns:
      Name → array, of the variables, the moments of the optimizer among them.
    """
    with tf1.Graph().as_default() as graph:
      step = build()
      with tf1.Session(graph=graph) as sess:
        sess.run(tf1.global_variables_initializer())
        for rows in _batches(steps):
          step(sess, rows)
        found = sess.run(_all_variables())
    moments = [value for name, value in found.items() if "Adam" in name]
    self.assertGreater(sum((value == 0).sum() for value in moments), 0)
    return found

  def assert_same_bits(self, build, kind, steps, times):
    """Fails unless trainings of a kind have the bits of the joint graph."""
    expected = self.train(lambda: build(None), steps)
    for _ in range(times):
      found = self.train(lambda: build(kind), steps)
      self.assertCountEqual(found, expected)
      for name, value in expected.items():
        self.assertEqual(found[name].tobytes(), value.tobytes(), name)

  def of_sub_model(self, store):
    """Returns a step that trains the lower part, from a given upstream."""
    piece = self.lower()
    (table,) = tf1.trainable_variables()
    upstream = np.full([USED, DEPTH], SCALE, np.float32)
    ids, out = piece.feeds["ids"], piece.outputs["out"]
    if store is None:
      up = tf1.placeholder(tf1.float32, [USED, DEPTH])
      (gradient,) = tf1.gradients(out, [table], grad_ys=[up])
      train_op = _optimizer().apply_gradients([(gradient, table)])
      return lambda sess, rows: sess.run(train_op, {ids: rows, up: upstream})
    sub_model = tangle.SubModel([ids], [out], [table], store=store)
    pairs = zip(sub_model.gradients.variables, sub_model.variables)
    train_op = _optimizer().apply_gradients(pairs)

    def step(sess, rows):
      sub_model.forward(sess, {ids: rows}).run(train_op, [upstream])

    return step

  def of_pipeline(self, kind):
    """Returns a step that trains both parts."""
    wiring = support.Wiring().add("lower", self.lower)
    wiring.add("upper", self.upper, reads={"out": "lower.out"})
    if kind is None:
      joined = wiring.join({"lower": None, "upper": None})
      train_op = _optimizer().minimize(joined.loss)
      (ids,) = joined.feeds.values()
      return lambda sess, rows: sess.run(train_op, {ids: rows})
    pipeline = wiring.pipeline()
    if kind == "joint":
      trainer = joint.JointTrainer(pipeline, _optimizer())
    else:
      trainer = pipeline.minimize(_optimizer(), overlap=kind == "overlap")
    return lambda sess, rows: trainer.step(
      sess, {"lower": {"ids": rows}, "upper": {}}
    )

  @parameterized.parameters(
    ("device", MANY, 2),
    ("host", FEWER),
    ("session", FEWER),
    ("recompute", FEWER),
  )
  def test_sub_model(self, store, steps, times=1):
    self.assert_same_bits(self.of_sub_model, store, steps, times)

  @parameterized.parameters(
    ("in turn", MANY, 2), ("overlap", FEWER), ("joint", FEWER)
  )
  def test_pipeline(self, kind, steps, times=1):
    self.assert_same_bits(self.of_pipeline, kind, steps, times)


def _all_variables():
  """Returns name → variable; the powers of beta have other scopes."""
  found = tf1.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
  return {re.sub(".*/beta", "beta", v.op.name): v for v in found}


if __name__ == "__main__":
  absltest.main()
