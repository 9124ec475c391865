"""Tests of records."""

import json
import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.training import records


class RecordsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.out_dir = os.path.join(folder.name, "new", "run")

  def test_each_record_is_one_line_of_json(self):
    writer = records.Records(self.out_dir)
    writer.write(step=1, loss=np.float32(0.5))
    writer.write(step=2, curve=[{"per": np.float64(0.25)}], text="a\nb ä")
    with open(writer.path) as file:
      lines = [json.loads(line) for line in file]
    self.assertEqual(lines[0], {"step": 1, "loss": 0.5})
    self.assertEqual(
      lines[1], {"step": 2, "curve": [{"per": 0.25}], "text": "a\nb ä"}
    )

  def test_a_new_run_begins_an_empty_file(self):
    records.Records(self.out_dir).write(step=1)
    writer = records.Records(self.out_dir)
    self.assertEqual(os.path.getsize(writer.path), 0)

  def test_arrays_become_lists(self):
    self.assertEqual(
      json.loads(records.to_json({"a": np.arange(3)})), {"a": [0, 1, 2]}
    )

  def test_a_lone_surrogate_is_written_as_an_escape(self):
    writer = records.Records(self.out_dir)
    writer.write(step=1, name="\ud800\u4e09")
    self.assertEqual(json.loads(self.read(writer))["name"], "\ud800\u4e09")

  def test_what_is_not_finite_becomes_null(self):
    figures = {"a": [np.nan, np.float32(np.inf), 1.5], "b": {"c": -np.inf}}
    self.assertEqual(
      records.to_json(figures), '{"a": [null, null, 1.5], "b": {"c": null}}'
    )

  def run_of(self, steps):
    """Writes a record for each step; returns the states after them."""
    writer = records.Records(self.out_dir)
    states = [writer.state()]
    for step in range(1, steps + 1):
      writer.write(step=step, x="\u2028")
      states.append(writer.state())
    writer.sync()
    return writer, states

  def read(self, writer):
    with open(writer.path, "rb") as file:
      return file.read()

  def steps(self, writer):
    return [json.loads(line)["step"] for line in self.read(writer).splitlines()]

  def test_a_run_that_goes_on_keeps_the_records_up_to_its_checkpoint(self):
    writer, states = self.run_of(4)
    for kept in (4, 3, 1, 0):
      again = records.Records(self.out_dir, states[kept])
      self.assertEqual(self.steps(again), list(range(1, kept + 1)))
      self.assertEqual(again.state(), states[kept])
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_no_step_is_there_twice(self):
    _, states = self.run_of(5)
    writer = records.Records(self.out_dir, states[2])
    for step in range(3, 6):
      writer.write(step=step, x="\u2028")
    self.assertEqual(self.steps(writer), list(range(1, 6)))
    self.assertEqual(writer.state(), states[5])

  def test_what_comes_after_the_checkpoint_goes_whatever_it_is(self):
    writer, states = self.run_of(2)
    whole = self.read(writer)
    for torn in (b'{"st', b'{"steps": 2}\n', b"\0", b"\xff"):
      with open(writer.path, "ab") as file:
        file.write(torn)
      again = records.Records(self.out_dir, states[2])
      self.assertEqual(self.read(again), whole)

  @parameterized.named_parameters(
    ("cut", lambda whole: whole[:-1]),
    ("emptied", lambda whole: b""),
    ("changed", lambda whole: whole.replace(b"1", b"7", 1)),
    ("line_lost", lambda whole: whole[whole.index(b"\n") + 1 :] + b"{}" * 99),
  )
  def test_what_has_changed_is_refused_and_left(self, change):
    writer, states = self.run_of(3)
    changed = change(self.read(writer))
    with open(writer.path, "wb") as file:
      file.write(changed)
    with self.assertRaisesRegex(
      errors.DataError, "bytes of .*metrics.jsonl', .*missing. Put a copy"
    ):
      records.Records(self.out_dir, states[3])
    self.assertEqual(self.read(writer), changed)

  def test_a_file_that_is_missing_is_named(self):
    writer, states = self.run_of(3)
    os.remove(writer.path)
    with self.assertRaisesRegex(errors.DataError, "metrics.jsonl"):
      records.Records(self.out_dir, states[3])
    huge = dict(states[3], bytes=1 << 60)  # of which nothing is allocated
    with self.assertRaisesRegex(errors.DataError, "metrics.jsonl"):
      records.Records(self.out_dir, huge)

  def test_a_full_disk_is_named(self):
    writer = records.Records(self.out_dir)
    os.remove(writer.path)
    os.symlink("/dev/full", writer.path)
    with self.assertRaisesRegex(
      errors.FileError, "metrics.jsonl' cannot be written: No space .* Free sp"
    ):
      writer.write(step=1)

  def test_tells_whether_there_are_records(self):
    self.assertFalse(records.is_begun(self.out_dir))
    writer = records.Records(self.out_dir)
    self.assertFalse(records.is_begun(self.out_dir))
    writer.write(step=1)
    self.assertTrue(records.is_begun(self.out_dir))

  def test_refuses_what_is_no_figure(self):
    with self.assertRaisesRegex(TypeError, "cannot write <object"):
      records.to_json({"a": object()})


if __name__ == "__main__":
  absltest.main()
