"""Tests for `tangle.pipeline.clusters`: tasks as processes."""

import os
import socket
import subprocess
import sys
import time

from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters
from tests import case, forks


class LocalClusterTest(case.GraphTestCase):
  def test_tasks_compute_end_and_come_back_empty(self):
    with clusters.LocalCluster(2) as cluster:
      with tf1.device(clusters.device(1)):
        variable = tf1.get_variable("v", initializer=3.0, use_resource=True)
      with tf1.Session(cluster.target) as sess:
        sess.run(variable.initializer)
        self.assertEqual(sess.run(variable), 3.0)
      self.assertTrue(cluster.is_alive(1))
      cluster.kill(1)
      self.assertFalse(cluster.is_alive(1))
      cluster.restart(1)
      with tf1.Session(cluster.target) as sess:
        is_there = tf1.is_variable_initialized(variable)
        self.assertFalse(sess.run(is_there))
      ids = [cluster.process_id(k) for k in range(2)]
    for number in ids:
      self.assertFalse(is_running(number))

  def test_no_thread_of_a_task_goes_on_once_stop_has_returned(self):
    with clusters.LocalCluster(1) as cluster:
      number = cluster.process_id(0)
      for _ in range(20):
        cluster.stop(0)
        self.assertEqual(thread_states(number), {"T"})
        cluster.stop(0)  # of a task that is halted already
        self.assertTrue(cluster.is_alive(0))
        cluster.resume(0)
        while "T" in thread_states(number):
          time.sleep(0.001)
      cluster.kill(0)
      cluster.stop(0)  # of a task that has ended
      self.assertFalse(cluster.is_alive(0))

  def test_tasks_end_with_the_process_that_started_them(self):
    text = (
      "from tangle.pipeline import clusters\n"
      "c = clusters.LocalCluster(1)\n"
      "print(c.process_id(0), flush=True)\n"
      "import os; os._exit(1)\n"
    )
    # In new processes, so that the command that starts a task is run once.
    with forks.new_processes():
      environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
      done = subprocess.run(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, env=environment
      )
    number = int(done.stdout.split()[-1])
    for _ in range(100):
      if not is_running(number):
        return
      time.sleep(0.1)
    self.fail("the task goes on")

  def test_bad_arguments(self):
    with self.assertRaisesRegex(errors.ArgumentError, "positive int, got 0"):
      clusters.LocalCluster(0)
    with self.assertRaisesRegex(errors.ArgumentError, "0 or more, got -1"):
      clusters.LocalCluster(1, threads=-1)
    with self.assertRaisesRegex(errors.ArgumentError, "1 ports for 2 tasks"):
      clusters.LocalCluster(2, ports=[1])
    for ports in (["2222", "http"], [2222, 2222], [2222, 70000]):
      with self.assertRaisesRegex(errors.ArgumentError, "different numbers"):
        clusters.LocalCluster(2, ports=ports)

  def test_a_task_that_does_not_start_is_named_with_its_log(self):
    with socket.socket() as taken:
      taken.bind(("", 0))
      taken.listen(1)
      port = taken.getsockname()[1]
      with self.assertRaisesRegex(errors.TrainingError, "task 0 .*task_0.log"):
        clusters.LocalCluster(1, ports=[port])


def state_of(path):
  """Returns the letter of a state from a file `stat` of `/proc`."""
  with open(path) as file:
    return file.read().rsplit(")", 1)[1].split()[0]


def thread_states(number):
  """Returns the set of the states of a process's threads."""
  folder = f"/proc/{number}/task"
  return {state_of(f"{folder}/{name}/stat") for name in os.listdir(folder)}


def is_running(number):
  """Whether there is a process of that id that has not ended."""
  try:
    return state_of(f"/proc/{number}/stat") not in "ZX"
  except FileNotFoundError:
    return False


if __name__ == "__main__":
  absltest.main()
