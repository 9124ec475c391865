"""Programs as people publish them, cut in sub-models with `store="auto"`."""

import functools

from absl.testing import absltest, parameterized

from tangle import compat
from tests import case
from tests.programs import checks, listing

# An op of such a conditional, or loop, takes no reference variable.
UNBUILT = {
  ("flow", "reference", "v2"),
  ("factorization_machine", "reference", "v2"),
}
if not compat.IS_TF1:
  UNBUILT.add(("policy_gradient", "reference", "v2"))

CASES = [
  (f"{name}_{kind}_{style}", name, kind, style)
  for name in listing.ALL
  for kind in ("resource", "reference")
  for style in ("v1", "v2")
]


@functools.lru_cache(maxsize=None)
def truth(name):
  """Returns the result of the joint graph, with resource variables."""
  with compat.control_flow(True):
    return checks.run_joint(listing.ALL[name], use_resource=True)


class ProgramsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    plain = case.plain_sessions()
    plain.__enter__()
    self.addCleanup(plain.__exit__, None, None, None)

  @parameterized.named_parameters(
    case for case in CASES if case[1:] not in UNBUILT
  )
  def test_split_is_joint(self, name, kind, style):
    make = listing.ALL[name]
    with compat.control_flow(style == "v2"):
      outcome, text = checks.outcome(
        make, None, kind == "resource", "auto", truth(name)
      )
    self.assertEqual(outcome, checks.RIGHT, text)

  @parameterized.named_parameters(case for case in CASES if case[1:] in UNBUILT)
  def test_tensorflow_does_not_build_it(self, name, kind, style):
    with compat.control_flow(style == "v2"):
      with self.assertRaisesRegex(checks.Unbuilt, "ref"):
        checks.run_joint(listing.ALL[name], kind == "resource")

  @parameterized.parameters(*listing.ALL)
  def test_joint_is_what_differences_give(self, name):
    with compat.control_flow(False):
      checks.check_slopes(listing.ALL[name])


if __name__ == "__main__":
  absltest.main()
