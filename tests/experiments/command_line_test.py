"""Tests of command_line."""

import contextlib
import io
import json
import os
import tempfile
from typing import List, Optional
from unittest import mock

from absl import app, flags
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import command_line, transfer
from tangle.training import runs


def experiment(
  data,
  units=8,
  rate=0.5,
  kind="lstm",
  fast=False,
  limit: Optional[int] = None,
  paths: Optional[List[str]] = None,
  *,
  progress=None,
):
  """Does something.

  Args:
    data: what has no default.
    units: how many
      there are.
    rate: of what.
    kind: which one.
    fast: whether.
    limit: at most.
    paths: where.

  Returns:
    Its arguments.
  """
  return data, units, rate, kind, fast, limit, paths, progress


class Network:
  """Something."""

  def __init__(self, sizes, depth: Optional[int] = None):
    """Makes it.

    Args:
      sizes: given.
      depth: of it.
    """


class CommandLineTest(absltest.TestCase):
  def define(self, *arguments, **defaults):
    """Defines flags in a place of their own; returns it."""
    values = flags.FlagValues()
    with absltest.mock.patch.object(command_line, "_VALUES", values):
      command_line.define(*arguments, **defaults)
    return values

  def test_flags_are_the_keyword_arguments(self):
    values = self.define(experiment, Network)
    self.assertCountEqual(
      set(values) & set(command_line.settings(experiment)),
      ["units", "rate", "kind", "fast", "limit", "paths"],
    )
    values(["x", "--units=3", "--rate=2", "--fast", "--limit=7", "--paths=a,b"])
    self.assertEqual(
      command_line.take(experiment, values, kind="gru"),
      {
        "units": 3,
        "rate": 2.0,
        "kind": "gru",
        "fast": True,
        "limit": 7,
        "paths": ["a", "b"],
      },
    )
    self.assertEqual(command_line.take(Network, values), {"depth": None})
    self.assertEqual(values["units"].help, "how many there are.")

  def test_defaults_can_be_others_and_flags_be_left_out(self):
    values = self.define(experiment, units=5, rate=None)
    values(["x"])
    self.assertEqual(values.units, 5)
    self.assertNotIn("rate", values)
    self.assertNotIn("rate", command_line.take(experiment, values))

  def test_an_argument_of_two_functions_is_one_flag(self):
    values = self.define(experiment, experiment)
    self.assertIn("units", values)

  def test_an_argument_without_help_is_named(self):
    def silent(units=3):
      """Does something."""
      return units

    with self.assertRaisesRegex(errors.ArgumentError, "silent .*'units'"):
      self.define(silent)

  def test_a_type_that_cannot_be_told_is_named(self):
    def vague(units=None):
      """Does something.

      Args:
        units: who knows.
      """
      return units

    with self.assertRaisesRegex(errors.ArgumentError, "'units'.*Optional"):
      self.define(vague)


class UnusedTest(absltest.TestCase):
  def test_flags_of_another_choice_are_found(self):
    def fit(steps=1, rate=0.1):
      """Fits.

      Args:
        steps: how many.
        rate: how fast.
      """

    def look(steps=1, rows=3):
      """Looks.

      Args:
        steps: how many.
        rows: how many at once.
      """

    values = flags.FlagValues()
    flags.DEFINE_enum("what", "fit", ["fit", "look"], "", flag_values=values)
    command_line.define_in(values, [fit, look], {})
    choices = {"fit": fit, "look": look}
    values(["x", "--steps=3", "--rate=1"])
    self.assertEqual(command_line.find_unused(values, "what", choices), [])
    values(["x", "--what=look"])
    self.assertEqual(
      command_line.find_unused(values, "what", choices),
      ["--rate: has no effect with --what=look, only with --what=fit"],
    )


class MeasureTest(absltest.TestCase):
  def test_figures_and_a_plot_are_written(self):
    values, name = flags.FlagValues(), "tangle.experiments.transfer"
    command_line.define_in(values, [f"{name}.measure"], {})
    fakes = {"measure": mock.DEFAULT, "plot": mock.DEFAULT}
    with tempfile.TemporaryDirectory() as folder:
      flags.DEFINE_string("out_dir", folder, "", flag_values=values)
      values(["x", "--seeds=3"])
      with mock.patch.multiple(transfer, **fakes) as fake:
        fake["measure"].return_value = {"means": 1}
        figures = command_line.measure(name, values, "some")
      settings = runs.read(folder)["settings"]["some"]
      with open(os.path.join(folder, "metrics.jsonl")) as file:
        self.assertEqual(json.load(file), figures)
    self.assertEqual(figures, {"means": 1})
    self.assertEqual(settings["seeds"], 3)
    self.assertEqual(fake["measure"].call_args[1]["seeds"], 3)
    path = os.path.join(folder, "some.png")
    fake["plot"].assert_called_once_with(figures, path)


class RunTest(parameterized.TestCase):
  def end(self, main):
    """Runs a script; returns its exit code or message, and its output."""
    out = io.StringIO()
    with mock.patch.object(app, "run", lambda start, **_: start(["x"])):
      with contextlib.redirect_stdout(out):
        try:
          command_line.run(main)
        except SystemExit as error:
          return error.code, out.getvalue()
    return 0, out.getvalue()

  @parameterized.parameters(("SIGINT", 130), ("SIGTERM", 143), (None, 0))
  def test_a_run_that_a_signal_has_ended_gives_figures_and_its_code(
    self, name, code
  ):
    found = self.end(lambda: {"steps": 3, "signal": name})
    self.assertEqual(found[0], code)
    table, figures = found[1].strip().rsplit("\n", 1)
    self.assertEqual(table.split()[-2:], ["steps", "3"])
    self.assertEqual(json.loads(figures), {"steps": 3, "signal": name})

  @parameterized.parameters(
    (KeyboardInterrupt(), 130), (KeyboardInterrupt("SIGTERM"), 143)
  )
  def test_an_interrupt_elsewhere_has_the_code_too(self, error, code):
    self.assertEqual(self.end(mock.Mock(side_effect=error)), (code, ""))

  @parameterized.named_parameters(
    ("tangle", errors.DataError("x is y."), ": x is y.$"),
    (
      "file",
      PermissionError(13, "Permission denied", "out/x"),
      "'out/x' cannot be opened: Permission denied. Name a folder that you",
    ),
    ("system", OSError("odd"), ": odd$"),
    ("memory", MemoryError(), "out of memory: free some"),
  )
  def test_an_error_is_one_line(self, error, message):
    code, out = self.end(mock.Mock(side_effect=error))
    self.assertRegex(code, message)
    self.assertNotIn("\n", code)
    self.assertEqual(out, "")


if __name__ == "__main__":
  absltest.main()
