"""Tests of mutated runs: refused, or harmless; `mutate` does more by hand."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle.training import checkpoints, manifests
from tests.training import mutate

COUNT = int(os.environ.get("TANGLE_MUTATIONS", "60"))


class MutateTest(absltest.TestCase):
  def test_only_errors_of_tangle_and_the_older_checkpoint(self):
    figures = mutate.run(COUNT)
    self.assertEqual(figures["wrong"], [])
    self.assertEqual(sum(figures["counts"].values()), COUNT)
    for word in ("run went_on", "run refused", "vocabulary refused"):
      self.assertGreater(figures["counts"][word], 0)

  def test_it_finds_what_is_not_noticed(self):
    """Without digests, damage has effects."""
    with mock.patch.object(manifests, "_check_file", lambda *_: None):
      figures = mutate.run(120, seed=1)
    self.assertNotEmpty(figures["wrong"])

  def test_it_finds_a_checkpoint_that_is_passed_over(self):
    def steps(found):
      return [s for s in original(found) if s != 9]

    original = checkpoints.Checkpoints.steps
    with tempfile.TemporaryDirectory() as folder:
      whole, base = (os.path.join(folder, name) for name in ("a", "b"))
      trainer = mutate.Trainer()
      _, wanted = trainer.run(whole)
      trainer.run(base, 9)
      rng = mock.Mock(choice=lambda found: 0)
      with mock.patch.object(checkpoints.Checkpoints, "steps", steps):
        copy = os.path.join(folder, "c")
        mutate.shutil.copytree(base, copy)
        word, why = mutate.try_run(rng, trainer, base, wanted, copy)
      trainer.sess.close()
    self.assertEqual(word, "went_on")
    self.assertIn("from 6, whole are [3, 6, 9]", why)


if __name__ == "__main__":
  absltest.main()
