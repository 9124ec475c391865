"""Tests of startup."""

import contextlib
import io
import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import exponents, startup
from tangle.experiments import reports
from tangle.pipeline import trainer
from tests import case, forks

SETTING = startup.ModelSetting(
  units=3, symbols=5, batch_size=2, shortest=1, apart=1
)


# A training of nothing, whose first step comes after more than a second.
_SCRIPT = """
import time
import numpy as np
import tangle
from tangle.compat import tf1

with tf1.Graph().as_default():
  weight = tf1.get_variable("weight", [], use_resource=True)
  found = tangle.Pipeline()
  found.add("all", lambda bucket, reads: tangle.Piece({}, loss=weight * weight))
  made = found.minimize(tf1.train.GradientDescentOptimizer(0.1))
  with tf1.Session() as sess:
    sess.run(weight.initializer)
    time.sleep(1.5)
    made.step(sess, {"all": {}})
time.sleep(1000)
"""


def points(power):
  """Returns what is measured, of figures that grow with a power."""
  rows = [
    dict(dict.fromkeys(startup.FIGURES, 2.0 * n**power), size=n)
    for n in (1, 2, 4)
  ]
  return {startup.HERE: rows}


class StartupTest(case.GraphTestCase):
  def test_every_pair_has_a_step(self):
    with mock.patch.object(
      trainer.Trainer, "step", autospec=True, side_effect=trainer.Trainer.step
    ) as step:
      found = startup.measure_buckets(2, SETTING)
    shapes = [
      (
        call[0][2]["encoder"]["source"].shape,
        call[0][2]["decoder"]["inputs"].shape,
      )
      for call in step.call_args_list
    ]
    self.assertEqual(
      shapes,
      [((2, s), (2, t)) for s in (1, 2) for t in (1, 2)],
    )
    self.assertEqual(set(found), {"size", *startup.FIGURES})
    self.assertGreater(found["all_pairs_s"], found["build_s"])
    self.assertGreater(found["all_pairs_cpu_s"], found["first_cpu_s"])

  def test_checkouts_are_measured_in_turn(self):
    seen, figures = [], dict.fromkeys(startup.FIGURES, 1.0)

    def call(function, size, setting, root):
      seen.append((root, size))
      return dict(figures, size=size, build_s=10.0 - len(seen))

    report = mock.create_autospec(reports.Report, instance=True)
    with mock.patch.object(startup.processes, "call", call):
      found = startup.compare_bucket_counts(
        [1, 2], rounds=2, against="/other", script="", report=report
      )["points"]
    here = seen[0][0]
    self.assertTrue(os.path.exists(os.path.join(here, "tangle", "compat.py")))
    self.assertEqual(seen[:4], [(here, 1), ("/other", 1)] * 2)
    self.assertEqual(seen[4:], [(here, 2), ("/other", 2)] * 2)
    counts = [mock.call(k, 8) for k in range(1, 9)]
    self.assertEqual(report.count.call_args_list, counts)
    self.assertEqual([row["build_s"] for row in found[startup.HERE]], [7, 3])
    self.assertEqual([row["size"] for row in found[startup.OTHER]], [1, 2])

  @parameterized.parameters([[]], [[0, 1]], [[2, 1]], [[2, 2]])
  def test_points_that_cannot_be_are_refused(self, given):
    with self.assertRaisesRegex(errors.ArgumentError, "buckets"):
      startup.compare_bucket_counts(given)

  def test_numbers_that_are_not_positive_are_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "rounds"):
      startup.compare_bucket_counts([1], rounds=0)
    with self.assertRaisesRegex(errors.ArgumentError, "units"):
      startup.compare_bucket_counts([1], units=0)
    with self.assertRaisesRegex(errors.ArgumentError, "rounds"):
      startup.time_script(["scripts/train_g2p.py"], rounds=0)

  def test_a_script_is_timed_until_its_first_step(self):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
      script.write(_SCRIPT)
      script.flush()
      with forks.new_processes():  # which have not imported TensorFlow
        found = startup.time_script([script.name])
    self.assertEqual(set(found), {startup.HERE})
    seconds = found[startup.HERE]
    self.assertBetween(seconds["beyond_import_s"], 1.5, 60.0)
    self.assertGreater(seconds["import_s"], 0.1)

  def test_a_script_without_a_step_is_refused(self):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
      script.write("print(1)\n")
      script.flush()
      with self.assertRaisesRegex(errors.TrainingError, "ended with 1"):
        startup.time_script([script.name])

  def test_the_first_step_ends_a_script(self):
    output = io.StringIO()
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
      script.write(
        "from tangle.pipeline import trainer\n"
        "trainer.Trainer.step(None, None, None)\n"
      )
      script.flush()
      with mock.patch.object(trainer.Trainer, "step"), mock.patch.object(
        os, "_exit", side_effect=SystemExit
      ) as end, contextlib.redirect_stdout(output), mock.patch("sys.argv"):
        with self.assertRaises(SystemExit):
          startup.run_script([script.name])
    end.assert_called_once_with(0)
    at, import_s = json.loads(output.getvalue())
    self.assertGreater(at, 0)
    self.assertEqual(import_s, startup.processes.IMPORT_S)

  def test_a_table_has_a_row_for_each_point(self):
    found = points(1.0)
    fitted = {
      name: exponents.fit_each(rows, startup.FIGURES)
      for name, rows in found.items()
    }
    rows = startup.table_rows(found, fitted)
    self.assertEqual(
      list(rows), ["here 1 + 1", "here 2 + 2", "here 4 + 4", "here grows by"]
    )
    self.assertEqual(rows["here 4 + 4"]["build_s"], 8.0)
    self.assertEqual(rows["here grows by"]["build_s"], "1.00 / 1.00")


if __name__ == "__main__":
  absltest.main()
