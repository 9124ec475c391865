"""Tests of training_plots."""

import json
import os
import sys
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle.experiments import directions, plots, tasks, training_plots
from tangle.seq2seq import bucketing, encoding, rows

RECORDS = [
  {"step": 10, "loss": 3.0, "learning_rate": 0.1},
  {"step": 15, "validation_loss": 2.5, "validation_wer": 0.9},
  {"step": 20, "loss": 2.0, "learning_rate": 0.05},
  {"steps": 20, "loss": 2.0},
]


class TrainingPlotsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    with open(os.path.join(self.folder, "metrics.jsonl"), "w") as file:
      file.writelines(json.dumps(record) + "\n" for record in RECORDS)

  def draw(self, padding):
    """Draws; returns the axes that are shown."""
    drawings, path = [], os.path.join(self.folder, "x.png")
    real = plots.open_drawing

    def keep(*arguments):
      drawings.append(real(*arguments))
      return drawings[-1]

    with mock.patch.object(plots, "open_drawing", keep):
      training_plots.draw(RECORDS, padding, path)
    return [axes for axes in drawings[0].axes if axes.get_visible()]

  def test_each_panel_has_title_and_units(self):
    panels = self.draw({"source": {5: 0.25}, "target": {4: 0.5, 8: 0.1}})
    self.assertEqual(
      [axes.get_title() for axes in panels],
      [
        "Loss",
        "Error rates on validation",
        "Learning rate",
        "Padding by bucket",
      ],
    )
    for axes in panels:
      self.assertTrue(axes.get_xlabel() and axes.get_ylabel())
      self.assertIsNotNone(axes.get_legend())
    training, validation = panels[0].lines
    self.assertEqual(list(training.get_xdata()), [10, 20])
    self.assertEqual(list(validation.get_ydata()), [2.5])
    self.assertEqual(list(panels[1].lines[0].get_ydata()), [90.0])
    heights = [bar.get_height() for bar in panels[3].patches]
    self.assertEqual(heights, [25.0, 50.0, 10.0])

  def test_a_panel_without_figures_is_left_out(self):
    self.assertLen(self.draw({}), 3)

  def test_padding_is_the_rest_of_each_bucket(self):
    def task(buckets, **more):
      examples = rows.Examples(
        rows.Rows(range(9), [2, 3, 4]), rows.Rows(range(4), [1, 1, 2])
      )
      encoded = {one: encoding.Encoded(examples, None, None) for one in buckets}
      given = tasks.self_test()._replace(layout="plain", **more)
      return given._replace(encoded={"train": encoded}, buckets=buckets)

    buckets = bucketing.IndependentBuckets([3, 4], [2, 6])
    found = training_plots.padding_by_bucket(task({directions.PAIR: buckets}))
    # With EOS the targets have 2, 2 and 3 symbols.
    wanted = {3: 1 - 2.5 / 3, 4: 0.0}, {2: 0.0, 6: 0.5}
    self.assertEqual(found, dict(zip(("source", "target"), wanted)))
    trained, _ = directions.parse("ab", "bc", ["a-b", "b-c", "a-c"])
    found = training_plots.padding_by_bucket(
      task(dict.fromkeys(trained, buckets))
    )
    names = ["a", "b (target)", "b", "c"]
    self.assertEqual(list(found), names)
    self.assertEqual(found, dict(zip(names, 2 * wanted)))
    joint = bucketing.JointBuckets([(4, 6)])
    self.assertEqual(
      training_plots.padding_by_bucket(task({directions.PAIR: joint})), {}
    )

  def test_a_training_does_without_matplotlib(self):
    said = []
    with mock.patch.dict(sys.modules, {"matplotlib": None}):
      training_plots.write(self.folder, report=said.append)
    self.assertIn("matplotlib is not installed", said[0])
    training_plots.write(self.folder)
    with open(os.path.join(self.folder, "training.png"), "rb") as file:
      self.assertEqual(file.read(4), b"\x89PNG")

  def test_a_picture_that_cannot_be_written_ends_no_training(self):
    said = []
    os.mkdir(os.path.join(self.folder, training_plots.FILE))
    training_plots.write(self.folder, report=said.append)
    self.assertIn("No plot is drawn", said[0])


if __name__ == "__main__":
  absltest.main()
