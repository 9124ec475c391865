"""Tests of nodes."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import nodes
from tests.pipeline import support


class ParseReadsTest(absltest.TestCase):
  def parse(self, reads):
    return nodes.parse_reads(reads, {"a": None, "b": None})

  def test_reads_are_parsed_in_order(self):
    found = self.parse({"x": "b.out", "y": ["a.h.1", "b.h"]})
    self.assertEqual(list(found), ["x", "y"])
    self.assertEqual(found["x"], [nodes.Source("b", "out")])
    self.assertEqual([str(source) for source in found["y"]], ["a.h.1", "b.h"])
    self.assertEmpty(self.parse(None))

  def test_malformed_or_unknown_source(self):
    for text, remedy in (
      ("a", "Name an output too, such as 'a.h'"),
      ("a.", "Name an output too"),
      (".out", "Perhaps '[ab].out' is meant"),
      ("c.out", "Perhaps '[ab].out' is meant"),
      ("elsewhere.x", "Add that sub-model first"),
      ("", "Add that sub-model first|Perhaps"),
    ):
      message = f"'x' must come from .*'a', 'b'.*got '{text}'. ({remedy})"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.parse({"x": text})

  def test_output_that_is_read_twice(self):
    for reads in (
      {"x": "a.out", "y": "a.out"},
      {"x": "a.out", "y": ["b.out", "a.out"]},
      {"x": ["a.out", "a.out"]},
    ):
      message = "'a.out' is read twice. Read it once"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.parse(reads)

  def test_alternatives_that_no_batch_can_choose_among(self):
    for sources in ([], ["a.h", "a.g"], ["b.h", "a.h", "b.g"]):
      message = "'x' must choose among outputs of different sub-models"
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.parse({"x": sources})


class GroupSourcesTest(absltest.TestCase):
  def group(self, **reads):
    """Returns the groups for reads of `c`, `d`, ... as sorted strings."""
    with tf1.Graph().as_default():
      pipeline = tangle.Pipeline()
    for name in "ab":
      pipeline.add(name, self.fail)
    for name, sources in reads.items():
      pipeline.add(name, self.fail, reads={"x": sources})
    found = {}
    for source, target in nodes.group_sources(pipeline.nodes).items():
      found.setdefault(target, []).append(str(source))
    return sorted(sorted(group) for group in found.values())

  def test_sources_of_one_read_share(self):
    self.assertEqual(self.group(c="a.h", d="b.h"), [["a.h"], ["b.h"]])
    self.assertEqual(self.group(c=["a.h", "b.h"]), [["a.h", "b.h"]])
    self.assertEqual(
      self.group(c="a.h", d=["b.h", "a.h"], e="b.g"), [["a.h", "b.h"], ["b.g"]]
    )

  def test_sharing_goes_on(self):
    found = self.group(c=["a.h", "b.h"], d="a.g", e=["c.h", "b.h"], f="c.h")
    self.assertEqual(found, [["a.g"], ["a.h", "b.h", "c.h"]])

  def test_two_outputs_of_one_sub_model_cannot_share(self):
    message = "between 'a.h' and other .* 'a.g' and the same other"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.group(c=["a.h", "b.h"], d=["a.g", "b.h"])
    found = self.group(c=["a.h", "b.h"], d=["a.g", "b.same"])
    self.assertEqual(found, [["a.g", "b.same"], ["a.h", "b.h"]])


class OpNameTest(absltest.TestCase):
  def test_op_name_is_legal(self):
    for text, expected in (
      ("encoder", "encoder"),
      ("encoder_(3, 4)", "encoder__3_4_"),
      ("long words", "long_words"),
      ("größe", "gr_e"),
    ):
      self.assertEqual(nodes.op_name(text), expected)
      with tf1.Graph().as_default(), tf1.name_scope("pipeline"):
        tf1.no_op(name=nodes.op_name(text))


class ChooseBucketTest(support.PipelineTestCase):
  def node(self, shapes, feeds=("x",), dtype=tf1.float64, **options):
    """Returns a built node whose bucket k has feeds of `shapes[k]`."""

    def build(bucket, reads):
      del reads
      made = {name: tf1.placeholder(dtype, shapes[bucket]) for name in feeds}
      rate = tf1.placeholder_with_default(np.float64(1.0), [])
      return tangle.Piece(dict(made, rate=rate))

    buckets = list(range(len(shapes)))
    wiring = support.Wiring().add("m", build, buckets=buckets, **options)
    pipeline = wiring.pipeline()
    pipeline.build()
    return pipeline.nodes["m"]

  def choose(self, node, **feeds):
    """Returns the bucket, and the arrays as they are fed."""
    graph, feed_dict = nodes.choose_bucket(node, feeds)
    names = {tensor.name: name for name, tensor in graph.piece.feeds.items()}
    return graph.bucket, {names[t.name]: v for t, v in feed_dict.items()}

  def test_first_bucket_that_all_feeds_fit_is_chosen(self):
    node = self.node([[None, 2], [None, 4], [None, None]])
    for width, bucket in ((2, 0), (4, 1), (3, 2), (9, 2)):
      self.assertEqual(self.choose(node, x=np.ones([5, width]))[0], bucket)

  def test_padded_feed_goes_into_the_first_bucket_that_is_long_enough(self):
    node = self.node([[None, 2], [None, 4]], dtype=tf1.int32, pad={"x": 7})
    for width, bucket, size in ((0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 1, 4)):
      chosen, fed = self.choose(node, x=np.ones([3, width], np.int32))
      self.assertEqual(chosen, bucket)
      expected = np.full([3, size], 7)
      expected[:, :width] = 1
      np.testing.assert_array_equal(fed["x"], expected)
      self.assertEqual(fed["x"].dtype, np.int32)

  def test_array_that_fits_is_fed_as_it_is(self):
    node = self.node([[None, 2]], pad={"x": 0})
    x = self.normal(3, 2)
    self.assertIs(self.choose(node, x=x)[1]["x"], x)

  def test_lists_and_strings_are_padded_too(self):
    node = self.node([[None, 3]], dtype=tf1.string, pad={"x": "<end>"})
    _, fed = self.choose(node, x=[["a", "b"]])
    self.assertEqual(fed["x"].tolist(), [["a", "b", "<end>"]])

  def test_padding_is_of_the_dtype_that_is_fed(self):
    node = self.node([[None, 3]], pad={"x": -0.5})
    _, fed = self.choose(node, x=[[1, 2]])
    self.assertEqual(fed["x"].tolist(), [[1.0, 2.0, -0.5]])

  def test_all_feeds_take_the_same_bucket(self):
    node = self.node(
      [[None, 2], [None, 4]], feeds=("x", "y"), pad={"x": 0, "y": 0}
    )
    bucket, fed = self.choose(node, x=np.ones([3, 1]), y=np.ones([3, 3]))
    self.assertEqual(bucket, 1)
    self.assertEqual([fed["x"].shape, fed["y"].shape], [(3, 4), (3, 4)])

  def test_unknown_rank_takes_anything(self):
    node = self.node([None], pad={"x": 0})
    for shape in ([], [2], [2, 3, 4]):
      self.assertEqual(self.choose(node, x=np.ones(shape))[0], 0)

  def test_optional_feed_may_be_left_out_or_given(self):
    node = self.node([[None, 2]])
    self.assertEqual(list(self.choose(node, x=np.ones([1, 2]))[1]), ["x"])
    _, fed = self.choose(node, x=np.ones([1, 2]), rate=0.5)
    self.assertEqual(fed["rate"], 0.5)

  def test_bucket_of_chooses_from_arrays(self):
    seen = []

    def bucket_of(feeds):
      seen.append(feeds["x"].shape)
      return 1

    node = self.node([[None, 2], [None, None]], bucket_of=bucket_of)
    self.assertEqual(self.choose(node, x=[[1.0, 2.0]])[0], 1)
    self.assertEqual(seen, [(1, 2)])

  def test_without_feeds_there_is_nothing_to_choose_by(self):
    node = self.node([[], []])
    for graph in node.graphs.values():
      graph.piece.feeds.clear()
    with self.assertRaisesRegex(
      errors.ArgumentError, r"the buckets \[0, 1\] but no feeds.* bucket_of"
    ):
      nodes.choose_bucket(node, {})

  def test_bucket_of_returns_something_else(self):
    node = self.node([[None, 2]], bucket_of=lambda feeds: 20)
    message = r"'m': bucket_of returned 20, .* not one of the buckets \[0\]"
    with self.assertRaisesRegex(errors.BucketError, message):
      self.choose(node, x=np.ones([1, 2]))

  def test_bucket_of_chooses_a_bucket_that_does_not_fit(self):
    shapes = [[None, 2], [None, 4]]
    node = self.node(shapes, bucket_of=lambda feeds: 0, pad={"x": 0})
    with self.assertRaisesRegex(
      errors.BucketError, r"none of the buckets \[0\]"
    ):
      self.choose(node, x=np.ones([1, 3]))

  @parameterized.named_parameters(
    ("without_bucket_of", {}),
    ("with_bucket_of", {"bucket_of": lambda feeds: len(feeds["x"])}),
  )
  def test_unknown_or_missing_feed(self, options):
    node = self.node([[None, 2]], **options)
    with self.assertRaisesRegex(errors.ArgumentError, r"a feed 'y'.*\['x', 'r"):
      self.choose(node, y=np.ones([1, 2]))
    with self.assertRaisesRegex(
      errors.ArgumentError, r"no feed 'x'.*\['x', 'r"
    ):
      self.choose(node, rate=1.0)

  @parameterized.parameters(None, 3.0, [[1.0, 2.0]])
  def test_feeds_that_are_no_dict(self, feeds):
    node = self.node([[None, 2]])
    message = f"'m': the batch must have a dict.*got {type(feeds).__name__}"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      nodes.choose_bucket(node, feeds)

  def test_array_that_is_too_long(self):
    node = self.node([[None, 2], [None, 4]], pad={"x": 0})
    message = (
      r"the feed 'x' of shape \(3, 5\) fits none of the buckets \[0, 1\]. The "
      r"placeholder of the last one has the shape (\(\?, 4\)|\(None, 4\)). Add "
      r"a larger bucket"
    )
    with self.assertRaisesRegex(errors.BucketError, message):
      self.choose(node, x=np.ones([3, 5]))

  def test_array_that_would_need_padding(self):
    node = self.node([[None, 2], [None, 4]])
    with self.assertRaisesRegex(
      errors.BucketError, "of this feed are not padded"
    ):
      self.choose(node, x=np.ones([3, 3]))

  def test_wrong_rank(self):
    node = self.node([[None, 2]], pad={"x": 0})
    for shape, verb in ([2], "Add"), ([1, 2, 1], "Remove"), ([], "Add"):
      message = f"the feed 'x' of shape.*{verb} axes: rank 2 is expected"
      with self.assertRaisesRegex(errors.ShapeError, message):
        self.choose(node, x=np.ones(shape))

  def test_ragged_lists_are_padded_on_the_axis_of_the_buckets(self):
    node = self.node([[None, 2], [None, 4]], pad={"x": 7})
    for rows in ([[1.0, 2, 3], [4]], [np.array([1.0, 2, 3]), (4.0,)]):
      bucket, fed = self.choose(node, x=rows)
      self.assertEqual(bucket, 1)
      np.testing.assert_array_equal(fed["x"], [[1, 2, 3, 7], [4, 7, 7, 7]])
    bucket, fed = self.choose(node, x=[[1.0], [], [2, 3]])
    self.assertEqual(bucket, 0)
    np.testing.assert_array_equal(fed["x"], [[1, 7], [7, 7], [2, 3]])

  @parameterized.named_parameters(
    ("without_pad", [[None, 2], [None, 4]], {}),
    ("on_an_axis_without_buckets", [[None, None]], {"x": 0}),
  )
  def test_ragged_lists_are_refused(self, shapes, pad):
    node = self.node(shapes, pad=pad)
    message = r"'x' must be .*got \[\[1.0\], \[2.0, 3.0\]\], whose rows have"
    with self.assertRaisesRegex(errors.DtypeError, message):
      self.choose(node, x=[[1.0], [2.0, 3.0]])

  def test_ragged_lists_do_not_hide_a_wrong_value(self):
    node = self.node([[None, 2]], pad={"x": 0})
    with self.assertRaisesRegex(errors.DtypeError, "which has strings"):
      self.choose(node, x=[["a"], ["b", "c"]])

  def test_no_single_bucket_takes_all_feeds(self):
    node = self.node([[None, 2], [None, 4]], feeds=("x", "y"))
    with self.assertRaisesRegex(
      errors.BucketError, "no single bucket|fits none"
    ):
      self.choose(node, x=np.ones([1, 2]), y=np.ones([1, 4]))


if __name__ == "__main__":
  absltest.main()
