"""Tests of sources."""

import itertools
import json
import types

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.training import sources
from tests.training import support


class Counted:
  """Three batches an epoch, named by epoch and number."""

  def __init__(self, length=3):
    self.begun = []
    self._length = length

  def __len__(self):
    return self._length

  def epoch(self, n, start=0):
    self.begun.append((n, start))
    return iter([(n, k) for k in range(self._length)][start:])


def take(stream, count):
  return list(itertools.islice(stream, count))


def copy(position):
  """Returns a position as a checkpoint gives it back."""
  return json.loads(json.dumps(position))


class CheckTest(absltest.TestCase):
  def test_sources_pass(self):
    pairs = support.pair_batches()
    sources.check(sources.Epochs(pairs))
    sources.check(sources.Alternate({"a": sources.Epochs(pairs)}))

  def test_what_is_no_source_is_refused(self):
    wrap = "Give training.sources.Epochs(source)."
    for given, remedy in (
      ([{}, {}], "got list. Give training.sources.Epochs(batches); its batch"),
      (iter([{}]), "got list_iterator. Give training.sources.Epochs(batches)"),
      (support.pair_batches(), wrap),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        sources.check(given)
      self.assertIn("source must be a source", str(caught.exception))
      self.assertIn(remedy, str(caught.exception))


class EpochsTest(absltest.TestCase):
  def test_what_has_no_epochs_is_refused(self):
    for given in ([{}], iter([{}]), types.SimpleNamespace(epoch=iter)):
      with self.assertRaisesRegex(
        errors.ArgumentError, f"got {type(given).__name__}. Give an object"
      ):
        sources.Epochs(given)

  def test_epoch_follows_epoch(self):
    stream = sources.Epochs(Counted()).at()
    self.assertEqual(
      take(stream, 7), [(n, k) for n in range(3) for k in range(3)][:7]
    )

  def test_ends_after_the_last_epoch(self):
    stream = sources.Epochs(Counted(), epochs=2).at(None)
    self.assertEqual(take(stream, 99)[-1], (1, 2))
    self.assertEqual(take(stream, 1), [])
    stream = sources.Epochs(Counted(), epochs=2).at(copy(stream.position))
    self.assertEqual(take(stream, 1), [])

  def test_goes_on_at_any_batch_without_making_those_before(self):
    for stop in range(8):
      whole = sources.Epochs(Counted(), epochs=3).at()
      take(whole, stop)
      batches = Counted()
      other = sources.Epochs(batches, epochs=3).at(copy(whole.position))
      self.assertEqual(take(other, 10), take(whole, 10))
      if stop % 3:
        self.assertEqual(batches.begun[0], (stop // 3, stop % 3))

  def test_streams_do_not_disturb_each_other(self):
    source = sources.Epochs(Counted())
    streams = source.at(), source.at()
    self.assertEqual(
      [next(stream) for _ in range(2) for stream in streams],
      [(0, 0), (0, 0), (0, 1), (0, 1)],
    )

  def test_pair_batches_go_on(self):
    whole = sources.Epochs(support.pair_batches()).at()
    take(whole, 20)
    position = copy(whole.position)
    other = sources.Epochs(support.pair_batches()).at(position)
    for a, b in zip(take(whole, 20), take(other, 20)):
      np.testing.assert_array_equal(a.indices, b.indices)
      np.testing.assert_array_equal(a.targets, b.targets)

  def test_refuses_the_position_of_other_batches(self):
    position = sources.Epochs(Counted(3)).at().position
    with self.assertRaisesRegex(
      errors.DataError, r"other batches \(plan 3, here 4\). Give the data"
    ):
      sources.Epochs(Counted(4)).at(position)
    position = sources.Epochs(support.pair_batches(8)).at().position
    with self.assertRaisesRegex(errors.DataError, "other batches"):
      sources.Epochs(support.pair_batches(9)).at(position)

  def test_refuses_a_position_that_is_none(self):
    source = sources.Epochs(Counted(3))
    for changes in (
      {"epoch": -1},
      {"batch": 4},
      {"batch": 1.0},
      {"epoch": "x"},
    ):
      position = dict(source.at().position, **changes)
      with self.assertRaisesRegex(errors.DataError, "there is no .* The"):
        source.at(position)
    with self.assertRaises(AttributeError):  # which `parts` explains
      source.at([])

  def test_refuses_epochs_without_batches(self):
    with self.assertRaisesRegex(errors.ArgumentError, "batches is empty"):
      sources.Epochs(Counted(0))


class AlternateTest(absltest.TestCase):
  def sources(self):
    return {"a": sources.Epochs(Counted(2)), "b": sources.Epochs(Counted(3))}

  def test_sources_take_turns(self):
    stream = sources.Alternate(self.sources()).at()
    self.assertEqual(
      take(stream, 7),
      [
        ("a", (0, 0)),
        ("b", (0, 0)),
        ("a", (0, 1)),
        ("b", (0, 1)),
        ("a", (1, 0)),
        ("b", (0, 2)),
        ("a", (1, 1)),
      ],
    )

  def test_a_stream_goes_on_from_any_position(self):
    for stop in range(8):
      whole = sources.Alternate(self.sources()).at()
      take(whole, stop)
      other = sources.Alternate(self.sources()).at(copy(whole.position))
      self.assertEqual(take(whole, 9), take(other, 9))

  def test_it_ends_with_the_source_whose_turn_it_is(self):
    short = {"a": sources.Epochs(Counted(2), 1), "b": sources.Epochs(Counted())}
    self.assertLen(list(sources.Alternate(short).at()), 4)

  def test_refuses_the_position_of_other_sources(self):
    position = sources.Alternate(self.sources()).at().position
    others = sources.Alternate({"b": sources.Epochs(Counted(3))})
    with self.assertRaisesRegex(errors.DataError, r"here are \['b'\]"):
      others.at(position)

  def test_refuses_a_turn_that_is_none(self):
    source = sources.Alternate(self.sources())
    for turn in (-1, 7, 1.0, None):
      position = dict(source.at().position, turn=turn)
      with self.assertRaisesRegex(errors.DataError, "there is no turn"):
        source.at(position)

  def test_refuses_no_sources(self):
    with self.assertRaisesRegex(errors.ArgumentError, "sources is empty"):
      sources.Alternate({})


class RandomNumbersTest(absltest.TestCase):
  def test_the_same_numbers_follow(self):
    for draws in (0, 3, 700):
      numbers = sources.RandomNumbers(3)
      numbers.rng.standard_normal(draws)
      state = json.loads(json.dumps(numbers.state()))
      other = sources.RandomNumbers(4)
      other.restore(state)
      self.assertEqual(
        numbers.rng.standard_normal(9).tobytes(),
        other.rng.standard_normal(9).tobytes(),
      )
      self.assertEqual(
        numbers.rng.randint(0, 99, 700).tolist(),
        other.rng.randint(0, 99, 700).tolist(),
      )


if __name__ == "__main__":
  absltest.main()
