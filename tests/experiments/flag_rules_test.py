"""Tests of flag_rules."""

import ast
import io
import os
import pathlib
import sys
import tempfile
from unittest import mock

from absl import flags
from absl.testing import absltest, parameterized

from tangle.experiments import (
  branching,
  bucket_plans,
  control_flow,
  flag_rules,
  seq2seq,
  shared_or_separate,
  tasks,
  translator,
)
from tangle.partial import sub_model
from tangle.pipeline import schedules

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class FlagRulesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.values = flags.FlagValues()
    define = {"flag_values": self.values}
    flags.DEFINE_integer("units", 8, "", **define)
    flags.DEFINE_float("dropout_rate", 0.0, "", **define)
    flags.DEFINE_float("learning_rate", 0.1, "", **define)
    flags.DEFINE_bool("fast", False, "", **define)
    flags.DEFINE_string("optimizer", "adam", "", **define)
    flags.DEFINE_list("train", None, "", **define)
    flags.DEFINE_list("per_class", ["1"], "", **define)
    flags.DEFINE_string("checkpoint", None, "", **define)
    flags.DEFINE_enum("schedule", "by_loss", ["by_loss"], "", **define)

  def problems(self, *arguments, **settings):
    return flag_rules.parse(self.values, ["x", *arguments], **settings)[1]

  def test_all_forms_of_flags_are_parsed(self):
    found = flag_rules.parse(
      self.values, ["x", "--units", "3", "-fast", "--learning_rate=2"]
    )
    self.assertEqual(found, ([], []))
    self.assertEqual((self.values.units, self.values.fast), (3, True))
    self.assertEqual(self.values.learning_rate, 2.0)
    self.assertEqual(self.problems("--nofast"), [])
    self.assertFalse(self.values.fast)
    self.assertTrue(self.values["fast"].present)
    self.assertFalse(self.values["optimizer"].present)

  @parameterized.parameters("out_dir", "out")
  def test_a_folder_that_cannot_be_written_to_is_told_early(self, name):
    flags.DEFINE_string(name, None, "", flag_values=self.values)
    end = "/result" if name == "out" else ""
    with tempfile.TemporaryDirectory() as folder:
      file = os.path.join(folder, "file")
      open(file, "w").close()
      for path, problem in (
        (folder, None),
        (f"{folder}/new/one", None),
        (file, f"{file} is not a folder; name another place"),
        (f"{file}/new", f"{file} is not a folder; name another place"),
      ):
        given = f"--{name}={path}{end}"
        found = [] if problem is None else [f"{given}: {problem}"]
        self.assertEqual(self.problems(given), found)
      self.assertEqual(os.listdir(folder), ["file"])
      with mock.patch.object(os, "access", return_value=False):
        (found,) = self.problems(f"--{name}={folder}/new{end}")
      self.assertIn(f"{folder} cannot be written to; name a folder", found)

  def test_a_name_of_a_folder_is_needed(self):
    flags.DEFINE_string("out_dir", "out/x", "", flag_values=self.values)
    found = ["--out_dir=: must be the name of a folder"]
    self.assertEqual(self.problems("--out_dir="), found)

  def test_a_folder_by_default_is_looked_at_too(self):
    with tempfile.NamedTemporaryFile() as file:
      flags.DEFINE_string("out_dir", file.name, "", flag_values=self.values)
      (found,) = self.problems()
    self.assertIn("is not a folder", found)

  def test_a_file_to_write_is_no_folder(self):
    flags.DEFINE_string("out", None, "", flag_values=self.values)
    with tempfile.TemporaryDirectory() as folder:
      found = [f"--out={folder}: is a folder; name a file"]
      self.assertEqual(self.problems(f"--out={folder}"), found)

  def test_all_problems_are_found_at_once(self):
    found = self.problems(
      "--unit=3",
      "--units=-1",
      "--learning_rate=fast",
      "--fast=perhaps",
      "--dropout_rate=1",
      "--optimizer=adm",
      "--train=/nowhere/a,/nowhere/b",
      "--per_class=1,0",
      "--checkpoint=/nowhere/model",
      "--schedule=cosine",
      "--flagfile=/nowhere/x.flags",
      "rest",
    )
    self.assertEqual(
      found,
      [
        "--flagfile=/nowhere/x.flags: the file cannot be read",
        "--unit=3: there is no such flag; did you mean --units?",
        "--learning_rate=fast: must be a number",
        "--fast=perhaps: must be true or false",
        "--schedule=cosine: value should be one of <by_loss>",
        "rest: expected flags only",
        "--checkpoint=/nowhere/model: there is no such checkpoint",
        "--dropout_rate=1.0: must be at least 0 and less than 1",
        "--optimizer=adm: must be one of adam, sgd",
        "--per_class=1,0: must be at least 1",
        "--train=/nowhere/a,/nowhere/b: /nowhere/a does not exist",
        "--train=/nowhere/a,/nowhere/b: /nowhere/b does not exist",
        "--units=-1: must be at least 1",
      ],
    )

  def test_a_problem_of_two_words_is_one(self):
    found = self.problems("--units", "x", "--fast")
    self.assertEqual(found, ["--units=x: must be a whole number"])

  def test_problems_are_printed_and_the_exit_code_is_2(self):
    with mock.patch.object(sys, "stderr", io.StringIO()) as stderr:
      with self.assertRaises(SystemExit) as caught:
        flag_rules.refuse("script", ["--a=1: b", "--c=1: d"])
    self.assertEqual(caught.exception.code, 2)
    self.assertIn("  --a=1: b\n  --c=1: d\n", stderr.getvalue())

  @parameterized.parameters("nan", "inf", "0")
  def test_a_rate_is_positive_and_finite(self, rate):
    (found,) = self.problems(f"--learning_rate={rate}")
    self.assertIn("must be positive and finite", found)

  def test_files_of_each_side_must_exist(self):
    for name, sides in (("sources", ["en+fr"]), ("targets", ["de", "en"])):
      flags.DEFINE_list(name, sides, "", flag_values=self.values)
    with tempfile.TemporaryDirectory() as folder:
      for name in ("en", "fr"):
        pathlib.Path(folder, f"a.{name}").touch()
      (found,) = self.problems(f"--train={folder}/a.{{}}")
      self.assertEndsWith(found, "a.de does not exist")
      pathlib.Path(folder, "a.de").touch()
      self.assertEqual(self.problems(f"--train={folder}/a.{{}}"), [])

  def test_a_checkpoint_is_several_files(self):
    with tempfile.TemporaryDirectory() as folder:
      pathlib.Path(folder, "model.index").touch()
      self.assertEqual(self.problems(f"--checkpoint={folder}/model"), [])

  def test_flags_of_a_file_are_checked(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "x.flags")
      pathlib.Path(path).write_text("--units=0\n--nothing=1\n")
      found = self.problems(f"--flagfile={path}")
    self.assertLen(found, 2)

  def test_arguments_that_are_no_flags_are_files(self):
    argv = ["x", __file__, "--units=2"]
    found = flag_rules.parse(self.values, argv, positional=["a file"])
    self.assertEqual(found, ([__file__], []))
    self.assertEqual(
      self.problems(positional=["a file"]), ["no argument: expected a file"]
    )
    self.assertEqual(
      self.problems("/nowhere/x", positional=["a file"]),
      ["/nowhere/x: does not exist"],
    )

  def test_the_check_of_a_script_is_called_if_all_flags_are_parsed(self):
    def check():
      return [f"--units={self.values.units}: is odd"]

    self.assertEqual(
      self.problems("--units=3", check=check), ["--units=3: is odd"]
    )
    self.assertLen(self.problems("--units=x", check=check), 1)
    found = self.problems("--units=3", "--checkpoint=/nowhere/x", check=check)
    self.assertLen(found, 2)
    self.assertIn("--units=3: is odd", found)

  def test_choices_are_those_of_the_experiments(self):
    known = {
      "bucketing": bucket_plans.KINDS,
      "layout": tasks.LAYOUTS,
      "model": translator.MODELS,
      "multiplexer": shared_or_separate.MULTIPLEXERS,
      "optimizer": seq2seq.OPTIMIZERS,
      "output_bias": seq2seq.OUTPUT_BIASES,
      "pipeline_schedule": schedules.SCHEDULES,
      "schedule": seq2seq.SCHEDULES,
      "stores": sub_model.STORES,
      "tokens": tasks.TOKENS,
      "training": shared_or_separate.TRAININGS,
      "variables": control_flow.VARIABLES,
    }
    for name, choices in known.items():
      self.assertCountEqual(flag_rules.CHOICES[name], choices, name)
    text = (ROOT / "scripts" / "train_branches.py").read_text()
    for name in branching.SCHEDULES:
      self.assertIn(f'"{name}"', text)

  def test_each_rule_is_for_a_flag_that_exists(self):
    paths = [
      *(ROOT / "scripts").glob("*.py"),
      *(ROOT / "tangle" / "benchmarks").glob("*.py"),
      *(ROOT / "tangle" / "experiments").glob("*.py"),
    ]
    known = set()
    for path in paths:
      for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.arg):
          known.add(node.arg)
        elif isinstance(node, ast.Call):  # such as DEFINE_string("in", ...)
          given = node.args[:1]
          texts = (getattr(v, "value", getattr(v, "s", "")) for v in given)
          known.update(text for text in texts if isinstance(text, str))
    rules = {*flag_rules.CHOICES, *flag_rules.LEAST, *flag_rules.POSITIVE}
    rules |= {*flag_rules.FILES, *flag_rules.PREFIXES}
    self.assertEqual([rule for rule in sorted(rules) if rule not in known], [])


if __name__ == "__main__":
  absltest.main()
