"""Tests of parts."""

import types

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.training import checkpoints, meters, parts, stopping

PATIENCE = {"best": 1.0, "best_step": 3, "waited": 0}


def restored(state):
  return checkpoints.Restored(7, None, state, "run/step-7/model")


class PartsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.parts = {"meter": meters.Meter(), "patience": stopping.Patience(3)}

  def test_each_part_gets_its_own_state(self):
    self.parts["meter"].add(types.SimpleNamespace(loss=2.0, buckets={}))
    self.parts["patience"].add(5, 1.5)
    state = parts.state(self.parts, 0.5, {"epoch": 3})
    others = {"meter": meters.Meter(), "patience": stopping.Patience(3)}
    found = parts.restore(restored(state), others)
    self.assertEqual(found, (0.5, {"epoch": 3}))
    self.assertEqual(others["meter"].mean, 2.0)
    self.assertEqual(others["patience"].best_step, 5)

  @parameterized.parameters(
    (None,), (3,), ([],), ({},), ({"parts": []},), ({"parts": {}},)
  )
  def test_the_state_of_something_else_is_refused(self, state):
    with self.assertRaisesRegex(
      errors.TrainingError, "step-7.* has the state of .* this run has"
    ):
      parts.restore(restored(state), self.parts)

  @parameterized.named_parameters(
    ("missing", {"patience": {}}, "KeyError"),
    ("list", {"patience": []}, "TypeError"),
    ("text", {"meter": "abc"}, "AttributeError"),
    ("none", {"meter": None}, "AttributeError"),
    ("number", {"meter": {"all": 3.0}}, "TypeError"),
    ("words", {"meter": {"all": ["x", 1]}}, "ValueError"),
    ("negative", {"meter": {"all": [1.0, -2]}}, "ValueError"),
    ("count", {"patience": dict(PATIENCE, waited=[])}, "TypeError"),
    ("best", {"patience": dict(PATIENCE, best="x")}, "ValueError"),
  )
  def test_a_state_that_does_not_fit_is_refused(self, changes, name):
    state = parts.state(self.parts, None, None)
    state["parts"].update(changes)
    with self.assertRaisesRegex(
      errors.TrainingError, f"step-7.*{name}.*remove the folder of this check"
    ):
      parts.restore(restored(state), self.parts)

  @parameterized.parameters("loss", "position")
  def test_what_is_missing_is_named(self, name):
    state = parts.state(self.parts, None, None)
    del state[name]
    with self.assertRaisesRegex(errors.TrainingError, f"KeyError: {name!r}"):
      parts.restore(restored(state), self.parts)

  def test_errors_of_tangle_and_of_a_new_run_stay_as_they_are(self):
    with self.assertRaises(errors.DataError):
      with parts.explained(restored({})):
        raise errors.DataError("other batches")
    with self.assertRaises(KeyError):
      with parts.explained(None):
        raise KeyError("a bug")


if __name__ == "__main__":
  absltest.main()
