"""Tests of summaries."""

import functools
import glob
import math
import os
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.training import summaries
from tests import case


def read_events(folder, part=summaries.TRAIN):
  """Returns the events of each file of a part, a list of lists."""
  return [
    list(tf1.train.summary_iterator(path))
    for path in sorted(glob.glob(os.path.join(folder, part, "events.*")))
  ]


def read_values(folder, part=summaries.TRAIN):
  """Returns (tag, step) → `Summary.Value` as TensorBoard shows them."""
  found, is_restart = {}, False
  for events in read_events(folder, part):
    for event in events:
      if event.session_log.status == tf1.SessionLog.START and not is_restart:
        is_restart = True  # the next one will be
      elif event.session_log.status == tf1.SessionLog.START:
        found = {k: v for k, v in found.items() if k[1] < event.step}
      for value in event.summary.value:
        found[value.tag, event.step] = value
  return found


def read_scalars(folder, part=summaries.TRAIN):
  """Returns (tag, step) → number."""
  return {
    key: value.simple_value
    for key, value in read_values(folder, part).items()
    if value.HasField("simple_value")
  }


def read_texts(folder, part=summaries.TRAIN):
  """Returns (tag, step) → text."""
  return {
    key: tf1.make_ndarray(value.tensor).item().decode("utf-8")
    for key, value in read_values(folder, part).items()
    if value.metadata.plugin_data.plugin_name == "text"
  }


class SummariesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "new")
    self.variable("w", 1.0)

  def open(self, resume_step=None):
    found = summaries.Summaries(self.folder, self.graph, resume_step)
    self.addCleanup(found.close)
    return found

  def test_numbers_become_scalars(self):
    written = self.open()
    written.write(
      5,
      {
        "loss": np.float32(0.5),
        "count": 3,
        "buckets": {"10x5": {"perplexity": 2.0}},
        "infinite": math.inf,
        "not_a_number": math.nan,
        "none": None,
        "empty": [],
        "curve": [1.0, 2.0],
      },
    )
    written.sync()
    self.assertEqual(
      read_scalars(self.folder),
      {("loss", 5): 0.5, ("count", 5): 3.0, ("buckets/10x5/perplexity", 5): 2},
    )

  def test_validation_has_the_same_names_in_a_folder_of_its_own(self):
    written = self.open()
    written.write(5, {"loss": 0.5, "validation_loss": 0.75})
    written.write(6, {"validation_loss": 0.25})
    written.close()
    self.assertEqual(read_scalars(self.folder), {("loss", 5): 0.5})
    self.assertEqual(
      read_scalars(self.folder, summaries.VALIDATION),
      {("loss", 5): 0.75, ("loss", 6): 0.25},
    )

  def test_without_validation_there_is_no_folder_for_it(self):
    self.open().write(1, {"loss": 0.5})
    self.assertEqual(os.listdir(self.folder), [summaries.TRAIN])

  def test_validation_after_the_step_where_a_run_goes_on_is_left_out(self):
    written = self.open()
    for step in (1, 2, 3):
      written.write(step, {"validation_loss": 1.0})
    written.close()
    self.open(2).close()
    self.assertEqual(
      read_scalars(self.folder, summaries.VALIDATION),
      {("loss", 1): 1.0, ("loss", 2): 1.0},
    )

  def test_texts_and_tables_are_shown_as_text(self):
    written = self.open()
    rows = [{"in": "a|b", "out": "c_d\ne"}, {"in": "x", "out": 0.5}]
    written.write(4, {"note": "so *it* is", "validation_samples": rows})
    written.close()
    self.assertEqual(read_texts(self.folder), {("note", 4): "so *it* is"})
    table = "| in | out |\n| --- | --- |\n| a\\|b | c\\_d e |\n| x | 0.5 |"
    self.assertEqual(
      read_texts(self.folder, summaries.VALIDATION), {("samples", 4): table}
    )
    self.assertEmpty(read_scalars(self.folder))

  def test_a_lone_surrogate_is_escaped(self):
    written = self.open()
    written.write(1, {"buckets": {"\ud800": {"loss": 2.0}}, "note": "\ud800"})
    written.close()
    loss = {("buckets/\\ud800/loss", 1): 2.0}
    self.assertEqual(read_scalars(self.folder), loss)
    self.assertEqual(read_texts(self.folder), {("note", 1): "\\ud800"})

  def test_texts_of_the_whole_run_are_written_once(self):
    for text, resume_step in (("first", None), ("second", 3)):
      summaries.Summaries(
        self.folder, self.graph, resume_step, texts={"settings": text}
      ).close()
    self.assertEqual(read_texts(self.folder), {("settings", 0): "first"})

  def test_the_graph_is_written_once(self):
    self.open().close()
    self.open(3).close()
    graphs = [
      event.graph_def
      for events in read_events(self.folder)
      for event in events
      if event.HasField("graph_def")
    ]
    self.assertLen(graphs, 1)
    definition = tf1.GraphDef.FromString(graphs[0])
    self.assertIn("w", [node.name for node in definition.node])

  def test_what_came_after_the_step_where_a_run_goes_on_is_left_out(self):
    written = self.open()
    for step in (1, 2, 3, 4):
      written.write(step, {"loss": 1.0})
    written.close()
    written = self.open(2)
    written.write(3, {"loss": 2.0})
    written.close()
    starts = [
      event.step
      for events in read_events(self.folder)
      for event in events
      if event.session_log.status == tf1.SessionLog.START
    ]
    self.assertEqual(starts, [0, 3])
    self.assertEqual(
      read_scalars(self.folder),
      {("loss", 1): 1.0, ("loss", 2): 1.0, ("loss", 3): 2.0},
    )

  def test_a_run_that_goes_on_at_once_has_a_file_of_its_own(self):
    with mock.patch("time.time", return_value=1e9):
      for step in range(3):
        written = self.open(step)
        written.write(step, {"loss": 1.0})
        written.close()
    self.assertLen(read_events(self.folder), 3)
    self.assertLen(read_scalars(self.folder), 3)

  def test_what_cannot_be_written_is_said_once_and_ends_nothing(self):
    said = []
    with open(self.folder, "w"):  # in the place of the folder
      pass
    found = summaries.Summaries(self.folder, self.graph, None, said.append)
    found.write(1, {"loss": 1.0})
    found.sync()
    found.close()
    self.assertLen(said, 1)
    self.assertRegex(said[0], "No more summaries .*new': .*Not a directory")

  def test_a_full_disk_is_said_once_and_ends_nothing(self):
    said = []
    full = functools.partial(tf1.io.TFRecordWriter, "/dev/full")
    with mock.patch.object(tf1.io, "TFRecordWriter", lambda path: full()):
      found = summaries.Summaries(self.folder, self.graph, None, said.append)
    for step in range(3):
      found.write(step, {"loss": 1.0})
      found.sync()
    found.close()
    self.assertLen(said, 1)
    self.assertRegex(said[0], "No more summaries .*No space left on device")

  def test_a_run_that_begins_anew_leaves_all_out(self):
    written = self.open()
    written.write(4, {"loss": 1.0})
    written.close()
    self.open().close()
    self.assertEqual(read_scalars(self.folder), {})


if __name__ == "__main__":
  absltest.main()
