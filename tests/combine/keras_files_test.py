"""Tests of weights in files of Keras, each written by another process."""

import atexit
import functools
import importlib
import os
import shutil
import tempfile
import unittest

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tangle import combine, compat, errors, nets
from tangle.combine import keras_files
from tangle.compat import tf1
from tests import forks
from tests.combine import support


def find(name):
  """Returns the module of one of the packages that are called Keras.

  Args:
    name: `keras` for Keras 3, `tf_keras`, or `tf.keras` for that of 1.15.

  Returns:
    A module, `None` if it is not there.
  """
  if name == "tf.keras":
    return tf.keras if compat.IS_TF1 else None
  try:
    module = importlib.import_module(name)
  except ImportError:
    return None
  if name == "keras" and not hasattr(module, "StatelessScope"):
    return None
  return module


def build(keras, units=2):
  """Returns a model of two dense layers with a normalization between them."""
  return keras.Sequential(
    [
      keras.layers.Dense(3, activation="tanh", name="hidden", input_shape=(4,))
      if not hasattr(keras, "StatelessScope")
      else keras.layers.Dense(3, activation="tanh", name="hidden"),
      keras.layers.BatchNormalization(name="norm"),
      keras.layers.Dropout(0.5, name="drop"),
      keras.layers.Dense(units, name="out"),
    ]
  )


_WRITE = """
import os, sys
import numpy as np
from tests.combine import keras_files_test
keras = keras_files_test.find(sys.argv[2])
model = keras_files_test.build(keras)
model.build((None, 4))
rng = np.random.RandomState(7)
model.set_weights(
  [rng.uniform(0.5, 1.0, w.shape).astype(w.dtype) for w in model.get_weights()]
)
x = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4)
os.chdir(sys.argv[1])
np.save("y.npy", model.predict(x))
model.save("model.h5")
if sys.argv[2] != "tf.keras":
  model.save("model.keras")
  model.save_weights("model.weights.h5")
  model.export("exported")
"""


@functools.lru_cache(maxsize=None)
def files(name):
  """Returns a folder of files of one model, and its outputs; written once."""
  folder = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, folder)
  done = forks.run_code(_WRITE, folder, name)
  assert not done.returncode, done.stderr
  return folder, np.load(os.path.join(folder, "y.npy"))


X = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4)
KERAS_3 = unittest.skipIf(find("keras") is None, "Keras 3 is not installed")
TF_KERAS = unittest.skipIf(find("tf_keras") is None, "tf_keras is missing")
ONLY_1 = unittest.skipUnless(compat.IS_TF1, "2.x has tf_keras for that")
LATER = ("model.keras", "model.weights.h5", "model.h5", "exported")


class KerasFilesTest(support.CombineTestCase):
  def check(self, name, file, wrap=None, **options):
    """Loads a file into a model of a static graph; compares outputs."""
    keras = find(name)
    folder, y = files(name)
    model = build(keras)
    x_ph = tf1.placeholder(tf1.float32, [None, 4])
    outputs = model(x_ph)
    before = self.count_ops()
    into = wrap(model) if wrap else model
    weights = combine.pretrained(os.path.join(folder, file), into, **options)
    # The arrays themselves stay out of the graph.
    self.assertLess(self.count_ops() - before, 80)
    self.assert_ops_under("pretrained", before)
    sess = self.session()
    self.assertGreater(np.max(np.abs(sess.run(outputs, {x_ph: X}) - y)), 0.1)
    self.assertLen(weights.load(sess).missing, 0)
    np.testing.assert_allclose(
      sess.run(outputs, {x_ph: X}), y, rtol=1e-5, atol=1e-6
    )
    return model, weights

  @KERAS_3
  @parameterized.parameters(*LATER)
  def test_a_model_of_keras_3(self, file):
    _, weights = self.check("keras", file)
    self.assertEqual(
      [name.rpartition("/")[2] for name in weights.report.loaded][:3],
      ["kernel", "bias", "gamma"],
    )

  @TF_KERAS
  @parameterized.parameters(*LATER)
  def test_a_model_of_tf_keras(self, file):
    self.check("tf_keras", file)

  @ONLY_1
  def test_a_model_of_tensorflow_1(self):
    self.check("tf.keras", "model.h5")

  def names(self):
    """Returns which Keras this TensorFlow has, and a file of it."""
    return ("tf.keras", "model.h5") if compat.IS_TF1 else ("keras", LATER[0])

  def test_a_part_that_wraps_a_model(self):
    self.check(*self.names(), wrap=lambda model: combine.Part(model, "part"))

  @KERAS_3
  def test_a_saved_model_goes_by_order_where_names_differ(self):
    build(find("keras")).build((None, 4))
    model, weights = self.check("keras", "exported")
    kernel = model.weights[0].value.op.name
    saved = weights.report.loaded[kernel]
    self.assertEndsWith(saved, "hidden/kernel")
    self.assertNotEqual(saved, kernel)

  def assertEndsWith(self, text, end):
    self.assertEqual(text[-len(end) :], end)

  def test_load_model_in_a_static_graph_and_a_monitored_session(self):
    name, file = self.names()
    folder, y = files(name)
    path = os.path.join(folder, file)
    model = find(name).models.load_model(path)
    x_ph = tf1.placeholder(tf1.float32, [None, 4])
    outputs = model(x_ph)
    weights = combine.pretrained(path, model)
    scaffold = tf1.train.Scaffold(init_fn=lambda _, sess: weights.load(sess))
    with tf1.train.MonitoredTrainingSession(scaffold=scaffold) as sess:
      found = sess.run(outputs, {x_ph: X})
    np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-6)

  def test_other_networks_get_arrays_by_name(self):
    name, _ = self.names()
    folder, _ = files(name)
    path = os.path.join(folder, "model.h5")
    dense = nets.Dense(2, name="out")
    dense(tf1.zeros([1, 3]))
    (scope,) = {
      key.rpartition("/")[0]
      for key in keras_files.Weights(path).names.values()
      if key.split("/")[-2] == "out"
    }
    weights = combine.pretrained(path, dense, scope)
    sess = self.session()
    weights.load(sess)
    self.assertLen(weights.report.loaded, 2)
    self.assertGreater(np.min(sess.run(dense.variables[0])), 0.4)

  @KERAS_3
  @parameterized.parameters("model.keras", "model.weights.h5")
  def test_other_networks_get_arrays_by_path(self, file):
    folder, _ = files("keras")
    path = os.path.join(folder, file)
    found = keras_files.Weights(path)
    (kernel,) = (k for k, n in found.names.items() if n == "out/0")
    self.assertEqual(found.of(kernel), ([3, 2], tf1.float32))
    variable = self.variable("v", np.zeros([3, 2], np.float32))
    weights = combine.pretrained(path, [variable], mapping={kernel: variable})
    sess = self.session()
    weights.load(sess)
    np.testing.assert_array_equal(sess.run(variable), found.read([kernel])[0])

  def test_a_model_that_does_not_fit(self):
    name, file = self.names()
    folder, _ = files(name)
    model = build(find(name), units=5)
    model(tf1.zeros([1, 4]))
    before = self.count_ops()
    with self.assertRaises(errors.DataError) as caught:
      combine.pretrained(os.path.join(folder, file), model)
    self.assert_message(
      caught.exception,
      *("mismatched", "strict")
      if compat.IS_TF1
      else ("cannot load", "mapping="),
    )
    self.assertEqual(self.count_ops(), before)
    weights = combine.pretrained(
      os.path.join(folder, file), model, strict=False
    )
    weights.load(self.session())
    self.assertLen(weights.report.loaded, 6)
    self.assertLen(weights.report.missing + weights.report.mismatched, 2)

  @ONLY_1
  def test_files_of_later_versions_are_refused(self):
    model = build(tf.keras)
    model(tf1.zeros([1, 4]))
    path = os.path.join(self.folder(), "model.keras")
    with open(path, "wb") as file:
      file.write(b"PK\x03\x04 and so on")
    with self.assertRaisesRegex(errors.DataError, "1.15 reads the .h5 files"):
      combine.pretrained(path, model)
    with self.assertRaisesRegex(errors.DataError, "not a .keras file"):
      combine.pretrained(path, model.variables)

  def test_tells_files_by_what_is_in_them(self):
    folder, _ = files(self.names()[0])
    self.assertTrue(keras_files.is_file(os.path.join(folder, "model.h5")))
    self.assertFalse(keras_files.is_file(os.path.join(folder, "y.npy")))
    self.assertFalse(keras_files.is_file(folder))
    self.assertFalse(keras_files.is_file(os.path.join(folder, "none")))

  def test_tells_models_from_layers_and_networks(self):
    keras = find(self.names()[0])
    model = build(keras)
    self.assertIs(keras_files.model_of(model), model)
    self.assertIs(keras_files.model_of(combine.Part(model, "p")), model)
    self.assertIsNone(keras_files.model_of(keras.layers.Dense(2)))
    self.assertIsNone(keras_files.model_of([]))
    self.assertIsNone(keras_files.model_of(nets.Dense(2)))


if __name__ == "__main__":
  absltest.main()
