"""Tests of records."""

import json
import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

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

  def test_refuses_what_is_no_figure(self):
    with self.assertRaisesRegex(TypeError, "cannot write <object"):
      records.to_json({"a": object()})


if __name__ == "__main__":
  absltest.main()
