"""Tests of batches of any types in one graph."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, nets
from tangle.branches import mixed
from tangle.compat import tf1
from tests import case
from tests.branches import support


class MixedTest(case.GraphTestCase):
  def test_a_branch_without_records_does_not_run(self):
    ran = []

    def note(x):
      ran.append(len(x))
      return x

    see, look = nets.Dense(3, name="a"), nets.Dense(3, name="b")
    model = branches.Model(
      {
        "a": branches.Branch(see, tf1.float32, [2]),
        "b": branches.Branch(lambda x: look(_noted(note, x)), tf1.float32, [2]),
      },
      nets.Dense(4, name="end"),
      support.softmax_loss,
      branches.Field(tf1.int32),
    )
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="mixed"
    )
    sess = self.session()
    rows = [branches.Record(name, [1.0, 2.0], 1) for name in "aab"]
    trainer.step(sess, model.schema.batch(rows[:2]))
    self.assertEqual(ran, [])
    trainer.step(sess, model.schema.batch(rows))
    self.assertEqual(ran, [1])

  def test_a_nan_of_one_branch_stays_out_of_steps_without_it(self):
    scale = self.variable("scale", np.float32(-1.0))
    model = branches.Model(
      {
        "a": branches.Branch(nets.Dense(2, name="a"), tf1.float32, [2]),
        "b": branches.Branch(lambda x: tf1.log(x * scale), tf1.float32, [2]),
      },
      nets.Dense(4, name="end"),
      support.softmax_loss,
      branches.Field(tf1.int32),
    )
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="mixed", clip_norm=1.0
    )
    sess = self.session()
    batch = model.schema.batch([branches.Record("a", [1.0, 2.0], 1)])
    self.assertTrue(np.isfinite(trainer.step(sess, batch).global_norm))
    for value in sess.run(tf1.trainable_variables()):
      self.assertTrue(np.all(np.isfinite(value)))

  def test_the_graph_grows_by_updates_only(self):
    model = support.make(("image", "token", "pair"))
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="mixed"
    )
    before = {op.name for op in self.graph.get_operations()}
    trainer.prepare(["image", "token"])
    new = [op for op in self.graph.get_operations() if op.name not in before]
    self.assertNotEmpty(new)
    self.assertNotIn("MatMul", {op.type for op in new})
    self.assertNotIn("VarHandleOp", {op.type for op in new})


class StitchTest(case.GraphTestCase):
  @parameterized.parameters(False, True)
  def test_rows_go_to_their_places(self, unknown):
    shape = [None, None] if unknown else [None, 2]
    codes = {
      name: tf1.placeholder(tf1.float64, shape, name=name) for name in "abc"
    }
    places, joined = mixed.stitch(codes)
    empty = np.zeros([0, 0 if unknown else 2])
    found = self.session().run(
      joined,
      {
        codes["a"]: [[1.0, 2.0]],
        codes["b"]: [[3.0, 4.0], [5.0, 6.0]],
        codes["c"]: empty,
        places["a"]: [1],
        places["b"]: [2, 0],
        places["c"]: np.zeros([0], np.int32),
      },
    )
    self.assertEqual(found.tolist(), [[5.0, 6.0], [1.0, 2.0], [3.0, 4.0]])


def _noted(note, x):
  found = tf1.py_func(note, [x], x.dtype)
  found.set_shape(x.shape)
  return found


if __name__ == "__main__":
  absltest.main()
