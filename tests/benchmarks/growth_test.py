"""Tests of growth."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import axes, growth
from tangle.compat import tf1
from tangle.experiments import reports
from tests import case

SIZES = axes.FixedSizes(units=3, batch_size=2, bucket_steps=2)


NO_AXES = dict.fromkeys(axes.NAMES, ())


def curves(power=1.0):
  """Returns what is measured, of figures that grow with a power."""
  rows = [
    dict(dict.fromkeys(growth.FIGURES, 5.0 * x**power), size=x)
    for x in (10, 30, 100)
  ]
  flat = [dict(row, build_s=2.0) for row in rows]
  return {axes.LENGTH: {growth.SPLIT: rows, growth.JOINT: flat}}


class GrowthTest(case.GraphTestCase):
  def test_the_exponents_of_all_axes_are_shown(self):
    report = mock.create_autospec(reports.Report, instance=True)
    found = dict(curves(1.0), buckets=curves(1.5)[axes.LENGTH])
    found[axes.LENGTH][growth.JOINT] = found[axes.LENGTH][growth.JOINT][:1]
    with mock.patch.object(growth, "_measure_points", return_value=found):
      figures = growth.compare_sizes(report=report)
    rows = report.show.call_args[0][0]
    self.assertEqual(rows["length split"]["step_s"], "1.00 / 1.00")
    self.assertIsNone(rows["length joint"]["ops"])
    self.assertEqual(set(figures["steepest"]), set(growth.FIGURES))
    value, axis = figures["steepest"]["ops"]
    self.assertAlmostEqual(value, 1.5)
    self.assertEqual(axis, axes.BUCKETS)

  @parameterized.parameters(*axes.NAMES)
  def test_candidates_have_the_same_loss(self, axis):
    split, joint = [
      growth.measure_size(axis, name, 2, SIZES, 1) for name in growth.NAMES
    ]
    self.assertGreater(split["loss"], 0)
    self.assertLess(abs(joint["loss"] / split["loss"] - 1), 1e-5)
    for row in (split, joint):
      self.assertEqual(row["size"], 2)
      for figure in ("build_s", "build_cpu_s", "first_cpu_s", "step_s", "ops"):
        self.assertGreater(row[figure], 0, figure)

  def test_ops_grow_as_is_known(self):
    def ops(axis, candidate, sizes):
      return [
        growth.measure_size(axis, candidate, size, SIZES, 1)["ops"]
        for size in sizes
      ]

    # A tangent is an op forward, its gradient and what restores its value.
    a, b, c = ops(axes.RESIDUALS, growth.SPLIT, (3, 4, 5))
    self.assertEqual(b - a, c - b)
    for axis in (axes.LAYERS, axes.OUTPUTS):
      a, b, c = ops(axis, growth.SPLIT, (3, 4, 5))
      self.assertEqual(b - a, c - b)
    a, b, c = ops(axes.SUB_MODELS, growth.SPLIT, (3, 4, 5))
    self.assertAlmostEqual(b - a, c - b, delta=2)
    split = ops(axes.BUCKETS, growth.SPLIT, (1, 3))
    joint = ops(axes.BUCKETS, growth.JOINT, (1, 3))
    self.assertLess(split[1] / split[0], 3.1)
    self.assertGreater(joint[1] / joint[0], 6)

  def test_ops_are_those_of_the_graph_that_is_built(self):
    found = growth.measure_size(axes.RESIDUALS, growth.SPLIT, 3, SIZES, 1)
    pipeline, _ = axes.make(axes.RESIDUALS, 3, SIZES)
    pipeline.minimize(tf1.train.AdamOptimizer())
    tf1.global_variables_initializer()
    self.assertEqual(found["ops"], self.count_ops())

  def test_points_are_measured_in_processes_of_their_own(self):
    report = mock.create_autospec(reports.Report, instance=True)
    found = growth.compare_sizes(
      **dict(NO_AXES, residuals=[2, 5]), **SIZES._asdict(), report=report
    )["points"]
    counts = [mock.call(k, 4) for k in (1, 2, 3, 4)]
    self.assertEqual(report.count.call_args_list, counts)
    for name in growth.NAMES:
      rows = found[axes.RESIDUALS][name]
      self.assertEqual([row["size"] for row in rows], [2, 5])
      for row in rows:
        self.assertContainsSubset(growth.FIGURES, row)
        self.assertGreater(row["above_import_bytes"], 1 << 20)

  def test_the_default_points_can_be_measured(self):
    with mock.patch.object(growth, "_measure_points", return_value={}) as run:
      growth.compare_sizes()
    points, sizes = run.call_args[0][:2]
    self.assertEqual(tuple(points), axes.NAMES)
    for axis, chosen in points.items():
      axes.check(axis, chosen, sizes)

  def test_joint_is_left_out_where_it_would_be_too_large(self):
    def pretend(function, axis, candidate, size, *_, **__):
      return {"candidate": candidate, "size": size}

    with mock.patch.object(growth.processes, "call", pretend):
      found = growth._measure_points(
        {axes.BUCKETS: [6, 8]}, axes.FixedSizes(), 1, reports.QUIET
      )[axes.BUCKETS]
    self.assertEqual([row["size"] for row in found[growth.SPLIT]], [6, 8])
    self.assertEqual([row["size"] for row in found[growth.JOINT]], [6])

  def test_the_plot_is_a_png(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "plot.png")
      growth.plot(curves(), axes.LENGTH, path)
      with open(path, "rb") as file:
        self.assertEqual(file.read(4), b"\x89PNG")

  def test_what_cannot_be_measured_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'mixed'"):
      growth.measure_size(axes.LENGTH, "mixed", 2, SIZES, 1)
    with self.assertRaisesRegex(errors.ArgumentError, "steps"):
      growth.compare_sizes(**dict(NO_AXES, length=[1]), steps=0)


if __name__ == "__main__":
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  absltest.main()
