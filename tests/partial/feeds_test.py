import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.partial import feeds
from tests import case, forks

_EAGER = """
import tensorflow as tf

tf.compat.v1.enable_eager_execution()

import numpy as np

from tangle import errors
from tangle.partial import feeds

value = tf.constant(np.ones([50, 2], np.float32))
variable = tf.Variable(value, name="v")


class Feeds(dict):  # an eager tensor cannot be a key on TensorFlow 2
  def items(self):
    return [(value, 1.0)]


with tf.Graph().as_default() as graph:
  x = tf.compat.v1.placeholder(tf.float32, [None, 2], "x")
  assert feeds.take({"x:0": value}, graph, ())
  for feed_dict in Feeds(), value, {"x:0": variable}:
    try:
      feeds.take(feed_dict, graph, ())
    except errors.TangleError as error:
      print(error)
"""


class FlatTest(case.GraphTestCase):
  def flat(self, feed_dict):
    found = feeds.flat(feed_dict, self.graph)
    return [(tensor.name, value) for tensor, value in found]

  def test_tensors_names_and_variables(self):
    x = tf1.placeholder(tf1.float64, [], name="x")
    w = tf1.get_variable("w", initializer=np.float64(1), use_resource=False)
    read = self.graph.as_graph_element(w)
    self.assertEqual(self.flat({x: 1, w: 2}), [("x:0", 1), (read.name, 2)])
    self.assertEqual(self.flat({"x:0": 3}), [("x:0", 3)])
    self.assertEqual(self.flat({}), [])

  def test_sparse_tensors_part_by_part(self):
    sparse = tf1.sparse_placeholder(tf1.float64, name="s")
    found = self.flat({sparse: ([[0]], [1.0], [5])})
    parts = (sparse.indices, sparse.values, sparse.dense_shape)
    self.assertEqual(
      found, list(zip([t.name for t in parts], ([[0]], [1.0], [5])))
    )
    value = tf1.SparseTensorValue([[0]], [1.0], [5])
    self.assertEqual(self.flat({sparse: value}), found)

  def test_sparse_gradients_part_by_part(self):
    x = tf1.placeholder(tf1.float64, [None], name="x")
    n = tf1.placeholder(tf1.int32, [None], name="n")
    found = self.flat({tf1.IndexedSlices(x, n): ([1.0], [2])})
    self.assertEqual(found, [("x:0", [1.0]), ("n:0", [2])])

  def test_tuples_item_by_item(self):
    x = tf1.placeholder(tf1.float64, [], name="x")
    y = tf1.placeholder(tf1.float64, [], name="y")
    z = tf1.placeholder(tf1.float64, [], name="z")
    found = self.flat({(x, (y, z)): (1, (2, 3))})
    self.assertEqual(found, [("x:0", 1), ("y:0", 2), ("z:0", 3)])

  def test_what_is_in_no_graph_is_refused(self):
    for bad in ("no_such:0", 3):
      with self.assertRaises((KeyError, TypeError, ValueError)):
        self.flat({bad: 1})


class TakeTest(case.GraphTestCase):
  def take(self, feed_dict, repeated=()):
    return feeds.take(feed_dict, self.graph, repeated)

  def test_copies_arrays(self):
    x = tf1.placeholder(tf1.float64, [None], name="x")
    value = np.ones(2)
    taken = self.take({x: value})[x]
    self.assertFalse(np.shares_memory(taken, value))
    np.testing.assert_array_equal(taken, value)

  def test_makes_arrays_of_the_rest(self):
    x = tf1.placeholder(tf1.float64, None)
    for value in (3, [1.0, 2.0], np.float32(4)):
      taken = self.take({x: value})[x]
      self.assertEqual(taken.dtype, np.float64)
      np.testing.assert_array_equal(taken, value)

  def test_a_resource_variable_is_no_key(self):
    v = tf1.get_variable("v", initializer=1.0, use_resource=True)
    with self.assertRaises(errors.ArgumentError) as caught:
      self.take({v: 2.0})
    self.assert_message(caught.exception, "'v:0'", "load()")

  def test_refusals_name_the_tensor(self):
    x = tf1.placeholder(tf1.float64, [None, 2], name="x")
    h = tf1.square(x, name="h")
    with tf1.Graph().as_default():
      other = tf1.placeholder(tf1.float64, [], name="other")
    unfed = tf1.square(x, name="unfed")
    self.graph.prevent_feeding(unfed)
    value = np.ones([1, 2])
    if not compat.IS_TF1:
      twice = tf1.add(x, x, name="twice")
      with self.assertRaises(errors.GraphError) as caught:
        self.take({twice: value})
      self.assert_message(caught.exception, "'twice:0'", "inputs")
    for feed_dict, error, parts in (
      ({other: 1.0}, errors.GraphError, ["'other:0'", "another graph"]),
      ({unfed: value}, errors.GraphError, ["'unfed:0'", "identity"]),
      ({h: value}, errors.GraphError, ["'h:0'", "inputs", "residuals"]),
      ({x: np.ones(2)}, errors.ShapeError, ["'x:0'", "(2,)"]),
    ):
      with self.assertRaises(error) as caught:
        self.take(feed_dict, {"h:0"})
      self.assert_message(caught.exception, *parts)


class MistakesTest(case.GraphTestCase):
  def refusal(self, error, value, dtype=tf1.float32):
    x = tf1.placeholder(dtype, [None, 2], name="x")
    with self.assertRaises(error) as caught:
      feeds.take({x: value}, self.graph, ())
    text = str(caught.exception)
    self.assertNotIn("\n", text)
    self.assertRegex(text, r"^'x(_\d+)?:0' must be .*\.$")
    return text

  def test_values_that_are_no_arrays(self):
    ragged = [[1.0, 2.0], [3.0]]
    tensor = tf1.ones([1, 2], name="ones")
    resource = self.variable("v", np.ones(2))
    for value, part in (
      (None, "got None. Feed an array"),
      (tensor, "got the tensor 'ones:0', which has no value outside a run"),
      (resource, "got the tensor 'v:0', which has no value"),
      (tf1.SparseTensor([[0, 0]], [1.0], [1, 2]), "which has no value"),
      (ragged, "[[1.0, 2.0], [3.0]], whose rows have different lengths. Make"),
      (np.array([["a", "b"]] * 3), "which has strings. Convert them"),
      ([[1.0, b"b"]], "which has strings"),
      ([[1.0, {}]], "which cannot be converted. Convert it with np.array()"),
      ("abc", "got 'abc', which has strings. Convert them to numbers"),
      ({"a": 1}, "got {'a': 1}, which is no array. Feed each of its arrays"),
      (np.array([[{}, {}]]), "an array of object, shape (1, 2), whose elem"),
    ):
      self.assertIn(part, self.refusal(errors.DtypeError, value))

  def test_shapes_that_do_not_fit(self):
    text = self.refusal(errors.ShapeError, np.ones(2))
    self.assertIn("Add axes: rank 2 is expected and rank 1 is given", text)
    self.assertIn("There must be size 2 on axis 1.", text)
    text = self.refusal(errors.ShapeError, np.ones([1, 2, 1]))
    self.assertIn("Remove axes", text)
    text = self.refusal(errors.ShapeError, np.ones([1, 3]))
    self.assertIn("Axis 1 must have size 2", text)

  def test_keys_that_are_no_tensors(self):
    tf1.placeholder(tf1.float32, [], name="x")
    for key, part in (
      ("x", "such as 'x:0'"),
      ("y:0", "Perhaps 'x:0'"),
      (3, ""),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        feeds.take({key: 1.0}, self.graph, ())
      message = f"feed_dict has the key {key!r}, which is no tensor"
      self.assert_message(caught.exception, message, part)
    with self.assertRaisesRegex(errors.ArgumentError, "must be a dict"):
      feeds.take([1], self.graph, ())

  def test_eager_values_are_told_by_dtype_and_shape(self):
    done = forks.run_code(_EAGER)
    found = done.stdout.splitlines()
    text = "an eager tensor of float32, shape (50, 2)"
    self.assertEqual(
      found,
      [
        f"feed_dict has the key {text}, which is no tensor of the graph. "
        "Use a placeholder, or its name such as 'x:0', as the key, and the "
        "array as the value.",
        "feed_dict must be a dict from tensor to array, got "
        f"{text}. Give {{placeholder: array}}.",
        "'x:0' must be an array of float32, got the eager variable "
        "'v:0'. Feed what its numpy() returns outside of graphs.",
      ],
      done.stderr,
    )


class RaggedTest(absltest.TestCase):
  def test_axes_of_different_lengths_are_found(self):
    for value, lengths, axes in (
      ([[1, 2], [3]], [2, 2], [1]),
      ([[1], []], [2, 1], [1]),
      ([[1, 2], [3, 4]], [2, 2], []),
      ([[[1], [2, 3]], [[4]]], [2, 2, 2], [1, 2]),
      ([np.ones(3), np.ones(1)], [2, 3], [1]),
      (3, [], []),
      ([], [0], []),
    ):
      self.assertEqual(feeds.find_ragged(value), (lengths, axes))
    self.assertEqual(feeds.find_ragged([[1], 2])[1], [])

  def test_rows_are_filled_at_their_ends(self):
    found = feeds.fill_rows([[[1], [2, 3]], [[4]]], [2, 2, 2], 9)
    expected = [[[1, 9], [2, 3]], [[4, 9], [9, 9]]]
    np.testing.assert_array_equal(found, expected)


class ConvertTest(parameterized.TestCase):
  @parameterized.parameters(
    ([1.0, 2.0], tf1.int32),
    (np.int64(2**31 - 1), tf1.int32),
    (True, tf1.int32),
    ([0, 1], tf1.bool),
    (1e-300, tf1.float32),
    ([np.nan, np.inf], tf1.float16),
    (np.complex64(2), tf1.float32),
    (2**24 + 1, tf1.float32),
    (3, tf1.bfloat16),
    ([], tf1.int32),
  )
  def test_numbers_of_another_kind(self, value, dtype):
    found = feeds.convert("x", value, dtype)
    self.assertEqual(found.dtype, dtype.as_numpy_dtype)
    self.assertEqual(found.shape, np.shape(value))

  def test_texts(self):
    for value in ("a", [b"a", b"bc"], np.array(["\u00e9"], object)):
      found = feeds.convert("x", value, tf1.string)
      self.assertEqual(found.shape, np.shape(value))

  @parameterized.parameters(
    (1.5, tf1.int32, "no 1.5"),
    (np.array([1.0, 1.5]), tf1.int64, "no 1.5"),
    (np.array([3, 2**40]), tf1.int32, f"no {2**40}"),
    (2**40, tf1.int32, "int32"),
    (2**70, tf1.int64, "int64"),
    (-1, tf1.uint8, "uint8"),
    (np.nan, tf1.int32, "no nan"),
    (2, tf1.bool, "no 2"),
    (1e6, tf1.float16, "no 1000000.0"),
    (1e39, tf1.float32, "no 1e"),
    (1 + 2j, tf1.float64, "no (1+2j)"),
    ("a", tf1.float32, "'a'"),
    ([[1], [1, 2]], tf1.int32, "[[1], [1, 2]]"),
    (None, tf1.int32, "None"),
  )
  def test_what_has_no_such_values_is_refused(self, value, dtype, text):
    with self.assertRaises(errors.DtypeError) as caught:
      feeds.convert("x", value, dtype)
    for part in ("'x'", dtype.name, text):
      self.assertIn(part, str(caught.exception))


class CheckUpstreamTest(case.GraphTestCase):
  def check(self, value, dtype=tf1.float32, output=(1.0, 2.0)):
    tensor = tf1.placeholder(dtype, [None], "h")
    return feeds.check_upstream(tensor, np.array(output), value)

  def test_the_array_itself_is_returned(self):
    value = np.ones(2, np.float32)
    self.assertIs(self.check(value), value)
    found = self.check([1, 2])
    self.assertEqual((found.dtype, found.shape), (np.float32, (2,)))

  @parameterized.parameters(
    ([1.0, 2.0], tf1.int32, errors.DtypeError, "can have no gradient"),
    (np.ones(2), tf1.float32, errors.DtypeError, "got float64. Convert it"),
    ("a", tf1.float32, errors.DtypeError, "must be an array of float32"),
    ([1.0], tf1.float32, errors.ShapeError, r"shape \(2,\) of the output"),
  )
  def test_what_does_not_fit_is_refused(self, value, dtype, error, text):
    with self.assertRaisesRegex(error, f"'h:0'.*{text}"):
      self.check(value, dtype)


if __name__ == "__main__":
  absltest.main()
