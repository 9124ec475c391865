"""Tests of references."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cloning, references, walk
from tests import case


class ReferencesTestCase(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)
    self.x = tf1.placeholder(tf1.float64, [2], name="x")
    self.m = self.variable("m", np.ones(2), use_resource=False)
    self.ref = self.m.op.outputs[0]


class AssignedTest(ReferencesTestCase):
  def assigned(self):
    found = references.assigned(self.graph.get_operations())
    return {held.name: [op.type for op in ops] for held, ops in found.items()}

  def setUp(self):
    super().setUp()
    found = self.assigned()  # each variable by its initializer
    self.assertEqual(found, {"m": ["Assign"]})

  @parameterized.named_parameters(
    ("assign", lambda m: tf1.assign(m, [1.0, 2.0]), "Assign"),
    ("assign_add", lambda m: tf1.assign_add(m, [1.0, 2.0]), "AssignAdd"),
    ("scatter", lambda m: tf1.scatter_update(m, [0], [3.0]), "ScatterUpdate"),
    (
      "momentum",
      lambda m: tf1.raw_ops.ApplyGradientDescent(
        var=m.op.outputs[0], alpha=np.float64(1), delta=[1.0, 2.0]
      ),
      "ApplyGradientDescent",
    ),
  )
  def test_what_changes_a_variable(self, change, kind):
    change(self.m)
    self.assertEqual(self.assigned(), {"m": ["Assign", kind]})

  def test_through_an_assignment_and_a_conditional(self):
    first = tf1.assign(self.m, [1.0, 2.0])
    tf1.assign_add(first, [1.0, 2.0])
    self.assertEqual(self.assigned(), {"m": ["Assign"] * 2 + ["AssignAdd"]})
    tf1.cond(
      self.x[0] > 0,
      lambda: tf1.assign_sub(self.m, [1.0, 1.0]),
      lambda: tf1.identity(self.m),
    )
    self.assertIn("AssignSub", self.assigned()["m"])

  def test_reads_and_control_flow_change_nothing(self):
    tf1.is_variable_initialized(self.m)
    tf1.matmul([self.m], [self.m], transpose_b=True)
    tf1.cond(self.x[0] > 0, lambda: self.m * 2, lambda: tf1.identity(self.m))
    self.variable("v", np.ones(2)).assign([1.0, 2.0])  # a resource
    self.assertEqual(self.assigned(), {"m": ["Assign"]})

  def test_the_variable_behind_a_reference(self):
    self.assertIs(references.of(self.ref), self.m.op)
    again = tf1.raw_ops.RefIdentity(input=self.ref)
    self.assertIs(references.of(again), self.m.op)
    other = self.variable("other", np.ones(2), use_resource=False)
    either = tf1.raw_ops.RefSelect(
      index=0, inputs=[self.ref, other.op.outputs[0]]
    )
    self.assertIsNone(references.of(either))


class ReadTest(ReferencesTestCase):
  def test_the_read_behind_views(self):
    v = self.variable("v", np.ones(2))
    read = v.read_value()
    for tensor in (read, tf1.identity(read), tf1.expand_dims(read, 0)):
      found = references.read_of(tensor)
      self.assertEqual(found.type, "ReadVariableOp")
      self.assertIs(found.inputs[0].op, v.op)
    seen = tf1.reshape(tf1.stop_gradient(tf1.identity(self.m)), [1, 2])
    for tensor in (self.ref, tf1.identity(self.m), seen):
      self.assertIs(references.read_of(tensor), self.m.op)

  def test_what_is_no_read(self):
    size = tf1.placeholder(tf1.int32, [1])
    for tensor in (
      self.x,
      self.m * 2,
      tf1.gather(self.m, [0]),
      tf1.reshape(self.m, size),
    ):
      self.assertIsNone(references.read_of(tensor))


class CopyTest(ReferencesTestCase):
  @parameterized.parameters(
    (tf1.float16, True),
    (tf1.float64, True),
    (tf1.bfloat16, True),
    (tf1.int8, True),
    (tf1.bool, True),
    (tf1.complex128, True),
    (tf1.string, False),
    (tf1.resource, False),
    (tf1.variant, False),
  )
  def test_dtypes_that_can_be_copied(self, dtype, expected):
    self.assertEqual(references.is_copyable(dtype), expected)

  def test_a_copy_shares_no_memory(self):
    for dtype in (np.float64, np.int32, np.bool_):
      value = np.array([0, 1], dtype)
      m = self.variable(
        f"m_{value.dtype}", value, trainable=False, use_resource=False
      )
      copy = references.copy(m.op.outputs[0])
      self.assertFalse(compat.is_ref(copy))
      with tf1.control_dependencies([copy]):
        change = m.assign(value[::-1])
      with tf1.control_dependencies([change]):
        found = tf1.identity(copy)
      np.testing.assert_array_equal(self.session().run(found), value)

  def test_a_gradient_flows_through_a_copy(self):
    copy = references.copy(self.x)
    (slope,) = tf1.gradients(3 * copy, self.x)
    found = self.session().run(slope, {self.x: [1.0, 2.0]})
    np.testing.assert_array_equal(found, [3.0, 3.0])


class KeepTensorsTest(ReferencesTestCase):
  def test_ops_read_one_copy_of_each_tensor(self):
    first, second = self.x * self.m, tf1.sin(self.m)
    read = second.op.inputs[0]
    change = tf1.assign(self.m, [3.0, 4.0])
    copies = references.keep_tensors(
      [read, read], [first.op, second.op, change.op]
    )
    self.assertLen(copies, 1)
    self.assertEqual(copies[0].op.type, "DeepCopy")
    self.assertEqual(first.op.inputs[1].name, copies[0].name)
    self.assertEqual(second.op.inputs[0].name, copies[0].name)
    self.assertEqual(change.op.inputs[0].name, self.ref.name)

  def test_who_takes_the_reference_keeps_it(self):
    read = tf1.raw_ops.Identity(input=self.ref)
    change = tf1.assign(self.m, [3.0, 4.0])
    (copy,) = references.keep_tensors([self.ref], [change.op, read.op])
    self.assertEqual(change.op.inputs[0].name, self.ref.name)
    self.assertEqual(read.op.inputs[0].name, copy.name)
    self.assertEqual(copy.op.inputs[0].name, self.ref.name)

  def test_copies_stand_on_the_device_of_the_tensor(self):
    with tf1.device("/cpu:1"):
      read = tf1.identity(self.x)
    with tf1.device("/cpu:0"):
      (copy,) = references.keep_tensors([read], [tf1.sin(read).op])
    self.assertEqual(copy.device, read.device)


class KeepReadsTest(ReferencesTestCase):
  """Reads of a variable that ops assign, each of the value of its moment."""

  def keep(self, *ends):
    """Returns what stands for `ends` in a copy whose reads are kept."""
    reading = [
      op
      for op in walk.ancestors(ends, control=True)
      if any(compat.is_ref(tensor) for tensor in op.inputs)
    ]
    x = tf1.placeholder_with_default(self.x, [2])
    copy = cloning.clone(list(ends), {"x:0": x}, touched=reading)
    references.keep_reads([self.m.op], copy.copies)
    self.copies = [
      op for op in self.graph.get_operations() if op.type == "DeepCopy"
    ]
    return [copy.find(end) for end in ends]

  def run_kept(self, *ends):
    kept = self.keep(*ends)
    sess = self.session()
    values = []
    for _ in range(5):
      sess.run(self.m.initializer)
      values.append(sess.run(kept, {self.x: [1.0, 2.0]}))
    for other in values[1:]:
      for one, two in zip(values[0], other):
        np.testing.assert_array_equal(one, two)
    return values[0]

  def test_before_and_after_an_assignment(self):
    before = tf1.identity(self.m * self.x)
    with tf1.control_dependencies([before]):
      change = tf1.assign_add(self.m, [1.0, 1.0])
    with tf1.control_dependencies([change]):
      after = tf1.identity(self.m) * self.x
      direct = tf1.multiply(self.m, self.x)
    with tf1.control_dependencies([after, direct]):
      again = tf1.assign_add(self.m, [1.0, 1.0])
    with tf1.control_dependencies([again]):
      last = tf1.multiply(self.m, self.x)
    found = self.run_kept(before, after, direct, last)
    for value, factor in zip(found, (1.0, 2.0, 2.0, 3.0)):
      np.testing.assert_array_equal(value, factor * np.array([1.0, 2.0]))

  def test_reads_of_one_moment_share_a_copy(self):
    first, second = tf1.sin(self.m), tf1.cos(self.m)
    self.keep(first, second)
    self.assertLen(self.copies, 1)

  def test_what_an_assignment_gives_is_a_reference_too(self):
    change = tf1.assign(self.m, self.x)
    y = 2 * change
    with tf1.control_dependencies([y]):
      other = tf1.assign(self.m, [7.0, 7.0])
    (found, _) = self.run_kept(y, tf1.identity(other))
    np.testing.assert_array_equal(found, [2.0, 4.0])

  def test_in_a_conditional(self):
    y = tf1.cond(
      self.x[0] > 0, lambda: self.m * self.x, lambda: tf1.sin(self.m)
    )
    with tf1.control_dependencies([y]):
      change = tf1.assign_add(self.m, [1.0, 1.0])
    with tf1.control_dependencies([change]):
      z = tf1.cond(
        self.x[0] > 0, lambda: 2 * self.m * self.x, lambda: tf1.sin(self.m)
      )
    y, z = self.run_kept(y, z)
    np.testing.assert_array_equal(y, [1.0, 2.0])
    np.testing.assert_array_equal(z, [4.0, 8.0])

  def test_what_cannot_be_copied_is_read_as_it_is(self):
    self.m = self.variable(
      "words", np.array(["a"]), trainable=False, use_resource=False
    )
    y = tf1.strings.length(self.m)
    change = tf1.assign(self.m, ["ab"])
    self.keep(y, change)
    self.assertEmpty(self.copies)


if __name__ == "__main__":
  absltest.main()
