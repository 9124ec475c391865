"""Tests of what lies in the runtime for nobody."""

import collections
import weakref

from absl.testing import absltest

from tangle.partial import leftovers


class Session:
  """Stands for one."""


class Item:
  """Something of a session."""

  def __init__(self, sess):
    self.sess = weakref.ref(sess)


class DrainTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.here, self.there, gone = Session(), Session(), Session()
    sessions = [self.there, self.here, gone, self.here]
    self.items = [Item(sess) for sess in sessions]
    self.queue = collections.deque(self.items)
    self.dropped = []

  def drop(self, item, sess):
    self.dropped.append((self.items.index(item), sess))

  def test_items_of_other_sessions_stay(self):
    leftovers.drain(self.queue, self.here, self.drop)
    expected = [(1, self.here), (2, None), (3, self.here)]
    self.assertEqual(self.dropped, expected)
    self.assertEqual(list(self.queue), self.items[:1])

  def test_an_item_stays_until_it_is_dropped(self):
    def interrupted(item, sess):
      self.drop(item, sess)
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      leftovers.drain(self.queue, self.here, interrupted)
    self.assertLen(self.queue, 4)
    leftovers.drain(self.queue, self.here, self.drop)
    self.assertEqual([k for k, _ in self.dropped], [1, 1, 2, 3])

  def test_what_another_thread_took_is_no_error(self):
    leftovers.drain(self.queue, self.here, lambda *_: self.queue.clear())
    self.assertEmpty(self.queue)


class LeftoversTest(absltest.TestCase):
  def test_is_cleared_in_its_session_once_and_errors_are_no_matter(self):
    here, there, cleaned = Session(), Session(), []
    found = leftovers.Leftovers()

    def fail(sess):
      cleaned.append(sess)
      raise RuntimeError("closed")

    found.add(here, fail)
    found.add(there, cleaned.append)
    for sess in (here, here, there, there):
      found.clear(sess)
    self.assertEqual(cleaned, [here, there])

  def test_a_step_of_a_cluster_belongs_to_the_session_of_the_user(self):
    class Limited:
      def __init__(self, sess):
        self.limited = sess

    sess, cleaned = Session(), []
    found = leftovers.Leftovers()
    found.add(Limited(sess), cleaned.append)
    again = Limited(sess)
    found.clear(again)
    self.assertEqual(cleaned, [again])


if __name__ == "__main__":
  absltest.main()
