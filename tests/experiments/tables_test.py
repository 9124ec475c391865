"""Tests of tables."""

import sys
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.experiments import tables

ROWS = {
  "joint": {"step_s": 0.5, "r": 1.0, "r_quartiles": [1.0, 1.0], "bytes": 1234},
  "double": {"step_s": 0.75, "r": 1.5, "r_quartiles": [1.25, 1.625]},
  "session": {"reason": "no partial runs"},
}


class TablesTest(absltest.TestCase):
  def test_a_row_shows_its_figures_or_why_there_are_none(self):
    lines = tables.format_table(ROWS, ["step_s", "r", "bytes"]).split("\n")
    self.assertEqual(lines[0].split(), ["step_s", "r", "bytes"])
    self.assertEqual(lines[1].split(), ["joint", "0.5", "1", "1,234"])
    self.assertEqual(lines[2].split(), ["double", "0.75", "1.5", "-"])
    self.assertIn("cannot run: no partial runs", lines[3])

  def test_what_is_true_or_false_shows_as_yes_or_no(self):
    rows = {"a": {"same": True}, "b": {"same": False}}
    lines = tables.format_table(rows, ["same"]).split("\n")
    self.assertEqual([line.split()[1] for line in lines[1:]], ["yes", "no"])

  def test_a_long_reason_does_not_widen_the_columns(self):
    rows = dict(ROWS, session={"reason": "x" * 200})
    lines = tables.format_table(rows, ["step_s", "r"]).split("\n")
    self.assertLess(len(lines[1]), 60)

  def test_a_table_of_reasons_has_no_columns(self):
    text = tables.format_table({"session": ROWS["session"]}, ["step_s"])
    self.assertEqual(text, "session  cannot run: no partial runs")

  def test_a_table_may_be_markdown(self):
    found = tables.layout([["a", "1"]], ["x"], "pipe", "name").split("\n")
    self.assertEqual(found[0].split(), ["|", "name", "|", "x", "|"])
    self.assertEqual(found[2].split(), ["|", "a", "|", "1", "|"])

  def test_a_missing_tabulate_names_the_remedy(self):
    with mock.patch.dict(sys.modules, {"tabulate": None}):
      with self.assertRaisesRegex(errors.MissingPackageError, "pip install"):
        tables.format_table(ROWS, ["step_s"])


if __name__ == "__main__":
  absltest.main()
