"""Tests for `tangle.seq2seq.encoders`."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.seq2seq import encoders
from tests import case


class EncoderTest(case.GraphTestCase):
  def make(self, layers=2, prefix=""):
    return encoders.Encoder(9, 5, layers, 4, tf1.float64, prefix=prefix)

  def test_what_is_beyond_the_lengths_is_zero_and_changes_nothing(self):
    source = self.rng.randint(4, 9, (3, 4)).astype(np.int32)
    lengths = np.array([4, 1, 2], np.int32)
    wide = np.pad(source, [(0, 0), (0, 3)], "constant", constant_values=8)
    encoder = self.make()
    lengths = tf1.constant(lengths)
    found = [encoder(ids, lengths) for ids in (source, wide)]
    narrow, wide = self.session().run(found)
    self.assertEqual(narrow.memory.shape, (3, 4, 5))
    self.assertEqual(narrow.summary.shape, (3, 10))
    self.assert_close(wide.summary, narrow.summary, rtol=1e-14)
    for row, length in enumerate(wide.lengths):
      self.assertTrue(np.all(wide.memory[row, length:] == 0.0))
      self.assert_close(
        wide.memory[row, :length], narrow.memory[row, :length], rtol=1e-14
      )

  def test_encoders_with_prefixes_share_nothing(self):
    arrays = np.ones([2, 3], np.int32), np.array([3, 2], np.int32)
    one, other = self.make(prefix="one/"), self.make(prefix="other/")
    one(*arrays), other(*arrays)
    names = [v.op.name for v in tf1.trainable_variables()]
    kinds = [name.partition("/") for name in names]
    parts = [
      [rest for prefix, _, rest in kinds if prefix == which]
      for which in ("one", "other")
    ]
    self.assertEqual(parts[0], parts[1])
    self.assertIn("source_embedding/table", parts[0])
    self.assertLen(names, 2 * len(parts[0]))
    one(*arrays)
    self.assertLen(tf1.trainable_variables(), len(names))


if __name__ == "__main__":
  absltest.main()
