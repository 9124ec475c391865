"""Tests of stepping."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq import search, stepping
from tests import case

Pair = collections.namedtuple("Pair", ["a", "b"])


def make(step, state, batch_size=2, beam_size=3, eos_id=2, dtype=tf1.float32):
  return stepping.Stepper(step, state, batch_size, beam_size, eos_id, dtype)


def logits_for(symbols, dtype=tf1.float32, size=4):
  return tf1.zeros([tf1.shape(symbols)[0], size], dtype)


class StepperTest(case.GraphTestCase):
  def test_rows_of_any_nest_are_repeated_and_come_back_in_it(self):
    seen = []

    def step(symbols, state):
      seen.append(state)
      return logits_for(symbols), state

    first = self.normal(2, 3)
    second = np.arange(2)
    state = {"pair": Pair([tf1.constant(first)], ()), "plain": (second,)}
    model = make(step, state)
    _, following = model(tf1.zeros([6], tf1.int32), model.state)
    self.assertEqual(seen[0]["pair"]._fields, ("a", "b"))
    self.assertIs(seen[0]["pair"].a[0], model.state[0])
    # What the step has not touched can be told from the rest.
    self.assertIs(following[0], model.state[0])
    sess = self.session()
    found_first, found_second = sess.run(model.state)
    np.testing.assert_array_equal(found_first, np.repeat(first, 3, 0))
    np.testing.assert_array_equal(found_second, [0, 0, 0, 1, 1, 1])

  def test_logits_become_log_probabilities_of_the_wanted_type(self):
    logits = self.normal(2, 4, dtype=np.float16)
    model = make(
      lambda symbols, state: (logits, state), (), beam_size=1, dtype="float64"
    )
    log_probs, _ = model(tf1.zeros([2], tf1.int32), [])
    found = self.session().run(log_probs)
    self.assertEqual(found.dtype, np.float64)
    self.assertEqual(log_probs.shape.as_list(), [2, 4])
    np.testing.assert_allclose(np.exp(found).sum(-1), [1.0, 1.0])
    np.testing.assert_allclose(
      np.diff(found), np.diff(logits.astype(np.float64)), rtol=1e-12
    )

  def test_rows_that_a_session_finds_missing_are_an_error(self):
    rows_ph = tf1.placeholder(tf1.float32, [None, 3])

    def step(symbols, state):
      del symbols
      return state, state

    found = search.beam(step, rows_ph, 2, 3, 4)
    sess = self.session()
    sess.run(found, {rows_ph: np.zeros([2, 3])})
    for rows in (1, 6):
      with self.assertRaisesRegex(
        tf1.errors.InvalidArgumentError, "has not batch_size rows"
      ):
        sess.run(found, {rows_ph: np.zeros([rows, 3])})

  @parameterized.named_parameters(
    ("of_another_batch", [4, 3]), ("without_rows", []), ("unknown", None)
  )
  def test_a_state_without_a_row_for_each_example_is_refused(self, shape):
    part = tf1.placeholder(tf1.float32, shape, "odd_one")
    with self.assertRaises(errors.ShapeError) as caught:
      make(lambda symbols, state: (None, state), (tf1.zeros([2, 1]), part))
    self.assert_message(caught.exception, "odd_one", "[2, ...]")

  @parameterized.named_parameters(
    ("another_structure", lambda s: (s, s), errors.ArgumentError, "structure"),
    (
      "another_type",
      lambda s: tf1.cast(s, tf1.float64),
      errors.DtypeError,
      "float64",
    ),
    (
      "another_shape",
      lambda s: tf1.concat([s, s], 1),
      errors.ShapeError,
      "placeholder_with_default",
    ),
    ("another_batch", lambda s: s[:2], errors.ShapeError, "[2, 3]"),
  )
  def test_a_step_that_changes_the_state_is_refused(self, change, kind, part):
    def step(symbols, state):
      return logits_for(symbols), change(state)

    for steps in (search.greedy, search.beam):
      sizes = (2, 4) if steps is search.greedy else (2, 3, 4)
      if steps is search.greedy and "[2, 3]" in part:
        continue  # there, two rows are right
      with self.assertRaises(kind) as caught:
        steps(step, tf1.zeros([2, 3]), *sizes)
      self.assert_message(caught.exception, steps.__name__, part)

  @parameterized.named_parameters(
    ("of_wrong_rank", [6], tf1.float32, errors.ShapeError, "[6, V]"),
    ("of_unknown_size", [6, None], tf1.float32, errors.ShapeError, "set_shape"),
    ("of_too_few_rows", [2, 4], tf1.float32, errors.ShapeError, "[6, V]"),
    ("too_wide", [6, 4], tf1.float64, errors.DtypeError, "float32"),
    ("that_are_ids", [6, 4], tf1.int32, errors.DtypeError, "int32"),
  )
  def test_logits_are_checked(self, shape, dtype, kind, part):
    logits = tf1.placeholder(dtype, shape, "scores_ph")
    model = make(lambda symbols, state: (logits, state), ())
    with self.assertRaises(kind) as caught:
      model(tf1.zeros([6], tf1.int32), [])
    self.assert_message(caught.exception, "scores_ph", part)

  @parameterized.parameters(-1, 4, 1.0)
  def test_eos_must_be_a_symbol(self, eos_id):
    model = make(
      lambda symbols, state: (logits_for(symbols), state), (), eos_id=eos_id
    )
    with self.assertRaises(errors.ArgumentError) as caught:
      model(tf1.zeros([6], tf1.int32), [])
    self.assert_message(caught.exception, "eos_id", "3")


if __name__ == "__main__":
  absltest.main()
