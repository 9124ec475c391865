"""Tests of streams."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors
from tangle.branches import streams
from tangle.compat import tf1
from tests import case

Record = branches.Record
WAYS = (("by_type", streams.by_type), ("mixed", streams.mixed))


class StreamsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.schema = branches.Schema(
      {
        "image": branches.Field(tf1.float32, [2]),
        "token": branches.Field(tf1.int64),
      },
      branches.Field(tf1.int64),
    )

  def read(self, dataset):
    reader = streams.Reader(dataset)
    sess = self.session()
    return list(reader.epoch(sess))

  def records(self, count=20):
    for i in range(count):
      if i % 3:
        yield Record("image", [i, 2.0 * i], i)
      else:
        yield Record("token", i, i)

  def dataset(self, values, kinds=("token", "image", "image")):
    """Returns a dataset whose `i`-th record has value and target `i`."""
    return tf1.data.Dataset.range(10).map(
      lambda i: {
        "type": tf1.gather(list(kinds), i % len(kinds)),
        "inputs": values(i),
        "target": i,
      }
    )

  def check(self, batches):
    """Checks that values belong to targets; returns all targets."""
    for batch in batches:
      self.schema.check(batch)
      for name, places in batch.places.items():
        values = batch.inputs[name]
        values = values if name == "token" else values[:, 0]
        self.assertEqual(values.tolist(), batch.targets[places].tolist())
    return np.concatenate([batch.targets for batch in batches]).tolist()

  def test_100000_records_are_seen_once_an_epoch(self):
    count = 100000
    schema = branches.Schema(
      {name: branches.Field(tf1.int32) for name in "ab"},
      branches.Field(tf1.int32),
    )
    ids = np.arange(count, dtype=np.int32)
    dataset = tf1.data.Dataset.from_tensor_slices(
      {
        "type": np.where(self.rng.rand(count) < 0.3, "a", "b"),
        "inputs": {"a": ids, "b": ids},
        "target": ids,
      }
    )
    dataset = dataset.shuffle(10000, seed=5)
    batches = self.read(streams.by_type(schema, dataset, 512))
    seen = np.concatenate([batch.targets for batch in batches])
    self.assertTrue(np.array_equal(np.sort(seen), ids))
    self.assertFalse(np.array_equal(seen, ids))
    for batch in batches:
      self.assertLen(batch.inputs, 1)
      (values,) = batch.inputs.values()
      self.assertTrue(np.array_equal(values, batch.targets))
    short = [b for b in batches if len(b.targets) < 512]
    self.assertLessEqual(len(short), 2)

  def test_each_epoch_has_an_order_of_its_own(self):
    seed_ph = tf1.placeholder(tf1.int64, [])
    dataset = streams.encode(self.schema, lambda: self.records(50))
    dataset = dataset.shuffle(50, seed=seed_ph)
    reader = streams.Reader(streams.by_type(self.schema, dataset, 4))
    sess = self.session()
    first, second, again = (
      self.check(list(reader.epoch(sess, {seed_ph: seed})))
      for seed in (1, 2, 1)
    )
    self.assertCountEqual(first, range(50))
    self.assertCountEqual(second, range(50))
    self.assertNotEqual(first, second)
    self.assertEqual(first, again)

  def test_batches_of_one_type_come_as_they_are_full(self):
    dataset = streams.encode(self.schema, self.records)
    batches = self.read(streams.by_type(self.schema, dataset, 4))
    found = [(list(b.inputs)[0], b.targets.tolist()) for b in batches]
    self.assertEqual(
      found[:4],
      [
        ("image", [1, 2, 4, 5]),
        ("token", [0, 3, 6, 9]),
        ("image", [7, 8, 10, 11]),
        ("image", [13, 14, 16, 17]),
      ],
    )
    self.assertCountEqual(found[4:], [("image", [19]), ("token", [12, 15, 18])])
    self.check(batches)

  def test_mixed_batches_keep_the_order(self):
    dataset = streams.encode(self.schema, self.records)
    batches = self.read(streams.mixed(self.schema, dataset, 8))
    self.assertEqual(self.check(batches), list(range(20)))
    self.assertEqual([len(b.targets) for b in batches], [8, 8, 4])

  def test_a_type_that_a_mixed_batch_lacks_is_not_in_it(self):
    dataset = streams.encode(self.schema, self.records)
    batches = self.read(streams.mixed(self.schema, dataset, 1))
    self.assertEqual(
      [list(b.inputs) for b in batches[:2]], [["token"], ["image"]]
    )

  def test_encoding_in_chunks_drops_none(self):
    count = streams._CHUNK * 2 + 3
    dataset = streams.encode(self.schema, lambda: self.records(count))
    batches = self.read(streams.mixed(self.schema, dataset, 50))
    self.assertEqual(self.check(batches), list(range(count)))

  def test_strings_are_records(self):
    schema = branches.Schema(
      {"word": branches.Field(tf1.string), "id": branches.Field(tf1.int32)},
      branches.Field(tf1.string),
    )
    rows = [Record("word", "zwei", "b"), Record("id", 1, "a")]
    dataset = streams.encode(schema, lambda: rows)
    (batch,) = self.read(streams.mixed(schema, dataset, 2))
    self.assertEqual(batch.inputs["word"].tolist(), [b"zwei"])
    self.assertEqual(batch.targets.tolist(), [b"b", b"a"])
    schema.check(batch)

  @parameterized.named_parameters(*WAYS)
  def test_examples_of_files_are_records(self, way):
    def example(i):
      features = {
        "type": tf1.train.Feature(
          bytes_list=tf1.train.BytesList(
            value=[b"image" if i % 3 else b"token"]
          )
        ),
        "target": tf1.train.Feature(int64_list=tf1.train.Int64List(value=[i])),
      }
      if i % 3:
        features["image"] = tf1.train.Feature(
          float_list=tf1.train.FloatList(value=[i, 0])
        )
      else:
        features["token"] = tf1.train.Feature(
          int64_list=tf1.train.Int64List(value=[i])
        )
      whole = tf1.train.Example(features=tf1.train.Features(feature=features))
      return whole.SerializeToString()

    def parse(text):
      found = tf1.parse_single_example(
        text,
        {
          "type": tf1.FixedLenFeature([], tf1.string),
          "image": tf1.FixedLenFeature([2], tf1.float32, [0.0, 0.0]),
          "token": tf1.FixedLenFeature([], tf1.int64, 0),
          "target": tf1.FixedLenFeature([], tf1.int64),
        },
      )
      return {
        "type": found["type"],
        "inputs": {"image": found["image"], "token": found["token"]},
        "target": found["target"],
      }

    texts = [example(i) for i in range(10)]
    dataset = tf1.data.Dataset.from_tensor_slices(texts).map(parse)
    batches = self.read(way(self.schema, dataset, 4))
    self.assertCountEqual(self.check(batches), range(10))

  @parameterized.named_parameters(*WAYS)
  def test_what_is_not_of_a_records_type_may_have_any_shape(self, way):
    def values(i):
      is_image = tf1.not_equal(i % 3, 0)
      number = tf1.cast(i, tf1.float32)
      image = tf1.cond(
        is_image, lambda: tf1.stack([number, 0.0]), lambda: tf1.zeros([0])
      )
      return {"image": image, "token": i}

    batches = self.read(way(self.schema, self.dataset(values), 4))
    self.assertCountEqual(self.check(batches), range(10))

  @parameterized.named_parameters(*WAYS)
  def test_a_value_of_another_shape_is_named(self, way):
    def values(i):
      size = tf1.where(i < 5, 2, 3)
      return {"image": tf1.zeros([size]), "token": i}

    with self.assertRaises(errors.DataError) as caught:
      self.read(way(self.schema, self.dataset(values), 4))
    self.assert_message(
      caught.exception, "Record 5", "image", "shape (2)", "got (3)"
    )

  @parameterized.named_parameters(*WAYS)
  def test_a_record_of_undeclared_type_is_named(self, way):
    dataset = self.dataset(
      lambda i: {"image": tf1.zeros([2]), "token": i},
      kinds=["token", "token", "token", "sound"],
    )
    with self.assertRaises(errors.DataError) as caught:
      self.read(way(self.schema, dataset, 100))
    self.assert_message(caught.exception, "Record 3", "sound", "image, token")

  def test_a_record_of_python_that_does_not_fit_is_named(self):
    def rows():
      yield from self.records(10)
      yield Record("sound", 1, 1)

    dataset = streams.encode(self.schema, rows)
    reader = streams.Reader(streams.mixed(self.schema, dataset, 2))
    sess, found = self.session(), []
    with self.assertRaises(errors.DataError) as caught:
      for batch in reader.epoch(sess):
        found.append(batch)
    self.assert_message(caught.exception, "Record 10", "'sound'", "'token'")
    self.assertEqual(self.check(found), list(range(10)))

  def test_errors_of_others_are_left_alone(self):
    def values(i):
      with tf1.control_dependencies([tf1.Assert(i < 2, ["mine"])]):
        return {"image": tf1.zeros([2]), "token": tf1.identity(i)}

    with self.assertRaisesRegex(tf1.errors.InvalidArgumentError, "mine"):
      self.read(streams.mixed(self.schema, self.dataset(values), 1))

  def test_bad_arguments_are_refused(self):
    good = streams.encode(self.schema, self.records)
    other = branches.Schema(
      {"image": branches.Field(tf1.float32, [2])}, branches.Field(tf1.int64)
    )
    for way in (streams.by_type, streams.mixed):
      with self.assertRaisesRegex(errors.ArgumentError, "batch_size"):
        way(self.schema, good, 0)
      with self.assertRaisesRegex(errors.ArgumentError, "must be"):
        way(other, good, 2)
      floats = good.map(
        lambda e: dict(e, target=tf1.cast(e["target"], "float32"))
      )
      with self.assertRaisesRegex(errors.DtypeError, "float32"):
        way(self.schema, floats, 2)
      pairs = good.map(lambda e: dict(e, target=tf1.stack([e["target"]] * 2)))
      with self.assertRaisesRegex(errors.ShapeError, "targets"):
        way(self.schema, pairs, 2)
    with self.assertRaisesRegex(errors.ArgumentError, "one of batches"):
      streams.Reader(good)
    with self.assertRaisesRegex(errors.ArgumentError, "lambda"):
      streams.encode(self.schema, [Record("token", 1, 1)])


if __name__ == "__main__":
  absltest.main()
