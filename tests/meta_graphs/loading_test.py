"""Tests that graphs of `.meta` files are imported, cut and trained on."""

import os
import shutil
import sys

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors, meta_graphs
from tangle.compat import tf1
from tests import case
from tests.meta_graphs import support, writer

KINDS = ("layers", "loop", "rnn", "flow", "norm")


def tolerance(python, kind):
  """The two TensorFlows have another tanh, and norm is in single precision."""
  if python == sys.executable:
    return 1e-12
  return 1e-5 if kind == "norm" else 1e-9


def train_on(prefix, lower=None, store="auto"):
  """Trains what was imported; returns losses, weights and repairs.

  Args:
    prefix: of the checkpoint.
    lower: name of the boundary to split at; none trains with one gradient.
    store: of the sub-model below the boundary.
  """
  sgd = tf1.train.GradientDescentOptimizer(writer.RATE)
  with tf1.Graph().as_default() as graph:
    found = meta_graphs.load(prefix + ".meta", ["x:0"], ["hidden", "loss"])
    hidden, loss = found.outputs
    variables = tf1.trainable_variables()
    with compat.control_flow_of(graph.get_operations()):
      if lower:
        cut = tangle.SubModel(found.inputs, [hidden], store=store)
        kernel = [v for v in variables if "upper" in v.name]
        above = tf1.gradients(loss, [hidden] + kernel)
        lower_op = sgd.apply_gradients(
          zip(cut.gradients.variables, cut.variables)
        )
        upper_op = sgd.apply_gradients(zip(above[1:], kernel))
      else:
        train_op = sgd.minimize(loss)
    losses = []
    with tf1.Session() as sess:
      found.restore(sess)
      for batch in writer.batches():
        if not lower:
          losses.append(sess.run(loss, batch))
          sess.run(train_op, batch)
          continue
        fed = {name: batch[name] for name in ("x:0", "ids:0")}
        with cut.forward(sess, fed) as call:
          upper = {hidden: call.outputs[0], "targets:0": batch["targets:0"]}
          value, gradient = sess.run([loss, above[0]], upper)
          sess.run(upper_op, upper)
          call.run(lower_op, [gradient])
        losses.append(value)
      weights = dict(zip([v.name for v in variables], sess.run(variables)))
  return losses, weights, found.repairs


class TrainingTest(parameterized.TestCase):
  def check(self, python, kind, **options):
    prefix, expected = support.write(python, kind)
    losses, weights, repairs = train_on(prefix, **options)
    rtol = tolerance(python, kind)
    np.testing.assert_allclose(losses, expected["losses"], rtol=rtol)
    self.assertEqual(set(weights), set(expected["weights"]))
    for name, value in expected["weights"].items():
      np.testing.assert_allclose(
        weights[name], value, rtol=10 * rtol, atol=10 * rtol
      )
    return repairs

  @parameterized.named_parameters(
    (f"{kind}_{name}", python, kind)
    for kind in KINDS
    for name, python in support.WRITERS
  )
  def test_trains_on_as_the_original_graph_does(self, python, kind):
    repairs = self.check(python, kind)
    self.assertEqual(repairs.collections, {})
    if python == sys.executable:
      self.assertFalse(repairs, repairs)
    else:
      self.assertStartsWith(repairs.writer, "2." if compat.IS_TF1 else "1.15")

  @parameterized.named_parameters(
    (f"{kind}_{name}_{store}", python, kind, store)
    for kind, stores in (
      ("layers", ("device", "host", "recompute")),
      ("loop", ("auto",)),
      ("rnn", ("auto",)),
      ("flow", ("auto",)),
      ("norm", ("auto",)),
    )
    for name, python in support.WRITERS
    for store in stores
  )
  def test_trains_on_in_two_parts_with_the_same_numbers(
    self, python, kind, store
  ):
    self.check(python, kind, lower="hidden", store=store)

  @parameterized.named_parameters(*support.WRITERS)
  def test_the_gradients_in_the_file_train_on(self, python):
    prefix, expected = support.write(python, "norm")
    losses = []
    with tf1.Graph().as_default() as graph, tf1.Session() as sess:
      found = meta_graphs.load(prefix + ".meta")
      found.restore(sess)
      train_op = graph.get_operation_by_name("GradientDescent")
      for batch in writer.batches():
        losses.append(sess.run("loss:0", batch))
        sess.run(train_op, batch)
    rtol = tolerance(python, "norm")
    np.testing.assert_allclose(losses, expected["losses"], rtol=rtol)
    if python != sys.executable:
      self.assertLen(found.repairs.output_shapes, 1)
      self.assertIn("FusedBatchNormGrad", found.repairs.output_shapes[0])

  @absltest.skipUnless(support.OTHER, "needs a file of the other TensorFlow")
  def test_it_takes_the_repairs(self):
    path = support.write(support.OTHER, "norm")[0] + ".meta"
    with tf1.Graph().as_default():
      with self.assertRaises(ValueError):
        tf1.train.import_meta_graph(path)


class RestoringTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    prefix, _ = support.write(sys.executable, "layers")
    self.folder = support.new_folder()
    self.prefix = os.path.join(self.folder, "model")
    for ending in (".meta", ".index", ".data-00000-of-00001"):
      shutil.copy(prefix + ending, self.prefix + ending)

  def load(self, name="model.meta"):
    return meta_graphs.load(os.path.join(self.folder, name))

  def test_the_checkpoint_beside_the_file_is_found(self):
    found = self.load()
    self.assertEqual(found.checkpoint, self.prefix)
    found.restore(self.session(initialize=False))

  def test_a_checkpoint_that_is_not_there(self):
    os.remove(self.prefix + ".index")
    with self.assertRaisesRegex(errors.DataError, "no checkpoint of the name"):
      self.load().restore(self.session(initialize=False))

  def test_checkpoints_of_other_names_are_listed_and_can_be_passed(self):
    os.rename(self.prefix + ".meta", os.path.join(self.folder, "graph.meta"))
    found = self.load("graph.meta")
    sess = self.session(initialize=False)
    self.assertIsNone(found.checkpoint)
    with self.assertRaises(errors.DataError) as caught:
      found.restore(sess)
    self.assert_message(caught.exception, self.prefix, "checkpoint")
    found.restore(sess, self.prefix)

  def test_a_checkpoint_that_does_not_fit(self):
    other, _ = support.write(sys.executable, "loop")
    with tf1.Graph().as_default(), tf1.Session() as sess:
      found = meta_graphs.load(other + ".meta")
      with self.assertRaises(errors.DataError) as caught:
        found.restore(sess, self.prefix)
    self.assert_message(caught.exception, "loop/kernel", "not found")

  def test_a_graph_without_variables(self):
    meta = support.export(lambda: tf1.constant(1.0, name="one"))
    found = meta_graphs.load(support.save(meta))
    self.assertIsNone(found.saver)
    with self.assertRaisesRegex(errors.GraphError, "no variables"):
      found.restore(self.session(initialize=False))

  def test_a_file_without_a_saver_gets_one_of_its_variables(self):
    self.variable("of_the_user", 1.0)
    meta = support.export(
      lambda: tf1.get_variable("table", [7, 5], tf1.float64)
    )
    found = meta_graphs.load(support.save(meta))
    sess = self.session()
    found.restore(sess, self.prefix)
    self.assertEqual(found.repairs.saver, "")
    (kernel,) = tf1.trainable_variables()[1:]
    with tf1.Graph().as_default(), tf1.Session() as other:
      meta_graphs.load(self.prefix + ".meta").restore(other)
      self.assert_close(sess.run(kernel), other.run("table:0"))

  def test_a_saver_whose_ops_are_not_there_is_replaced(self):
    def build():
      tf1.get_variable("table", [7, 5], tf1.float64)

    saver_def = tf1.train.SaverDef(
      filename_tensor_name="save/Const:0",
      save_tensor_name="save/control_dependency:0",
      restore_op_name="save/restore_all",
    )
    meta = support.export(build, saver_def=saver_def)
    found = meta_graphs.load(support.save(meta))
    self.assertIn("save/restore_all", found.repairs.saver)
    self.assertIn("another saver", str(found.repairs))
    found.restore(self.session(initialize=False), self.prefix)


class LoadingTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.path = support.write(sys.executable, "layers")[0] + ".meta"

  def test_names_become_tensors(self):
    found = meta_graphs.load(self.path, ["x", "ids:0"], ["hidden"])
    self.assertEqual([t.name for t in found.inputs], ["x:0", "ids:0"])
    self.assertEqual([t.name for t in found.outputs], ["hidden:0"])
    self.assertEqual(str(found.repairs), "nothing to repair")

  def test_the_file_is_not_changed(self):
    with open(self.path, "rb") as file:
      before = file.read()
    meta_graphs.load(self.path)
    with open(self.path, "rb") as file:
      self.assertEqual(file.read(), before)

  def test_no_ops_are_added_beside_those_of_the_file(self):
    meta_graphs.load(self.path)
    nodes = meta_graphs.read(self.path).graph_def.node
    self.assertEqual(self.count_ops(), len(nodes))

  def test_names_that_are_taken(self):
    meta_graphs.load(self.path)
    with self.assertRaises(errors.GraphError) as caught:
      meta_graphs.load(self.path)
    self.assert_message(caught.exception, "same names", "tf.Graph()")

  def test_no_graph_is_being_built(self):
    # Only 2.x can enter eager execution inside a graph.
    code = (
      "import tensorflow as tf; tf.compat.v1.enable_eager_execution()\n"
      "import sys, tangle\n"
      "try: tangle.meta_graphs.load(sys.argv[1])\n"
      "except tangle.errors.ArgumentError as error: print(error)"
    )
    done = support.forks.run_code(code, self.path)
    self.assertIn("tf.Graph().as_default()", done.stdout, done.stderr)

  def test_a_graph_that_tensorflow_refuses(self):
    meta = meta_graphs.read(self.path)
    meta.graph_def.node[-1].input.append("nowhere")
    with self.assertRaisesRegex(errors.GraphError, "cannot be imported"):
      meta_graphs.load(support.save(meta))
    self.assertEqual(self.count_ops(), 0)

  @parameterized.parameters(
    ("hiden", r"no op 'hiden'. Did you mean one of \['hidden'"),
    ("hidden:1", "'hidden:1' is not a tensor"),
    ("hidden:a", "'hidden:a' is not a tensor"),
    ("qqqqqqqq", "Look at its op names"),
  )
  def test_a_name_that_is_not_there(self, name, message):
    for inputs, outputs, where in (
      (["x"], [name], "load, outputs: "),
      ([name], ["hidden"], "load, inputs: "),
    ):
      with tf1.Graph().as_default():
        with self.assertRaisesRegex(errors.ArgumentError, message) as caught:
          meta_graphs.load(self.path, inputs, outputs)
        self.assert_message(caught.exception, where)


if __name__ == "__main__":
  absltest.main()
