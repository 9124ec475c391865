"""Tests of determinism."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.nets import feedforward
from tangle.training import determinism
from tests import case, forks

# With two threads this prints another number each time on TensorFlow 2.21. It
# is the configuration that has one here, not the Makefile.
TRAINING = """
import os
import zlib
import numpy as np
from tangle.compat import tf1
from tangle.training import determinism

os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
rng = np.random.RandomState(0)
with tf1.Graph().as_default():
  w = tf1.get_variable("w", initializer=np.zeros([1000, 32], np.float32))
  gradient = tf1.IndexedSlices(
    tf1.constant(rng.standard_normal([50000, 32]).astype(np.float32)),
    tf1.constant(rng.randint(0, 1000, 50000)),
    tf1.constant([1000, 32]),
  )
  optimizer = tf1.train.GradientDescentOptimizer(0.1)
  train_op = optimizer.apply_gradients([(gradient, w)])
  for _ in range(5):
    with tf1.Session(config=determinism.session_config()) as sess:
      sess.run(tf1.global_variables_initializer())
      for _ in range(3):
        sess.run(train_op)
      print("found", zlib.crc32(sess.run(w).tobytes()))
"""


class SessionConfigTest(absltest.TestCase):
  def test_rows_with_the_same_index_are_added_in_the_same_order(self):
    # In a process of its own, whose first session has this configuration.
    done = forks.run_code(TRAINING)
    self.assertEqual(done.returncode, 0, done.stderr[-2000:])
    lines = done.stdout.splitlines()
    lines = [line for line in lines if line.startswith("found")]
    self.assertLen(lines, 5)
    self.assertLen(set(lines), 1)

  def test_may_be_changed_further(self):
    config = determinism.session_config()
    self.assertEqual(config.intra_op_parallelism_threads, 1)
    config.allow_soft_placement = True
    other = determinism.session_config()
    self.assertFalse(other.allow_soft_placement)


class StepSeedTest(case.GraphTestCase):
  def test_each_step_and_seed_has_its_own(self):
    found = {
      tuple(determinism.step_seed(seed, step))
      for seed in range(30)
      for step in range(300)
    }
    self.assertLen(found, 9000)

  def test_is_always_the_same(self):
    # Of SHA-256 and nothing else, so that versions and machines agree.
    self.assertEqual(
      determinism.step_seed(1, 2).tolist(),
      determinism.step_seed(np.int64(1), np.int32(2)).tolist(),
    )
    self.assertEqual(
      determinism.step_seed(0, 0).tolist(), [-354217131, 1423419067]
    )

  def test_a_shifted_seed_is_not_that_of_the_next_step(self):
    found = {
      tuple(feedforward.shift_seed(determinism.step_seed(0, step), k))
      for step in range(1000)
      for k in range(10)
    }
    self.assertLen(found, 10000)

  def test_a_stateless_op_takes_it(self):
    seed_ph = tf1.placeholder(tf1.int32, [2])
    dropped = feedforward.dropout(tf1.ones([20]), 0.5, seed_ph)
    sess = self.session()
    masks = [
      sess.run(dropped, {seed_ph: determinism.step_seed(0, step)}).tolist()
      for step in (0, 1, 0)
    ]
    self.assertEqual(masks[0], masks[2])
    self.assertNotEqual(masks[0], masks[1])


if __name__ == "__main__":
  absltest.main()
