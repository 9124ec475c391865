"""Tests of the check of names."""

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import names


class NamesTest(absltest.TestCase):
  def test_an_unknown_name_is_refused_with_those_there_are(self):
    names.check("kind", "left", ("left", "right"))
    for name, remedy in (("rihgt", "right"), ("up", "Correct its name")):
      with self.assertRaisesRegex(
        errors.ArgumentError,
        f"^kind must be one of left, right, got '{name}'.*{remedy}",
      ):
        names.check("kind", name, {"left": 1, "right": 2})


if __name__ == "__main__":
  absltest.main()
