"""Sources of batches from which a stopped run can resume.

A source is an object with

    at(position)    returns a stream that starts there; at the beginning for
                    `None`

and a stream is an iterator over batches, of any kind, with

    position        where the next batch comes from, as a JSON value

Training ends when the stream ends. `seq2seq.tutorial_batches` is a source that
draws with replacement. `Epochs` makes a source from batches that have epochs,
such as `seq2seq.batches.PairBatches`.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

import numpy as np

from tangle import errors, hints


def check(source: Any) -> None:
  """Refuses what is no source.

  Args:
    source: the argument.

  Raises:
    ArgumentError: if it has no method `at`.
  """
  if callable(getattr(source, "at", None)):
    return
  remedy = (
    "Give training.sources.Epochs(batches); its batches need len(batches) and "
    "batches.epoch(number, start)"
  )
  if hasattr(source, "epoch"):
    remedy = "Give training.sources.Epochs(source)"
  raise errors.ArgumentError(
    f"source must be a source of batches, from which a stopped run "
    f"can resume, got {type(source).__name__}. {remedy}."
  )


class Epochs:
  """Makes a source from batches whose epochs can start at any batch."""

  @errors.named("Epochs")
  def __init__(self, batches: Any, epochs: Optional[int] = None) -> None:
    """Wraps batches.

    Args:
      batches: an object with `len(batches)`, the number of batches per epoch,
        and `epoch(n, start)`, an iterator over the batches of epoch n that
        skips the first `start`. Its batches must depend on n only. It may have
        `digest()`, a number that differs for other batches.
      epochs: how many epochs to draw, counted from epoch 0 even if a run
        resumes; no limit by default.

    Raises:
      ArgumentError: if `batches` lacks one of these methods, or an epoch has no
        batches.
    """
    has_epochs = callable(getattr(batches, "epoch", None))
    if not has_epochs or not hasattr(batches, "__len__"):
      raise errors.ArgumentError(
        f"batches must have len(batches) and epoch(n, start), which returns an "
        f"iterator over epoch n without its first start batches, got "
        f"{type(batches).__name__}. Give an object of a class with these two, "
        f"such as seq2seq.batches.PairBatches."
      )
    if not len(batches):
      raise errors.ArgumentError(
        "batches is empty. Give at least one batch per epoch."
      )
    self._batches = batches
    self._epochs = epochs
    digest = getattr(batches, "digest", None)
    self._plan = len(batches) if digest is None else digest()

  @errors.named("Epochs.at")
  def at(self, position: Optional[Mapping[str, Any]] = None) -> _EpochStream:
    """Returns the stream that starts at a position.

    Args:
      position: a value that `position` of a stream had; `None` for the
        beginning.

    Returns:
      An iterator over batches. Its attribute `position` is a dict with the keys
      `epoch`, `batch` and `plan`.

    Raises:
      DataError: if the position belongs to other batches, or there is no such
        epoch or batch.
      KeyError: if it lacks `epoch` or `batch`.
    """
    if position is None:
      position = {"epoch": 0, "batch": 0, "plan": self._plan}
    if position.get("plan") != self._plan:
      raise errors.DataError(
        f"the position is one of other batches (plan "
        f"{position.get('plan')}, here {self._plan}). Give the data and the "
        f"settings of that run."
      )
    for name, most in (("epoch", 2**32), ("batch", len(self._batches))):
      if type(position[name]) is not int or not 0 <= position[name] <= most:
        raise errors.DataError(
          f"there is no {name} {position[name]!r}. The position is "
          f"damaged: resume from an older one."
        )
    return _EpochStream(self._batches, self._epochs, position)


class _EpochStream:
  """The stream of `Epochs`."""

  def __init__(self, batches, epochs, position):
    self._batches = batches
    self._epochs = epochs
    self._plan = position["plan"]
    self._epoch, self._batch = position["epoch"], position["batch"]
    self._rest = None  # created when needed

  @property
  def position(self):
    return {"epoch": self._epoch, "batch": self._batch, "plan": self._plan}

  def __iter__(self):
    return self

  def __next__(self):
    if self._batch == len(self._batches):
      self._epoch, self._batch, self._rest = self._epoch + 1, 0, None
    if self._epochs is not None and self._epoch >= self._epochs:
      raise StopIteration
    if self._rest is None:
      self._rest = iter(self._batches.epoch(self._epoch, self._batch))
    batch = next(self._rest)
    self._batch += 1
    return batch


class Alternate:
  """Alternates between the batches of several sources, each with its name.

  A stream yields pairs (name, batch), in the order of the sources. It ends when
  the source whose turn it is has ended, even if others have batches left.
  """

  @errors.named("Alternate")
  def __init__(self, sources: Mapping[str, Any]) -> None:
    """Stores the sources.

    Args:
      sources: an ordered mapping from a name to a source.

    Raises:
      ArgumentError: if there are no sources.
    """
    self._sources = dict(sources)
    if not self._sources:
      raise errors.ArgumentError("sources is empty. Give at least one source.")

  @errors.named("Alternate.at")
  def at(self, position: Optional[Mapping[str, Any]] = None) -> _Turns:
    """Returns the stream that starts at a position.

    Args:
      position: a value that `position` of a stream had; `None` for the
        beginning.

    Returns:
      An iterator over pairs (name, batch). Its attribute `position` is a dict
      with the keys `turn` and `streams`.

    Raises:
      DataError: if the position belongs to sources of other names or in another
        order, or there is no such turn; or as `at` of a source.
      KeyError: if it lacks `turn` or `streams`.
    """
    if position is None:
      position = {"turn": 0, "streams": dict.fromkeys(self._sources)}
    if list(position["streams"]) != list(self._sources):
      raise errors.DataError(
        f"the position is one of the sources "
        f"{list(position['streams'])}, here are {list(self._sources)}. Give "
        f"those of that run."
      )
    turn = position["turn"]
    if type(turn) is not int or turn not in range(len(self._sources)):
      raise errors.DataError(
        f"there is no turn {turn!r}. The position is damaged: "
        f"resume from an older one."
      )
    streams = {
      name: source.at(position["streams"][name])
      for name, source in self._sources.items()
    }
    return _Turns(streams, turn)


class _Turns:
  """The stream of `Alternate`."""

  def __init__(self, streams, turn):
    self._streams = streams
    self._turn = turn

  @property
  def position(self):
    found = {name: stream.position for name, stream in self._streams.items()}
    return {"turn": self._turn, "streams": found}

  def __iter__(self):
    return self

  def __next__(self):
    name = list(self._streams)[self._turn]
    batch = next(self._streams[name])
    self._turn = (self._turn + 1) % len(self._streams)
    return name, batch


class RandomNumbers:
  """A random number generator whose state a checkpoint can hold.

  Pass it to `Loop` in `extra`, for random numbers drawn outside the graph.

  Attributes:
    rng: a `np.random.RandomState`.
  """

  def __init__(self, seed: int) -> None:
    """Creates the generator.

    Args:
      seed: the seed, in 0..2^32 - 1.

    Raises:
      ValueError: if it is out of range.
    """
    self.rng = np.random.RandomState(seed)

  def state(self) -> hints.State:
    """Returns the state of `rng`, a dict of JSON values, for `restore`."""
    kind, words, place, has_gauss, gauss = self.rng.get_state()
    return {
      "kind": kind,
      "words": words.tolist(),
      "place": int(place),
      "has_gauss": int(has_gauss),
      "gauss": float(gauss),
    }

  def restore(self, state: Mapping[str, Any]) -> None:
    """Sets the generator to a state.

    Args:
      state: what `state` returned.

    Raises:
      KeyError, TypeError, ValueError: if it is of another form.
    """
    names = ("kind", "words", "place", "has_gauss", "gauss")
    kind, words, *rest = (state[name] for name in names)
    self.rng.set_state((kind, np.array(words, np.uint32), *rest))
