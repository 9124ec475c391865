"""Tests of records and batches."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors
from tangle.compat import tf1
from tests import case

Record = branches.Record


class SchemaTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.schema = branches.Schema(
      {
        "image": branches.Field(tf1.float32, [2]),
        "token": branches.Field(tf1.int32),
        "word": branches.Field(tf1.string),
      },
      branches.Field(tf1.int64),
    )

  def test_a_batch_holds_each_record_at_its_place(self):
    batch = self.schema.batch(
      [
        Record("token", 3, 0),
        Record("image", [0.5, 1], 1),
        Record("token", np.int32(5), 2),
        Record("word", "a", 3),
      ]
    )
    self.assertEqual(batch.targets.tolist(), [0, 1, 2, 3])
    self.assertEqual(list(batch.inputs), ["image", "token", "word"])
    self.assertEqual(batch.inputs["token"].tolist(), [3, 5])
    self.assertEqual(batch.places["token"].tolist(), [0, 2])
    self.assertEqual(batch.inputs["image"].tolist(), [[0.5, 1.0]])
    self.assertEqual(batch.inputs["word"].tolist(), ["a"])
    self.assertEqual(batch.inputs["image"].dtype, np.float32)
    self.schema.check(batch)

  @parameterized.named_parameters(
    ("unknown_type", Record("sound", 1, 1), "'sound'", "'image', 'token'"),
    ("no_record", ("token", 1, 1), "branches.Record"),
    ("shape", Record("image", [1.0], 1), "(2,)", "(1,)", "'image'"),
    ("own_dtype", Record("image", np.zeros(2), 1), "float32", "float64"),
    ("kind", Record("token", 1.5, 1), "int32", "1.5"),
    ("range", Record("token", 2**40, 1), "int32"),
    ("bool", Record("token", True, 1), "int32", "bool"),
    ("number_for_text", Record("word", 1, 1), "string"),
    ("target", Record("token", 1, [1, 2]), "target", "(2,)"),
  )
  def test_a_record_that_does_not_fit_is_named(self, record, *parts):
    good = Record("token", 1, 1)
    with self.assertRaises(errors.DataError) as caught:
      self.schema.batch([good, record], first=40)
    self.assert_message(caught.exception, "Record 41", *parts)

  def test_there_must_be_records(self):
    with self.assertRaisesRegex(errors.ArgumentError, "records is empty"):
      self.schema.batch([])

  def test_there_must_be_types(self):
    with self.assertRaisesRegex(errors.ArgumentError, "at least one type"):
      branches.Schema({}, branches.Field(tf1.int32))

  @parameterized.parameters("", "a b", "a.b", "_a", 3)
  def test_a_type_must_have_a_name(self, name):
    with self.assertRaisesRegex(errors.ArgumentError, "needs a name"):
      branches.Schema(
        {name: branches.Field(tf1.int32)}, branches.Field("int32")
      )

  def test_shapes_must_be_known(self):
    with self.assertRaisesRegex(errors.ShapeError, "fully known"):
      branches.Schema(
        {"a": branches.Field(tf1.int32, [None])}, branches.Field(tf1.int32)
      )

  @parameterized.named_parameters(
    ("none", lambda b: None, errors.ArgumentError, "branches.Batch"),
    (
      "no_types",
      lambda b: b._replace(inputs={}, places={}),
      errors.ArgumentError,
      "is empty",
    ),
    (
      "no_rows",
      lambda b: branches.Batch(
        {"token": np.zeros([0], np.int32)},
        {"token": np.zeros([0], np.int32)},
        np.zeros([0], np.int64),
      ),
      errors.ArgumentError,
      "is empty",
    ),
    (
      "unknown_type",
      lambda b: b._replace(inputs={"sound": b.inputs["token"]}),
      errors.ArgumentError,
      "'sound'",
    ),
    (
      "places_of_others",
      lambda b: b._replace(places={"image": b.places["token"]}),
      errors.ArgumentError,
      "but places of",
    ),
    (
      "place_twice",
      lambda b: b._replace(places={"token": np.array([1, 1], np.int32)}),
      errors.ArgumentError,
      "once",
    ),
    (
      "dtype",
      lambda b: b._replace(inputs={"token": np.zeros([2])}),
      errors.DtypeError,
      "int32, got float64",
    ),
    (
      "shape",
      lambda b: b._replace(inputs={"token": np.zeros([2, 1], np.int32)}),
      errors.ShapeError,
      "(2, 1)",
    ),
    (
      "targets",
      lambda b: b._replace(targets=b.targets[:1]),
      errors.ShapeError,
      "targets",
    ),
  )
  def test_a_batch_that_does_not_fit_is_refused(self, spoil, error, part):
    batch = self.schema.batch([Record("token", 1, 1), Record("token", 2, 1)])
    with self.assertRaises(error) as caught:
      self.schema.check(spoil(batch))
    self.assert_message(caught.exception, part)


if __name__ == "__main__":
  absltest.main()
