"""Tests of graphs that come from `.meta` files.

With the environment variable TANGLE_OTHER_PYTHON, the path of an interpreter
with TensorFlow 1.15, files that it has written are cut and trained on 2.x too.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.experiments import meta_graphs
from tangle.partial import sub_model
from tests import forks
from tests.experiments import meta_writer

ROOT = pathlib.Path(__file__).resolve().parents[2]
OTHER = os.environ.get("TANGLE_OTHER_PYTHON")
WRITERS = [("same", sys.executable)]
if OTHER and not compat.IS_TF1:  # what is newer, 1.15 need not understand
  WRITERS.append(("other", OTHER))
_FOLDER = tempfile.TemporaryDirectory()


@functools.lru_cache(maxsize=None)
def write(python, kind):
  """Returns the prefix of a checkpoint, and how its training went."""
  prefix = os.path.join(tempfile.mkdtemp(dir=_FOLDER.name), "model")
  if python == sys.executable:
    done = forks.run_script(meta_writer.__file__, kind, prefix)
    assert not done.returncode, done.stderr
  else:
    done = subprocess.run(
      [python, "-W", "ignore", "-m", "tests.experiments.meta_writer", kind]
      + [prefix],
      cwd=ROOT,
      env=dict(os.environ, PYTHONPATH=str(ROOT)),
      capture_output=True,
      text=True,
      check=True,
    )
  return prefix, json.loads(done.stdout.splitlines()[-1])


def train_split(path, prefix, store):
  """Trains what was imported in two parts; returns losses and weights."""
  inputs, ends = ["x:0"], ["hidden:0", "loss:0", "y:0"]
  with tf1.Graph().as_default():
    found = meta_graphs.load(path, inputs, ends)
    hidden, loss, y = found.outputs
    lower = sub_model.SubModel(found.inputs, [hidden], store=store)
    kernel = [v for v in tf1.trainable_variables() if "upper" in v.name]
    above = tf1.gradients(loss, [hidden] + kernel)
    del y
    sgd = tf1.train.GradientDescentOptimizer(meta_writer.RATE)
    lower_op = sgd.apply_gradients(
      zip(lower.gradients.variables, lower.variables)
    )
    upper_op = sgd.apply_gradients(zip(above[1:], kernel))
    losses = []
    with tf1.Session() as sess:
      found.saver.restore(sess, prefix)
      for batch in meta_writer.batches():
        fed = {name: batch[name] for name in ("x:0", "ids:0")}
        with lower.forward(sess, fed) as call:
          upper = {hidden: call.outputs[0], "targets:0": batch["targets:0"]}
          value, gradient = sess.run([loss, above[0]], upper)
          sess.run(upper_op, upper)
          call.run(lower_op, [gradient])
        losses.append(value)
      names = [v.name for v in tf1.trainable_variables()]
      weights = dict(zip(names, sess.run(tf1.trainable_variables())))
  return losses, weights


class TrainingTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (f"{name}_{store}", python, store)
    for name, python in WRITERS
    for store in ("device", "host", "recompute")
  )
  def test_trains_on_in_two_parts_with_the_same_numbers(self, python, store):
    prefix, expected = write(python, "layers")
    losses, weights = train_split(prefix + ".meta", prefix, store)
    np.testing.assert_allclose(losses, expected["losses"], rtol=1e-12)
    for name, value in expected["weights"].items():
      np.testing.assert_allclose(weights[name], value, rtol=1e-11, atol=1e-14)

  @parameterized.named_parameters(*WRITERS)
  def test_a_recurrent_layer_of_tensorflow_1_trains_on(self, python):
    prefix, expected = write(python, "rnn")
    losses, _ = train_split(prefix + ".meta", prefix, "auto")
    # The two TensorFlows have another tanh.
    rtol = 1e-12 if python == sys.executable else 1e-9
    np.testing.assert_allclose(losses, expected["losses"], rtol=rtol)

  @parameterized.named_parameters(*WRITERS)
  def test_a_loop_of_tensorflow_1_is_refused_with_the_way_out(self, python):
    path = write(python, "loop")[0] + ".meta"
    found = meta_graphs.report(path, ["x"], ["hidden"])
    self.assertIn("TensorFlow 1 style loop", found["stores"]["device"])
    self.assertIn("reference variable", found["stores"]["session"])
    self.assertIsNone(found["store"])
    self.assertIn("cannot be split", meta_graphs.format_report(found))


class ReportTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = write(sys.executable, "layers")[0] + ".meta"

  def test_says_what_a_cut_would_be(self):
    found = meta_graphs.report(self.path, ["x"], ["hidden"], unknown=6)
    self.assertEqual(found["store"], "device")
    self.assertEqual(found["inputs"], {"x:0": "float64 [None, 4]"})
    self.assertEqual(found["feeds"], {"ids:0": "int32 [None, 3]"})
    self.assertEqual(
      found["variables"],
      {"table:0": "float64 [7, 5]", "lower/kernel:0": "float64 [9, 8]"},
    )
    sizes = {row["name"]: row["bytes"] for row in found["residuals"]}
    self.assertEqual(sizes["Relu:0"], 6 * 8 * 8)
    self.assertEqual(sizes["ids:0"], 6 * 3 * 4)
    self.assertEqual(found["residual_bytes"], sum(sizes.values()))
    self.assertGreater(found["backward_ops"], 0)
    text = meta_graphs.format_report(found, limit=1)
    self.assertIn("lower/kernel/read:0", text)  # a copy, and so the largest
    self.assertIn(f"and {len(sizes) - 1} smaller ones", text)

  def test_predicted_bytes_are_those_of_a_run(self):
    prefix = self.path[: -len(".meta")]
    found = meta_graphs.report(self.path, ["x"], ["hidden"], unknown=6)
    with tf1.Graph().as_default():
      imported = meta_graphs.load(self.path, ["x"], ["hidden"])
      cut = sub_model.SubModel(imported.inputs, imported.outputs)
      batch = next(meta_writer.batches())
      del batch["targets:0"]
      with tf1.Session() as sess:
        imported.saver.restore(sess, prefix)
        cut.forward(sess, batch).discard()
      measured = {r.name: r.bytes for r in cut.residuals}
    predicted = {row["name"]: row["bytes"] for row in found["residuals"]}
    self.assertEqual(predicted, measured)

  def test_other_policies_keep_less(self):
    least = meta_graphs.report(self.path, ["x"], ["hidden"], "none")
    most = meta_graphs.report(self.path, ["x"], ["hidden"], "frontier")
    self.assertLess(least["residual_bytes"], most["residual_bytes"])

  def test_a_survey_lists_where_it_could_be_cut(self):
    found = meta_graphs.survey(self.path)
    self.assertEqual(list(found["placeholders"]), ["x:0", "ids:0", "targets:0"])
    self.assertEqual(list(found["ends"]), ["loss:0"])
    self.assertLen(found["variables"], 3)
    self.assertIn("loss:0", meta_graphs.format_survey(found))
    self.assertLen(meta_graphs.survey(self.path, limit=1)["placeholders"], 1)


class ErrorsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = write(sys.executable, "layers")[0] + ".meta"

  def test_a_file_that_is_not_there(self):
    with self.assertRaisesRegex(errors.GraphError, "nothing.meta cannot be"):
      meta_graphs.survey("nothing.meta")

  def test_a_file_that_is_no_meta_graph(self):
    with tempfile.NamedTemporaryFile(suffix=".meta") as file:
      file.write(b"\x00 this is text")
      file.flush()
      with self.assertRaisesRegex(errors.GraphError, "cannot be"):
        meta_graphs.survey(file.name)

  def test_an_op_that_is_not_known(self):
    with tf1.Graph().as_default() as graph:
      tf1.constant(1.0, name="one")
      meta = tf1.train.export_meta_graph(graph=graph)
    meta.graph_def.node[0].op = "Abacus"
    with tempfile.NamedTemporaryFile(suffix=".meta") as file:
      file.write(meta.SerializeToString())
      file.flush()
      with self.assertRaisesRegex(errors.GraphError, "Abacus"):
        meta_graphs.survey(file.name)

  @parameterized.parameters(
    ("hiden", r"no op 'hiden'. Did you mean one of \['hidden'"),
    ("hidden:1", "'hidden:1' is no tensor"),
    ("hidden:a", "'hidden:a' is no tensor"),
    ("qqqqqqqq", "Look at its op names"),
  )
  def test_a_name_that_is_not_there(self, name, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      meta_graphs.report(self.path, ["x"], [name])

  def test_outputs_that_hang_on_no_input(self):
    with self.assertRaises(errors.DisconnectedError):
      meta_graphs.report(self.path, ["targets"], ["hidden"])


if __name__ == "__main__":
  absltest.main()
