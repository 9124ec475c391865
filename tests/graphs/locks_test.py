"""Tests of the locks of graphs."""

import gc
import threading
import weakref

from absl.testing import absltest

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


if __name__ == "__main__":
  absltest.main()
