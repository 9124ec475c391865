"""Tests of reading what is saved."""

import atexit
import functools
import os
import shutil
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.combine import saved
from tangle.compat import tf1
from tests import forks
from tests.combine import support

_WRITE = """
import sys
import numpy as np
import tensorflow as tf
tf.compat.v1.enable_v2_behavior()

class Module(tf.Module):
  def __init__(self):
    super().__init__(name="module")
    with tf.name_scope("encoder"):
      self.kernel = tf.Variable(
        np.random.RandomState(1).standard_normal([2, 3]), name="kernel"
      )
    self.layers = [
      tf.Variable(np.arange(3.0), name="same"),
      tf.Variable(np.arange(4.0), name="same"),
    ]

  @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float64)])
  def __call__(self, x):
    return x @ self.kernel

tf.saved_model.save(Module(), sys.argv[1])
"""


@functools.lru_cache(maxsize=None)
def saved_model_of_tensorflow_2():
  """Returns the folder of an object-based SavedModel; written once.

  It is written in a process with TensorFlow 2 style.
  """
  folder = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, folder)
  path = os.path.join(folder, "model")
  done = forks.run_code(_WRITE, path)
  assert not done.returncode, done.stderr
  return path


class SavedTest(support.CombineTestCase):
  def test_reads_a_checkpoint_by_prefix_and_by_folder(self):
    self.variable("a/kernel", self.normal(2, 3))
    self.variable("b", np.int32(3))
    folder = self.folder()
    prefix = tf1.train.Saver().save(self.session(), folder + "/model")
    for path in (prefix, folder):
      found = saved.read(path)
      self.assertEqual(found.prefix, prefix)
      self.assertEqual(
        found.entries,
        [
          saved.Entry("a/kernel", "a/kernel", None, [2, 3], tf1.float64),
          saved.Entry("b", "b", None, [], tf1.int32),
        ],
      )

  def test_reads_a_saved_model_of_tensorflow_1(self):
    x_ph = tf1.placeholder(tf1.float64, [None, 2])
    y = x_ph @ self.variable("a/kernel", self.normal(2, 3))
    folder = os.path.join(self.folder(), "model")
    tf1.saved_model.simple_save(self.session(), folder, {"x": x_ph}, {"y": y})
    found = saved.read(folder)
    self.assertEqual([entry.name for entry in found.entries], ["a/kernel"])

  def test_reads_a_saved_model_of_tensorflow_2(self):
    folder = saved_model_of_tensorflow_2()
    found = {entry.path: entry for entry in saved.read(folder).entries}
    self.assertEqual(set(found), {"kernel", "layers/0", "layers/1"})
    self.assertEqual(found["kernel"].name, "encoder/kernel")
    # Their names are not the only ones, so that their paths stand for them.
    self.assertEqual(found["layers/1"].name, "layers/1")
    self.assertEqual(found["layers/1"].shape, [4])

  def test_what_cannot_be_read_raises(self):
    folder = self.folder()
    with self.assertRaisesRegex(errors.DataError, "the folder .*neither"):
      saved.read(folder)
    with self.assertRaisesRegex(errors.DataError, "the checkpoint .*model"):
      saved.read(folder + "/model")


if __name__ == "__main__":
  absltest.main()
