"""Tests of the run with many threads, and that it sees what is wrong."""

from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import threads
from tangle.partial import calls, sub_model


class ThreadsTest(parameterized.TestCase):
  @parameterized.parameters(*sub_model.STORES)
  def test_all_gradients_are_right(self, store):
    found = threads.run(4, 30, store)
    self.assertEqual((found["pairs"], found["wrong"]), (120, 0), found)
    self.assertEqual(found["failures"], [])
    self.assertLess(found["largest_error"], 1e-12)
    self.assertGreater(found["discarded"], 0)

  def test_a_wrong_gradient_is_counted(self):
    real = calls.Call.backward

    def wrong(self, upstream, *args, **kwargs):
      return real(self, [1.001 * upstream[0]], *args, **kwargs)

    with mock.patch.object(calls.Call, "backward", wrong):
      found = threads.run(2, 5)
    self.assertEqual(found["wrong"], 10)

  def test_every_store_has_a_row(self):
    rows = threads.check_gradients(["host", "device"], threads=2, pairs=3)
    self.assertEqual([row["pairs"] for row in rows.values()], [6, 6])

  def test_an_exception_is_told_of(self):
    with mock.patch.object(
      calls.Call, "backward", side_effect=RuntimeError("gone")
    ):
      found = threads.run(2, 5)
    self.assertEqual(found["failures"], ["RuntimeError: gone"] * 2)

  @parameterized.parameters((0, 5), (2, 0))
  def test_numbers_that_are_none(self, count, pairs):
    with self.assertRaisesRegex(errors.ArgumentError, "1 or more"):
      threads.run(count, pairs)


if __name__ == "__main__":
  absltest.main()
