"""Tests of signatures."""

import inspect
import typing

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import conflicts
from tangle.experiments import (
  command_line,
  pareto,
  run_folder,
  seq2seq,
  signatures,
  transfer,
  translator,
)
from tangle.pipeline import clusters


class SignaturesTest(parameterized.TestCase):
  @parameterized.parameters(
    (seq2seq.train, "tangle.experiments.seq2seq.train"),
    (translator.Translator, "tangle.experiments.translator.Translator"),
    (run_folder.decoder, "tangle.experiments.run_folder.decoder"),
    (transfer.measure, "tangle.experiments.transfer.measure"),
    (clusters.LocalCluster, "tangle.pipeline.clusters.LocalCluster"),
    (conflicts.compare, "tangle.benchmarks.conflicts.compare"),
  )
  def test_the_source_says_what_the_function_does(self, function, name):
    stub = signatures.read(name)
    self.assertEqual(
      command_line.describe(stub), command_line.describe(function)
    )
    inner = function.__init__ if inspect.isclass(function) else function
    self.assertEqual(typing.get_type_hints(stub), typing.get_type_hints(inner))
    here = command_line.settings(stub)
    there = command_line.settings(function)
    self.assertEqual(list(here), list(there))
    for key, found in here.items():
      if not isinstance(found.default, signatures.Elsewhere):
        self.assertEqual(found.default, there[key].default)

  def test_a_default_that_is_computed_is_elsewhere(self):
    found = command_line.settings("tangle.experiments.pareto.follow")
    self.assertIsInstance(found["methods"].default, signatures.Elsewhere)
    self.assertIsInstance(pareto.METHODS, tuple)

  @parameterized.parameters(
    "tangle.experiments.seq2seq.nothing",
    "tangle.experiments.nothing.train",
    "tangle.experiments.seq2seq.OPTIMIZERS",
    "os.path.join",
  )
  def test_a_function_that_tangle_lacks_is_named(self, name):
    with self.assertRaisesRegex(errors.ArgumentError, f"no function '{name}'"):
      signatures.read(name)


if __name__ == "__main__":
  absltest.main()
