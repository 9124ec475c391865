"""Tests of graphs."""

import os
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import builds, graphs
from tangle.compat import tf1
from tests import case

TINY = graphs.GridSetting(
  (1, 2), (1, 2, 3), "gru", 1, 1, units=3, symbols=8, batch_size=2, rounds=1
)


class GraphsTest(case.GraphTestCase):
  @parameterized.named_parameters(
    ("gru", TINY),
    (
      "lstm",
      TINY._replace(cell="lstm", layers=2, heads=2, target_buckets=(2,)),
    ),
  )
  def test_candidates_have_the_same_losses(self, setting):
    found = [graphs.measure_training(name, setting) for name in graphs.NAMES]
    losses = [row["losses"] for row in found]
    pairs = len(setting.source_buckets) * len(setting.target_buckets)
    self.assertLen(losses[0], pairs)
    self.assertLess(graphs.loss_difference(*losses), 1e-5)
    # All steps train: two weights would not give one loss.
    self.assertGreater(len(set(losses[0])), pairs - 1)

  def test_joint_is_pairs_and_split_is_buckets(self):
    for name, count in ((graphs.JOINT, 6), (graphs.SPLIT, 5)):
      with tf1.Graph().as_default():
        self.assertEqual(graphs.make_trainer(name, TINY)[1], count)

  def test_a_batch_is_exactly_of_its_pair(self):
    shapes = []
    for batch in graphs.make_batches(TINY):
      decoder = batch["decoder"]
      shapes.append(batch["encoder"]["source"].shape + decoder["inputs"].shape)
      self.assertEqual(decoder["targets"].shape, decoder["weights"].shape)
      self.assertTrue(np.all(decoder["weights"][:, 0] == 1))
      self.assertTrue(np.all(decoder["inputs"][:, 0] == 1))
    expected = [(2, s, 2, t) for s in (1, 2) for t in (1, 2, 3)]
    self.assertEqual(shapes, expected)

  def test_weights_are_the_same_in_every_graph(self):
    found = []
    for name in graphs.NAMES:
      with tf1.Graph().as_default() as graph:
        graphs.make_trainer(name, TINY)
        with tf1.Session(graph=graph) as sess:
          builds.load_weights(sess)
          found.append({v.name: sess.run(v) for v in tf1.trainable_variables()})
    self.assertEqual(set(found[0]), set(found[1]))
    for name, value in found[0].items():
      np.testing.assert_array_equal(value, found[1][name])
      self.assertGreater(np.std(value), 0)

  def test_compare_gives_the_ratios_of_two_processes(self):
    found = graphs.compare_joint_and_split(**TINY._asdict())
    for name in graphs.NAMES:
      self.assertContainsSubset([*graphs.FIGURES, "graphs"], found[name])
      self.assertGreater(found[name]["rss_bytes"], 50 << 20)
      self.assertGreater(found[name]["all_pairs_s"], found[name]["build_s"])
      self.assertGreater(found[name]["step_s"], 0)
      self.assertNotIn("losses", found[name])
    for key in graphs.FIGURES:
      ratio = found["joint"][key] / found["split"][key]
      self.assertEqual(found["ratios"][key], ratio)
    self.assertGreater(found["ratios"]["ops"], 1)
    self.assertLess(found["loss_difference"], 1e-5)

  def test_ops_are_those_of_the_graph_that_is_built(self):
    found = graphs.measure_training(graphs.SPLIT, TINY)
    graphs.make_trainer(graphs.SPLIT, TINY)
    tf1.global_variables_initializer()
    self.assertEqual(found["ops"], self.count_ops())

  def test_other_losses_are_refused(self):
    self.assertLess(graphs.loss_difference([1.0, 2.0], [1.0, 2.00002]), 1.1e-5)
    for other in (2.001, np.nan):
      with self.assertRaisesRegex(errors.TrainingError, "same losses"):
        graphs.loss_difference([1.0, 2.0], [1.0, other])

  def test_a_process_that_fails_is_told_of(self):
    with mock.patch.object(graphs.processes.sys, "executable", "false"):
      with self.assertRaisesRegex(errors.TrainingError, "'joint'.*with 1"):
        graphs.compare_joint_and_split(**TINY._asdict())

  @parameterized.parameters(
    ("cell", "rnn"),
    ("source_buckets", ()),
    ("target_buckets", (2, 1)),
    ("target_buckets", (0, 1)),
    ("units", 0),
    ("rounds", 0),
    ("symbols", 4),
  )
  def test_settings_out_of_range_are_refused(self, field, value):
    with self.assertRaisesRegex(errors.ArgumentError, f"{field}"):
      graphs.check(TINY._replace(**{field: value}))

  def test_an_unknown_candidate_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'mixed'"):
      graphs.measure_training("mixed", TINY)


if __name__ == "__main__":
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  absltest.main()
