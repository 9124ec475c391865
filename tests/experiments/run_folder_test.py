"""Tests of run_folder."""

import io
import os
import shutil
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import run_folder
from tangle.training import runs
from tests.experiments import trained


class RunFolderTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.run_dir, self.task, self.figures = trained.run()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def copy(self, change):
    """Copies the run's settings and vocabularies, with a change."""
    for name in os.listdir(self.run_dir):
      if name.endswith((".txt", ".json")):
        shutil.copy(os.path.join(self.run_dir, name), self.folder)
    content = runs.read(self.folder)
    change(content["settings"])
    runs.write(self.folder, content)
    return self.folder

  @parameterized.parameters(1, 3)
  def test_decodes_with_the_best_weights(self, beam_size):
    n_best = min(2, beam_size)
    search = {"beam_size": beam_size, "n_best": n_best}
    with run_folder.decoder(
      self.run_dir, length_penalty=1.0, **search
    ) as decoder:
      found, report = decoder.decode_lines(["abba", "d", "a?"])
    self.assertEqual(found[0][0].symbols, ("AA", "B", "B", "AA"))
    self.assertLen(found[0], n_best)
    self.assertEqual(report.replaced, 1)

  def test_a_prompt_answers(self):
    out = io.StringIO()
    with run_folder.decoder(self.run_dir, unknown="drop") as decoder:
      decoder.prompt(io.StringIO("abba\na?\n"), out)
    self.assertIn("AA B B AA", out.getvalue())
    self.assertIn("'?'", out.getvalue())

  def test_a_checkpoint_can_be_named(self):
    prefix = tf1.train.latest_checkpoint(
      os.path.join(self.run_dir, "checkpoints")
    )
    folder = self.copy(lambda settings: None)
    with run_folder.decoder(folder, checkpoint=prefix) as decoder:
      found = decoder.decode_lines(["abba"]).candidates
    self.assertEqual(found[0][0].symbols, ("AA", "B", "B", "AA"))

  def test_a_checkpoint_of_another_size_is_refused(self):
    prefix = tf1.train.latest_checkpoint(
      os.path.join(self.run_dir, "checkpoints")
    )
    folder = self.copy(lambda settings: settings["network"].update(units=5))
    with self.assertRaisesRegex(errors.TrainingError, "does not fit"):
      with run_folder.decoder(folder, checkpoint=prefix):
        pass

  def test_a_checkpoint_that_is_not_there_is_named(self):
    with self.assertRaisesRegex(errors.DataError, "nowhere"):
      with run_folder.decoder(self.run_dir, checkpoint="nowhere"):
        pass

  def test_a_folder_without_a_run_is_named(self):
    with self.assertRaisesRegex(errors.DataError, "run.json' is missing"):
      run_folder.load(self.folder)

  def test_a_run_of_another_kind_is_named(self):
    folder = self.copy(lambda settings: settings.pop("layout"))
    with self.assertRaisesRegex(errors.DataError, "another kind, .*'layout'"):
      run_folder.load(folder)

  @parameterized.named_parameters(
    ("network", lambda s: s["network"].update(unit=3)),
    ("layout", lambda s: s.update(layout="oblique")),
    ("tokens", lambda s: s.update(tokens=3)),
    ("buckets", lambda s: s.update(buckets=[{"kind": []}])),
  )
  def test_settings_that_nothing_can_be_built_from_are_named(self, change):
    folder = self.copy(change)
    with self.assertRaisesRegex(errors.TangleError, "run.json|ucket"):
      with run_folder.decoder(folder):
        pass

  def test_another_vocabulary_is_not_decoded_with(self):
    folder = self.copy(lambda settings: None)
    path = os.path.join(folder, "target_vocabulary.txt")
    with open(path, "a") as file:
      file.write("another\n")
    with self.assertRaisesRegex(errors.DataError, "target_voc.* has changed"):
      with run_folder.decoder(folder):
        pass

  def test_a_run_without_a_checkpoint_is_named(self):
    folder = self.copy(lambda settings: None)
    with self.assertRaisesRegex(errors.DataError, "no checkpoint yet"):
      with run_folder.decoder(folder):
        pass

  def test_a_direction_that_is_not_there_is_named(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "one of source-target, got 'en-de'"
    ):
      with run_folder.decoder(self.run_dir, "en-de"):
        pass

  def test_more_sequences_than_the_beam_has_are_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "n_best"):
      with run_folder.decoder(self.run_dir, n_best=2):
        pass


if __name__ == "__main__":
  absltest.main()
