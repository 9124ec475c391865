"""Tests of arguments."""

import pathlib
import types

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.training import arguments
from tests import case


class KindsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.trainer = types.SimpleNamespace(step=lambda sess, batch: None)

  @parameterized.named_parameters(
    ("trainer", "trainer", "x", "must have a method step.*got 'x'. Give what"),
    ("session", "sess", None, "must be a session, got NoneType. Call Loop"),
    ("folder", "out_dir", 3, "must be the name of a folder, got 3. Give a"),
    ("no_name", "out_dir", "", "must be the name of a folder, got ''. Give a"),
  )
  def test_another_kind_is_refused(self, name, value, message):
    given = {"trainer": self.trainer, "out_dir": "run"}
    with tf1.Session() as given["sess"]:
      given[name] = value
      with self.assertRaisesRegex(
        errors.ArgumentError, f"^{name} {message}.*[.]$"
      ):
        arguments.check_kinds(**given)

  def test_names_of_folders_may_be_paths(self):
    with tf1.Session() as sess:
      arguments.check_kinds(sess, self.trainer, pathlib.Path("run"))

  def test_a_session_on_another_graph_is_refused(self):
    self.trainer.pipeline = types.SimpleNamespace(graph=tf1.Graph())
    with tf1.Session() as sess, self.assertRaisesRegex(
      errors.GraphError, r"Open it with .*graph=trainer\.pipeline\.graph\)\.$"
    ):
      arguments.check_kinds(sess, self.trainer, "run")


class NumbersTest(parameterized.TestCase):
  @parameterized.parameters(0, -1, "a", None, float("nan"), 3.5, -float("inf"))
  def test_others_are_refused(self, value):
    with self.assertRaisesRegex(
      errors.ArgumentError,
      "report_every must be a whole number, at least 1, got .* Give",
    ):
      arguments.check_numbers((1, value, 1, 1))

  @parameterized.parameters(1, np.int64(2), 1e5, float("inf"))
  def test_whole_numbers_are_taken(self, value):
    arguments.check_numbers((value, 1, 1, value))

  def test_validations_and_checkpoints_may_be_left_out(self):
    arguments.check_numbers((1, 1, None, None))


class ValidationTest(parameterized.TestCase):
  @parameterized.parameters("validate_every", "patience")
  def test_no_validation_is_said(self, name):
    given = dict({"validate_every": None, "patience": None}, **{name: 5})
    with self.assertRaisesRegex(
      errors.ArgumentError, f"{name}=5 has no effect.*or leave {name} out.$"
    ):
      arguments.check_validation(None, **given)
    arguments.check_validation(dict, **given)


class FunctionsTest(parameterized.TestCase):
  @parameterized.parameters("feeds", "validate", "progress", "report", "reopen")
  def test_a_number_is_refused(self, name):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"{name} must be a function, got 3. Give a function"
    ):
      names = "feeds", "validate", "progress", "report", "reopen"
      arguments.check_functions([3 if n == name else None for n in names])

  def test_functions_and_none_are_taken(self):
    arguments.check_functions([None, None, None, print, None])


if __name__ == "__main__":
  absltest.main()
