"""Tests of plots."""

import os
import sys
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.experiments import plots

PANELS = [
  ("examples", "share", {"a": {1: [0.1, 0.3], 10: [0.5]}, "b": {1: [0.2]}}),
  ("steps", "share", {"a": {2: [1.0]}}),
]


class PlotsTest(absltest.TestCase):
  def test_panels_are_drawn(self):
    with tempfile.TemporaryDirectory() as folder:
      sizes = []
      for logarithmic in (False, True):
        path = os.path.join(folder, f"{logarithmic}.png")
        plots.draw_series(PANELS, path, logarithmic)
        with open(path, "rb") as file:
          sizes.append(file.read())
    self.assertTrue(all(image.startswith(b"\x89PNG") for image in sizes))
    self.assertNotEqual(*sizes)

  def test_panels_in_rows_are_labelled_at_the_edges(self):
    drawing, panels = plots.open_panels(3, 2, (2.0, 1.0), (0.5, 0.0))
    self.assertEqual(list(drawing.get_size_inches()), [4.5, 2.0])
    shown = [axes.get_visible() for axes in drawing.axes]
    self.assertEqual(shown, [True, True, True, False])
    plots.label_panels(panels, 2, "abc", "step", "share")
    found = [
      (axes.get_title(), axes.get_xlabel(), axes.get_ylabel())
      for axes in panels
    ]
    expected = [("a", "", "share"), ("b", "step", ""), ("c", "step", "share")]
    self.assertEqual(found, expected)

  def test_series_become_panels(self):
    found = {"one": {"a_way": {1: [0.5]}}, "not_drawn": {}}
    with mock.patch.object(plots, "draw_series") as draw:
      plots.draw_by_labels(found, {"one": "share"}, "x.png", "all")
    panels = [("labelled images per class", "share", {"a way": {1: [0.5]}})]
    draw.assert_called_once_with(panels, "x.png", logarithmic=True, title="all")

  def test_ratios_are_drawn_where_there_are_any(self):
    rows = {
      "joint": {"r": 1.0, "r_quartiles": [1.0, 1.0]},
      "double": {"r": 1.5, "r_quartiles": [1.25, 1.625]},
      "session": {"reason": "no partial runs"},
    }
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "plot.png")
      plots.draw_ratios(rows, "r", "ratio", path)
      with open(path, "rb") as file:
        self.assertEqual(file.read(4), b"\x89PNG")

  def test_a_missing_package_is_named(self):
    with mock.patch.dict(sys.modules, {"matplotlib": None}):
      with self.assertRaisesRegex(errors.MissingPackageError, "plot"):
        plots.draw_series(PANELS, "x.png")


if __name__ == "__main__":
  absltest.main()
