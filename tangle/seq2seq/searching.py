"""The base class of models that can be searched, by greedy or beam search."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from tangle import hints
from tangle.compat import tf1
from tangle.seq2seq import search


class Start(NamedTuple):
  """A decoder's step function and initial state, as `search` takes them.

  They are the first arguments of `search.greedy` and `search.beam`, in order.
  """

  step: hints.Step
  state: hints.Nest


class Searchable:
  """A model whose decoder can be searched over the outputs of encoders.

  A subclass has the float type `dtype`, and defines `start`, `take` and
  `_batch_size`, the number of examples that were encoded.
  """

  def start(self, encoded: Any, name: str = "start") -> Start:
    """Prepares a search over the outputs of an encoder.

    Args:
      encoded: what the model's `encode` returns.
      name: name scope of the new ops.

    Returns:
      A `Start(step, state)`, as the search functions take them.
    """
    raise NotImplementedError

  def take(self, reads: Mapping[str, tf1.Tensor]) -> Any:
    """Turns what a decoder reads in a pipeline into what `start` takes.

    Args:
      reads: the outputs of the encoders by the names of the reads.

    Returns:
      The argument `encoded`.
    """
    raise NotImplementedError

  def greedy(
    self, encoded: Any, steps: int, name: str = "greedy"
  ) -> search.Hypotheses:
    """Predicts each symbol from the predicted ones before it.

    Args:
      encoded: as for `start`.
      steps: S, the largest number of symbols to predict.
      name: name scope of the new ops.

    Returns:
      `search.Hypotheses`: symbols `[B, S]`, scores `[B]`, lengths `[B]`.

    Raises:
      ArgumentError: if `steps` is not a positive integer; also as `start`.
      DtypeError, GraphError, ShapeError: as `start`.
    """
    with tf1.name_scope(name):
      step, state = self.start(encoded)
      batch_size = self._batch_size(encoded)
      return search.greedy(
        step, state, batch_size, steps, dtype=self.dtype, name="search"
      )

  def beam(
    self,
    encoded: Any,
    steps: int,
    beam_size: int,
    length_penalty: float = 0.0,
    n_best: int = 1,
    name: str = "beam",
  ) -> search.Hypotheses:
    """Searches for the sequences with the highest scores.

    Args:
      encoded: as for `start`.
      steps: S, the largest number of symbols to predict.
      beam_size: K, see `search.beam`.
      length_penalty: alpha, see there.
      n_best: N, see there.
      name: name scope of the new ops.

    Returns:
      `search.Hypotheses`: symbols `[B, N, S]`, scores `[B, N]`, lengths
      `[B, N]`, the best first.

    Raises:
      ArgumentError: if a setting is out of range, see `search.beam`; also as
        `start`.
      DtypeError, GraphError, ShapeError: as `start`.
    """
    with tf1.name_scope(name):
      step, state = self.start(encoded)
      return search.beam(
        step,
        state,
        self._batch_size(encoded),
        beam_size,
        steps,
        length_penalty,
        n_best,
        dtype=self.dtype,
        name="search",
      )

  def _batch_size(self, encoded):
    raise NotImplementedError
