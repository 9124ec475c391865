"""Tests of a stream that is counted."""

from absl.testing import absltest

from tangle.experiments import mixed_streams


class StreamTest(absltest.TestCase):
  def test_each_record_is_seen_once(self):
    found = mixed_streams.read_stream(1000, batch_size=300)
    self.assertEqual((found["records"], found["seen_once"]), (1000, 1000))
    self.assertBetween(found["short_batches"], 1, 2)
    self.assertGreater(found["records_per_s"], 0)


if __name__ == "__main__":
  absltest.main()
