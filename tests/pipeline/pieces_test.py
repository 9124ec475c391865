"""Tests of pieces."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import paths, pieces
from tests import case


class CheckPieceTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x_ph = tf1.placeholder(tf1.float64, [None, 3])

  def check(self, reads=(), **parts):
    piece = tangle.Piece(**dict({"feeds": {"x": self.x_ph}}, **parts))
    pieces.check_piece(piece, reads, self.graph)

  def test_good_piece_passes(self):
    read_ph = tf1.placeholder(tf1.float64, [None, 3])
    count = self.variable("count", np.int64(0), trainable=False)
    h = self.x_ph + read_ph
    self.check(
      reads=[read_ph],
      outputs={"h": h, "x": self.x_ph, "read": read_ph},
      loss=tf1.reduce_sum(h),
      metrics={"size": tf1.size(h)},
      updates=[count.assign_add(1), tf1.group(tf1.no_op(), h.op)],
    )
    self.check(loss=tf1.cast(tf1.reduce_sum(self.x_ph), tf1.float16))

  def test_parts_of_a_piece_are_not_shared(self):
    piece = tangle.Piece(feeds={})
    with self.assertRaises(TypeError):
      piece.outputs["x"] = self.x_ph

  @parameterized.parameters(None, 3, "x", [{}], ({},))
  def test_something_else_than_a_piece(self, piece):
    message = "the builder must return a tangle.Piece, got .* Return"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      pieces.check_piece(piece, [], self.graph)

  @parameterized.parameters("feeds", "outputs", "metrics")
  def test_parts_that_are_no_dicts(self, part):
    message = (
      f"{part} of its tangle.Piece must be a dict from name to tensor, got an "
      f"array of float64, shape .3, 2.. Give a dict, such as {part}=.*"
    )
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.check(**{part: np.ones([3, 2])})

  def test_loss_that_is_no_scalar(self):
    loss = tf1.reduce_sum(self.x_ph, 1, name="per_example")
    message = "per_example:0' must be a scalar.*its mean"
    with self.assertRaisesRegex(errors.ShapeError, message):
      self.check(loss=loss)

  def test_loss_that_is_not_floating(self):
    total = tf1.reduce_sum(self.x_ph)
    for loss in (tf1.size(self.x_ph), tf1.complex(total, total)):
      message = f"must be floating, got {loss.dtype.name}"
      with self.assertRaisesRegex(errors.DtypeError, message):
        self.check(loss=loss)

  def test_loss_that_is_no_tensor(self):
    with self.assertRaisesRegex(errors.ArgumentError, "loss must hold tensors"):
      self.check(loss=1.0)

  def test_output_that_is_a_variable(self):
    weight = self.variable("w", np.ones(3))
    message = "outputs must hold tensors of a graph.*convert_to_tensor"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.check(outputs={"w": weight})

  def test_output_that_is_a_handle(self):
    shape = tf1.constant([3])
    items = tf1.raw_ops.TensorListFromTensor(
      tensor=self.x_ph, element_shape=shape
    )
    message = "the output 'h' is .* of dtype variant, which is a handle"
    with self.assertRaisesRegex(errors.DtypeError, message):
      self.check(outputs={"h": items})
    weight = self.variable("w", np.ones(3))
    with self.assertRaisesRegex(errors.DtypeError, "of dtype resource"):
      self.check(outputs={"h": weight.handle})

  @parameterized.parameters("feeds", "outputs", "metrics", "loss", "updates")
  def test_part_of_another_graph(self, part):
    with tf1.Graph().as_default():
      other = tf1.placeholder(tf1.float64, [], name="other")
    value = {"loss": other, "updates": [other]}.get(part, {"other": other})
    with self.assertRaisesRegex(errors.GraphError, f"{part}.* has .*other"):
      self.check(**{part: value})

  def test_update_that_is_no_op(self):
    with self.assertRaisesRegex(errors.GraphError, "updates has <function"):
      self.check(updates=[lambda: None])

  def test_feed_that_may_not_be_fed(self):
    tensor = tf1.zeros([3])
    self.graph.prevent_feeding(tensor)
    message = "the feed 'x'.*does not allow to be fed. Give a placeholder"
    with self.assertRaisesRegex(errors.GraphError, message):
      self.check(feeds={"x": tensor})

  @parameterized.parameters("outputs", "metrics", "loss", "updates")
  def test_placeholder_that_nothing_feeds(self, part):
    other_ph = tf1.placeholder(tf1.float64, [], name="forgotten")
    tensor = tf1.reduce_sum(self.x_ph) * other_ph
    with tf1.control_dependencies([tensor]):
      update = tf1.group(tf1.no_op())
    value = {"loss": tensor, "updates": [update]}.get(part, {"y": tensor})
    message = f"'forgotten:0' is needed for the {part}.*feeds \\['x'\\].*reads"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.check(**{part: value})

  def test_placeholder_with_a_default_need_not_be_fed(self):
    rate = tf1.placeholder_with_default(np.float64(0.5), [])
    self.check(loss=tf1.reduce_sum(self.x_ph) * rate)
    self.assertTrue(pieces.is_optional(rate))
    self.assertFalse(pieces.is_optional(self.x_ph))

  def test_tensor_below_a_placeholder_may_be_fed_in_its_place(self):
    scaled = self.x_ph * 2.0
    self.check(feeds={"scaled": scaled}, loss=tf1.reduce_sum(scaled))


class ReadsTest(case.GraphTestCase):
  def test_a_read_that_does_not_exist_is_named(self):
    reads = pieces.Reads({"h": 1, "memory": 2})
    self.assertEqual(dict(reads), {"h": 1, "memory": 2})
    self.assertIsNone(reads.get("hh"))
    for name, remedy in (
      ("hh", "Perhaps 'h' is meant."),
      ("code", "Add it to Pipeline.add: reads={'code': 'sub_model.output'}."),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        reads[name]  # noqa: B018
      self.assert_message(
        caught.exception,
        f"its builder takes reads[{name!r}]",
        "the reads are ['h', 'memory']",
        remedy,
      )

  def test_builders_of_a_pipeline_are_told(self):
    def first(bucket, reads):
      x_ph = tf1.placeholder(tf1.float64, [2])
      return tangle.Piece({"x": x_ph}, {"h": tf1.tanh(x_ph)})

    def second(bucket, reads):
      return tangle.Piece({}, loss=tf1.reduce_sum(reads["hh"]))

    pipeline = tangle.Pipeline()
    pipeline.add("first", first)
    pipeline.add("second", second, reads={"h": "first.h"})
    for build in (
      pipeline.build,
      lambda: paths.join(pipeline, {"first": None, "second": None}),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        build()
      self.assert_message(caught.exception, "'second'", "reads['hh']", "'h' is")


class CheckAlikeTest(case.GraphTestCase):
  def check(self, first, second):
    pieces.check_alike({5: first, 10: second})

  def piece(self, feed="x", dtype=tf1.float64, loss=True):
    x_ph = tf1.placeholder(dtype, [None])
    total = tf1.reduce_sum(x_ph)
    return tangle.Piece({feed: x_ph}, {"h": x_ph}, total if loss else None)

  def test_buckets_that_are_alike_pass(self):
    self.check(self.piece(), self.piece())
    pieces.check_alike({None: self.piece()})

  def test_buckets_that_differ(self):
    with self.subTest("feeds"):
      message = r"same feeds; bucket 5 has \['x'\], bucket 10 has \['y'\]"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.check(self.piece(), self.piece(feed="y"))
    with self.subTest("outputs"):
      message = "same outputs; .*float64.*, bucket 10 has .*float32"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.check(self.piece(), self.piece(dtype=tf1.float32))
    with self.subTest("loss"):
      message = "same loss; bucket 5 has .*float64.*, bucket 10 has {}"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.check(self.piece(), self.piece(loss=False))


class CommonShapeTest(parameterized.TestCase):
  @parameterized.parameters(
    ([[2, 3]], [2, 3]),
    ([[None, 3], [None, 3]], [None, 3]),
    ([[None, 3], [None, 4]], [None, None]),
    ([[2, 3], [None, 3], [2, 3]], [None, 3]),
    ([[2, 3], [2]], None),
    ([[2], None], None),
    ([None, [2]], None),
    ([[2, 3], [2], [2, 3]], None),
    ([[], []], []),
  )
  def test_common_shape_fits_all(self, shapes, expected):
    found = pieces.common_shape([tf1.TensorShape(shape) for shape in shapes])
    if expected is None:
      self.assertIsNone(found.rank)
    else:
      self.assertEqual(found.as_list(), expected)


if __name__ == "__main__":
  absltest.main()
