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

  def test_what_is_not_finite_becomes_null(self):
    figures = {"a": [np.nan, np.float32(np.inf), 1.5], "b": {"c": -np.inf}}
    self.assertEqual(
      records.to_json(figures), '{"a": [null, null, 1.5], "b": {"c": null}}'
    )

  def write_text(self, text):
    path = records.Records(self.out_dir).path
    with open(path, "w", encoding="utf-8", newline="") as file:
      file.write(text)

  def resume(self, step):
    writer = records.Records(self.out_dir, resume_step=step)
    with open(writer.path, encoding="utf-8", newline="") as file:
      return file.read()

  def test_a_run_that_goes_on_keeps_the_records_up_to_its_step(self):
    lines = [f'{{"step": {k}, "x": "\u2028"}}\n' for k in (1, 2, 3, 4)]
    self.write_text("".join(lines))
    self.assertEqual(self.resume(3), "".join(lines[:3]))
    self.assertEqual(self.resume(2), "".join(lines[:2]))
    self.assertEqual(self.resume(0), "")
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_no_step_is_there_twice(self):
    writer = records.Records(self.out_dir)
    for step in range(6):
      writer.write(step=step)
    writer = records.Records(self.out_dir, resume_step=2)
    for step in range(3, 6):
      writer.write(step=step)
    writer.sync()
    with open(writer.path) as file:
      steps = [json.loads(line)["step"] for line in file]
    self.assertEqual(steps, list(range(6)))

  def test_a_record_of_the_end_goes_when_the_run_goes_on(self):
    self.write_text('{"step": 1}\n{"steps": 1, "test": 0.5}\n')
    self.assertEqual(self.resume(1), '{"step": 1}\n')

  def test_a_last_line_that_was_cut_off_goes(self):
    for torn in ('{"st', '{"step": 2', '{"step": 2}x', "\0"):
      self.write_text('{"step": 1}\n' + torn)
      self.assertEqual(self.resume(5), '{"step": 1}\n')
    self.write_text('{"step": 1}')  # only the end of the line is missing
    self.assertEqual(self.resume(5), '{"step": 1}\n')

  def test_a_damaged_line_is_named(self):
    for bad in ("{", "[1]", "garbage"):
      self.write_text(f'{{"step": 1}}\n{bad}\n{{"step": 2}}\n')
      with self.assertRaisesRegex(
        errors.DataError, "line 2 of .*metrics.jsonl' is no JSON object: .*Rem"
      ):
        records.Records(self.out_dir, resume_step=2)

  def test_without_a_file_a_run_that_goes_on_starts_one(self):
    self.assertEqual(self.resume(5), "")

  def test_refuses_what_is_no_figure(self):
    with self.assertRaisesRegex(TypeError, "cannot write <object"):
      records.to_json({"a": object()})


if __name__ == "__main__":
  absltest.main()
