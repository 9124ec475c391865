"""What the messages of refusals advise is followed."""

from absl.testing import absltest, parameterized

from tests.fuzz import checks, programs, remedies, run, tables

LOOP = """\
x1 = feed('float64', [3, 2], [None, 2])
v2 = pieces.map_rows(x1)
inputs = [x1]
outputs = [v2]
used = [True]
"""
DEAD = """\
x1 = feed('float64', [3, 2], [None, 2])
x2 = feed('float64', [3], [None])
x3 = feed('int32', [], [])
v4 = tf1.tanh(x1) * tf1.sin(x1)
inputs = [x2, x1, x3]
outputs = [v4]
used = [True]
"""


class FollowTest(parameterized.TestCase):
  @parameterized.parameters(
    (DEAD, {}, "input leads to no output"),
    (DEAD, {"residuals": "budget of 0.0001"}, "input leads to no output"),
    (
      DEAD.replace("x2, x1, x3", "x1"),
      {"residuals": "budget of 0.0001"},
      "budget below the least",
    ),
    (LOOP, {"flow_v2": False}, "TF1 loop"),
    (
      LOOP,
      {"flow_v2": False, "store": "auto", "residuals": "budget"},
      "TF1 loop",
    ),
    (LOOP, {"store": "host"}, "variant on the host"),
  )
  def test_a_program_is_right_once_it_is_changed(self, source, fields, reason):
    marks = (tables.FLOW,) if source is LOOP else ()
    program = programs.Program(source, marks=marks, **fields)
    self.assertEqual(checks.examine(program)[0], checks.REFUSED)
    found, why = run.outcome(program)
    self.assertEqual(found, run.ADVISED)
    self.assertEqual(run.reasons.key(why), reason)

  def test_without_advice_it_stays_refused(self):
    source = DEAD.replace("x2, x1, x3", "x2")
    self.assertEqual(run.outcome(programs.Program(source))[0], checks.REFUSED)
    self.assertIsNone(remedies.follow(programs.Program(source), "No."))


if __name__ == "__main__":
  absltest.main()
