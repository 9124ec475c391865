"""Tests of files."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.training import files


class Killed(Exception):
  """Stands for SIGKILL: nothing after it runs."""


class FilesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(self.folder, "file")

  def read(self):
    with open(self.path, encoding="utf-8") as file:
      return file.read()

  def test_a_text_is_replaced_as_a_whole(self):
    files.write_text(self.path, "one")
    files.write_text(self.path, "twö\n")
    self.assertEqual(self.read(), "twö\n")
    self.assertEqual(os.listdir(self.folder), ["file"])

  def test_a_write_that_is_killed_leaves_the_old_text(self):
    files.write_text(self.path, "one")
    with mock.patch.object(os, "replace", side_effect=Killed):
      with self.assertRaises(Killed):
        files.write_text(self.path, "two")
    self.assertEqual(self.read(), "one")
    self.assertEqual(files.clean(self.folder), ["writing-file"])
    self.assertEqual(os.listdir(self.folder), ["file"])

  def test_content_is_on_the_disk_before_the_name_and_the_name_at_the_end(self):
    done = []
    sync, replace = files.sync, os.replace
    with mock.patch.object(
      files, "sync", lambda path: (done.append(path), sync(path))
    ), mock.patch.object(
      os, "replace", lambda *names: (done.append(names), replace(*names))
    ):
      files.write_text(self.path, "one")
    temporary = os.path.join(self.folder, "writing-file")
    self.assertEqual(done, [temporary, (temporary, self.path), self.folder])

  def test_a_removal_that_is_killed_leaves_nothing_under_the_name(self):
    os.makedirs(os.path.join(self.path, "in"))
    with mock.patch.object(files.shutil, "rmtree", side_effect=[None, Killed]):
      with self.assertRaises(Killed):
        files.remove(self.path)
    self.assertEqual(os.listdir(self.folder), ["removing-file"])
    os.makedirs(self.path)  # what was left does not stop the next one
    files.remove(self.path)
    self.assertEqual(os.listdir(self.folder), [])

  def test_publish_gives_the_name(self):
    files.write_text(self.path, "one")
    files.publish(self.path, f"{self.path}-2")
    self.assertEqual(os.listdir(self.folder), ["file-2"])

  def test_clean_removes_folders_too_and_nothing_else(self):
    os.makedirs(os.path.join(self.folder, "writing-a", "b"))
    os.makedirs(os.path.join(self.folder, "removing-a"))
    files.write_text(self.path, "one")
    self.assertEqual(files.clean(self.folder), ["removing-a", "writing-a"])
    self.assertEqual(os.listdir(self.folder), ["file"])

  def test_digest_is_that_of_the_content(self):
    files.write_text(self.path, "abc")
    self.assertEqual(
      files.digest(self.path),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )

  def test_a_folder_is_locked_once(self):
    folder = os.path.join(self.folder, "new")
    with files.lock(folder, "Someone"):
      with self.assertRaisesRegex(
        errors.TrainingError, "Someone: another run .*new.*another folder"
      ):
        with files.lock(folder, "Someone"):
          self.fail("The lock was given twice.")
    with files.lock(folder, "Someone"):
      self.assertEqual(os.listdir(folder), [".lock"])


if __name__ == "__main__":
  absltest.main()
