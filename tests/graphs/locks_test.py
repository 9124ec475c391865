"""Tests of the locks of graphs."""

import gc
import threading
import weakref

from absl.testing import absltest

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import locks


class LocksTest(absltest.TestCase):
  def test_one_for_each_graph(self):
    one, two = tf1.Graph(), tf1.Graph()
    self.assertIs(locks.of(one), locks.of(one))
    self.assertIsNot(locks.of(one), locks.of(two))

  def test_a_thread_may_take_it_twice_and_another_waits(self):
    lock = locks.of(tf1.Graph())
    taken = []
    with lock, lock:
      other = threading.Thread(
        target=lambda: taken.append(lock.acquire(blocking=False))
      )
      other.start()
      other.join()
    self.assertEqual(taken, [False])

  def test_a_graph_that_is_gone_is_not_kept(self):
    graph = tf1.Graph()
    locks.of(graph)
    seen = weakref.ref(graph)
    del graph
    gc.collect()
    self.assertIsNone(seen())

  def test_no_run_begins_in_the_midst_of_changes(self):
    with tf1.Graph().as_default() as graph, tf1.Session() as sess:
      one, two = tf1.constant(1.0), tf1.constant(2.0)
      values = []
      with locks.keep_runs_out(graph):
        total = tf1.add(one, one)
        other = threading.Thread(target=lambda: values.append(sess.run(total)))
        other.start()
        other.join(0.2)
        self.assertTrue(other.is_alive())
        compat.update_input(total.op, 1, two)
      other.join()
    self.assertEqual(values, [3.0])


if __name__ == "__main__":
  absltest.main()
