"""Tests of where sub-models live, as a script is told of it."""

import socket
import time
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import placements
from tangle.pipeline import clusters
from tests import case
from tests.pipeline import placement_test


class PlacementsTest(case.GraphTestCase):
  def test_sub_models_get_the_devices_of_their_tasks(self):
    self.assertEqual(
      placements.devices(placement_test.target(), ["encoder=2", "decoder=0"]),
      {"encoder": placement_test.TASKS[2], "decoder": placement_test.TASKS[0]},
    )
    self.assertEqual(placements.devices(None, None), {})
    self.assertEqual(placements.devices(placement_test.target(), None), {})

  @parameterized.named_parameters(
    ("name", ["coder=0"], "'coder=0' has no name of a sub-model.*'encoder'"),
    ("empty", [""], "'' has no name of a sub-model"),
    ("no_task", ["encoder"], "'encoder' must give the number .* got ''"),
    ("word", ["encoder=first"], "got 'first'"),
    ("negative", ["encoder=-1"], "got '-1'"),
    ("twice", ["encoder=0", "encoder=1"], "'encoder' is given twice"),
    ("task", ["encoder=0", "decoder=7"], "has no task 7 of the job"),
  )
  def test_refuses(self, placement, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      placements.devices(placement_test.target(), placement)

  def test_a_placement_needs_a_cluster(self):
    with self.assertRaisesRegex(errors.ArgumentError, "needs a cluster"):
      placements.devices(None, ["encoder=0"])

  @parameterized.parameters(
    "", "127.0.0.1:2222", "http://127.0.0.1:2222", "grpc://host", "grpc://:1"
  )
  def test_what_is_no_address_is_refused(self, target):
    with self.assertRaisesRegex(errors.ArgumentError, "address of a task"):
      placements.devices(target, ["encoder=0"])

  def test_an_address_where_nobody_listens_is_named(self):
    with socket.socket() as bound:  # and does not listen
      bound.bind(("127.0.0.1", 0))
      target = f"grpc://127.0.0.1:{bound.getsockname()[1]}"
      with self.assertRaisesRegex(errors.TrainingError, target):
        placements.devices(target, ["encoder=0"])

  def test_tasks_that_do_not_answer_are_named_in_time(self):
    with clusters.LocalCluster(3, threads=1) as cluster:
      cluster.kill(1)
      begin = time.monotonic()
      for placement in (["encoder=0", "decoder=1"], ["encoder=0"], []):
        name = "task:1" if len(placement) == 2 else "one that is not needed"
        limit_s = 3.0 if placement else placements.ANSWER_S
        with mock.patch.object(placements, "ANSWER_S", limit_s):
          with self.assertRaisesRegex(errors.TrainingError, name):
            placements.devices(cluster.target, placement)
      self.assertBetween(time.monotonic() - begin, 15.0, 30.0)

  def test_what_listens_and_never_answers_is_refused(self):
    with socket.socket() as silent:
      silent.bind(("127.0.0.1", 0))
      silent.listen(5)
      target = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
      with mock.patch.object(placements, "ANSWER_S", 1.0):
        with self.assertRaisesRegex(errors.TrainingError, "answer within 1 s"):
          placements.devices(target, ["encoder=0"])

  def test_the_configuration_has_a_time_limit_and_keeps_the_rest(self):
    given = tf1.ConfigProto(intra_op_parallelism_threads=1)
    found = placements.session_config(given)
    self.assertEqual(found.intra_op_parallelism_threads, 1)
    self.assertEqual(found.operation_timeout_in_ms, 300000)
    self.assertEqual(given.operation_timeout_in_ms, 0)


if __name__ == "__main__":
  absltest.main()
