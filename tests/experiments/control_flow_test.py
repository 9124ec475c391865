"""Tests of the table of control flow, and of who makes it."""

import sys
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import constructs, control_flow
from tangle.partial import sub_model

_V1_NEEDS_SESSION = ("while_loop", "cond")


def _outcomes(cells):
  return {store: cell["outcome"] for store, cell in cells.items()}


class TabulateTest(parameterized.TestCase):
  @parameterized.parameters(
    ("while_loop", "resource"),
    ("cond", "resource"),
    ("dynamic_rnn", "reference"),
    ("dropout in while_loop", "reference"),
    ("Defun", "reference"),
  )
  def test_right_or_refused_in_every_store(self, name, variables):
    table = control_flow.tabulate([name], variables=variables)
    for style, cells in table[name].items():
      found = _outcomes(cells)
      self.assertLessEqual(
        set(found.values()), {control_flow.RIGHT, control_flow.REFUSED}, cells
      )
      self.assertEqual(found["session"], control_flow.RIGHT)
      self.assertEqual(found["auto"], control_flow.RIGHT)
      self.assertEqual(found["pipeline"], control_flow.RIGHT)
      if found["device"] == control_flow.REFUSED:
        self.assertEqual(cells["auto"]["store"], "session")
      if style == "v2":
        self.assertEqual(found["device"], control_flow.RIGHT)
      elif name in _V1_NEEDS_SESSION:
        self.assertEqual(found["device"], control_flow.REFUSED)
        self.assertIn('store="auto"', cells["device"]["text"])

  def test_a_wrong_pipeline_is_found(self):
    real = control_flow._Pipeline.run

    def wrong(*args):
      found = real(*args)
      found[1][0] = found[1][0] * (1 + 1e-9)
      return found

    with mock.patch.object(control_flow._Pipeline, "run", wrong):
      found = control_flow.tabulate(["Defun"], ["pipeline"], ["v2"])
    cell = found["Defun"]["v2"]["pipeline"]
    self.assertEqual(cell["outcome"], control_flow.WRONG)

  def test_unknown_variables(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'reference'"):
      control_flow.tabulate(["Defun"], variables="ref")

  def test_a_wrong_gradient_is_found(self):
    real = control_flow._run_split

    def wrong(*args):
      found = real(*args)
      found[1][0] = found[1][0] * (1 + 1e-9)
      return found

    with mock.patch.object(control_flow, "_run_split", wrong):
      found = control_flow.tabulate(["Defun"], ["device"], ["v2"])
    self.assertEqual(
      found["Defun"]["v2"]["device"]["outcome"], control_flow.WRONG
    )

  def test_a_wrong_reference_is_found(self):
    real = control_flow._dense

    def wrong(gradients):
      return [g * (1 + 1e-4) for g in real(gradients)]

    with mock.patch.object(control_flow, "_dense", wrong):
      with self.assertRaisesRegex(AssertionError, "joint gradient off by"):
        control_flow.tabulate(["Defun"], ["device"], ["v2"])

  def test_an_error_at_run_time_and_a_hang_are_told_apart(self):
    kinds = {
      control_flow.FAILS: ValueError("no"),
      control_flow.HANGS: control_flow.tf1.errors.DeadlineExceededError(
        None, None, "late"
      ),
    }
    for outcome, error in kinds.items():
      with mock.patch.object(sub_model.SubModel, "forward", side_effect=error):
        found = control_flow.tabulate(["Defun"], ["device"], ["v2"])
      self.assertEqual(found["Defun"]["v2"]["device"]["outcome"], outcome)

  def test_the_style_of_control_flow_is_put_back(self):
    before = control_flow.tf1.control_flow_v2_enabled()
    control_flow.tabulate(["Defun"], ["device"])
    self.assertEqual(control_flow.tf1.control_flow_v2_enabled(), before)

  def test_unknown_construct(self):
    with self.assertRaisesRegex(errors.ArgumentError, "no construct 'goto'"):
      control_flow.tabulate(["goto"])

  def test_another_python_does_the_same(self):
    here = control_flow.tabulate(["Defun"])
    label, there = control_flow.tabulate_elsewhere(sys.executable, ["Defun"])
    self.assertEqual(label, control_flow.version())
    self.assertEqual(there, here)
    with self.assertRaisesRegex(errors.ArgumentError, "failed"):
      control_flow.tabulate_elsewhere(sys.executable, ["goto"])


class FormatTest(absltest.TestCase):
  def test_a_row_a_construct_and_versions_where_they_differ(self):
    def row(one, two):
      return {"v1": {"a": {"outcome": one}, "b": {"outcome": two}}}

    tables = {
      "1.15": {"loop": row("right", "refused"), "cond": row("wrong", "right")},
      "2.21": {
        "loop": row("right", "refused"),
        "cond": row("refused", "right"),
      },
    }
    self.assertEqual(
      control_flow.format_markdown(tables),
      "| construct   |                  a, v1 |   b, v1 |\n"
      "|:------------|-----------------------:|--------:|\n"
      "| loop        |                  right |       – |\n"
      "| cond        | wrong (1.15), – (2.21) |   right |",
    )
    found = control_flow.count(tables)
    self.assertEqual(
      found["1.15"],
      {"right": 2, "refused": 1, "wrong": 1, "hangs": 0, "fails": 0},
    )
    self.assertEqual(found["2.21"]["refused"], 2)


class ConstructsTest(absltest.TestCase):
  def test_inputs_take_conditionals_both_ways(self):
    signs = [np.sign(x.sum()) for x in control_flow._values()[2]]
    self.assertEqual(signs, [1, -1])
    self.assertIn("cond", constructs.ALL)


if __name__ == "__main__":
  absltest.main()
