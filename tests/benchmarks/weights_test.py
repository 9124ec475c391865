"""Tests of weights."""

from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import weights
from tests import forks

SIZES = weights.TransformerSizes(
  layers=2, units=256, heads=4, hidden=1024, steps=4
)


def copied_bytes(sizes):
  """Returns the bytes of kernels and gains, which a backward pass reads."""
  products = 4 * sizes.units**2 + 2 * sizes.units * sizes.hidden
  return 4 * sizes.layers * (products + 2 * sizes.units)


class MeasureTest(parameterized.TestCase):
  def test_an_unknown_size_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "the size must be one"):
      weights.compare_variables(size="huge")

  def test_reference_variables_are_copied_unless_promised_not_to_change(self):
    rows = {
      name: weights.measure_open_calls(name, SIZES, 2) for name in weights.NAMES
    }
    resource, reference, unchanged = rows.values()
    biases = 4 * SIZES.layers * (7 * SIZES.units + SIZES.hidden)
    copied = copied_bytes(SIZES)
    for row in rows.values():
      self.assertEqual(row["weights_bytes"], copied + biases)
      self.assertLen(row["rss_bytes"], 2)
      self.assertEqual(row["open_calls_bytes"], row["rss_bytes"][-1])
    self.assertEqual(
      reference["residual_bytes"] - resource["residual_bytes"], copied
    )
    self.assertEqual(unchanged["residual_bytes"], resource["residual_bytes"])
    # In a process of its own, which has no freed memory to take them from.
    code = (
      "from tangle.benchmarks import weights\n"
      f"row = weights.measure_open_calls('reference', weights.{SIZES!r}, 2)\n"
      "print(row['open_calls_bytes'])"
    )
    done = forks.run_code(code)
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertGreater(float(done.stdout.split()[-1]), 1.5 * copied)


class CompareTest(parameterized.TestCase):
  def test_residuals_are_told_in_units_of_those_of_resource_variables(self):
    answers = {"resource": 4, "reference": 10}
    with mock.patch.object(weights.processes, "call") as call:
      call.side_effect = lambda _, name, *rest: {
        "residual_bytes": answers[name]
      }
      rows = weights.compare_variables(list(answers))
      alone = weights.compare_variables(["reference"])
    self.assertEqual(rows["reference"]["to_resource"], 2.5)
    self.assertIsNone(alone["reference"]["to_resource"])

  @parameterized.parameters((["refs"], 4, "refs"), (["resource"], 0, "calls"))
  def test_what_cannot_be_is_refused(self, names, calls, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      weights.compare_variables(names, calls=calls)


if __name__ == "__main__":
  absltest.main()
