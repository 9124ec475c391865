"""Greedy and beam search in the graph, for any model that can make one step.

The model is given as a function `step(symbols, state)`, see `stepping`. The
graph has this step once, in a `while` loop that ends with the last example of
the batch. No gradient flows through a search. The caller must turn off the
model's dropout.
"""

from __future__ import annotations

import collections
from typing import NamedTuple, Union

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.seq2seq import buckets, stepping, vocabulary


class Hypotheses(NamedTuple):
  """What a search has found: of N sequences, the best first.

  From greedy search there is one sequence, and no N: `[B, S]`, `[B]`, `[B]`.

  Attributes:
    symbols: `[B, N, S]` int32 ids, EOS from the end of each sequence on.
    scores: `[B, N]`, in nats, falling.
    lengths: `[B, N]` int32, the number of symbols, EOS among them; S also for a
      sequence that has not ended after S symbols; 0 where there is no sequence.
  """

  symbols: Union[tf1.Tensor, np.ndarray]
  scores: Union[tf1.Tensor, np.ndarray]
  lengths: Union[tf1.Tensor, np.ndarray]


@errors.named("greedy")
def greedy(
  step: hints.Step,
  state: hints.Nest,
  batch_size: Union[int, tf1.Tensor],
  steps: int,
  go_id: int = vocabulary.GO_ID,
  eos_id: int = vocabulary.EOS_ID,
  dtype: hints.Dtype = tf1.float32,
  name: str = "greedy",
) -> Hypotheses:
  """Takes the most probable symbol at each step.

  At a tie it takes the symbol with the smallest id.

  Args:
    step: makes one step of the model, see `stepping`.
    state: the state before the first step, a nest of tensors `[B, ...]`.
    batch_size: B, an int or a scalar int32 tensor; 0 is allowed.
    steps: S, the largest number of symbols.
    go_id: the first input of the model.
    eos_id: the symbol that ends a sequence.
    dtype: type of the scores; that of the logits, or a wider one.
    name: name scope of the new ops.

  Returns:
    `Hypotheses` with symbols `[B, S]`, scores `[B]`, which are sums of log
    probabilities, and lengths `[B]`.

  Raises:
    ArgumentError: if `steps` is not a positive integer, `eos_id` is not a
      symbol of the model, or `step` returns another structure than it got.
    DtypeError: if the type of the logits is wider than `dtype`, or `step`
      changes the type of a part of the state.
    ShapeError: if a part of the state does not have B rows or changes its
      static shape, or the logits are not `[R, V]` with V known.
  """
  steps = buckets.check_int("steps", steps, 1)
  with tf1.name_scope(name):
    model = stepping.Stepper(step, state, batch_size, 1, eos_id, dtype)

    def body(time, symbols, ended, scores, lengths, found, state):
      log_probs, state = model(symbols, state)
      # Not argmax, which does not define the result for ties.
      best, taken = tf1.nn.top_k(log_probs, 1)
      symbols = tf1.where_v2(ended, eos_id, taken[:, 0])
      scores = tf1.where_v2(ended, scores, scores + best[:, 0])
      lengths += tf1.cast(tf1.logical_not(ended), tf1.int32)
      ended = tf1.logical_or(ended, tf1.equal(symbols, eos_id))
      found = found.write(time, symbols)
      return time + 1, symbols, ended, scores, lengths, found, state

    def continues(time, symbols, ended, *rest):
      del symbols, rest
      return _goes_on(time, steps, ended)

    first = tf1.fill([batch_size], go_id)
    time, _, _, scores, lengths, found, _ = tf1.while_loop(
      continues,
      body,
      [
        tf1.constant(0),
        first,
        tf1.fill([batch_size], False),
        tf1.zeros([batch_size], dtype),
        tf1.zeros([batch_size], tf1.int32),
        tf1.TensorArray(tf1.int32, steps, element_shape=first.shape),
        model.state,
      ],
      back_prop=False,
    )
    symbols = _pad(found.gather(tf1.range(time)), steps, eos_id)
    return Hypotheses(symbols, tf1.stop_gradient(scores), lengths)


@errors.named("beam")
def beam(
  step: hints.Step,
  state: hints.Nest,
  batch_size: Union[int, tf1.Tensor],
  beam_size: int,
  steps: int,
  length_penalty: float = 0.0,
  n_best: int = 1,
  go_id: int = vocabulary.GO_ID,
  eos_id: int = vocabulary.EOS_ID,
  dtype: hints.Dtype = tf1.float32,
  name: str = "beam",
) -> Hypotheses:
  """Searches for the sequences Y with the highest scores.

      score(Y) = log P(Y) / lp(Y)       lp(Y) = ((5 + |Y|) / (5 + 1)) ^ alpha

  where |Y| counts EOS. At each step the K best open sequences of an example are
  extended by all symbols. The 2 K extensions with the highest log P are taken
  in this order: those among the first K that end with EOS are set aside with
  their scores, and the first K that do not end stay open. After S steps, the
  open sequences count as they are. With `beam_size=1` and `length_penalty=0`
  this is greedy search.

  The search for an example ends when no open sequence can get a higher score
  than the N-th best of those set aside. As log P only falls and lp only grows,
  the bound is the score of the best open sequence with its current log P and
  the lp of S. It is reached later the larger `length_penalty` and S are: make S
  only a little more than the longest sequence that you expect.

  Ties: of extensions with equal log P, that of the better open sequence comes
  first, then that with the smaller id; of sequences with equal scores, the one
  that ended first. Examples do not influence one another.

  Source: Wu et al. 2016, "Google's Neural Machine Translation System", eq. 14,
  for the score, without its coverage penalty and its pruning by score;
  Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks",
  sec. 3.2, for setting ended sequences aside. That only the first K of 2 K
  extensions may end is taken from fairseq (Ott et al. 2019,
  `sequence_generator.py`); but there EOS is forced after S steps, and the
  search ends as soon as K sequences have ended. The end of the search is that
  of Tensor2Tensor (Vaswani et al. 2018, `beam_search.py`, `_is_finished`).

  Args:
    step: makes one step of the model, see `stepping`.
    state: the state before the first step, a nest of tensors `[B, ...]`.
    batch_size: B, an int or a scalar int32 tensor; 0 is allowed.
    beam_size: K, how many sequences are open at once; it may be larger than V.
    steps: S, the largest number of symbols in a sequence.
    length_penalty: alpha, at least 0. With 0, the score is log P, which favours
      short sequences. Wu et al. found 0.2 best for their models; others use 0.6
      to 1, where the score is close to the mean over the symbols.
    n_best: N, how many sequences to return, at most K.
    go_id: the first input of the model.
    eos_id: the symbol that ends a sequence.
    dtype: type of the scores; that of the logits, or a wider one.
    name: name scope of the new ops.

  Returns:
    `Hypotheses`: N different sequences for each example, the best first. There
    can be fewer only if the model gives symbols zero probability (a logit of
    -inf) or NaN: then the last rows have length 0, EOS for symbols, and the
    score -inf.

  Raises:
    ArgumentError: if `beam_size`, `steps`, `n_best` or `length_penalty` is out
      of range, there are fewer than N sequences of V symbols, `eos_id` is not a
      symbol of the model, or `step` returns another structure than it got.
    DtypeError: if the type of the logits is wider than `dtype`, or `step`
      changes the type of a part of the state.
    ShapeError: if a part of the state does not have B rows or changes its
      static shape, or the logits are not `[R, V]` with V known.
  """
  beam_size = buckets.check_int("beam_size", beam_size, 1)
  steps = buckets.check_int("steps", steps, 1)
  n_best = buckets.check_int("n_best", n_best, 1, beam_size)
  if not length_penalty >= 0:
    raise errors.ArgumentError(
      f"length_penalty must be at least 0, got {length_penalty!r}. 0 is "
      "none; what is larger favours longer sequences."
    )
  with tf1.name_scope(name):
    model = stepping.Stepper(step, state, batch_size, beam_size, eos_id, dtype)
    search = _Beam(model, batch_size, beam_size, steps, length_penalty, n_best)
    return search.run(go_id)


_Ended = collections.namedtuple("_Ended", ["scores", "beams", "last"])
_Ended.__doc__ = """Sequences that are set aside, `[B, K]` each, the best first.

Attributes:
  scores: -inf where there is none yet.
  beams: where, among the open sequences, is that which EOS was added to.
  last: the time of that one's last symbol; -1 if EOS is alone, or there is
    none yet.
"""


class _Beam:
  """One beam search: its settings, and the ops of a step."""

  def __init__(self, model, batch_size, beam_size, steps, alpha, n_best):
    self._model = model
    self._batch_size = batch_size
    self._beam_size = beam_size
    self._steps = steps
    self._alpha = float(alpha)
    self._n_best = n_best

  def run(self, go_id):
    """Builds the loop; returns `Hypotheses`."""
    shape = [self._batch_size, self._beam_size]
    # The first step extends one empty sequence, not K equal ones.
    least = tf1.fill(shape, self._least)
    first = tf1.equal(tf1.range(self._beam_size), 0)
    scores = tf1.where_v2(first, tf1.zeros_like(least), least)
    zeros = tf1.fill(shape, 0)
    tapes = [
      tf1.TensorArray(tf1.int32, self._steps, element_shape=scores.shape)
      for _ in ("symbols", "parents")
    ]
    time, scores, _, _, ended, done, tapes = tf1.while_loop(
      lambda time, *rest: _goes_on(time, self._steps, rest[-2]),
      self._advance,
      [
        tf1.constant(0),
        scores,
        tf1.fill(shape, go_id),
        self._model.state,
        _Ended(least, zeros, zeros - 1),
        tf1.fill([self._batch_size], False),
        tapes,
      ],
      back_prop=False,
    )
    # Sequences that are open after the last step count as they are.
    left = self._normalize(scores, self._steps)
    left = _Ended(
      tf1.where_v2(done[:, None], self._least, left),
      zeros + tf1.range(self._beam_size),
      zeros + self._steps - 1,
    )
    found = _best(ended, left, self._n_best)
    tapes = [tape.gather(tf1.range(time)) for tape in tapes]
    symbols = _trace_back(tapes, found, time, self._model.eos_id)
    lengths = tf1.minimum(found.last + 2, self._steps)
    return Hypotheses(
      _pad(symbols, self._steps, self._model.eos_id),
      tf1.stop_gradient(found.scores),
      tf1.where_v2(found.scores > self._least, lengths, 0),
    )

  def _advance(self, time, scores, symbols, state, ended, done, tapes):
    """Builds one step of the loop."""
    following = self._model(tf1.reshape(symbols, [-1]), state)
    top_scores, parents, symbols = self._continue(scores, following[0])
    ends = tf1.equal(symbols, self._model.eos_id)
    # Set aside those of the first K that end.
    first = slice(0, self._beam_size)
    ending = tf1.logical_and(ends, ~done[:, None])[:, first]
    ending = tf1.logical_and(ending, top_scores[:, first] > self._least)
    new = self._normalize(top_scores[:, first], time + 1)
    new = tf1.where_v2(ending, new, self._least)
    before = tf1.zeros_like(ended.last) + time - 1
    ended = _best(
      ended, _Ended(new, parents[:, first], before), self._beam_size
    )
    # Continue with the first K of the others.
    open_scores = tf1.where_v2(ends, self._least, top_scores)
    scores, places = tf1.nn.top_k(open_scores, self._beam_size)
    symbols = tf1.gather(symbols, places, batch_dims=1)
    parents = tf1.gather(parents, places, batch_dims=1)
    rows = tf1.range(self._batch_size)[:, None] * self._beam_size + parents
    rows = tf1.reshape(rows, [-1])
    # Parts that the model has not changed are equal in all beams.
    state = [
      new if new is old else tf1.gather(new, rows)
      for old, new in zip(state, following[1])
    ]
    # log P only falls, so this bounds the score of every open sequence.
    reach = self._normalize(scores[:, 0], self._steps)
    done = done | (ended.scores[:, self._n_best - 1] >= reach)
    tapes = [
      tape.write(time, values)
      for tape, values in zip(tapes, [symbols, parents])
    ]
    return [time + 1, scores, symbols, state, ended, done, tapes]

  def _continue(self, scores, log_probs):
    """Returns the scores, parents and symbols of the best extensions."""
    size = tf1.dimension_value(log_probs.shape[1])
    self._check_n_best(size)
    shape = [self._batch_size, self._beam_size, size]
    totals = scores[:, :, None] + tf1.reshape(log_probs, shape)
    # Sorting is undefined for NaN.
    totals = tf1.where_v2(totals > self._least, totals, self._least)
    width = self._beam_size * size
    totals = tf1.reshape(totals, [self._batch_size, width])
    top, places = tf1.nn.top_k(totals, min(2 * self._beam_size, width))
    return top, places // size, places % size

  @errors.named("beam")
  def _check_n_best(self, size):
    """Refuses an `n_best` larger than the number of sequences."""
    sequences, open_ones = 0, 1
    for _ in range(self._steps):
      sequences, open_ones = sequences + open_ones, open_ones * (size - 1)
      if sequences + open_ones >= self._n_best:
        return
    raise errors.ArgumentError(
      f"n_best must be at most {sequences + open_ones}, which is how "
      f"many sequences of at most {self._steps} of {size} symbols there are, "
      f"got {self._n_best}."
    )

  def _normalize(self, log_probs, length):
    if not self._alpha:
      return log_probs
    length = tf1.cast(length, self._model.dtype)
    return log_probs / ((5 + length) / 6) ** self._alpha

  @property
  def _least(self):
    # Created per graph: bodies of loops are separate graphs.
    return tf1.constant(-float("inf"), self._model.dtype)


def _goes_on(time, steps, done):
  """Whether to make another step; at least one, so that nothing is empty."""
  more = tf1.logical_not(tf1.reduce_all(done))
  return tf1.logical_or(time < 1, tf1.logical_and(time < steps, more))


def _best(one, other, count):
  """Returns the best of two `_Ended`; at ties, those of `one`."""
  both = [tf1.concat(parts, 1) for parts in zip(one, other)]
  scores, places = tf1.nn.top_k(both[0], count)
  return _Ended(
    scores, *[tf1.gather(part, places, batch_dims=1) for part in both[1:]]
  )


def _trace_back(tapes, found, taken, eos_id):
  """Reads sequences off the tapes, from end to beginning.

  Args:
    tapes: symbols and parents of the open sequences, `[T, B, K]` each.
    found: `_Ended`, `[B, N]`.
    taken: T, the number of steps made.
    eos_id: the symbol to put after the end of a sequence.

  Returns:
    `[T, B, N]` int32.
  """

  def body(time, beams, symbols):
    read, parents = [
      tf1.gather(tape[time], beams, batch_dims=1) for tape in tapes
    ]
    inside = time <= found.last
    symbols = symbols.write(time, tf1.where_v2(inside, read, eos_id))
    return [time - 1, tf1.where_v2(inside, parents, beams), symbols]

  shape = found.beams.shape
  symbols = tf1.TensorArray(tf1.int32, taken, element_shape=shape)
  _, _, symbols = tf1.while_loop(
    lambda time, *_: time >= 0,
    body,
    [taken - 1, found.beams, symbols],
    back_prop=False,
  )
  return symbols.gather(tf1.range(taken))


def _pad(symbols, steps, eos_id):
  """Turns `[T, B, ...]` into `[B, ..., S]`, with EOS after step T."""
  rank = symbols.shape.ndims
  static = symbols.shape.as_list()[1:]
  symbols = tf1.transpose(symbols, list(range(1, rank)) + [0])
  missing = steps - tf1.shape(symbols)[-1]
  widths = [[0, 0]] * (rank - 1) + [[0, missing]]
  symbols = tf1.pad(symbols, widths, constant_values=eos_id)
  symbols.set_shape(static + [steps])
  return symbols
