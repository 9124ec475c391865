import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.partial import residuals
from tests import case
from tests.partial import checks, zoo


class RecordsTest(case.GraphTestCase):
  def perceptron(self, batch, store="device"):
    """Makes a sub-model of layers 4 -> 5 -> 2 in float32."""
    x = tf1.placeholder(tf1.float32, [batch, 4], name="x")
    w1 = self.variable("w1", self.normal(4, 5, dtype=np.float32))
    w2 = self.variable("w2", self.normal(5, 2, dtype=np.float32))
    h = tf1.tanh(tf1.matmul(x, w1), name="h")
    sub_model = tangle.SubModel([x], [tf1.matmul(h, w2)], store=store)
    return x, sub_model

  def by_type(self, sub_model):
    return {record.op_type: record for record in sub_model.residuals}

  @parameterized.parameters("device", "host", "session")
  def test_of_a_static_perceptron_bytes_are_known_before_a_run(self, store):
    _, sub_model = self.perceptron(3, store)
    found = self.by_type(sub_model)
    # x for w1, h for w2 and its own slope; the weights for what is below.
    self.assertEqual(found["Placeholder"].bytes, 3 * 4 * 4)
    self.assertEqual(found["Tanh"].bytes, 3 * 5 * 4)
    self.assertLen(sub_model.residuals, 4)
    reads = [r for r in sub_model.residuals if r.is_variable]
    self.assertEqual(sorted(r.bytes for r in reads), [5 * 2 * 4, 4 * 5 * 4])
    self.assertEqual(sub_model.residuals.bytes, 3 * (4 + 5) * 4)

  @parameterized.parameters("device", "host")
  def test_of_an_unknown_batch_bytes_are_measured(self, store):
    x, sub_model = self.perceptron(None, store)
    before = self.by_type(sub_model)
    self.assertIsNone(before["Tanh"].bytes)
    self.assertIn(" ?\n", str(sub_model.residuals))
    sess = self.session()
    sub_model.forward(sess, {x: np.zeros([7, 4])}).discard()
    after = self.by_type(sub_model)
    self.assertEqual(after["Placeholder"].bytes, 7 * 4 * 4)
    self.assertEqual(after["Tanh"].bytes, 7 * 5 * 4)
    self.assertEqual(sub_model.residuals.bytes, 7 * (4 + 5) * 4)
    self.assertEqual(after["Tanh"].shape.as_list(), [None, 5])
    self.assertNotIn(" ?\n", str(sub_model.residuals))

  def test_a_computed_again_layer_is_not_kept(self):
    x, sub_model = self.perceptron(3, "recompute")
    self.assertNotIn("Tanh", self.by_type(sub_model))
    self.assertEqual(sub_model.residuals.bytes, 3 * 4 * 4)

  def test_records_name_what_is_kept(self):
    _, sub_model = self.perceptron(3)
    record = self.by_type(sub_model)["Tanh"]
    self.assertEqual(
      record._fields, ("name", "op_type", "dtype", "shape", "bytes", "variable")
    )
    self.assertEqual(record.name, "h:0")
    self.assertEqual(record.dtype, tf1.float32)
    self.assertEqual(record.shape.as_list(), [3, 5])
    self.assertFalse(record.is_variable)

  def test_prints_as_a_table(self):
    _, sub_model = self.perceptron(1000)
    lines = str(sub_model.residuals).splitlines()
    self.assertEqual(
      lines[0].split(), ["name", "op", "dtype", "shape", "bytes"]
    )
    row = [line for line in lines if line.startswith("h:0")][0]
    self.assertIn("Tanh", row)
    self.assertTrue(row.endswith(" 20,000"), row)
    title = "values of variables, which share the memory of these:"
    rows = lines[: lines.index(title)] + lines[lines.index(title) + 1 : -1]
    self.assertLen(rows, 5)
    self.assertEqual(len({len(line) for line in rows}), 1)
    self.assertLen(lines[lines.index(title) :], 2 + 2)
    self.assertIn("2 residuals, 36,000 bytes, and 2 values", lines[-1])

  def test_says_that_the_stacks_of_loops_are_not_counted(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [None, 3])
    _, y = tf1.while_loop(
      lambda k, y: k < 3, lambda k, y: (k + 1, tf1.tanh(y)), [0, x]
    )
    sub_model = tangle.SubModel([x], [tf1.sin(y)], store="session")
    found = sub_model.residuals
    # For the gradient of tanh there is one stack, of its values.
    stacks = [op for op in self.graph.get_operations() if op.type == "StackV2"]
    self.assertEqual(found.stacks, len(stacks))
    self.assertEqual(found.stacks, 1)
    lines = str(found).splitlines()
    self.assertRegex(lines[-1], "^not counted: stacks .* iteration: 1$")
    unknown = sum(record.bytes is None for record in found)
    self.assertEqual(
      lines[-2], f"not counted: residuals of unknown size (?): {unknown}"
    )

  def test_without_loops_there_are_no_stacks(self):
    _, sub_model = self.perceptron(3)
    self.assertEqual(sub_model.residuals.stacks, 0)
    self.assertNotIn("not counted", str(sub_model.residuals))

  def test_values_of_resource_variables_name_their_variable(self):
    x = tf1.placeholder(tf1.float64, [2])
    w = self.variable("w", np.ones(2))
    ref = self.variable("ref", np.ones(2), use_resource=False)
    fed = tf1.square(x)
    tensors = [tf1.expand_dims(w.read_value(), 0), tf1.identity(ref), fed]
    found = residuals.describe(tensors)
    self.assertEqual([r.variable for r in found], ["w", None, None])
    self.assertEqual([r.is_variable for r in found], [True, False, False])
    self.assertEqual(found.bytes, 32)

  def test_a_slice_is_a_sequence_of_records(self):
    _, sub_model = self.perceptron(3)
    self.assertLen([record for record in sub_model.residuals], 4)  # noqa: C416
    self.assertEqual(sub_model.residuals[0].dtype, tf1.float32)

  @parameterized.parameters(*checks.STRATEGIES)
  def test_bytes_are_those_of_what_is_kept(self, strategy):
    model = zoo.lstm(self)
    sub_model = checks.sub_model(model, strategy)
    sess = self.session()
    sub_model.forward(sess, model.feed_dict).discard()
    if strategy == "session":
      return  # a partial run keeps what it keeps, and tells no sizes
    names = [record.name for record in sub_model.residuals]
    values = sess.run(names, model.feed_dict)
    for record, value in zip(sub_model.residuals, values):
      self.assertEqual(record.bytes, np.asarray(value).nbytes, record.name)


class SizesTest(case.GraphTestCase):
  def test_what_has_no_size(self):
    text = tf1.constant(["a", "b"])
    items = tf1.raw_ops.TensorListReserve(
      element_shape=[2], num_elements=2, element_dtype=tf1.float64
    )
    for tensor in (text, items):
      self.assertIsNone(residuals.static_bytes(tensor))
      self.assertFalse(residuals.needs_measuring(tensor))
    (record,) = residuals.describe([text], {text.name: [2]})
    self.assertIsNotNone(record)

  @parameterized.parameters(
    (tf1.float16, 2),
    (tf1.bfloat16, 2),
    (tf1.float64, 8),
    (tf1.complex128, 16),
    (tf1.bool, 1),
    (tf1.int64, 8),
  )
  def test_sizes_of_dtypes(self, dtype, size):
    x = tf1.placeholder(dtype, [3, 2])
    self.assertEqual(residuals.static_bytes(x), 6 * size)
    self.assertFalse(residuals.needs_measuring(x))

  def test_shapes_that_only_a_run_tells(self):
    for shape in (None, [None], [2, None]):
      x = tf1.placeholder(tf1.float32, shape)
      self.assertIsNone(residuals.static_bytes(x))
      self.assertTrue(residuals.needs_measuring(x))
      (record,) = residuals.describe([x])
      self.assertIsNone(record.bytes)
      (record,) = residuals.describe([x], {x.name: np.array([2, 5])})
      self.assertEqual(record.bytes, 40)

  def test_scalars_and_empty_tensors(self):
    self.assertEqual(residuals.static_bytes(tf1.constant(1.0)), 4)
    self.assertEqual(residuals.static_bytes(tf1.zeros([0, 3])), 0)

  def test_a_reference_has_the_size_of_its_value(self):
    w = self.variable("w", np.ones([2, 2]), use_resource=False)
    self.assertEqual(residuals.static_bytes(w.op.outputs[0]), 32)

  def test_nothing_prints_as_a_table_too(self):
    self.assertIn("0 residuals, 0 bytes", str(residuals.describe([])))


if __name__ == "__main__":
  absltest.main()
