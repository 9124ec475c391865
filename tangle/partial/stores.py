"""Where residuals wait between the forward run and the backward run.

`DeviceStore` keeps them in the runtime, `HostStore` in numpy arrays, and
`SessionStore` in an unfinished partial run of the session. Each has a method
for a forward run, which returns a ticket, and methods for the backward run and
for a discard, which take the ticket.
"""

import contextlib

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import feeds, partial_runs, prepared, staging


def _ignore(ticket):
  """Does nothing."""


class DeviceStore:
  """Keeps residuals in the runtime; Python holds only their key.

  Attributes:
    restored: a dict from the name of each kept tensor to the tensor that has
      its value in the backward run.
  """

  def __init__(self, kept, outputs, stable=False, name="store"):
    """Adds the ops of the store.

    Args:
      kept: the tensors to keep, of any shapes.
      outputs: the tensors that a forward run fetches, of any shapes.
      stable: whether no variable changes before the backward run.
      name: name scope of the ops.

    Raises:
      CutError: if a value of a reference variable cannot be copied.
    """
    with tf1.name_scope(name):
      self._key = tf1.placeholder(tf1.int64, [], name="key_ph")
      self._staging = staging.Staging(
        kept if stable else staging.own_values(kept),
        self._key,
        after=outputs,
      )
    self._outputs = outputs
    self._runs = prepared.Runs()
    self.restored = dict(
      zip([tensor.name for tensor in kept], self._staging.restored)
    )

  def forward(self, sess, feed_dict, extra=(), note=_ignore):
    """Runs forward and keeps the residuals.

    Args:
      sess: the session.
      feed_dict: what to feed.
      extra: more tensors to fetch.
      note: a function that is called with the ticket before anything is kept.
        If the run fails or is interrupted, the caller must discard the ticket.

    Returns:
      The fetched outputs, the fetched `extra`, and the ticket, which is `None`
      if no tensors are kept; `note` is not called then.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    if self._staging.put is None:
      fetches = [self._outputs, list(extra)]
      return self._runs.run(sess, fetches, feed_dict) + [None]
    key = staging.new_key()
    note(key)
    feed_dict = dict(feed_dict)
    feed_dict[self._key] = key
    fetches = [self._outputs, list(extra), self._staging.put]
    outputs, more, _ = self._runs.run(sess, fetches, feed_dict)
    return outputs, more, key

  def backward(self, sess, ticket, fetches, feed_dict):
    """Takes the residuals out of the store and runs backward.

    Args:
      sess: the session of the forward run.
      ticket: the ticket that `forward` returned. It can be used once: another
        run with it, or one after `discard`, waits for ever.
      fetches: what to fetch, computed from `restored`.
      feed_dict: what to feed, including the upstream gradients.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `Session.run`. The caller must then discard the
        ticket.
    """
    if ticket is None:
      return self._runs.run(sess, fetches, feed_dict)
    feed_dict = dict(feed_dict)
    feed_dict[self._key] = ticket
    found, _ = self._runs.run(sess, [fetches, self._staging.take], feed_dict)
    return found

  def discard(self, sess, ticket):
    """Drops the residuals of `ticket`, if they still exist.

    Errors of the run are ignored.

    Args:
      sess: the session of the forward run, which may be closed.
      ticket: what `forward` returned; nothing is done for `None`.
    """
    if ticket is None:
      return
    # A session that is closed, or whose worker is gone, holds nothing.
    with contextlib.suppress(tf1.errors.OpError, RuntimeError):
      sess.run(self._staging.drop, {self._key: ticket})


class HostStore:
  """Fetches residuals into numpy arrays and feeds them back.

  Attributes:
    restored: a dict from the name of each kept tensor to the placeholder that
      has its value in the backward run.
  """

  def __init__(self, kept, outputs, stable=False, name="store"):
    """Adds the placeholders; the arguments are those of `DeviceStore`.

    Raises:
      CutError: if a tensor cannot be fetched, or cannot be copied.
    """
    values = kept if stable else staging.own_values(kept)
    for tensor in kept:
      if tensor.dtype.base_dtype == tf1.variant:
        raise errors.CutError(
          f"the residual {tensor.name!r} ({tensor.op.type}) is a "
          f'variant, which cannot be fetched. Use store="device".'
        )
    with tf1.name_scope(name):
      graph = tf1.get_default_graph()
      # The outputs of a conditional cannot be fetched directly on 2.x.
      self._values = [
        tensor if graph.is_fetchable(tensor) else tf1.identity(tensor)
        for tensor in values
      ]
      # Without shapes: TensorFlow's static shapes are wrong for some ops.
      self._placeholders = [
        tf1.placeholder(t.dtype.base_dtype, name="residual_ph") for t in kept
      ]
    self._outputs = outputs
    self._runs = prepared.Runs()
    self.restored = dict(zip([t.name for t in kept], self._placeholders))

  def forward(self, sess, feed_dict, extra=(), note=_ignore):
    """Runs forward and fetches the residuals.

    Args:
      sess: the session.
      feed_dict: what to feed.
      extra: more tensors to fetch.
      note: a function that is called with the ticket after the run: one that
        fails keeps nothing.

    Returns:
      The fetched outputs, the fetched `extra`, and the ticket, the list of the
      residuals' arrays.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    fetches = [self._outputs, list(extra), self._values]
    outputs, more, kept = self._runs.run(sess, fetches, feed_dict)
    # A tensor that is fetched twice is returned as the same array.
    shared = {id(value) for value in outputs}
    kept = [feeds.own(v) if id(v) in shared else v for v in kept]
    note(kept)
    return outputs, more, kept

  def backward(self, sess, ticket, fetches, feed_dict):
    """Feeds the residuals and runs backward.

    Args:
      sess: a session; any may run it.
      ticket: the ticket that `forward` returned. It can be used again.
      fetches: what to fetch, computed from `restored`.
      feed_dict: what to feed, including the upstream gradients.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    feed_dict = dict(feed_dict)
    feed_dict.update(zip(self._placeholders, ticket))
    return self._runs.run(sess, fetches, feed_dict)

  def discard(self, sess, ticket):
    """Does nothing: the ticket holds the residuals, which go with it."""


class SessionStore:
  """Keeps residuals in a partial run, which the backward call finishes.

  The gradients leave the partial run through a `Staging`, so that they can be
  fetched or applied like those of the other stores. TensorFlow never frees an
  unfinished partial run, so a discard finishes it with upstream gradients of
  zero. After a partial run that fails, the session cannot be used any more
  (measured on 1.15 and 2.21), so feeds are checked before as far as possible.

  Attributes:
    gradients: for each of the flat gradients the tensor that has its value in
      the run that `backward` makes after the partial run.
  """

  def __init__(self, outputs, gradients, upstream, copies=(), name="store"):
    """Adds the ops of the store.

    Args:
      outputs: the tensors that a forward run fetches, of any shapes.
      gradients: the flat gradients that read the forward ops, of any shapes.
      upstream: the placeholders of the upstream gradients in use, each with
        the position of its output: a list of `(position, placeholder)`.
      copies: tensors of any shapes that the forward part must have computed.
      name: name scope of the ops.
    """
    with tf1.name_scope(name):
      self._key = tf1.placeholder(tf1.int64, [], name="key_ph")
      with tf1.control_dependencies([tensor.op for tensor in copies]):
        self._outputs = [tf1.identity(tensor) for tensor in outputs]
      # A gradient may be the upstream placeholder itself, but a partial run
      # cannot fetch a tensor that it is fed.
      gradients = [tf1.identity(tensor) for tensor in gradients]
      self._staging = staging.Staging(gradients, self._key)
      put = [self._staging.put] if gradients else []
      with tf1.control_dependencies(put):
        self._done = tf1.identity(self._key, name="done")
    self._upstream = upstream
    self._late = [ph for _, ph in upstream] + [self._key]
    self._placeholders = [
      op.outputs[0]
      for op in walk.ancestors(outputs, control=True)
      if op.type == "Placeholder"
    ]
    self.gradients = self._staging.restored

  def forward(self, sess, feed_dict, extra=(), note=_ignore):
    """Begins a partial run.

    Args:
      sess: the session.
      feed_dict: what to feed.
      extra: more tensors to fetch.
      note: as for `DeviceStore.forward`.

    Returns:
      The fetched outputs, the fetched `extra`, and the ticket, a tuple.

    Raises:
      CallError: if `sess` has no partial runs.
      ArgumentError: if a placeholder that the outputs depend on is not fed.
      OpError, RuntimeError: as `Session.partial_run`.
    """
    self._check_fed(feed_dict)
    key = staging.new_key()
    run = partial_runs.PartialRun(
      feed_dict, self._outputs + list(extra), self._late, [self._done]
    )

    def begin():
      handle, found = run.begin(sess, feed_dict.values())
      zeros = [np.zeros_like(found[k]) for k, _ in self._upstream]
      note((run, handle, key, zeros))
      return found, (run, handle, key, zeros)

    found, ticket = partial_runs.without_interrupts(begin)
    count = len(self._outputs)
    return found[:count], found[count:], ticket

  @errors.named("forward")
  def _check_fed(self, feed_dict):
    fed = walk.names(feed_dict)
    missing = [ph for ph in self._placeholders if ph.name not in fed]
    if missing:  # no error if a fed tensor makes the placeholder unnecessary
      needed = walk.ancestors(self._outputs, list(feed_dict), control=True)
      for ph in missing:
        if ph.op in set(needed):
          raise errors.ArgumentError(
            f"feed_dict has no value for the placeholder {ph.name!r}, "
            f"which the outputs depend on. Feed it."
          )

  def backward(self, sess, ticket, fetches, feed_dict):
    """Finishes the partial run, then fetches `fetches` in a second run.

    Args:
      sess: the session of the forward run.
      ticket: the ticket that `forward` returned. It can be used once.
      fetches: what to fetch, computed from the attribute `gradients`.
      feed_dict: what to feed: an upstream gradient for each placeholder in use,
        which the partial run gets, and what the second run is fed.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `Session.run`. The caller must then discard the
        ticket.
    """
    run, handle, key, _ = ticket
    feed_dict = dict(feed_dict)
    upstream = [feed_dict.pop(ph) for _, ph in self._upstream]
    run.finish(sess, handle, upstream + [key])
    feed_dict[self._key] = key
    take = [self._staging.take] if self.gradients else []
    found, _ = sess.run([fetches, take], feed_dict)
    return found

  def discard(self, sess, ticket):
    """Finishes the partial run with upstream gradients of zero, if it is open.

    The gradients are dropped. Errors of the runs are ignored.

    Args:
      sess: the session of the forward run, which may be closed.
      ticket: what `forward` returned; nothing is done for `None`.
    """
    if ticket is None:
      return
    run, handle, key, zeros = ticket
    # The run may be finished already, or its session closed.
    with contextlib.suppress(tf1.errors.OpError, RuntimeError):
      run.finish(sess, handle, zeros + [key])
    if self.gradients:
      with contextlib.suppress(tf1.errors.OpError, RuntimeError):
        sess.run(self._staging.drop, {self._key: key})
