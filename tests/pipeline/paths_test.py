"""Tests of paths."""

import json
import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import paths
from tests import case, forks

SERVE = """
import json, sys
import numpy as np
import tensorflow as tf
assert "tangle" not in sys.modules
load = getattr(tf.saved_model, "load_v2", tf.saved_model.load)
if tf.__version__.startswith("1."):
  tf.compat.v1.enable_eager_execution()
model = load(sys.argv[1])
x = tf.constant(json.loads(sys.argv[2]), tf.float32)
found = model.signatures["serving_default"](x=x)
print(json.dumps({name: x.numpy().tolist() for name, x in found.items()}))
"""


class PathsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "model")
    self.kernels = {
      name: self.variable(name, self.normal(3, 3, dtype=np.float32))
      for name in ("plus", "minus", "end")
    }
    self.pipeline = tangle.Pipeline("calculator")
    for name in ("plus", "minus"):
      self.pipeline.add(name, self.encoder(self.kernels[name]), [2, 4])
    self.pipeline.add(
      "end", self.decoder, reads={"code": ["plus.code", "minus.code"]}
    )

  def encoder(self, kernel):
    def build(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float32, [None, bucket, 3])
      code = tf1.tanh(tf1.tensordot(tf1.reduce_sum(x_ph, 1), kernel, 1))
      return tangle.Piece(feeds={"x": x_ph}, outputs={"code": code})

    return build

  def decoder(self, bucket, reads):
    del bucket
    label_ph = tf1.placeholder(tf1.float32, [None, 3])
    result = tf1.matmul(reads["code"], self.kernels["end"])
    loss = tf1.reduce_mean(tf1.square(result - label_ph))
    return tangle.Piece(
      feeds={"label": label_ph},
      outputs={"result": result},
      loss=loss,
      metrics={"largest": tf1.reduce_max(result)},
    )

  def run_path(self, sess, x, name="plus"):
    """Returns what the pipeline itself gives, without labels."""
    found = self.pipeline.forward(
      sess, {name: {"x": x}, "end": {}}, ["end.result"], with_loss=False
    )
    self.assertIsNone(found.loss)
    self.assertEqual(found.metrics["end"], {})
    return found.outputs["end.result"]

  def test_a_path_needs_labels_for_its_loss_only(self):
    self.pipeline.build()
    sess = self.session()
    x = self.normal(5, 2, 3)
    kernels = sess.run(self.kernels)
    np.testing.assert_allclose(
      self.run_path(sess, x, "minus"),
      np.tanh(x.sum(1) @ kernels["minus"]) @ kernels["end"],
      rtol=1e-5,
    )
    with self.assertRaisesRegex(errors.ArgumentError, "no feed 'label'"):
      self.pipeline.forward(sess, {"plus": {"x": x}, "end": {}})
    with self.assertRaisesRegex(errors.ArgumentError, "no feed 'x'"):
      self.pipeline.forward(
        sess, {"plus": {}, "end": {}}, ["end.result"], with_loss=False
      )

  def test_join_wires_builders_without_boundaries(self):
    built = paths.join(self.pipeline, {"end": None, "minus": 4})
    self.assertEqual(list(built), ["minus", "end"])
    sess = self.session()
    x, kernels = self.normal(2, 4, 3), sess.run(self.kernels)
    found = sess.run(
      built["end"].outputs["result"], {built["minus"].feeds["x"]: x}
    )
    expected = np.tanh(x.sum(1) @ kernels["minus"]) @ kernels["end"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)

  @parameterized.named_parameters(
    ("unknown", {"times": None}, "'times'"),
    ("bucket", {"plus": 3}, "bucket 3"),
    ("no_source", {"end": None}, "'code'"),
  )
  def test_join_refuses(self, buckets, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      paths.join(self.pipeline, buckets)

  def export(self, sess, **changes):
    settings = {
      "folder": self.folder,
      "buckets": {"plus": 2, "end": None},
      "inputs": {"x": "plus.x"},
      "outputs": {"result": "end.result", "again": "end.result"},
    }
    settings.update(changes)
    paths.export(self.pipeline, sess, **settings)

  def test_an_exported_path_is_served_by_tensorflow_alone(self):
    self.pipeline.build()
    sess = self.session()
    self.export(sess)
    x = self.normal(5, 2, 3, dtype=np.float32)
    with forks.new_processes():  # without tangle
      done = forks.run_code(SERVE, self.folder, json.dumps(x.tolist()))
    self.assertEqual(done.returncode, 0, done.stderr[-2000:])
    found = json.loads(done.stdout.strip().split("\n")[-1])
    self.assertEqual(set(found), {"result", "again"})
    for value in found.values():
      np.testing.assert_allclose(
        value, self.run_path(sess, x), rtol=1e-6, atol=1e-7
      )

  def test_an_export_has_the_weights_of_its_time_and_only_its_path(self):
    sess = self.session()
    self.export(sess)
    sess.run([v.assign(0 * v) for v in self.kernels.values()])
    with tf1.Graph().as_default(), tf1.Session() as own:
      model = tf1.saved_model.loader.load(own, ["serve"], self.folder)
      signature = model.signature_def["serving_default"]
      found = own.run(
        signature.outputs["result"].name,
        {signature.inputs["x"].name: np.ones([1, 2, 3])},
      )
      types = {op.type for op in own.graph.get_operations()}
    self.assertGreater(np.abs(found).max(), 0)
    self.assertNotIn("MapStage", types)
    self.assertNotIn("VarHandleOp", types)

  @parameterized.named_parameters(
    (
      "input",
      {"inputs": {"x": "plus.y"}},
      r"'plus.y'; .* are \['plus.x'",
    ),
    ("output", {"outputs": {"r": "end.loss"}}, "'end.loss'"),
    ("no_output", {"outputs": {}}, "outputs is empty"),
    ("no_input", {"inputs": {}}, "Add the feed with"),
    ("no_bucket", {"buckets": {}}, "buckets is empty"),
    (
      "unused",
      {"inputs": {"x": "plus.x", "label": "end.label"}},
      r"inputs \['label'\]",
    ),
  )
  def test_export_refuses(self, changes, message):
    sess = self.session()
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.export(sess, **changes)
    self.assertFalse(os.path.exists(self.folder))

  def test_export_overwrites_nothing(self):
    os.mkdir(self.folder)
    with self.assertRaisesRegex(errors.ArgumentError, "already exists"):
      self.export(self.session())

  def test_export_of_a_finalized_graph_is_refused(self):
    sess = self.session()
    self.graph.finalize()
    with self.assertRaisesRegex(errors.GraphError, "finalized"):
      self.export(sess)


if __name__ == "__main__":
  absltest.main()
