"""Sub-models: the forward and the backward pass are separate session runs."""

from __future__ import annotations

import collections
from typing import Iterable, Optional, Sequence

from tangle import compat, errors, hints
from tangle.compat import tf1
from tangle.graphs import cut, locks, walk
from tangle.nets import checks
from tangle.partial import (
  arguments,
  calls,
  choice,
  drawing,
  feeds,
  own_forward,
  policies,
  run_errors,
  split,
  stores,
)
from tangle.partial import residuals as residuals_lib

DEVICE = "device"
HOST = "host"
SESSION = "session"
RECOMPUTE = "recompute"
AUTO = "auto"
STORES = (DEVICE, HOST, SESSION, RECOMPUTE)
_KEEPING = {HOST: stores.HostStore}  # the others keep them in the runtime


class SubModel:
  """A piece of the current graph whose backward pass is a run of its own.

  `forward` runs the piece and keeps the residuals; `Call.backward` takes the
  upstream gradients and returns

      d loss / d v = sum_k upstream[k]^T (d outputs[k] / d v)

  for every input and variable `v`, at the weights that the forward run read.
  No forward op runs again, unless `store` or `residuals` asks to recompute.

  Attributes:
    inputs, outputs: lists of tensors.
    variables: the variables that get gradients.
    store: the name of the store; for `"auto"` the one that was picked.
    upstream: for each output the placeholder of its upstream gradient, `None`
      for an output that is not differentiable.
    name: name of the sub-model.
  """

  @errors.named("SubModel {name!r}")
  def __init__(
    self,
    inputs: Sequence[tf1.Tensor],
    outputs: Sequence[tf1.Tensor],
    variables: Optional[Sequence[hints.Variable]] = None,
    store: str = AUTO,
    residuals: policies.Residuals = policies.FRONTIER,
    name: str = "sub_model",
    recompute: Optional[hints.Predicate] = None,
    keep: Optional[hints.Predicate] = None,
    sizes: Optional[hints.Sizes] = None,
    weights_unchanged: bool = False,
    input_gradients: Optional[Sequence[tf1.Tensor]] = None,
    simplify_gradients: bool = True,
  ) -> None:
    """Adds the backward ops of the piece to the graph.

    Args:
      inputs: tensors of any shapes where it begins, placeholders or others.
      outputs: tensors of any shapes that the rest of the network reads. One
        may depend on another, or be an input.
      variables: variables to get gradients for, none if empty; by default the
        trainable ones that `outputs` depend on between `inputs` and `outputs`.
      store: where residuals are kept: `"device"` in the runtime, `"host"` in
        numpy arrays, `"session"` in a partial run, the only one that supports
        TensorFlow 1 style loops; `"recompute"` keeps inputs, weights and the
        results of random and other stateful ops, and reruns the other forward
        ops. `"auto"` picks `"device"`, or `"session"` if `"device"` cannot
        keep the residuals.
      residuals: `"frontier"` keeps the tensors that the backward pass reads,
        `"all"` every tensor between inputs and outputs that can be kept,
        `"none"` only tensors that cannot be recomputed. A predicate of a
        tensor keeps those for which it is true, and those that cannot be
        recomputed. `"min_cut"` keeps the fewest bytes, if cheap ops may be
        recomputed: element-wise ops, reductions, moves of data. A
        `tangle.Budget` recomputes less and stays within a number of bytes.
      name: name of the sub-model and of its name scope.
      recompute: for `"min_cut"` and a budget, a predicate: which tensors, such
        as matrix products, may be recomputed besides the results of cheap ops.
        Results of random and stateful ops are never recomputed.
      keep: for `"min_cut"` and a budget, a predicate: which tensors are kept
        if the backward pass or a recomputed op reads them.
      sizes: for `"min_cut"` and a budget, the bytes of tensors without static
        shapes: an int, the assumed size of unknown dimensions of fed tensors
        (32 by default), or a dict from fed tensors to shapes, or the result of
        `tangle.measure`.
      weights_unchanged: your promise that no variable changes between a
        forward run and its backward run. Reference variables, the default of
        TensorFlow 1.15, are then not copied at each forward run. Resource
        variables need no promise: they are copied only when they change.
      input_gradients: those of `inputs` to get gradients for, none if empty; by
        default all floating ones but placeholders of a sparse tensor's values.
      simplify_gradients: whether to remove ops from the backward pass that
        cannot change its values, such as sums over no axes.

    Raises:
      ArgumentError: if `name` cannot name a scope, `store` or `residuals` is
        unknown or they do not go together, no output can have a gradient,
        `input_gradients` has a tensor that is no floating input, or
        `recompute`, `keep` or `sizes` is invalid or has no meaning for
        `residuals`.
      GraphError: if the tensors belong to several graphs.
      DisconnectedError: if an input leads to no output, an output depends on no
        input and no variable, or no output depends on one of `variables`.
      CutError: if the store cannot keep the residuals, or a budget is smaller
        than the fewest bytes that can be kept.
    """
    self.name = checks.check_name("SubModel", name)
    self.store = arguments.check_store(store, STORES + (AUTO,))
    policy = choice.make(residuals, recompute, keep, sizes)
    is_planned = policies.is_planned(residuals)
    if store in (SESSION, RECOMPUTE) and is_planned:
      raise errors.ArgumentError(
        f"store={store!r} chooses its residuals itself, and cannot "
        f'take residuals={residuals!r}. Use store="device".'
      )
    policy = choice.Policy(policies.NONE) if store == RECOMPUTE else policy
    self._given = split.Split(
      inputs,
      outputs,
      variables,
      policy,
      weights_unchanged=weights_unchanged,
      wanted=input_gradients,
      simplify=simplify_gradients,
    )
    self.inputs, self.outputs = self._given.inputs, self._given.outputs
    self.graph, self.variables = self._given.graph, self._given.variables
    self._usable = tuple(
      compat.is_differentiable(t.dtype) for t in self.outputs
    )
    self._lock = locks.of(self.graph)
    self._residual_sets = {}
    if store != AUTO:
      self._make()
    else:
      self._pick(is_planned)

  def __repr__(self):
    waiting = sum(len(each.open) for each in self._residual_sets.values())
    return (
      f"<SubModel {self.name!r}: inputs {[t.name for t in self.inputs]}, "
      f"outputs {[t.name for t in self.outputs]}, {len(self.variables)} "
      f"variables, store={self.store!r}, {self.residuals.summary}, {waiting} "
      f"open calls>"
    )

  def _pick(self, is_planned):
    """Builds the sub-model with the first store that works."""
    self.store = DEVICE
    try:
      self._make()
    except errors.CutError as error:
      if is_planned:
        raise
      self.store = SESSION
      try:
        self._make()
      except errors.CutError as other:
        raise errors.CutError(
          f'store="auto" found none that works. "device": {error} '
          f'"session": {other}'
        ) from other
    tf1.logging.info(
      "SubModel %r: store='auto' picked %r.", self.name, self.store
    )

  @errors.named("SubModel {self.name!r}")
  def _make(self):
    """Checks the store, and adds the ops that every run needs."""
    self._check()
    with self._lock, self.graph.as_default():
      with tf1.name_scope(self.name) as scope:
        self._scope = scope
        self._split, self._copy = own_forward.settle(
          self._given, in_one_run=self.store == SESSION
        )
        self.upstream = [
          tf1.placeholder(t.dtype.base_dtype, t.shape, f"upstream_{k}_ph")
          if usable
          else None
          for k, (t, usable) in enumerate(zip(self.outputs, self._usable))
        ]
        if self.store != SESSION:
          self._partial_shapes = self._split.prepare_partial_use()
    self._pass(self._usable)

  def _check(self):
    if not any(self._usable):
      raise errors.ArgumentError(
        f"none of the outputs {[t.name for t in self.outputs]} is "
        f"floating, so that no gradient can enter. Give an output that the "
        f"loss depends on differentiably."
      )
    if self.store != SESSION:
      remedy = f'Use store="auto" or "session", not {self.store!r}.'
      if policies.is_planned(self._given.policy.residuals):
        remedy = f"Leave out residuals={self._given.policy.residuals!r}."
      self._given.check_control_flow(remedy)

  @errors.named("SubModel {self.name!r}")
  def prepare(self, used: Iterable[bool]) -> split.Gradients:
    """Adds the backward pass for a loss that uses only some outputs, once.

    `Call.backward` does this itself, unless the graph is finalized.

    Args:
      used: a list of one bool for each output, in order.

    Returns:
      The `Gradients` of that pass, as tensors of the graph. Ops built on them
      run by `Call.run`.

    Raises:
      ArgumentError: if `used` does not fit the outputs, or uses none.
      DtypeError: if a used output is not differentiable.
      GraphError: if the graph is finalized and lacks that pass.
      CutError: if the store cannot keep the residuals of that pass.
    """
    used = arguments.check_used(used, self.outputs)
    return self._pass(used).passes[used]

  @property
  def gradients(self) -> split.Gradients:
    """The `Gradients` of a loss that uses all outputs, as graph tensors.

    To apply them without fetching them, pass a train op to `Call.run`:

        pairs = list(zip(sub_model.gradients.variables, sub_model.variables))
        train_op = optimizer.apply_gradients(pairs)
        call.run(train_op, upstream)

    If a distribution strategy keeps the variables, the strategy has to call
    `optimizer` (TensorFlow 1.15: by `strategy.experimental_run_v2`):

        train_op = strategy.group(
          strategy.run(lambda: optimizer.apply_gradients(pairs)))
    """
    return self.prepare(self._usable)

  @property
  def residuals(self) -> residuals_lib.Residuals:
    """The tensors kept for a loss that uses all outputs, as a `Residuals`."""
    residual_set = self._pass(self._usable)
    return residuals_lib.describe(
      residual_set.kept,
      residual_set.measured,
      residual_set.recomputed,
      residual_set.predicted,
      residual_set.stacks,
    )

  @errors.named("SubModel {self.name!r}: draw")
  def draw(self, path: hints.Path) -> None:
    """Draws which tensors are kept and which are recomputed.

    Args:
      path: the file to write or replace: `.dot`, for graphviz, `.svg`, `.png`.

    Raises:
      ArgumentError, FileError: if `path` ends otherwise, or cannot be written.
      MissingPackageError: if a picture is asked for and graphviz is missing.
    """
    recomputed = self._pass(self._usable).recomputed
    drawing.draw(path, self._split, self.residuals, recomputed)

  @errors.named("SubModel {self.name!r}")
  def _pass(self, used):
    """Returns the `ResidualSet` that has a backward pass for `used`."""
    with self._lock:
      if used in self._residual_sets:
        return self._residual_sets[used]
      if self.graph.finalized:
        raise errors.GraphError(
          f"the graph is finalized, and has no "
          f"backward pass for used={used}. Call prepare({list(used)}) before."
        )
      with self.graph.as_default(), tf1.name_scope(self._scope):
        with tf1.control_dependencies(None), locks.keep_runs_out(self.graph):
          self._residual_sets[used] = self._build(used)
      return self._residual_sets[used]

  def _build(self, used):
    upstream = [ph if use else None for ph, use in zip(self.upstream, used)]
    residual_set = self._residual_sets.get(self._usable)
    have = residual_set.names if residual_set else frozenset()
    if self.store == SESSION:
      return self._build_session(used, upstream)
    backward = self._split.differentiate(upstream, have=have)
    cut.check(backward.cut)
    own_forward.check_cut(self._split, backward.cut)
    kept = backward.cut.kept + self._partial_shapes
    if residual_set is None or not walk.names(kept) <= have:
      kept = list(collections.OrderedDict((t.name, t) for t in kept).values())
      make = _KEEPING.get(self.store, stores.DeviceStore)
      store = make(kept, self._split.outputs, self._split.weights_unchanged)
      residual_set = calls.ResidualSet(kept, store)
    residual_set.standing |= backward.cut.standing
    residual_set.recomputed.update((op, True) for op in backward.cut.recomputed)
    if residual_set.predicted is None:
      residual_set.predicted = backward.bytes
    for op in backward.cut.recomputed:
      # An input is never recomputed, though other outputs of its op may be.
      ends = residual_set.names | walk.names(self._split.inputs)
      residual_set.repeated |= walk.names(op.outputs) - ends
    residual_set.passes[used] = self._split.connect(
      backward, residual_set.store.restored, "backward"
    )
    return residual_set

  def _build_session(self, used, upstream):
    backward, copies = own_forward.differentiate_in_one_run(
      self._split, self._copy, upstream, has_run=bool(self._residual_sets)
    )
    flat, rebuild = split.flatten(backward.gradients)
    upstream = [(k, self.upstream[k]) for k, use in enumerate(used) if use]
    store = stores.SessionStore(self._split.outputs, flat, upstream, copies)
    residual_set = calls.ResidualSet(backward.cut.kept, store)
    residual_set.stacks = residuals_lib.count_stacks(flat)
    residual_set.passes[used] = rebuild(store.gradients)
    return residual_set

  @errors.named("SubModel {self.name!r}: forward")
  def forward(
    self,
    sess: hints.Session,
    feed_dict: Optional[hints.FeedDict] = None,
    used: Optional[Iterable[bool]] = None,
  ) -> calls.Call:
    """Runs the sub-model forward, once.

    The first run adds ops that measure unknown sizes, if the graph allows it.

    Args:
      sess: a session on the sub-model's graph.
      feed_dict: what to feed: the inputs, unless the graph computes them, and
        any other placeholder. Arrays are copied, and may change afterwards.
      used: which outputs the loss will use, one bool each; all by default.
        Only `store="session"` needs to know it before `backward`.

    Returns:
      A `Call`, with the fetched outputs and methods for the backward run.

    Raises:
      ArgumentError: if `sess` is no session, a placeholder is not fed, a key of
        `feed_dict` is no tensor, or `used` does not fit the outputs.
      GraphError: if `sess` runs another graph, a tensor may not be fed, or, for
        a new `used`, as `prepare`.
      ShapeError, DtypeError: if a fed array does not fit its tensor.
      SessionError: if the session is closed, or a variable has no value.
    """
    if used is not None:
      used = arguments.check_used(used, self.outputs)
    residual_set = self._pass(used or self._usable)
    feed_dict = {} if feed_dict is None else feed_dict
    feed_dict = self._own_feeds(sess, feed_dict, residual_set.repeated)
    for each in list(self._residual_sets.values()):
      each.drain(sess)
    unknown = self._to_measure(residual_set)
    return calls.begin(self, residual_set, sess, feed_dict, unknown)

  def _to_measure(self, residual_set):
    """Lists (name, shape tensor) of kept tensors without a static size."""
    if residual_set.measured is not None or self.store == SESSION:
      return []
    with self._lock:
      if self.graph.finalized:
        return []
      if residual_set.to_measure is None:
        with self.graph.as_default(), tf1.name_scope(self._scope):
          with tf1.control_dependencies(None):
            residual_set.to_measure = [
              (tensor.name, tf1.shape(tensor, name="measure"))
              for tensor in residual_set.kept
              if residuals_lib.needs_measuring(tensor)
            ]
      return residual_set.to_measure

  def _own_feeds(self, sess, feed_dict, repeated):
    """Returns a dict from each fed tensor to a copy of its array."""
    how = "forward(sess, feed_dict)"
    run_errors.check_session(sess, self.graph, how, "sub_model.graph")
    find = None if self._copy is None else self._copy.find
    return feeds.take(feed_dict, self.graph, repeated, find)
