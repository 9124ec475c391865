"""Tests of sessions."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.pipeline import sessions
from tests import case


class SessionsTest(case.GraphTestCase):
  def test_what_is_given_stays_as_it_is(self):
    given = tf1.ConfigProto(intra_op_parallelism_threads=3)
    found = sessions.session_config(given)
    self.assertEqual(found.intra_op_parallelism_threads, 3)
    found.intra_op_parallelism_threads = 1
    options = given.graph_options.rewrite_options
    self.assertFalse(options.disable_meta_optimizer)
    self.assertEqual(given.intra_op_parallelism_threads, 3)

  def test_the_graph_optimizer_leaves_ops_as_they_are(self):
    x_ph = tf1.placeholder(tf1.float32, [4])
    y = tf1.tanh(tf1.add_n([x_ph, x_ph, x_ph]))  # Grappler makes it 3 x
    found = {}
    for name, config in {
      "ours": sessions.session_config(),
      "default": tf1.ConfigProto(),
    }.items():
      config.graph_options.rewrite_options.min_graph_nodes = -1
      options = tf1.RunOptions(output_partition_graphs=True)
      metadata = tf1.RunMetadata()
      with tf1.Session(config=config) as sess:
        value = sess.run(y, {x_ph: np.ones(4)}, options, metadata)
      np.testing.assert_allclose(value, np.tanh(3 * np.ones(4)), 1e-5)
      nodes = [node for part in metadata.partition_graphs for node in part.node]
      found[name] = {node.op for node in nodes}
    self.assertIn("AddN", found["ours"])
    self.assertNotIn("AddN", found["default"])


if __name__ == "__main__":
  absltest.main()
