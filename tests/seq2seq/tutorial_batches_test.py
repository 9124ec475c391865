"""Tests for `tangle.seq2seq.tutorial_batches`.

What the tutorial makes of an example is written down a second time here, in
lists and one symbol at a time.
"""

import collections
import itertools
import json
import zlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import bucketing, rows, tutorial_batches
from tests.seq2seq import comparing

PAD, GO, EOS, UNK = range(4)

CELLS = [(5, 10), (10, 15), (20, 25), (40, 50)]


def random_examples(rng, count=300):
  """Returns examples of any length that the tutorial's buckets hold."""
  return [
    (
      rng.randint(4, 90, rng.randint(1, 40)).tolist(),
      rng.randint(4, 90, rng.randint(0, 49)).tolist(),
    )
    for _ in range(count)
  ]


def bucket_of(source, target):
  """Returns the tutorial's bucket of an example, or None."""
  for cell in CELLS:
    if len(source) < cell[0] and len(target + [EOS]) < cell[1]:
      return cell
  return None


def lay_out(source, target, cell):
  """Returns what the tutorial feeds for one example: three lists."""
  turned = list(reversed(source + [PAD] * (cell[0] - len(source))))
  inputs = [GO] + target + [EOS]
  while len(inputs) < cell[1]:
    inputs.append(PAD)
  weights = []
  for position in range(cell[1]):
    is_last = position == cell[1] - 1
    weights.append(0.0 if is_last or inputs[position + 1] == PAD else 1.0)
  return turned, inputs, weights


class TutorialBatchesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.examples = random_examples(np.random.RandomState(20151109))
    self.drawn = tutorial_batches.TutorialBatches(self.examples, 16)

  def assert_same(self, one, other):
    """Fails unless both are the same batches, in every array."""
    for left, right in zip(one, other):
      comparing.assert_same(left, right)
    self.assertEqual(len(one), len(other))

  def check(self, batch):
    """Fails unless `batch` is what the tutorial feeds."""
    cell = batch.source_bucket, batch.target_bucket
    for row, index in enumerate(batch.indices):
      source, target = self.examples[index]
      self.assertEqual(cell, bucket_of(source, target))
      wanted = lay_out(source, target, cell)
      got = batch.source[row], batch.decoder_inputs[row], batch.weights[row]
      self.assertEqual(tuple(array.tolist() for array in got), wanted)
      # The tutorial's targets are the inputs one further on, then a 0.
      targets = batch.targets[row].tolist()
      self.assertEqual(targets, wanted[1][1:] + [PAD])

  def test_the_buckets_are_the_tutorials(self):
    self.assertEqual(
      tutorial_batches.BUCKETS, bucketing.JointBuckets(CELLS, strict=True)
    )
    counts = collections.Counter(bucket_of(*pair) for pair in self.examples)
    self.assertEqual(self.drawn.cell_counts, dict(sorted(counts.items())))

  def test_batches_lie_as_the_tutorials(self):
    for _ in range(40):
      batch = self.drawn.draw()
      self.assertEqual(batch.examples, 16)
      self.assertEqual(batch.weights[:, -1].tolist(), [0.0] * 16)
      self.check(batch)

  def test_buckets_are_drawn_by_their_share_of_the_examples(self):
    examples = [([5] * s, [6]) for s in [1] * 10 + [9] * 60 + [30] * 30]
    drawn = tutorial_batches.TutorialBatches(examples, 1)
    counts = collections.Counter(
      drawn.draw().source_bucket for _ in range(2000)
    )
    self.assertEqual(set(counts), {5, 10, 40})
    # Five standard deviations: sqrt(2000 * 0.6 * 0.4) = 22.
    for bucket, wanted in ((5, 200), (10, 1200), (40, 600)):
      self.assertBetween(counts[bucket], wanted - 110, wanted + 110)

  def test_examples_are_drawn_with_replacement_all_of_them_alike(self):
    examples = [([5], [6])] * 8
    drawn = tutorial_batches.TutorialBatches(examples, 16)
    counts = collections.Counter()
    for _ in range(250):
      counts.update(drawn.draw().indices.tolist())
    self.assertEqual(sorted(counts), list(range(8)))
    # Five standard deviations: sqrt(4000 / 8 * 7 / 8) = 21.
    self.assertBetween(min(counts.values()), 395, 605)
    self.assertBetween(max(counts.values()), 395, 605)

  def test_a_step_draws_a_bucket_and_then_examples_from_one_state(self):
    rng = np.random.RandomState(7)
    drawn = tutorial_batches.TutorialBatches(self.examples, 16, seed=7)
    members = collections.defaultdict(list)
    for index, pair in enumerate(self.examples):
      members[bucket_of(*pair)].append(index)
    for _ in range(20):
      number, share = rng.random_sample(), 0.0
      for cell in CELLS:
        share += len(members[cell]) / len(self.examples)
        if share > number:
          break
      places = rng.randint(0, len(members[cell]), 16)
      self.assertEqual(
        drawn.draw().indices.tolist(), [members[cell][n] for n in places]
      )

  @parameterized.parameters(
    ([1, 9], 0.0, 5), ([1, 9], 0.5, 10), ([9], 0.0, 10), ([1, 30], 0.5, 40)
  )
  def test_a_bucket_needs_a_summed_share_above_the_number(
    self, lengths, number, bucket
  ):
    drawn = tutorial_batches.TutorialBatches(
      [([5] * length, [6]) for length in lengths], 4
    )
    drawn._rng = mock.Mock()
    drawn._rng.random_sample.return_value = number
    drawn._rng.randint.return_value = np.zeros(4, np.int64)
    self.assertEqual(drawn.draw().source_bucket, bucket)

  def test_each_version_of_numpy_draws_the_same(self):
    examples = [([5] * (1 + n % 39), [6] * (n % 49)) for n in range(500)]
    drawn = tutorial_batches.TutorialBatches(examples, 16, seed=3)
    order = np.concatenate([drawn.draw().indices for _ in range(10)])
    # Not of a TensorFlow seed: numpy froze RandomState for good in 1.17.
    self.assertEqual(zlib.crc32(order.astype("<i8").tobytes()), 2662387984)

  def test_numpys_own_generator_has_no_say(self):
    other = tutorial_batches.TutorialBatches(self.examples, 16)
    np.random.seed(1)
    self.assert_same([self.drawn.draw()], [other.draw()])

  def test_seeds_differ(self):
    orders = {
      str(tutorial_batches.TutorialBatches(self.examples, 16, seed=seed).draw())
      for seed in range(4)
    }
    self.assertLen(orders, 4)

  def test_a_bucket_can_be_asked_for(self):
    for cell in CELLS:
      batch = self.drawn.draw(cell)
      self.assertEqual((batch.source_bucket, batch.target_bucket), cell)
      self.check(batch)

  def test_the_sizes_of_buckets_may_differ(self):
    sizes = {(5, 10): 9, (10, 15): 7, (20, 25): 5, (40, 50): 3}
    drawn = tutorial_batches.TutorialBatches(self.examples, sizes)
    for _ in range(20):
      batch = drawn.draw()
      cell = batch.source_bucket, batch.target_bucket
      self.assertEqual(batch.examples, sizes[cell])

  def test_in_order_sees_every_example_once_bucket_by_bucket(self):
    state = self.drawn.state()
    seen, cells = [], []
    for batch in self.drawn.in_order():
      self.check(batch)
      seen += batch.indices.tolist()
      cells.append((batch.source_bucket, batch.target_bucket))
    self.assertEqual(sorted(seen), list(range(300)))
    self.assertEqual(cells, sorted(cells))
    self.assertEqual(self.drawn.state(), state)

  @parameterized.parameters(0, 1, 17)
  def test_a_restored_state_draws_what_would_have_been_drawn(self, steps):
    for _ in range(steps):
      self.drawn.draw()
    state = json.loads(json.dumps(self.drawn.state()))
    wanted = [self.drawn.draw() for _ in range(50)]
    other = tutorial_batches.TutorialBatches(self.examples, 16, seed=5)
    other.draw()
    other.restore(state)
    self.assertEqual(other.state(), state)
    self.assert_same([other.draw() for _ in range(50)], wanted)

  def test_a_stream_from_a_position_on_draws_on_its_own(self):
    start = self.drawn.at()
    wanted = [next(start) for _ in range(30)]
    again = self.drawn.at()
    for _ in range(10):
      next(again)
    position = json.loads(json.dumps(again.position))
    self.drawn.draw()
    rest = itertools.islice(self.drawn.at(position), 20)
    self.assert_same(list(rest), wanted[10:])
    self.assertEqual(again.position, position)
    self.assert_same([self.drawn.at().draw()], wanted[:1])

  def test_a_state_of_other_batches_is_refused(self):
    strict = bucketing.JointBuckets([(40, 50)], strict=True)
    make = tutorial_batches.TutorialBatches
    others = {
      "examples": make(self.examples[:-1] + [([5], [])], 16),
      "size": make(self.examples, 15),
      "buckets": make(self.examples, 16, strict),
    }
    for name, other in others.items():
      with self.subTest(name):
        with self.assertRaisesRegex(errors.DataError, "of other batches"):
          self.drawn.restore(other.state())

  @parameterized.named_parameters(
    ("keys", "keys", [1, 2]),
    ("no_keys", "keys", None),
    ("position", "position", 625),
    ("text", "position", "3"),
    ("generator", "generator", "PCG64"),
    ("gauss", "cached_gaussian", "x"),
  )
  def test_a_damaged_state_is_refused_and_changes_nothing(self, key, value):
    before = self.drawn.state()
    with self.assertRaisesRegex(errors.DataError, "cannot be used"):
      self.drawn.restore(dict(before, **{key: value}))
    missing = {name: before[name] for name in before if name != key}
    with self.assertRaisesRegex(errors.DataError, "cannot be used"):
      self.drawn.restore(missing)
    self.assertEqual(self.drawn.state(), before)

  def test_targets_without_eos_can_be_drawn_as_the_self_test_does(self):
    examples = [([4, 4], [1, 2]), ([5, 2], [7]), ([8, 8, 8], [5, 6])]
    drawn = tutorial_batches.TutorialBatches(
      examples,
      4,
      bucketing.JointBuckets([(3, 3), (6, 6)], strict=True),
      layout=rows.TUTORIAL._replace(add_eos=False),
    )
    self.assertEqual(drawn.cell_counts, {(3, 3): 2, (6, 6): 1})
    batch = drawn.draw((6, 6))
    self.assertEqual(batch.source[0].tolist(), [0, 0, 0, 8, 8, 8])
    self.assertEqual(batch.decoder_inputs[0].tolist(), [1, 5, 6, 0, 0, 0])
    self.assertEqual(batch.weights[0].tolist(), [1, 1, 0, 0, 0, 0])

  @parameterized.named_parameters(
    ("pairs", CELLS, "must be JointBuckets with strict=True, got"),
    ("not_strict", bucketing.JointBuckets(CELLS), "strict=True, got Joint"),
    ("grid", bucketing.IndependentBuckets([50], [50], strict=True), "PairBat"),
  )
  def test_refuses_other_buckets(self, buckets, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, "TutorialBatches: .*" + message
    ):
      tutorial_batches.TutorialBatches(self.examples, 16, buckets)

  @parameterized.named_parameters(
    ("none", [], errors.ArgumentError, "examples is empty"),
    ("source", [([5] * 40, [6])], errors.BucketError, "length 40, not less"),
    ("target", [([5], [6] * 49)], errors.BucketError, "length 50, not less"),
    ("empty", [([], [6])], errors.DataError, r"examples\[0\] is empty"),
  )
  def test_refuses_examples(self, examples, error, message):
    with self.assertRaisesRegex(error, "TutorialBatches: .*" + message):
      tutorial_batches.TutorialBatches(examples, 16)

  @parameterized.parameters((0, 0, "batch_size"), (16, -1, "seed"))
  def test_refuses_settings(self, batch_size, seed, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"TutorialBatches: {message}"
    ):
      tutorial_batches.TutorialBatches(self.examples, batch_size, seed=seed)

  @parameterized.parameters(((5, 9),), ((10, 15),), (0,))
  def test_refuses_to_draw_from_a_bucket_without_examples(self, cell):
    drawn = tutorial_batches.TutorialBatches([([5], [6])], 16)
    with self.assertRaisesRegex(
      errors.ArgumentError, r"cell must be .*\[\(5, 10\)\], got"
    ):
      drawn.draw(cell)


if __name__ == "__main__":
  absltest.main()
