"""Tests of runs."""

import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors, files
from tangle.training import records, runs

SETTINGS = {"network": {"units": 3}, "training": {"rate": 0.1, "steps": (1, 2)}}
DATA = {"train": 5, "validation": "ab"}
TEXTS = {"words.txt": "one\ntw\u00f6\n"}


class RunsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "run")
    self.said = []

  def start(self, settings=SETTINGS, data=DATA, texts=TEXTS):
    with runs.started(
      self.folder, settings, data, texts, self.said.append
    ) as resumed:
      if not resumed:  # as a training does
        records.Records(self.folder).write(step=1)
      return resumed

  def contents(self):
    """Returns name → content of all that is in the folder."""
    found = {}
    for name in os.listdir(self.folder):
      with open(os.path.join(self.folder, name), "rb") as file:
        found[name] = file.read()
    return found

  def change(self, name, change):
    path = os.path.join(self.folder, name)
    with open(path, "rb") as file:
      content = change(file.read())
    with open(path, "wb") as file:
      file.write(content)

  def assert_refused(self, message, error=errors.DataError, **others):
    before = self.contents()
    with self.assertRaisesRegex(error, message):
      self.start(**others)
    self.assertEqual(self.contents(), before)

  def repeat(self, settings):
    with runs.repeatable(self.folder, settings) as writer:
      writer.write(rate=settings["training"]["rate"])

  def test_a_repeatable_run_replaces_the_records_of_the_same_run_only(self):
    self.repeat(SETTINGS)
    before = self.contents()
    self.repeat(SETTINGS)
    self.assertEqual(self.contents(), before)
    other = dict(SETTINGS, training={"rate": 0.2, "steps": (1, 2)})
    with self.assertRaisesRegex(errors.DataError, "give another folder"):
      self.repeat(other)
    self.assertEqual(self.contents(), before)
    with runs.repeatable(self.folder, SETTINGS):
      with self.assertRaisesRegex(errors.TrainingError, "another run is writ"):
        self.repeat(SETTINGS)

  def test_the_same_run_goes_on(self):
    self.assertFalse(self.start())
    before = self.contents()
    self.assertCountEqual(
      before, [".lock", "run.json", "words.txt", "metrics.jsonl"]
    )
    self.assertEqual(before["words.txt"].decode(), TEXTS["words.txt"])
    self.assertTrue(self.start())
    self.assertEqual(self.contents(), before)
    self.assertEqual(self.said, [])
    self.assertEqual(runs.read(self.folder)["settings"]["network"]["units"], 3)

  @parameterized.named_parameters(
    (
      "setting",
      {"settings": dict(SETTINGS, network={"units": 4})},
      "with the network {'units': 3}, not {'units': 4}. Resume with",
    ),
    (
      "setting_more",
      {"settings": dict(SETTINGS, network={"units": 3, "embedding_dim": 1})},
      "{'embedding_dim': None}, not {'embedding_dim': 1}",
    ),
    (
      "group_less",
      {"settings": {"network": {"units": 3}}},
      "with the training .*, not None",
    ),
    ("data", {"data": dict(DATA, train=6)}, "with other data: train. Give"),
    (
      "validation",
      {"data": dict(DATA, validation="c")},
      "with other data: validation",
    ),
    ("no_data", {"data": {"train": 5}}, "with other data: validation"),
    (
      "texts",
      {"texts": {"words.txt": "one\n"}},
      "with other vocabularies: words.txt",
    ),
  )
  def test_another_run_is_refused_and_nothing_written(self, others, message):
    self.start()
    self.assert_refused(message, **others)

  @parameterized.named_parameters(
    ("cut", "run.json", lambda c: c[:-20], "run.json' is damaged"),
    ("empty", "run.json", lambda c: b"", "run.json' is damaged"),
    (
      "changed",
      "run.json",
      lambda c: c.replace(b"0.1", b"0.2"),
      "it has changed since",
    ),
    (
      "old",
      "run.json",
      lambda c: b'{"training": {}}',
      "not the record of a run",
    ),
    ("list", "run.json", lambda c: b"[]", "not the record of a run"),
    ("deep", "run.json", lambda c: b"[" * 10**5, "not the record of a run"),
    ("text", "words.txt", lambda c: c[:-1], "words.txt' has changed since"),
  )
  def test_a_damaged_file_is_named(self, name, change, message):
    self.start()
    self.change(name, change)
    self.assert_refused(message)

  def test_a_missing_text_is_named(self):
    self.start()
    os.remove(os.path.join(self.folder, "words.txt"))
    self.assert_refused("words.txt' is missing. Put a copy of it back")

  @parameterized.parameters("../words.txt", "/etc/hostname", "..", "a/b")
  def test_names_stay_in_the_folder(self, name):
    self.start()
    content = runs.read(self.folder)
    content["texts"] = {name: "0" * 64}
    runs.write(self.folder, content)
    self.assert_refused("which is not the name of a file")

  def test_a_run_without_its_settings_is_refused(self):
    self.start()
    os.remove(os.path.join(self.folder, "run.json"))
    self.assert_refused("has metrics.jsonl of a run, but its run.json is miss")
    os.remove(os.path.join(self.folder, "metrics.jsonl"))
    path = os.path.join(self.folder, "checkpoints", "step-00000001")
    os.makedirs(path)
    with self.assertRaisesRegex(errors.DataError, "has checkpoints of a run"):
      self.start()

  def test_a_run_that_had_not_trained_may_begin_with_other_settings(self):
    self.start()
    os.remove(os.path.join(self.folder, "metrics.jsonl"))
    self.assertFalse(self.start({"network": {"units": 4}}, {}, {}))
    settings = runs.read(self.folder)["settings"]
    self.assertEqual(settings, {"network": {"units": 4}})

  def test_other_versions_resume_and_are_reported(self):
    self.start()
    others = dict(runs.versions(), numpy="1.2.3", tangle="9")
    with mock.patch.object(runs, "versions", return_value=others):
      self.assertTrue(self.start())
    (line,) = self.said
    self.assertRegex(
      line,
      r"begun with tangle .*, .* is resumed with tangle 9, numpy 1\.2\.3:",
    )
    self.assertNotIn("TensorFlow", line)

  def test_the_lock_comes_first(self):
    with files.lock(self.folder):
      self.assert_refused("another run is writing", errors.TrainingError)
    self.assertEqual(os.listdir(self.folder), [".lock"])

  def test_a_text_that_cannot_be_written_leaves_no_run(self):
    os.makedirs(os.path.join(self.folder, "words.txt"))
    with self.assertRaisesRegex(errors.FileError, "words.txt' .*move it away"):
      self.start()
    self.assertNotIn("run.json", os.listdir(self.folder))
    os.rmdir(os.path.join(self.folder, "words.txt"))
    self.assertFalse(self.start())

  def test_a_digest_tells_lines_from_others(self):
    same = runs.digest(iter(["a", ["b"]]))
    self.assertEqual(runs.digest(["a", ("b",)]), same)
    found = {runs.digest(v) for v in ([], [""], ["a", "b"], ["ab"], [["a"]])}
    self.assertLen(found, 5)

  def test_settings_that_do_not_fit_are_named(self):
    with self.assertRaisesRegex(errors.DataError, "run.json.*KeyError: 'x'"):
      with runs.built_from(self.folder):
        raise KeyError("x")
    with self.assertRaises(errors.BucketError):
      with runs.built_from(self.folder):
        raise errors.BucketError("as it is")

  def test_run_json_can_be_read_by_people(self):
    self.start()
    with open(os.path.join(self.folder, "run.json")) as file:
      found = json.load(file)
    self.assertEqual(found["settings"]["training"]["steps"], [1, 2])
    self.assertEqual(found["versions"], runs.versions())


if __name__ == "__main__":
  absltest.main()
