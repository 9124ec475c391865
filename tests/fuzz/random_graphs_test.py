"""Random programs: split = joint = numeric, and no forward op runs twice.

They are checked as sub-models, and cut into the sub-models of pipelines.
Hypothesis draws them, always the same ones here; `tests.fuzz.run` draws many
more.
"""

import collections
import io

import hypothesis
from absl.testing import absltest, parameterized
from hypothesis import strategies

from tests.fuzz import drawing, ops, pipelines, run, tables


@strategies.composite
def random_programs(draw):
  """Draws a program; what shrinks is every choice towards the first."""
  return drawing.draw(lambda n: draw(strategies.integers(0, n - 1)))


class RandomGraphsTest(parameterized.TestCase):
  @hypothesis.settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.given(random_programs())
  def test_programs_that_hypothesis_draws(self, program):
    hypothesis.note(str(program))
    result, why = run.outcome(program)
    self.assertNotEqual(result, "wrong", why)

  @parameterized.parameters(*range(4))
  def test_programs_that_numpy_draws(self, part):
    out = io.StringIO()
    found = run.run(30, seed=3, first=30 * part, out=out)
    self.assertEqual(found["wrong"], 0, out.getvalue())
    # What is refused or not built shows nothing.
    self.assertGreaterEqual(found["right"], 20, found["table"])

  @parameterized.parameters(*range(2))
  def test_pipelines_that_numpy_draws(self, part):
    out = io.StringIO()
    check = pipelines.examine
    found = run.run(30, seed=3, first=30 * part, out=out, check=check)
    self.assertEqual(found["wrong"], 0, out.getvalue())
    self.assertGreaterEqual(found["right"], 20, found["table"])

  def test_the_drawn_programs_have_all_that_there_is(self):
    groups = (ops.PLAIN, ops.COMPLEX, ops.RANDOMS, ops.FLOWS, ops.STATES)
    missing = {
      op.name: op.code.split("{")[0].lstrip("(")
      for group in groups
      for op in group
    }
    drawn = []
    while missing and len(drawn) < 5000:
      drawn.append(run.draw(2, len(drawn)))
      missing = {k: v for k, v in missing.items() if v not in drawn[-1].source}
    self.assertEmpty(missing)
    for field in ("store", "residuals", "flow_v2", "moved", "fed", "traced"):
      values = {getattr(program, field) for program in drawn}
      self.assertGreater(len(values), 1, field)

  def test_forward_graphs_have_many_types_of_ops(self):
    found = run.count_types(40, seed=2)
    self.assertGreater(len(found), 170)
    # A type counts once a program, and calls of functions are none.
    self.assertLessEqual(max(found.values()), 40)
    self.assertContainsSubset({"Placeholder", "MatMul"}, found)
    self.assertEmpty([kind for kind in found if kind.startswith("function_")])

  def test_hard_programs_are_drawn_often(self):
    drawn = [run.draw(2, number) for number in range(500)]
    counts = collections.Counter(
      kind for program in drawn for kind in run.kinds_of(program)
    )
    self.assertGreater(counts[tables.ASSIGNED], 75)
    self.assertGreater(counts[run.REFERENCE], 200)
    self.assertGreater(counts["flow_v1"], 40)
    for count in (counts[tables.FLOW], counts[tables.RANDOM]):
      self.assertGreater(count, 75)


if __name__ == "__main__":
  absltest.main()
