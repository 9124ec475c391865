"""Tests of files."""

import errno
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors, files


class Killed(Exception):
  """Stands for SIGKILL: nothing after it runs."""


class FilesTest(parameterized.TestCase):
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
    with mock.patch.object(files.shutil, "rmtree", side_effect=Killed):
      with self.assertRaises(Killed):
        files.remove(self.path)
    self.assertEqual(os.listdir(self.folder), ["removing-file"])
    os.makedirs(self.path)  # what was left does not stop the next one
    files.remove(self.path)
    self.assertEqual(os.listdir(self.folder), [])

  def test_a_link_is_removed_and_not_what_it_leads_to(self):
    files.write_text(self.path, "one")
    os.symlink(self.path, self.path + "-2")
    os.symlink(self.folder, os.path.join(self.folder, "writing-link"))
    files.remove(self.path + "-2")
    files.clean(self.folder)
    self.assertEqual(os.listdir(self.folder), ["file"])

  @parameterized.named_parameters(
    ("full", errno.ENOSPC, "No space left on device. Free space on its disk"),
    (
      "forbidden",
      errno.EACCES,
      "Permission denied. Name a folder that",
    ),
    ("read_only", errno.EROFS, "Read-only file system. Its disk is read-only"),
    ("limit", errno.EFBIG, r"File too large. Raise the limit .*\(ulimit -f\)"),
    ("unknown", 9999, "Unknown error 9999. See what is in its place"),
  )
  def test_what_the_system_refuses_is_named_with_the_remedy(self, number, text):
    error = OSError(number, os.strerror(number))
    for name in ("open", "fsync"):
      with mock.patch.object(os, name, side_effect=error):
        with self.assertRaisesRegex(errors.FileError, f"file' .*{text}") as got:
          files.sync(self.path) if name == "open" else files.write_text(
            self.path, "x"
          )
      self.assertEqual(got.exception.errno, number)
      self.assertNotIn("\n", str(got.exception))

  def test_what_is_in_the_way_is_named(self):
    files.write_text(self.path, "one")
    with self.assertRaisesRegex(errors.FileError, "file/in' .*move it away"):
      files.make_folder(os.path.join(self.path, "in"))
    with self.assertRaisesRegex(errors.FileError, "file' .*move it away"):
      files.make_folder(self.path)
    os.makedirs(os.path.join(self.folder, "folder"))
    with self.assertRaisesRegex(errors.FileError, "folder' .*move it away"):
      files.write_text(os.path.join(self.folder, "folder"), "x")
    self.assertEqual(files.clean(self.folder), [])

  def test_reads_regular_files_of_limited_size_only(self):
    files.write_text(self.path, "four")
    self.assertEqual(files.read_bytes(self.path, 4), b"four")
    with self.assertRaisesRegex(errors.DataError, "more than 3 bytes"):
      files.read_bytes(self.path, 3)
    with self.assertRaisesRegex(
      errors.FileError, "'/dev/zero' is not a regular"
    ):
      files.read_bytes("/dev/zero", 3)
    os.mkfifo(self.path + "-2")
    with self.assertRaisesRegex(errors.FileError, "file-2' is not a regular"):
      files.digest(self.path + "-2")  # and does not wait for a writer

  def test_json_without_end_is_refused(self):
    for text in ("[" * 10**5, "9" * 10**5, "{", "\ufeff[]", ""):
      files.write_text(self.path, text)
      with self.assertRaisesRegex(errors.DataError, "file' is not JSON"):
        files.read_json(self.path, 1 << 20)
    files.write_text(self.path, b"\xff")
    with self.assertRaisesRegex(errors.DataError, "file' is not JSON"):
      files.read_json(self.path, 1 << 20)
    files.write_text(self.path, '{"a": [1e3, 99999999999999999999]}')
    found = files.read_json(self.path, 1 << 20)
    self.assertEqual(found, {"a": [1000.0, 10**20 - 1]})

  def test_a_lock_that_cannot_be_taken_is_named(self):
    files.write_text(self.path, "one")
    with self.assertRaisesRegex(errors.FileError, "file' cannot be made"):
      with files.lock(self.path):
        pass
    os.makedirs(os.path.join(self.folder, "new", ".lock"))
    with self.assertRaisesRegex(errors.FileError, ".lock' cannot be locked"):
      with files.lock(os.path.join(self.folder, "new")):
        pass
    os.mkfifo(os.path.join(self.folder, ".lock"))
    with files.lock(self.folder):  # and does not wait
      pass

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

  def test_digest_json_does_not_depend_on_the_order_of_keys(self):
    found = [
      files.digest_json(v) for v in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {})
    ]
    self.assertEqual(found[0], found[1])
    self.assertNotEqual(found[0], found[2])

  def test_a_folder_is_locked_once(self):
    folder = os.path.join(self.folder, "new")
    with files.lock(folder):
      with self.assertRaisesRegex(
        errors.TrainingError, "another run .*new.*another folder"
      ):
        with files.lock(folder):
          self.fail("The lock was given twice.")
    with files.lock(folder):
      self.assertEqual(os.listdir(folder), [".lock"])


class NameTest(parameterized.TestCase):
  @parameterized.parameters("model.index", "..a", "a b")
  def test_is_of_the_folder(self, name):
    self.assertTrue(files.is_plain_name(name))

  @parameterized.parameters(
    *("", ".", "..", "../a", "/a", "a/", "a/b"),
    *("a\0", "\ud800"),
  )
  def test_is_not(self, name):
    self.assertFalse(files.is_plain_name(name))


if __name__ == "__main__":
  absltest.main()
