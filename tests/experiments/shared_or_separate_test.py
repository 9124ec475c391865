"""Tests of shared_or_separate."""

import os
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import digits, shared_or_separate


class TanglingTest(parameterized.TestCase):
  @parameterized.parameters(*shared_or_separate.TRAININGS)
  def test_all_eight_paths_are_learned(self, training):
    shown = []
    figures = shared_or_separate.train(
      training, seeds=2, progress=lambda *counts: shown.append(counts)
    )
    self.assertEqual(figures["perfect_seeds"], 2)
    self.assertEqual(
      figures["accuracy"], {str(path): 1.0 for path in digits.PATHS}
    )
    self.assertEqual(shown, [(1, 2), (2, 2)])
    self.assertLess(max(figures["steps"]), 200)

  def test_where_learns_what_route_learns(self):
    figures = shared_or_separate.train(multiplexer="where")
    self.assertEqual(figures["perfect_seeds"], 1)

  def test_a_training_that_is_too_short_says_so(self):
    figures = shared_or_separate.train("separate", max_steps=1)
    self.assertEqual(figures["perfect_seeds"], 0)
    self.assertEqual(figures["steps"], [1])
    self.assertLess(min(figures["accuracy"].values()), 1.0)

  def test_paths_are_exported(self):
    with tempfile.TemporaryDirectory() as folder:
      found = shared_or_separate.train(
        "six_graphs", max_steps=1, export_dir=os.path.join(folder, "paths")
      )["exported"]
      self.assertCountEqual(found, map(str, digits.PATHS))
      with tf1.Graph().as_default(), tf1.Session() as sess:
        tf1.saved_model.loader.load(
          sess, ["serve"], found["binary/plus1/decimal"]
        )

  @parameterized.named_parameters(
    ("training", {"training": "two_graphs"}, "two_graphs"),
    ("multiplexer", {"multiplexer": "switch"}, "'switch'"),
    ("seeds", {"seeds": 0}, "seeds"),
    ("steps", {"max_steps": 0}, "max_steps"),
    ("export", {"export_dir": "x"}, "six_graphs"),
  )
  def test_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      shared_or_separate.train(**settings)


if __name__ == "__main__":
  absltest.main()
