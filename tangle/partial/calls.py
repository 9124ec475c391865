"""A forward run that waits for its backward run."""

from __future__ import annotations

import collections
import contextlib
import threading
import weakref
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import (
  arguments,
  feeds,
  leftovers,
  monitored,
  run_errors,
  split,
)


class Kept(weakref.ref):
  """What a call holds in the runtime, and a weak reference to the call.

  Attributes:
    sess: a weak reference to the session.
    ticket: the ticket of the store, `None` before there is one.
  """

  __slots__ = ("sess", "ticket")

  def note(self, ticket):
    """Stores `ticket` in the attribute; the store's `forward` calls this."""
    self.ticket = ticket


class ResidualSet:
  """A residual set, and the backward passes that read it.

  Attributes:
    kept: the kept tensors, and `names`, the set of their names.
    store: the store that keeps them.
    passes: a dict from the outputs in use, a tuple of bools, to `Gradients`.
    measured: a dict from name to shape, measured by the first forward run, for
      kept tensors without a static size; `None` before that run.
    to_measure: their pairs (name, shape tensor); `None` until they are made.
    standing: names of constants that the backward passes read in place.
    repeated: names of tensors that the backward passes recompute.
    recomputed: a dict whose keys are the forward ops that they rerun, in order.
    predicted, stacks: `predicted_bytes` and `stacks` of `Residuals`.
    open: the `Kept` of all calls that may hold something in the runtime.
    lost: those `Kept` whose call nobody refers to any more.
  """

  def __init__(self, kept, store):
    self.kept = kept
    self.store = store
    self.passes = {}
    self.standing, self.repeated = set(), set()
    self.recomputed = {}
    self.predicted, self.stacks = None, 0
    self.open = set()
    self.lost = collections.deque()
    self._lock = threading.RLock()  # held while something is dropped
    self.measured = None
    self.names = walk.names(kept)
    self.to_measure = None

  def keep(self, call, sess):
    """Returns the `Kept` of a call that is about to run.

    When nobody refers to the call any more, its `Kept` is appended to `lost`.
    No Python code runs for that, so that no KeyboardInterrupt can prevent it.

    Args:
      call: the `Call`.
      sess: its session.
    """
    kept = Kept(call, self.lost.append)
    kept.sess, kept.ticket = weakref.ref(sess), None
    self.open.add(kept)
    return kept

  def forget(self, kept):
    """Removes the `Kept` of a call that holds nothing any more."""
    self.open.discard(kept)
    with contextlib.suppress(ValueError):
      self.lost.remove(kept)

  def drain(self, sess):
    """Discards the `lost` calls of `sess`, by runs of it; ignores errors."""

    def drop(kept, owner):
      call = kept()
      if call is not None and call.is_open:  # it will be queued again
        return
      if owner is not None:
        self.store.discard(owner, kept.ticket)
      self.open.discard(kept)

    if self.lost:
      with self._lock:
        leftovers.drain(self.lost, sess, drop)

  def drop(self, kept, sess):
    """Drops what a call holds in the runtime, and forgets it.

    Errors of the run are ignored.

    Args:
      kept: the `Kept` of the call.
      sess: the session of the forward run.
    """
    with self._lock:
      with contextlib.suppress(errors.CallError):  # its session has been lost
        self.store.discard(sess, kept.ticket)
      self.forget(kept)


class Call:
  """One forward run that allows one backward run.

  A call ends with `backward`, `run` or `discard`, whichever comes first, also
  if the session run fails; refused arguments leave it open. Used as a context
  manager, a call that is still open at the end of the block is discarded.

  Attributes:
    outputs: the fetched outputs, arrays in the order of `SubModel.outputs`.
  """

  def __init__(
    self,
    sub_model: Any,
    residual_set: ResidualSet,
    sess: hints.Session,
    given: Dict[tf1.Tensor, Any],
  ) -> None:
    self._sub_model = sub_model
    self._residual_set = residual_set
    self._sess = self._bound = sess
    self._given = given
    self._lock = threading.RLock()
    self._ended = None
    self._kept = residual_set.keep(self, sess)
    self.outputs: List[np.ndarray] = []

  def __repr__(self):
    state = "open" if self.is_open else self._ended[0]
    store = f"store={self._sub_model.store!r}"
    return f"<Call of SubModel {self._sub_model.name!r}: {state}, {store}>"

  def __enter__(self) -> Call:
    return self

  def __exit__(self, *unused: Any) -> None:
    if self.is_open:
      self.discard()

  @property
  def _ticket(self):
    return self._kept.ticket

  @property
  def is_open(self) -> bool:
    """Whether the call has not ended."""
    return self._ended is None

  def backward(
    self,
    upstream: Sequence[Optional[hints.Array]],
    sess: Optional[hints.Session] = None,
  ) -> split.Gradients:
    """Runs the backward pass alone and ends the call.

    Args:
      upstream: one upstream gradient per output: an array of its shape and
        dtype, or `None` for an output that the loss does not use.
      sess: the session of the forward run, in which this runs in any case; if
        given, it is only checked.

    Returns:
      A `Gradients(inputs, variables)` of arrays, with `None` where there is
      no gradient, `IndexedSlicesValue` where it is sparse.

    Raises:
      CallError: if the call has ended, `sess` is another session, or, with
        `store="session"`, `forward` was not given the outputs in use.
      ArgumentError: if `upstream` has not one item per output, or only `None`.
      GraphError, CutError: as `SubModel.prepare`, for a backward pass that the
        graph lacks.
      ShapeError: if one has another shape than its output.
      DtypeError: if one has another dtype, or its output is not floating.
      SessionError: if the session is closed.

    An error of the run that tangle cannot explain is raised as it is.
    """
    used, feed_dict = self._feeds(upstream, sess)
    gradients = self._gradients(used)
    flat = gradients.inputs + gradients.variables
    present = [gradient for gradient in flat if gradient is not None]
    values = iter(self._finish(present, feed_dict))
    return split.Gradients(
      [None if g is None else next(values) for g in gradients.inputs],
      [None if g is None else next(values) for g in gradients.variables],
    )

  @errors.named("SubModel {self._sub_model.name!r}: run")
  def run(
    self,
    fetches: Any,
    upstream: Sequence[Optional[hints.Array]],
    sess: Optional[hints.Session] = None,
  ) -> Any:
    """Runs ops that read the gradients, without fetching the gradients.

    Args:
      fetches: what to run or fetch, built on `SubModel.gradients`, or on what
        `SubModel.prepare` returned if `upstream` has a `None`.
      upstream: as for `backward`.
      sess: as for `backward`.

    Returns:
      The fetched values.

    Raises:
      CallError, ShapeError, DtypeError, SessionError: as `backward`.
      GraphError: as `backward`; or if a fetch belongs to another graph.
      ArgumentError: as `backward`; or if a fetch is neither an op nor a tensor,
        such as `None`, or reads a placeholder that is not fed.
    """
    used, feed_dict = self._feeds(upstream, sess)
    arguments.check_fetches(fetches, self._sub_model.graph)
    self._gradients(used)
    return self._finish(fetches, feed_dict)

  def discard(self) -> None:
    """Ends the call without a backward run, and frees its residuals.

    Raises:
      CallError: if the call has ended.
    """
    self._check_open()
    self._residual_set.lost.append(self._kept)  # if this is interrupted
    self._end(["discarded"])
    self._let_go()

  @errors.named("SubModel {self._sub_model.name!r}")
  def _gradients(self, used):
    residual_set = self._residual_set
    if used not in residual_set.passes:
      if self._sub_model.store != "session":
        self._sub_model.prepare(used)
      if used not in residual_set.passes:
        raise errors.CallError(
          f"this call did not keep the "
          f"residuals of a loss that uses the outputs {list(used)}. Call "
          f"forward(..., used={list(used)})."
        )
    return residual_set.passes[used]

  def _finish(self, fetches, feed_dict):
    end = ["used"]
    try:
      try:
        self._end(end)
        found = self._residual_set.store.backward(
          self._bound, self._ticket, fetches, feed_dict
        )
      except BaseException as error:
        self._give_up(end)
        _explain(self._sub_model, "backward", error, self._bound, feed_dict)
        raise
    except BaseException:  # an interrupt before the other one was handled
      self._give_up(end)
      raise
    self._residual_set.forget(self._kept)
    self._kept = None
    return found

  def _give_up(self, end):
    """Lets go after a failure, unless another thread has ended the call.

    `end` is what the failed run has made of `_ended`: `None` if forward failed.
    """
    if self._ended is end and self._kept is not None:
      self._residual_set.lost.append(self._kept)
      self._ended = end or ["interrupted"]  # now the next call may drop it
      self._let_go()

  def _let_go(self):
    """Drops what the call holds in the runtime."""
    self._residual_set.drop(self._kept, self._bound)
    self._kept = None

  def _end(self, how):
    with self._lock:
      self._check_open()
      self._ended = how

  @errors.named("SubModel {self._sub_model.name!r}")
  def _check_open(self):
    if self._ended is not None:
      raise errors.CallError(
        f"this call was {self._ended[0]} "
        f"already. Run forward again for another backward run."
      )

  @errors.named("SubModel {self._sub_model.name!r}: backward")
  def _feeds(self, upstream, sess):
    """Checks `upstream`; returns which outputs are used, and a feed dict."""
    self._check_open()
    if sess is not None and sess is not self._sess:
      raise errors.CallError(
        "the forward run was in another session. Pass that "
        "session, or leave sess out."
      )
    tensors = self._sub_model.outputs
    others = (np.ndarray, dict, str, tf1.Tensor)
    if isinstance(upstream, others) or not hasattr(upstream, "__len__"):
      raise errors.ArgumentError(
        f"upstream must be a sequence with one gradient per output, "
        f"got {type(upstream).__name__}. Put it into a list."
      )
    if len(upstream) != len(tensors):
      raise errors.ArgumentError(
        f"upstream must have one gradient for each of the "
        f"{len(tensors)} outputs {[t.name for t in tensors]}, got "
        f"{len(upstream)}. Give None for an output that the loss does not use."
      )
    used, feed_dict = [], dict(self._given)
    for k, (tensor, value) in enumerate(zip(tensors, upstream)):
      used.append(value is not None)
      if value is not None:
        ph = self._sub_model.upstream[k]
        feed_dict[ph] = feeds.check_upstream(tensor, self.outputs[k], value)
    if not any(used):
      raise errors.ArgumentError(
        "every upstream gradient is None, so that there is nothing "
        "to carry back. Discard the call instead."
      )
    return tuple(used), feed_dict


def begin(sub_model, residual_set, sess, feed_dict, unknown):
  """Runs a sub-model forward, and keeps its residuals for a backward run.

  Args:
    sub_model: the `SubModel`.
    residual_set: the `ResidualSet` to keep.
    sess: the session.
    feed_dict: tensor → array.
    unknown: pairs (name, shape tensor) of kept tensors without a static size;
      their shapes become `residual_set.measured` unless it is set already.

  Returns:
    A `Call`.

  Raises:
    SessionError, ArgumentError, ShapeError: as `run_errors.reraise`.
    CallError: as the store's `forward`.
  """
  standing = residual_set.standing
  given = {t: v for t, v in feed_dict.items() if t.name in standing}
  call = Call(sub_model, residual_set, sess, given)
  try:
    try:
      outputs, shapes, _ = residual_set.store.forward(
        sess, feed_dict, [shape for _, shape in unknown], call._kept.note
      )
      call._bound = monitored.bind(sess)
      if residual_set.measured is None:
        residual_set.measured = {
          name: shape for (name, _), shape in zip(unknown, shapes)
        }
      # The runtime returns its own memory, which the residuals may share.
      call.outputs = [feeds.own(value) for value in outputs]
      return call
    except BaseException as error:
      call._give_up(None)
      _explain(sub_model, "forward", error, sess, feed_dict)
      raise
  except BaseException:  # an interrupt before the other one was handled
    call._give_up(None)
    raise


@errors.named("SubModel {sub_model.name!r}: {what}")
def _explain(sub_model, what, error, sess, feed_dict):
  """Raises an explanation of an error of a run, if there is one."""
  fed = [
    run_errors.Fed(repr(tensor.name), tensor, value)
    for tensor, value in feed_dict.items()
  ]
  run_errors.reraise(error, sess, fed, run_errors.UNFED[what])
