"""Tests of outlines."""

import inspect
import subprocess
import sys
import typing

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import models, mux
from tangle.experiments import outlines, pareto
from tangle.pipeline import clusters


class OutlinesTest(absltest.TestCase):
  def test_a_function_is_read_as_it_is(self):
    found = outlines.read("tangle.benchmarks.mux.compare_multiplexers")
    self.assertEqual(
      inspect.getdoc(found), inspect.getdoc(mux.compare_multiplexers)
    )
    ours = inspect.signature(mux.compare_multiplexers).parameters
    theirs = inspect.signature(found).parameters
    self.assertEqual(list(ours), list(theirs))
    for name, parameter in ours.items():
      if parameter.kind is not parameter.KEYWORD_ONLY:
        self.assertEqual(theirs[name].default, parameter.default, name)

  def test_constants_are_read_through_imports(self):
    backprop = outlines.Module("tangle.benchmarks.backprop")
    self.assertEqual(backprop.models.NAMES, models.NAMES)
    found = outlines.Module("tangle.experiments.pareto")
    self.assertEqual(found.METHODS, pareto.METHODS)

  def test_nothing_is_imported(self):
    code = (
      "import sys; from tangle.experiments import outlines; "
      "outlines.read('tangle.benchmarks.mux.compare_multiplexers'); "
      "assert not {'tensorflow', 'tangle.benchmarks.mux'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-B", "-c", code], check=True)

  def test_what_comes_from_elsewhere_is_unknown(self):
    module = outlines.Module("tangle.benchmarks.mux")
    for found in (module.np.pi, module.tf1.Session().graph, module.nothing):
      self.assertIsInstance(found, outlines.Unknown)

  def test_a_default_that_cannot_be_computed_is_unknown(self):
    found = outlines.read("tangle.experiments.pareto.losses_at")
    default = inspect.signature(found).parameters["library"].default
    self.assertIsInstance(default, outlines.Unknown)

  def test_a_class_has_the_arguments_of_its_construction(self):
    found = outlines.read("tangle.pipeline.clusters.LocalCluster")
    own = inspect.signature(clusters.LocalCluster).parameters
    arguments = inspect.signature(found).parameters
    defaults = [[each.default for each in p.values()] for p in (arguments, own)]
    self.assertEqual(*defaults)
    hints = typing.get_type_hints(clusters.LocalCluster.__init__)
    del hints["return"]
    self.assertEqual({k: p.annotation for k, p in arguments.items()}, hints)

  def test_a_function_that_is_not_there_is_named(self):
    for name in ("tangle.benchmarks.mux.nothing", "tangle.nothing.compare"):
      with self.assertRaisesRegex(errors.ArgumentError, f"'{name}'"):
        outlines.read(name)

  def test_a_module_is_described_by_its_docstring(self):
    found = outlines.describe("tangle.benchmarks.mux")
    self.assertEqual(found, inspect.getdoc(mux))


if __name__ == "__main__":
  absltest.main()
