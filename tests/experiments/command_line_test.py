"""Tests of command_line."""

from typing import List, Optional

from absl import flags
from absl.testing import absltest

from tangle import errors
from tangle.experiments import command_line


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


if __name__ == "__main__":
  absltest.main()
