"""Tests of tasks."""

import threading
import time
from concurrent import futures

from absl.testing import absltest, parameterized

from tangle.pipeline import tasks


def make(*after):
  return [tasks.Task(k, frozenset(found)) for k, found in enumerate(after)]


DIAMOND = make([], [0], [0], [1, 2], [3])


class TasksTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.pool = futures.ThreadPoolExecutor(3)
    self.addCleanup(self.pool.shutdown)

  @parameterized.named_parameters(
    ("chain", make([], [0], [1], [2]), False),
    ("all_before", make([], [0], [0, 1]), False),
    ("diamond", DIAMOND, True),
    ("two_begins", make([], [], [0, 1]), True),
    ("one", make([]), False),
  )
  def test_what_may_overlap(self, found, expected):
    self.assertEqual(tasks.may_overlap(found), expected)

  def test_in_turn_all_are_done_in_order(self):
    done = []
    results = tasks.run_in_turn(DIAMOND, lambda k: done.append(k) or 10 * k)
    self.assertEqual(done, [0, 1, 2, 3, 4])
    self.assertEqual(results, [0, 10, 20, 30, 40])

  def test_at_once_what_does_not_depend_runs_together(self):
    meeting = threading.Barrier(2, timeout=30)  # breaks where one is alone
    done = []

    def call(k):
      if k in (1, 2):
        meeting.wait()
      done.append(k)
      return 10 * k

    for _ in range(20):
      done.clear()
      results = tasks.run_at_once(DIAMOND, call, self.pool)
      self.assertEqual(results, [0, 10, 20, 30, 40])
      self.assertCountEqual(done, range(5))
      for task in DIAMOND:
        for before in task.after:
          self.assertLess(done.index(before), done.index(task.work))

  @parameterized.parameters(1, 2)
  def test_a_failure_waits_for_what_runs_and_begins_nothing(self, failing):
    begun, ended = [], []
    meeting = threading.Barrier(2, timeout=30)

    def call(k):
      begun.append(k)
      if k in (1, 2):
        meeting.wait()
      if k == failing:
        raise KeyError(k)
      time.sleep(0.1 if k else 0)
      ended.append(k)

    with self.assertRaises(KeyError):
      tasks.run_at_once(DIAMOND, call, self.pool)
    self.assertCountEqual(begun, [0, 1, 2])
    self.assertCountEqual(ended, {0, 1, 2} - {failing})

  def test_what_waits_for_a_thread_is_not_begun_after_a_failure(self):
    begun = []

    def call(k):
      begun.append(k)
      time.sleep(0.02)
      raise KeyError(k)

    pool = futures.ThreadPoolExecutor(1)
    self.addCleanup(pool.shutdown)
    with self.assertRaises(KeyError):
      tasks.run_at_once(make(*[[]] * 9), call, pool, takes_part=False)
    self.assertEqual(begun, [0])

  def test_a_pool_that_takes_nothing_is_an_error_and_no_wait(self):
    self.pool.shutdown()
    for takes_part in (True, False):
      with self.assertRaises(RuntimeError):
        tasks.run_at_once(DIAMOND, lambda k: k, self.pool, takes_part)

  def test_the_calling_thread_takes_part_or_not(self):
    own = threading.current_thread()
    for takes_part in (True, False):
      found = tasks.run_at_once(
        make([], [0], [1]),
        lambda k: threading.current_thread() is own,
        self.pool,
        takes_part,
      )
      self.assertEqual(found, [takes_part] * 3)

  def test_a_chain_stays_in_one_thread(self):
    found = tasks.run_at_once(
      make([], [], [0], [1], [2], [3]),
      lambda k: time.sleep(0.02) or threading.get_ident(),
      self.pool,
    )
    self.assertEqual(found[0::2], found[:1] * 3)
    self.assertEqual(found[1::2], found[1:2] * 3)
    self.assertNotEqual(found[0], found[1])


if __name__ == "__main__":
  absltest.main()
