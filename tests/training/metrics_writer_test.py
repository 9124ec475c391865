"""Tests of metrics_writer."""

import json
import os
import tempfile
import types

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.training import metrics_writer, runs
from tests import case
from tests.training import summaries_test


def result(loss, global_norm=None):
  return types.SimpleNamespace(
    loss=loss, buckets={"a": 10}, global_norm=global_norm
  )


class MetricsWriterTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.said = []

  def open(self, step=0, resumed=False, state=None, with_perplexity=True):
    found = metrics_writer.MetricsWriter(
      None, None, with_perplexity, self.said.append
    )
    if state is not None:
      found.restore(state)
    found.open(self.folder, self.graph, step, resumed)
    self.addCleanup(found.close)
    return found

  def read(self):
    with open(os.path.join(self.folder, "metrics.jsonl")) as file:
      return [json.loads(line) for line in file]

  def test_a_report_has_all_figures_of_its_interval(self):
    found = self.open()
    found.meter.add(result(1.0))
    found.meter.add(result(0.0, np.float32(7)))
    mean, figures = found.report(2, result(0.0, np.float32(7)), 0.25)
    self.assertEqual(mean, 0.5)
    self.assertGreater(figures.pop("steps_per_s"), 0)
    self.assertGreater(figures.pop("seconds"), 0)
    perplexity = float(np.exp(0.5))
    bucket = {"loss": 0.5, "perplexity": perplexity, "count": 2.0}
    self.assertEqual(
      figures,
      {
        "loss": 0.5,
        "perplexity": perplexity,
        "buckets": {"10": bucket},
        "global_norm": 7.0,
        "learning_rate": 0.25,
      },
    )
    self.assertRegex(
      self.said[0],
      r"^step 2: loss 0\.5, perplexity 1\.649, learning_rate 0\.25, steps_per_",
    )
    self.assertIsNone(found.meter.mean)  # the next interval begins

  def test_what_is_not_there_is_not_reported(self):
    found = self.open(with_perplexity=False)
    found.meter.add(result(1.0))
    _, figures = found.report(1, result(1.0), None)
    self.assertEqual(
      sorted(figures), ["buckets", "loss", "seconds", "steps_per_s"]
    )

  def test_figures_go_to_both_files(self):
    found = self.open()
    found.write(3, {})
    found.write(4, {"loss": 0.5})
    found.sync()
    self.assertEqual(self.read(), [{"step": 4, "loss": 0.5}])
    folder = os.path.join(self.folder, "summaries")
    self.assertEqual(summaries_test.read_scalars(folder), {("loss", 4): 0.5})

  def test_settings_are_shown_as_text(self):
    settings = {"model": {"units": 8}, "training": {"rate": 0.5}}
    with runs.started(self.folder, settings):
      self.open().close()
    folder = os.path.join(self.folder, "summaries")
    found = summaries_test.read_texts(folder)
    self.assertEqual(
      found["settings", 0].splitlines()[2:],
      ["| model | units | 8 |", "| training | rate | 0.5 |"],
    )

  def test_goes_on_with_the_interval_and_the_files(self):
    found = self.open()
    found.meter.add(result(1.0))
    for step in (1, 2):
      found.write(step, {"loss": float(step)})
    state = json.loads(json.dumps(found.state()))
    found.write(3, {"loss": 3.0})
    state["seconds"] = 1000.0
    found.close()
    found = self.open(2, True, state)
    found.meter.add(result(3.0))
    mean, figures = found.report(3, result(3.0), None)
    self.assertEqual(mean, 2.0)
    self.assertBetween(figures["seconds"], 1000.0, 1100.0)
    found.write(3, {"loss": 5.0})
    self.assertEqual(
      [record["loss"] for record in self.read()], [1.0, 2.0, 5.0]
    )

  def test_records_without_checkpoints_are_not_overwritten(self):
    found = self.open()
    found.write(4, {"loss": 0.5})
    found.close()
    with self.assertRaisesRegex(
      errors.DataError, "has metrics.jsonl of a run, and none of its checkp"
    ):
      self.open()
    self.assertEqual(self.read(), [{"step": 4, "loss": 0.5}])


class CheckValidationTest(absltest.TestCase):
  def test_gives_the_number_that_is_watched(self):
    figures = {"validation_wer": np.float32(0.5), "validation_text": "x"}
    self.assertEqual(
      metrics_writer.check_validation(figures, "validation_wer"), 0.5
    )

  def test_refuses_figures_without_it(self):
    for figures in ({}, {"wer": None}, {"wer": "x"}, {"wer": [1, 2]}):
      with self.assertRaisesRegex(
        errors.ArgumentError, "validate must return a number 'wer', the figure"
      ):
        metrics_writer.check_validation(figures, "wer")

  def test_refuses_names_of_reports(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, r"names \['loss', 'step'\].*'validation_loss'"
    ):
      metrics_writer.check_validation({"loss": 1, "x": 2, "step": 3}, "x")

  def test_refuses_what_is_no_dict(self):
    for figures in (1.5, np.float32(1.5), None, [1.5]):
      with self.assertRaises(errors.ArgumentError) as caught:
        metrics_writer.check_validation(figures, "wer")
      message = str(caught.exception)
      self.assertIn(f"number, got {figures!r}. ", message)
      self.assertIn("Return {'wer': number}.", message)


if __name__ == "__main__":
  absltest.main()
