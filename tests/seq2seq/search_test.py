"""Tests of search."""

import collections
import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq import search
from tests import case

GO, EOS = 1, 2

FLOWS = [("v1_control_flow", False), ("v2_control_flow", True)]

Pair = collections.namedtuple("Pair", ["code", "begun"])


def log_softmax(logits):
  shifted = logits - np.max(logits, -1, keepdims=True)
  return shifted - np.log(np.sum(np.exp(shifted), -1, keepdims=True))


class Oracle:
  """A model that knows every history: logits from a table, at random.

  Histories are numbered as in a heap: that of no symbols is 0, and symbol s
  leads from n to n V + s + 1.
  """

  def __init__(self, rng, batch, size, steps, scale=2.0):
    self.size = size
    self.steps = steps
    self.batch = batch
    histories = sum(size**length for length in range(steps))
    self.logits = scale * rng.standard_normal((batch, histories, size))

  def log_probs(self, example, history):
    """Returns `[V]` for a tuple of symbols."""
    code = 0
    for symbol in history:
      code = code * self.size + symbol + 1
    return log_softmax(self.logits[example, code])

  def log_prob(self, example, sequence):
    """Returns the log probability of a sequence, in the order of its steps."""
    total = 0.0
    for time, symbol in enumerate(sequence):
      total += self.log_probs(example, sequence[:time])[symbol]
    return total

  def sequences(self):
    """Returns all sequences that end with EOS, or have S symbols."""
    others = [symbol for symbol in range(self.size) if symbol != EOS]
    found = list(itertools.product(others, repeat=self.steps))
    for length in range(self.steps):
      for start in itertools.product(others, repeat=length):
        found.append(start + (EOS,))
    return found

  def start(self, examples=None, layout="flat"):
    """Returns (step, state, batch_size) for some of the examples."""
    table = tf1.constant(self.logits)
    if examples is None:
      examples = tf1.range(self.batch)
    zeros = tf1.zeros_like(examples)

    def next_code(code, begun, symbols):
      return tf1.where_v2(begun > 0, code * self.size + symbols + 1, code)

    def look_up(example, code):
      return tf1.gather_nd(table, tf1.stack([example, code], 1))

    def flat(symbols, state):
      example, code, begun = state
      code = next_code(code, begun, symbols)
      return look_up(example, code), (example, code, begun + 1)

    def nested(symbols, state):
      pair = state["pairs"][0]
      code = next_code(pair.code, pair.begun, symbols)
      example = tf1.identity(state["more"][0])  # touched, so moved
      state = {"pairs": [Pair(code, pair.begun + 1)], "more": (example, ())}
      return look_up(example, code), state

    def growing(symbols, state):
      example, history = state
      history = tf1.concat([history, symbols[:, None]], 1)
      start = tf1.zeros_like(symbols)
      code = tf1.foldl(
        lambda code, symbol: code * self.size + symbol + 1,
        tf1.transpose(history[:, 1:]),  # without GO
        start,
      )
      return look_up(example, code), [example, history]

    if layout == "flat":
      return flat, (examples, zeros, zeros), tf1.shape(examples)[0]
    if layout == "nested":
      state = {"pairs": [Pair(zeros, zeros)], "more": (examples, ())}
      return nested, state, tf1.shape(examples)[0]
    history = tf1.placeholder_with_default(
      tf1.zeros([tf1.shape(examples)[0], 0], tf1.int32), [None, None]
    )
    return growing, [examples, history], tf1.shape(examples)[0]


def normalized(log_prob, length, alpha):
  return log_prob / ((5.0 + length) / 6.0) ** alpha


def all_ranked(oracle, example, alpha):
  """Returns (score, sequence) of every sequence, the best first."""
  scored = [
    (normalized(oracle.log_prob(example, y), len(y), alpha), y)
    for y in oracle.sequences()
  ]
  return sorted(scored, key=lambda pair: -pair[0])


def plain_beam(oracle, example, beam_size, alpha):
  """Returns (score, sequence), the best first, by lists and sorting.

  Unlike the graph it makes all steps.
  """
  opened, ended = [(0.0, ())], []
  for _ in range(oracle.steps):
    longer = []
    for total, y in opened:
      log_probs = oracle.log_probs(example, y)
      log_probs = np.where(np.isnan(log_probs), -np.inf, log_probs)
      longer.extend(
        (total + log_probs[symbol], y + (symbol,))
        for symbol in range(oracle.size)
      )
    longer.sort(key=lambda pair: -pair[0])  # equals keep their order
    longer = longer[: 2 * beam_size]
    ended.extend(pair for pair in longer[:beam_size] if pair[1][-1] == EOS)
    opened = [pair for pair in longer if pair[1][-1] != EOS][:beam_size]
  scored = [(normalized(p, len(y), alpha), y) for p, y in ended + opened]
  return sorted(scored, key=lambda pair: -pair[0])


class SearchTest(case.GraphTestCase):
  def beam(self, oracle, beam_size, n_best=1, alpha=0.0, **start):
    step, state, batch_size = oracle.start(**start)
    return search.beam(
      step,
      state,
      batch_size,
      beam_size,
      oracle.steps,
      alpha,
      n_best,
      dtype=tf1.float64,
    )

  def greedy(self, oracle, **start):
    step, state, batch_size = oracle.start(**start)
    return search.greedy(
      step, state, batch_size, oracle.steps, dtype=tf1.float64
    )

  def run_all(self, *tensors):
    return self.session(initialize=False).run(list(tensors))

  def assert_found(self, found, example, expected):
    """Compares one example of `Hypotheses` with (score, sequence) pairs."""
    steps = found.symbols.shape[-1]
    self.assertLen(expected, found.scores.shape[1])
    for rank, (score, sequence) in enumerate(expected):
      padded = sequence + (EOS,) * (steps - len(sequence))
      self.assertEqual(tuple(found.symbols[example, rank]), padded)
      self.assertEqual(found.lengths[example, rank], len(sequence))
      np.testing.assert_allclose(found.scores[example, rank], score, rtol=1e-12)

  @parameterized.parameters(
    (4, 0.0, False), (4, 2.0, True), (5, 0.0, True), (5, 0.6, False)
  )
  def test_a_wide_beam_finds_the_best_of_all_sequences(self, size, alpha, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 2, size, 4)
    width = len(oracle.sequences())
    (found,) = self.run_all(self.beam(oracle, width, 30, alpha))
    for example in range(2):
      ranked = all_ranked(oracle, example, alpha)
      self.assert_found(found, example, ranked[:30])

  @parameterized.parameters(
    (1, 0.0, True),
    (2, 1.0, False),
    (3, 0.0, False),
    (3, 1.0, True),
    (7, 0.0, True),
    (7, 1.0, False),
  )
  def test_a_narrow_beam_is_that_of_plain_lists(self, beam_size, alpha, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 12, 5, 5)
    finds = [
      self.beam(oracle, beam_size, n_best, alpha)
      for n_best in sorted({1, beam_size})
    ]
    for found in self.run_all(*finds):
      for example in range(oracle.batch):
        expected = plain_beam(oracle, example, beam_size, alpha)
        expected = expected[: found.scores.shape[1]]
        self.assert_found(found, example, expected)

  def test_a_narrow_beam_misses_what_a_wide_one_finds(self):
    oracle = Oracle(self.rng, 12, 5, 5)
    narrow, wide = self.run_all(
      self.beam(oracle, 1).scores, self.beam(oracle, 20).scores
    )
    self.assertGreater(np.mean(wide > narrow), 0.2)

  @parameterized.named_parameters(FLOWS)
  def test_a_beam_of_one_is_greedy(self, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 20, 4, 5)
    greedy, one, penalized = self.run_all(
      self.greedy(oracle),
      self.beam(oracle, 1),
      self.beam(oracle, 1, alpha=1.0),
    )
    np.testing.assert_array_equal(one.symbols[:, 0], greedy.symbols)
    np.testing.assert_array_equal(one.lengths[:, 0], greedy.lengths)
    # With a length penalty it goes on where a longer one may be better.
    score = normalized(greedy.scores, greedy.lengths, 1.0)
    self.assertTrue(np.all(penalized.scores[:, 0] >= score - 1e-12))
    self.assert_close(one.scores[:, 0], greedy.scores)
    self.assertGreater(len(np.unique(greedy.lengths)), 2)

  @parameterized.named_parameters(FLOWS)
  def test_greedy_takes_the_best_symbol_until_eos(self, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 20, 4, 5)
    (found,) = self.run_all(self.greedy(oracle))
    for example in range(oracle.batch):
      sequence = ()
      while len(sequence) < 5 and EOS not in sequence:
        best = np.argmax(oracle.log_probs(example, sequence))
        sequence += (int(best),)
      padded = sequence + (EOS,) * (5 - len(sequence))
      self.assertEqual(tuple(found.symbols[example]), padded)
      self.assertEqual(found.lengths[example], len(sequence))
      score = oracle.log_prob(example, sequence)
      self.assertAlmostEqual(found.scores[example], score, places=12)

  @parameterized.product(
    ({"layout": "nested"}, {"layout": "growing"}),
    ({"v2": False}, {"v2": True}),
  )
  def test_states_of_any_structure_follow_their_sequences(self, layout, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 6, 4, 4)
    found, expected, greedy, expected_greedy = self.run_all(
      self.beam(oracle, 4, 4, 0.5, layout=layout),
      self.beam(oracle, 4, 4, 0.5),
      self.greedy(oracle, layout=layout),
      self.greedy(oracle),
    )
    np.testing.assert_array_equal(found.symbols, expected.symbols)
    np.testing.assert_array_equal(greedy.symbols, expected_greedy.symbols)
    self.assert_close(found.scores, expected.scores)

  def test_only_what_the_step_has_touched_is_moved(self):
    self.use_control_flow(False)  # so that the loop's ops are in the graph

    def gathers(touch):
      before = len(self.of_type("GatherV2"))

      def step(symbols, state):
        rows = tf1.shape(symbols)[0]
        return tf1.zeros([rows, 4]), touch(state)

      search.beam(step, tf1.zeros([2, 3]), 2, 3, 4)
      return len(self.of_type("GatherV2")) - before

    self.assertEqual(gathers(tf1.identity), gathers(lambda state: state) + 1)

  def of_type(self, kind):
    return [op for op in self.graph.get_operations() if op.type == kind]

  def test_examples_do_not_influence_one_another(self):
    oracle = Oracle(self.rng, 6, 5, 5)
    examples_ph = tf1.placeholder(tf1.int32, [None])
    found = self.beam(oracle, 3, 3, 1.0, examples=examples_ph)
    sess = self.session()
    together = sess.run(found, {examples_ph: np.arange(6)})
    for example in range(6):
      alone = sess.run(found, {examples_ph: [example]})
      for field in ("symbols", "lengths"):
        np.testing.assert_array_equal(
          getattr(together, field)[example], getattr(alone, field)[0]
        )
      self.assert_close(together.scores[example], alone.scores[0])

  def test_sequences_are_sorted_and_distinct(self):
    oracle = Oracle(self.rng, 10, 4, 6)
    (found,) = self.run_all(self.beam(oracle, 8, 8, 0.7))
    self.assertTrue(np.all(np.diff(found.scores, axis=1) <= 0))
    for symbols in found.symbols:
      self.assertLen({tuple(row) for row in symbols}, 8)

  def test_symbols_after_the_end_are_eos_and_the_length_counts_it(self):
    oracle = Oracle(self.rng, 10, 4, 6)
    (found,) = self.run_all(self.beam(oracle, 8, 8, 0.7))
    places = np.arange(6)
    ends = np.where(found.symbols == EOS, places, 6).min(-1)
    np.testing.assert_array_equal(found.lengths, np.minimum(ends + 1, 6))
    after = places > ends[..., np.newaxis]
    self.assertTrue(np.all(found.symbols[after] == EOS))
    self.assertContainsSubset({1, 6}, set(found.lengths.ravel()))


class LimitsTest(case.GraphTestCase):
  """Small vocabularies, batches and steps; equals; what never ends."""

  def constant_step(self, logits):
    """Returns a step whose logits are always `logits` [V]."""
    logits = tf1.constant(logits)

    def step(symbols, state):
      rows = tf1.shape(symbols)[0]
      return tf1.tile(logits[None], [rows, 1]), state

    return step

  def run_all(self, *tensors):
    return self.session(initialize=False).run(list(tensors))

  def test_more_beams_than_symbols(self):
    oracle = Oracle(self.rng, 3, 3, 3)
    step, state, _ = oracle.start()
    (found,) = self.run_all(
      search.beam(step, state, 3, 50, 3, 0.5, 15, dtype=tf1.float64)
    )
    self.assertTrue(np.all(np.isfinite(found.scores)))
    for example in range(3):
      ranked = all_ranked(oracle, example, 0.5)
      self.assertLen(ranked, 15)
      for rank, (score, sequence) in enumerate(ranked):
        length = found.lengths[example, rank]
        self.assertEqual(tuple(found.symbols[example, rank, :length]), sequence)
        self.assertAlmostEqual(found.scores[example, rank], score, places=12)

  def test_more_results_than_there_are_sequences_are_refused(self):
    oracle = Oracle(self.rng, 3, 3, 3)
    step, state, _ = oracle.start()
    with self.assertRaises(errors.ArgumentError) as caught:
      search.beam(step, state, 3, 50, 3, n_best=16, dtype=tf1.float64)
    self.assert_message(caught.exception, "n_best", "15", "16")

  def test_one_symbol_that_is_eos(self):
    step = self.constant_step([0.5])
    (found,) = self.run_all(search.beam(step, (), 2, 3, 4, eos_id=0))
    np.testing.assert_array_equal(found.symbols, np.zeros([2, 1, 4]))
    np.testing.assert_array_equal(found.scores, [[0.0], [0.0]])
    np.testing.assert_array_equal(found.lengths, [[1], [1]])

  @parameterized.product(
    ({"batch": 0}, {"batch": 1}), ({"v2": False}, {"v2": True})
  )
  def test_batches_of_no_and_of_one_example(self, batch, v2):
    self.use_control_flow(v2)
    oracle = Oracle(self.rng, 2, 4, 3)
    examples_ph = tf1.placeholder(tf1.int32, [None])
    step, state, batch_size = oracle.start(examples_ph)
    found = search.beam(step, state, batch_size, 3, 3, 0.5, 2, dtype="float64")
    greedy = search.greedy(step, state, batch_size, 3, dtype="float64")
    self.assertEqual(found.symbols.shape.as_list(), [None, 2, 3])
    self.assertEqual(greedy.symbols.shape.as_list(), [None, 3])
    examples = np.arange(batch)
    found, greedy = self.session().run([found, greedy], {examples_ph: examples})
    self.assertEqual(found.symbols.shape, (batch, 2, 3))
    self.assertEqual(found.scores.shape, (batch, 2))
    self.assertEqual(found.lengths.shape, (batch, 2))
    self.assertEqual([x.shape[0] for x in greedy], [batch] * 3)

  def test_equals_are_ordered_by_beam_then_symbol(self):
    oracle = Oracle(self.rng, 1, 4, 3, scale=0.0)
    step, state, _ = oracle.start()
    found, greedy = self.run_all(
      search.beam(step, state, 1, 6, 3, 0.0, 6, dtype=tf1.float64),
      search.greedy(step, state, 1, 3, dtype=tf1.float64),
    )
    expected = plain_beam(oracle, 0, 6, 0.0)[:6]
    self.assertEqual(expected[0][1], (EOS,))
    for rank, (_, sequence) in enumerate(expected):
      length = found.lengths[0, rank]
      self.assertEqual(tuple(found.symbols[0, rank, :length]), sequence)
    np.testing.assert_array_equal(greedy.symbols, [[0, 0, 0]])

  def test_what_never_ends_has_all_steps_for_its_length(self):
    step = self.constant_step([3.0, 2.0, -1e9, 1.0])
    found, greedy = self.run_all(
      search.beam(step, (), 2, 3, 5, 1.0, 3), search.greedy(step, (), 2, 5)
    )
    np.testing.assert_array_equal(greedy.symbols, np.zeros([2, 5]))
    np.testing.assert_array_equal(greedy.lengths, [5, 5])
    np.testing.assert_array_equal(found.lengths, np.full([2, 3], 5))
    self.assertFalse(np.any(found.symbols == EOS))
    log_prob = 5 * log_softmax(np.array([3.0, 2.0, -1e9, 1.0]))[0]
    np.testing.assert_allclose(greedy.scores, log_prob, rtol=1e-6)
    np.testing.assert_allclose(
      found.scores[:, 0], log_prob / (10 / 6), rtol=1e-6
    )

  def test_an_end_and_no_end_compete_by_score(self):
    # Of 3 steps: EOS at once has 0.4, never ending 0.6 ^ 3 = 0.216.
    step = self.constant_step(np.log([0.6, 1e-30, 0.4]))
    (found,) = self.run_all(
      search.beam(step, (), 1, 2, 3, 0.0, 2, dtype=tf1.float64)
    )
    np.testing.assert_allclose(np.exp(found.scores), [[0.4, 0.24]])
    np.testing.assert_array_equal(found.lengths, [[1, 2]])

  @parameterized.parameters((2, 0.0), (2, 1.0), (3, 0.0), (3, 0.6))
  def test_unlikely_ends_do_not_end_the_search(self, beam_size, alpha):
    # EOS is second best at each step, and best only at the tenth.
    open_ones = tf1.constant(np.log([0.9995, 1e-30, 0.0004, 1e-30]))
    last = tf1.constant(np.log([1e-30, 1e-30, 1.0, 1e-30]))

    def step(symbols, time):
      del symbols
      logits = tf1.where_v2(time[:, None] < 9, open_ones, last)
      return logits, time + 1

    (found,) = self.run_all(
      search.beam(
        step,
        tf1.constant([0]),
        1,
        beam_size,
        20,
        alpha,
        beam_size,
        dtype=tf1.float64,
      )
    )
    self.assertEqual(found.lengths[0, 0], 10)
    score = normalized(9 * np.log(0.9995 / 0.9999), 10, alpha)
    np.testing.assert_allclose(found.scores[0, 0], score, rtol=1e-6)

  def test_a_long_sequence_may_win_late(self):
    # EOS at once has 0.6. The other way has 0.4 and costs nothing from then
    # on, so that its score overtakes with its length.
    first = tf1.constant(np.log([0.4, 1e-30, 0.6, 1e-30]))
    later = tf1.constant(np.log([1.0, 1e-30, 1e-30, 1e-30]))
    last = tf1.constant(np.log([1e-30, 1e-30, 1.0, 1e-30]))

    def step(symbols, time):
      del symbols
      time = time[:, None]
      logits = tf1.where_v2(time < 9, later, last)
      return tf1.where_v2(time < 1, first, logits), time[:, 0] + 1

    (found,) = self.run_all(
      search.beam(step, tf1.constant([0]), 1, 2, 20, 1.0, dtype=tf1.float64)
    )
    np.testing.assert_array_equal(found.lengths, [[10]])
    np.testing.assert_allclose(found.scores, [[np.log(0.4) / 2.5]], rtol=1e-9)

  def test_forbidden_symbols_are_never_taken(self):
    least = -float("inf")
    step = self.constant_step([least, least, 1.0, 0.0])
    (found,) = self.run_all(
      search.beam(step, (), 1, 4, 3, 0.0, 4, dtype=tf1.float64)
    )
    e = EOS
    expected = [[e, e, e], [3, e, e], [3, 3, e], [3, 3, 3]]
    np.testing.assert_array_equal(found.symbols[0], expected)
    step = self.constant_step([least, least, 0.0, least])
    found = search.beam(step, (), 1, 4, 3, 0.0, 4)
    (found,) = self.run_all(found)
    np.testing.assert_array_equal(found.symbols, np.full([1, 4, 3], EOS))
    np.testing.assert_array_equal(found.lengths, [[1, 0, 0, 0]])
    np.testing.assert_array_equal(found.scores, [[0.0, least, least, least]])

  def test_nan_is_never_taken_and_stays_with_its_example(self):
    oracle = Oracle(self.rng, 20, 4, 4)
    nan = self.rng.uniform(size=oracle.logits.shape[:2]) < 0.3
    nan[::2] = False
    oracle.logits[nan] = np.nan
    oracle.logits[1] = np.nan
    step, state, _ = oracle.start()
    (found,) = self.run_all(
      search.beam(step, state, 20, 9, 4, 0.5, 9, dtype=tf1.float64)
    )
    for example in range(20):
      ranked = plain_beam(oracle, example, 9, 0.5)
      ranked = [pair for pair in ranked if pair[0] > -np.inf][:9]
      count = len(ranked)
      for rank, (score, sequence) in enumerate(ranked):
        length = found.lengths[example, rank]
        symbols = found.symbols[example, rank, :length]
        self.assertEqual(tuple(symbols), sequence)
        self.assertAlmostEqual(found.scores[example, rank], score, places=12)
      np.testing.assert_array_equal(found.lengths[example, count:], 0)
      np.testing.assert_array_equal(found.symbols[example, count:], EOS)
      np.testing.assert_array_equal(found.scores[example, count:], -np.inf)
    self.assertEqual(found.lengths[1, 0], 0)

  @parameterized.named_parameters(FLOWS)
  def test_the_loop_ends_with_the_last_example(self, v2):
    self.use_control_flow(v2)
    calls = []

    def count(time):
      calls.append(time[0])
      return time

    def step(symbols, time):
      del symbols
      (time,) = tf1.py_func(count, [time], [tf1.int32])
      time.set_shape([None])
      # EOS is certain at the step that the example's state counts down to.
      end = 50.0 * tf1.one_hot(EOS, 4) - 25.0
      logits = tf1.where_v2(time[:, None] > 0, -end, end)
      return logits, time - 1

    greedy = search.greedy(step, tf1.constant([1, 6, 3]), 3, 1000)
    beam = search.beam(step, tf1.constant([1, 6, 3]), 3, 4, 1000)
    sess = self.session(optimize=False)
    found = sess.run(greedy)
    self.assertLen(calls, 7)
    np.testing.assert_array_equal(found.lengths, [2, 7, 4])
    self.assertEqual(found.symbols.shape, (3, 1000))
    del calls[:]
    found = sess.run(beam)
    # Nothing that is open can get better than the one that has ended.
    self.assertLen(calls, 7)
    np.testing.assert_array_equal(found.lengths[:, 0], [2, 7, 4])
    self.assertEqual(found.symbols.shape, (3, 1, 1000))

  @parameterized.parameters("greedy", "beam")
  def test_no_gradient_flows(self, kind):
    self.use_control_flow(True)
    weights = tf1.constant([1.0, 2.0, 3.0, 4.0])

    def step(symbols, state):
      return tf1.tile(weights[None], [tf1.shape(symbols)[0], 1]), state

    if kind == "greedy":
      found = search.greedy(step, (), 2, 3)
    else:
      found = search.beam(step, (), 2, 3, 3)
    self.assertEqual(tf1.gradients(found.scores, [weights]), [None])

  @parameterized.named_parameters(
    ("no_steps", {"steps": 0}, "steps"),
    ("no_beams", {"beam_size": 0}, "beam_size"),
    ("more_results_than_beams", {"n_best": 3}, "n_best"),
    ("negative_penalty", {"length_penalty": -0.1}, "length_penalty"),
    ("nan_penalty", {"length_penalty": float("nan")}, "length_penalty"),
    ("eos_of_another_vocabulary", {"eos_id": 4}, "eos_id"),
  )
  def test_settings_out_of_range_are_refused(self, settings, culprit):
    step = self.constant_step([0.0, 0.0, 0.0, 0.0])
    arguments = dict({"beam_size": 2, "steps": 3}, **settings)
    with self.assertRaises(errors.ArgumentError) as caught:
      search.beam(step, (), 2, **arguments)
    self.assert_message(caught.exception, "beam", culprit)

  def test_greedy_refuses_no_steps(self):
    step = self.constant_step([0.0, 0.0, 0.0, 0.0])
    with self.assertRaises(errors.ArgumentError) as caught:
      search.greedy(step, (), 2, 0)
    self.assert_message(caught.exception, "greedy", "steps")

  def test_all_ops_are_in_the_scope(self):
    step = self.constant_step([0.0, 0.0, 0.0, 0.0])
    state = (tf1.zeros([2, 3]),)
    before = set(self.graph.get_operations())
    search.greedy(step, state, 2, 3, name="ours")
    search.beam(step, state, 2, 2, 3, name="ours_too")
    for op in self.graph.get_operations():
      if op not in before:
        self.assertRegex(op.name, "^(ours|ours_too)(/|$)")


if __name__ == "__main__":
  absltest.main()
