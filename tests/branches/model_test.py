"""Tests of the description of a model."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors, nets
from tangle.branches import model as model_lib
from tangle.compat import tf1
from tests import case
from tests.branches import support

TARGET = branches.Field(tf1.int32)


def dense(units=3, name="dense"):
  return branches.Branch(nets.Dense(units, name=name), tf1.float32, [2])


class ModelTest(case.GraphTestCase):
  def make(self, ends=None, loss=support.softmax_loss, **known):
    ends = ends or nets.Dense(4, name="end")
    return branches.Model(known, ends, loss, TARGET)

  def test_variables_belong_to_their_part(self):
    model = support.make()
    names = {
      part: [v.op.name for v in found]
      for part, found in model.variables.items()
    }
    end = ["end/kernel", "end/bias"]
    self.assertEqual(names["image"], ["dense/kernel", "dense/bias"])
    self.assertEqual(names["token"], ["table/table"])
    self.assertEqual(names[model_lib.HEAD], end)
    active = [v.op.name for v in model.variables_of(["token"])]
    self.assertEqual(active, ["table/table"] + end)

  def test_what_several_parts_use_is_the_ends(self):
    both = nets.Dense(3, name="both")
    other = branches.Branch(lambda x: both(x) * 2.0, tf1.float32, [2])
    model = self.make(a=branches.Branch(both, tf1.float32, [2]), b=other)
    owners = set(model.owners().values())
    self.assertEqual(owners, {model_lib.HEAD})

  def test_predictions_come_in_the_order_of_the_batch(self):
    model = support.make(("image", "token", "pair"))
    names = ["pair", "image", "token", "image", "pair"]
    rows = [support.record(self.rng, name) for name in names]
    sess = self.session()
    whole = model.predict(sess, model.schema.batch(rows))
    for row, record in zip(whole, rows):
      alone = model.predict(sess, model.schema.batch([record]))
      self.assert_close(alone[0], row)

  def test_codes_may_be_nests(self):
    twice = nets.Dense(3, name="twice")
    model = branches.Model(
      {
        "a": branches.Branch(lambda x: (twice(x), x), tf1.float32, [2]),
        "b": branches.Branch(lambda x: (-twice(x), -x), tf1.float32, [2]),
      },
      lambda code: tf1.concat(code, 1),
      support.softmax_loss,
      TARGET,
    )
    batch = model.schema.batch(
      [branches.Record("b", [1.0, 2.0], 0), branches.Record("a", [1.0, 2.0], 0)]
    )
    found = model.predict(self.session(), batch)
    self.assert_close(found[0], -found[1])

  @parameterized.named_parameters(
    ("no_branches", {}, errors.ArgumentError, "at least one type"),
    (
      "no_network",
      {"a": branches.Branch(3, tf1.float32, [2])},
      errors.ArgumentError,
      "callable",
    ),
    (
      "no_tensor",
      {"a": branches.Branch(lambda x: None, tf1.float32, [2])},
      errors.ArgumentError,
      "dense tensors",
    ),
    (
      "no_rows",
      {"a": branches.Branch(tf1.reduce_sum, tf1.float32, [2])},
      errors.ShapeError,
      "row",
    ),
    (
      "unknown_shape",
      {"a": branches.Branch(tf1.identity, tf1.float32, [None])},
      errors.ShapeError,
      "fully known",
    ),
  )
  def test_a_bad_branch_is_refused(self, known, error, part):
    with self.assertRaises(error) as caught:
      self.make(**known)
    self.assert_message(caught.exception, part)

  def test_codes_must_be_alike(self):
    a, b = dense(3, "a"), dense(4, "b")
    with self.assertRaisesRegex(errors.ShapeError, "'a' and 'b'"):
      self.make(a=a, b=b)
    wide = branches.Branch(
      lambda x: tf1.cast(a.network(x), tf1.float64), tf1.float32, [2]
    )
    with self.assertRaisesRegex(errors.DtypeError, "'a' and 'b'"):
      self.make(a=a, b=wide)
    pair = branches.Branch(lambda x: (a.network(x), x), tf1.float32, [2])
    with self.assertRaisesRegex(errors.ArgumentError, "structure"):
      self.make(a=a, b=pair)

  def test_the_end_must_share_its_variables(self):
    def end(code):
      return nets.Dense(4, name=f"end_{len(tf1.global_variables())}")(code)

    with self.assertRaisesRegex(errors.ArgumentError, "the same variables"):
      self.make(end, a=dense(name="a"), b=dense(name="b"))

  def test_a_branch_that_makes_new_variables_is_refused(self):
    def network(x):
      return nets.Dense(3, name=f"new_{len(tf1.global_variables())}")(x)

    model = self.make(a=branches.Branch(network, tf1.float32, [2]))
    with self.assertRaisesRegex(errors.ArgumentError, "called again"):
      model.minimize(make_optimizer=tf1.train.AdamOptimizer, mode="partial")

  def test_the_loss_must_be_one_float_a_record(self):
    a = dense()
    for loss, error in (
      (lambda y, t: tf1.reduce_sum(y), errors.ShapeError),
      (lambda y, t: y, errors.ShapeError),
      (lambda y, t: t, errors.DtypeError),
    ):
      with self.assertRaisesRegex(error, "loss must give"):
        self.make(tf1.identity, loss, a=a)

  def test_bad_settings_of_training_are_refused(self):
    model = self.make(a=dense(name="a"), b=dense(name="b"))
    optimizer = tf1.train.AdamOptimizer()
    before = self.count_ops()
    for part, arguments in (
      ("mode must be", (optimizer, "all")),
      ("optimizer must be", ("adam",)),
      ("clip_norm", (optimizer, "mixed", 0.0)),
      ("global_step must be a variable", (optimizer, "mixed", None, 0)),
      ("needs mode='partial'", (optimizer, "mixed", None, None, [("a", "b")])),
      ("groups of two", (optimizer, "partial", None, None, [("a",)])),
      ("groups of two", (optimizer, "partial", None, None, [("a", "c")])),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, part):
        model.minimize(*arguments)
    self.assertEqual(self.count_ops(), before)

  def test_something_must_be_trained(self):
    known = {"a": branches.Branch(tf1.identity, tf1.float32, [2])}
    model = self.make(tf1.identity, **known)
    for way in ("alternate", "mixed", "partial"):
      with self.assertRaisesRegex(errors.ArgumentError, "gradient"):
        model.minimize(make_optimizer=tf1.train.AdamOptimizer, mode=way)

  def test_predict_checks_the_batch(self):
    model = support.make()
    with self.assertRaisesRegex(errors.ArgumentError, "predict"):
      model.predict(self.session(), np.zeros(3))


if __name__ == "__main__":
  absltest.main()
