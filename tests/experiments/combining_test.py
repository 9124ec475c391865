"""Tests of combining trained networks."""

import contextlib
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import combined_digits, combining
from tests.experiments import combined_digits_test


@contextlib.contextmanager
def observed_calls():
  """Yields a list of (name, model, share): trainings and tests, in order.

  Each test finds another share, so that they can be told apart.
  """
  events = []
  train = combined_digits.Combination.train

  def observe_training(model, *args):
    events.append(("train", model, None))
    return train(model, *args)

  def observe_test(model, *args):
    events.append(("test", model, len(events) / 100))
    return events[-1][-1]

  with mock.patch.multiple(
    combined_digits.Combination, train=observe_training, test=observe_test
  ):
    yield events


class CombiningTest(parameterized.TestCase):
  def test_measures_all_and_draws_it(self):
    records, done = [], []
    data = tuple(combined_digits_test.draw_images(n, n) for n in (80, 30))
    with observed_calls() as events:
      found = combining.measure(
        per_class=["1", "2"],
        seeds=1,
        hidden=6,
        units=4,
        pretrain_steps=2,
        steps=4,
        data=data,
        progress=lambda *counts: done.append(counts),
        write_metrics=lambda **record: records.append(record),
      )
    self.assertLen(records, 18)
    trained, untuned, tuned = set(), [], []
    for name, model, share in events:
      if name == "train":
        trained.add(model)
      else:
        (tuned if model in trained else untuned).append(share)
    self.assertEqual(untuned, [found["untuned"]])
    self.assertEqual(tuned, [record["accuracy"] for record in records])
    self.assertEqual(done[-1], (18, 18))
    for record in records:
      points = found[record["pattern"]][record["mode"]]
      self.assertEqual(points[record["images"]], [record["accuracy"]])
      means = found["means"][record["pattern"]][record["mode"]]
      self.assertEqual(means[record["images"]], record["accuracy"])
    self.assertEqual((found["loaded_changed"], found["frozen_changed"]), (0, 0))
    self.assertEqual(set(found["alone"]), {"left", "right", "whole"})
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "combine.png")
      combining.plot(found, path)
      self.assertGreater(os.path.getsize(path), 10000)

  def test_nothing_begins_from_what_was_trained(self):
    class Model:
      weights = type(
        "Weights", (), {"draw": staticmethod(lambda rng: {"w": rng.rand()})}
      )

      def load(self, sess, pieces, drawn):
        return dict(drawn, w="trained")

    starts = combining.make_starts(Model(), None, None, 3)
    self.assertEqual(set(starts), set(combined_digits.MODES))
    self.assertEqual(starts["frozen"], starts["fine_tuned"])
    self.assertEqual(starts["frozen"]["w"], "trained")
    self.assertIsInstance(starts["from_scratch"]["w"], float)

  @parameterized.named_parameters(
    ("seeds", {"seeds": 0}),
    ("steps", {"steps": 0}),
    ("pretrain_steps", {"pretrain_steps": 0}),
    ("none", {"per_class": []}),
    ("zero", {"per_class": [0]}),
    ("word", {"per_class": ["many"]}),
  )
  def test_wrong_numbers(self, settings):
    with self.assertRaisesRegex(errors.ArgumentError, "combining.measure"):
      combining.measure(data=(), **settings)


if __name__ == "__main__":
  absltest.main()
