"""Tests of manifests."""

import errno
import json
import math
import os
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, files
from tangle.training import manifests


class ManifestsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    with open(os.path.join(self.folder, "data"), "wb") as file:
      file.write(bytes(range(200)))
    self.path = os.path.join(self.folder, "manifest.json")

  def write(self, state=None):
    manifests.write(self.folder, manifests.Manifest(7, 0.5, state))

  def change(self, change):
    with open(self.path) as file:
      whole = json.load(file)
    change(whole)
    with open(self.path, "w") as file:
      json.dump(whole, file)

  def assert_damaged(self, message):
    with self.assertRaisesRegex(errors.DataError, message):
      manifests.read(self.folder)

  def test_floats_come_back_bit_by_bit(self):
    rng = np.random.RandomState(0)
    values = np.frombuffer(rng.bytes(8 * 500), np.float64)
    values = values[np.isfinite(values)].tolist()
    values += [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf]
    state = {"values": values, "ä": [None, True, "x", {"y": 2**70}]}
    self.write(state)
    found = manifests.read(self.folder)
    self.assertEqual(found, manifests.Manifest(7, 0.5, state))
    self.assertEqual(
      np.array(found.state["values"]).tobytes(), np.array(values).tobytes()
    )

  def test_a_file_that_was_cut_off_is_named(self):
    self.write()
    with open(os.path.join(self.folder, "data"), "r+b") as file:
      file.truncate(150)
    self.assert_damaged("data has 150 bytes, and had 200")
    self.assertEqual(manifests.read(self.folder, deep=False).step, 7)

  @parameterized.parameters(0, 77, 199)
  def test_one_flipped_bit_is_found(self, place):
    self.write()
    with open(os.path.join(self.folder, "data"), "r+b") as file:
      file.seek(place)
      file.write(bytes([place ^ 4]))
    self.assert_damaged("data has changed since it was written")

  def test_a_missing_file_is_named(self):
    self.write()
    os.remove(os.path.join(self.folder, "data"))
    self.assert_damaged("data cannot be read: No such file")

  def test_a_missing_manifest_is_named(self):
    self.assert_damaged("manifest.json cannot be read: No such file")

  @parameterized.parameters("", "{", "garbage", '{"content": ', "\ufffd\0")
  def test_garbage_is_no_json(self, text):
    with open(self.path, "w", encoding="utf-8") as file:
      file.write(text)
    self.assert_damaged("manifest.json is damaged: .* is not JSON")

  def test_bytes_that_are_no_text_are_no_json(self):
    with open(self.path, "wb") as file:
      file.write(b"\xff\xfe\x00")
    self.assert_damaged("manifest.json is damaged: .* is not JSON")

  @parameterized.parameters("3", "[]", "{}", '{"content": {}, "sha256": ""}')
  def test_other_json_is_no_manifest(self, text):
    with open(self.path, "w") as file:
      file.write(text)
    self.assert_damaged("manifest.json is not a manifest")

  @parameterized.parameters("step", "score", "state")
  def test_a_change_of_the_manifest_itself_is_found(self, name):
    self.write(1.5)
    self.change(lambda whole: whole["content"].update({name: 3}))
    self.assert_damaged("manifest.json has changed since it was written")

  def test_a_later_format_is_refused(self):
    self.write()

    def change(whole):
      whole["content"]["format"] = 2
      whole["sha256"] = files.digest_json(whole["content"])

    self.change(change)
    self.assert_damaged("of format 2, and only format 1")

  def test_names_stay_in_the_folder(self):
    self.write()
    for name in ("../data", "/etc/hostname", "a/b", "..", "manifest.json"):
      with self.subTest(name):

        def change(whole, name=name):
          (listed,) = whole["content"]["files"].values()
          whole["content"]["files"] = {name: listed}
          whole["sha256"] = files.digest_json(whole["content"])

        self.change(change)
        self.assert_damaged("names .*, which is not the name of a file")

  @parameterized.named_parameters(
    ("step_text", {"step": "7"}),
    ("step_negative", {"step": -1}),
    ("step_bool", {"step": True}),
    ("score", {"score": []}),
    ("no_files", {"files": {}}),
    ("list_of_files", {"files": ["data"]}),
    ("no_size", {"files": {"data": {"sha256": ""}}}),
    ("no_digest", {"files": {"data": {"bytes": 1, "sha256": 3}}}),
  )
  def test_a_forged_manifest_is_no_manifest(self, changes):
    self.write()

    def change(whole):
      whole["content"].update(changes)
      whole["sha256"] = files.digest_json(whole["content"])

    self.change(change)
    self.assert_damaged("manifest.json is not a manifest")

  def test_what_has_no_end_is_refused(self):
    deep = "[" * 100000
    for text in (deep, '{"content": ' + deep, '{"content": ' + "9" * 100000):
      with open(self.path, "w") as file:
        file.write(text)
      self.assert_damaged("manifest.json is damaged: .* is not JSON")

  def test_what_is_no_regular_file_is_not_waited_for(self):
    self.write()
    for name in ("data", "manifest.json"):
      os.remove(os.path.join(self.folder, name))
      os.mkfifo(os.path.join(self.folder, name))
      self.assert_damaged(f"{name} cannot be read: it is not a regular file")

  def test_a_fault_of_the_machine_is_no_damage(self):
    self.write()
    error = OSError(errno.EMFILE, "Too many open files")
    with mock.patch.object(os, "open", side_effect=error):
      with self.assertRaisesRegex(errors.FileError, "limit on open files"):
        manifests.read(self.folder)

  @parameterized.named_parameters(
    ("tuple", {"a": [1, (2, 3)]}, r"state\['a'\]\[1\] is a tuple"),
    ("integer_key", {"a": {1: 2}}, r"state\['a'\] has keys"),
    ("numpy_float", [np.float64(1)], r"state\[0\] is a float64"),
    ("array", {"a": np.zeros(2)}, "ndarray"),
    ("mixed_keys", {"a": 1, 2: 3}, "not supported"),
    ("object", object(), "object"),
  )
  def test_refuses_what_json_would_change(self, state, message):
    with self.assertRaisesRegex(
      errors.ArgumentError,
      f"the state must be dicts .*{message}.*Convert",
    ):
      manifests.check(manifests.Manifest(1, None, state))

  def test_takes_what_json_gives_back(self):
    for state in (None, {}, [], 1.5, math.nan, {"a": [{"b": None}, "ä", True]}):
      manifests.check(manifests.Manifest(1, None, state))


if __name__ == "__main__":
  absltest.main()
