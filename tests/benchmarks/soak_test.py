"""Tests of soak."""

import mmap
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import models, soak
from tangle.compat import tf1

SIZES = models.ModelSizes(batch=2, units=4, steps=2, target_steps=2)


class SoakTest(parameterized.TestCase):
  @parameterized.product(what=soak.NAMES, disturb=[False, True])
  def test_memory_stays_flat(self, what, disturb):
    found = soak.run(what, "device", 600, 200, disturb, SIZES)
    self.assertEqual(found["raised"], 120 if disturb else 0)
    self.assertEqual(found["discarded"], 160 if disturb else 0)
    self.assertLen(found["rss_bytes"], 10)
    # The bar is 1 % over 10,000 steps; a short run is rougher.
    self.assertLess(found["growth"], 0.03)
    compared = what in (soak.CALLS, soak.OVERLAP)
    self.assertEqual(found["wrong"], 0 if compared else None)

  def test_a_leak_is_seen(self):
    kept = []
    original = soak._sub_model_steps

    def leaking(model, store):
      step, sess = original(model, store)

      def leak(kind):
        kept.append(mmap.mmap(-1, 200000))  # never memory freed before
        kept[-1].write(b"x" * 200000)
        step(kind)

      return leak, sess

    soak._sub_model_steps = leaking
    self.addCleanup(setattr, soak, "_sub_model_steps", original)
    found = soak.run("sub_model", "device", 600, 200, False, SIZES)
    self.assertGreater(found["growth"], 0.03)

  def test_the_figures_are_those_of_the_run(self):
    with mock.patch.object(soak, "run", return_value={"steps": 9}):
      figures = soak.measure_growth("calls", steps=9)
    self.assertEqual(figures, {"steps": 9, "what": "calls", "store": "device"})

  def test_an_unknown_subject_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'encoder'"):
      soak.run("encoder")


if __name__ == "__main__":
  tf1.logging.set_verbosity(tf1.logging.ERROR)
  absltest.main()
