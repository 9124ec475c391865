"""Separates a piece of a static graph from its backward pass.

`Split` makes the backward ops of a piece of the current graph, finds the
residuals, and makes the backward ops, or copies of them, read the restored
residuals. It runs no session and stores nothing.
"""

import functools
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import (
  copying,
  cut,
  gradient_paths,
  handles,
  references,
  rereads,
  simplifications,
  walk,
)
from tangle.partial import arguments, choice, policies, sizes


class Gradients(NamedTuple):
  """Gradients of a sub-model: tensors, or, if fetched, arrays.

  Attributes:
    inputs: one for each input, in order, of its shape; `None` where none flows.
    variables: one for each variable, in order; `None` where none flows,
      `IndexedSlices` (fetched: `IndexedSlicesValue`) where sparse.
  """

  inputs: List[Any]
  variables: List[Any]


class Backward(NamedTuple):
  """A backward pass that still reads the forward ops.

  Attributes:
    gradients: a `Gradients` of tensors in the graph of the forward pass, or
      in a scratch graph.
    cut: the `Cut` between it and the forward pass; `None` if it was not looked
      for.
    shapes: the `Shapes` that it was made with in a scratch graph; `None` for
      those of the `Split`.
    names: kept tensor's name → its name in a scratch graph; `None` without one.
    bytes: predicted bytes of the kept tensors; `None` if not predicted.
    made: the set of the ops added to the forward graph for this backward pass
      alone; empty if it is in a scratch graph.
  """

  gradients: Gradients
  cut: cut.Cut
  shapes: Optional[cut.Shapes] = None
  names: Optional[Dict[str, str]] = None
  bytes: Optional[int] = None
  made: FrozenSet[tf1.Operation] = frozenset()


class Split:
  """The piece of the current graph between `inputs` and `outputs`.

  Attributes:
    graph: the `tf.Graph`.
    inputs, outputs: lists of tensors.
    variables: the variables that get gradients.
    all_ops: the ops that the outputs depend on, up to the inputs, producers
      before consumers; `ops`: those that depend on an input or a variable;
      `between`: those that depend on an input.
    shapes: the `Shapes` that its backward passes need.
    fed: the argument `fed` as a list: other tensors that a run may be fed.
    wanted: one bool per input: whether it gets a gradient.
    weights_unchanged, simplify: the arguments.
    policy: the `choice.Policy` that `residuals` means.
    assigned: a dict from the op of each reference variable that the forward
      run assigns to the ops that assign it.
    copy: the `cloning.Clone` that the piece is; `None` if it is no copy.
    bytes_of: a function from tensor to bytes, known, specified or assumed.
  """

  def __init__(
    self,
    inputs,
    outputs,
    variables=None,
    residuals=policies.FRONTIER,
    connected=True,
    fed=None,
    weights_unchanged=False,
    wanted=None,
    simplify=True,
  ):
    """Checks the piece; adds nothing to the graph.

    Args:
      inputs: tensors of any shapes where the piece begins.
      outputs: tensors of any shapes where it ends.
      variables: variables to get gradients for; by default the trainable
        ones between `inputs` and `outputs`.
      residuals: a policy, or a `choice.Policy`.
      connected: whether to require inputs, a path from each input to an output,
        and for each output a path from an input or a variable.
      fed: all tensors besides `inputs` that a run may be fed; `None` if that
        is not known. If it is known, shapes that the ops imply are trusted.
      weights_unchanged: whether no variable changes between a forward run and
        its backward run, so that reference variables need not be copied.
      wanted: those of `inputs` to get gradients for; by default all floating
        ones but placeholders of the values of a sparse tensor.
      simplify: whether to apply `simplifications` to the backward ops.

    Raises:
      ArgumentError: if inputs or outputs are not lists of tensors, or empty.
      GraphError: if the tensors belong to several graphs.
      DisconnectedError: if an input leads to no output, an output depends on
        no input and no variable, or a variable is not below any output.
    """
    self.outputs = walk.check_tensors("outputs", outputs)
    if not self.outputs:
      raise errors.ArgumentError("outputs is empty; give at least one tensor.")
    self.graph = self.outputs[0].graph
    self.inputs = walk.check_tensors("inputs", inputs, self.graph)
    if connected and not self.inputs:
      raise errors.ArgumentError("inputs is empty; give at least one tensor.")
    self.fed = None if fed is None else list(fed)
    self.policy = choice.make(residuals)
    self.shapes, self.assigned, self.copy = cut.Shapes(), {}, None
    ops = walk.ancestors(self.outputs, stop=self.inputs)
    if connected:
      arguments.check_alive(self.inputs, self.outputs, ops)
    self.variables = arguments.find_variables(ops, self.graph, variables)
    self.wanted = arguments.find_wanted(self.inputs, ops, wanted)
    held = [handles.of(variable) for variable in self.variables]
    reached = walk.dependents(self.inputs + held, ops)
    if connected:
      arguments.check_connected(self.inputs, self.outputs, reached)
    self.ops = [op for op in ops if any(t.name in reached for t in op.inputs)]
    self.between = walk.between(self.inputs, self.outputs)
    self.all_ops = ops
    self.weights_unchanged = weights_unchanged
    self.simplify = simplify
    self._differentiable = None
    self._besides = []
    budget = self.policy.residuals
    self.bytes_of = sizes.of(
      self.policy.sizes,
      self.inputs,
      ops,
      isinstance(budget, policies.Budget) and budget.bytes is not None,
    )

  def float_sources(self):
    """Lists the tensors with gradients: inputs, then variables' handles."""
    sources = [t for t, use in zip(self.inputs, self.wanted) if use]
    return sources + [handles.of(variable) for variable in self.variables]

  def differentiable_ops(self):
    """Lists the forward ops that a gradient flows through.

    Returns:
      A list of ops, producers before consumers.
    """
    if self._differentiable is None:
      self._differentiable = gradient_paths.flowing(
        self.float_sources(), self.outputs, self.all_ops, self.inputs
      )
    return self._differentiable

  def ties_to_one_run(self):
    """Finds an op whose residuals cannot leave the run that makes them.

    Returns:
      An op of a TensorFlow 1 style loop, conditional or tensor array through
      which a gradient flows; `None` if there is none.
    """
    for op in self.differentiable_ops():
      if op.type.startswith("TensorArray") or compat.in_v1_control_flow(op):
        return op
    return None

  def check_control_flow(self, remedy):
    """Refuses TensorFlow 1 style control flow, for all stores but `"session"`.

    Args:
      remedy: the end of the error message.

    Raises:
      CutError: if `ties_to_one_run` finds an op.
    """
    op = self.ties_to_one_run()
    if op is not None:
      raise errors.CutError(
        f"a gradient flows through {op.name!r} ({op.type}) of a "
        f"TensorFlow 1 style loop, conditional or tensor array, whose "
        f"residuals live for one run only. {remedy}"
      )

  def prepare_partial_use(self):
    """Adds the shape tensors for losses that use only some outputs.

    If a loss uses only some outputs of an op, the op's gradient function makes
    zeros for the others, and reads their shapes.

    Returns:
      A list of shape tensors to keep besides the residuals.
    """
    used = [t for t in self.outputs if compat.is_differentiable(t.dtype)]
    masks = walk.reach(used, self.all_ops) if len(used) > 1 else {}
    needed = []
    for op in self.differentiable_ops():
      found = [t for t in op.outputs if compat.is_differentiable(t.dtype)]
      if len({masks.get(t.name, 0) for t in found} - {0}) > 1:
        needed += [t for t in found if not t.shape.is_fully_defined()]
    with self.graph.as_default():
      self._besides = [self.shapes.add(tensor) for tensor in needed]
    return self._besides

  def differentiate(self, upstream, find_cut=True, have=frozenset()):
    """Makes the backward ops; until `connect` they read the forward ops.

    Args:
      upstream: for each output its upstream gradient, a tensor of its shape
        and dtype, or `None` where the loss does not use it.
      find_cut: whether to find the residuals.
      have: names of tensors that another backward pass keeps already. If they
        suffice, no others are kept.

    Returns:
      A `Backward`, whose cut is `None` without `find_cut`.

    Raises:
      CutError, ArgumentError: if a budget is too small; if `sizes` is wrong.
    """
    used = [k for k, gradient in enumerate(upstream) if gradient is not None]
    floats = [k for k, use in enumerate(self.wanted) if use]
    before = len(self.graph.get_operations())
    found = self._gradients(
      [self.outputs[k] for k in used],
      [self.inputs[k] for k in floats] + self._sources(),
      [upstream[k] for k in used],
    )
    of_input = dict(zip(floats, found))
    inputs = [of_input.get(k) for k in range(len(self.inputs))]
    gradients = Gradients(inputs, list(found[len(floats) :]))
    made = self.graph.get_operations()[before:]
    rereads.release(made, [upstream[k] for k in used])
    if self.copy is not None:
      self.copy.redirect(made)
      flat, rebuild = flatten(gradients)
      gradients = rebuild([self.copy.find(tensor) for tensor in flat])
    if self.simplify:
      flat, rebuild = flatten(gradients)
      fed = None if self.fed is None else walk.names(self.inputs + self.fed)
      alike = [(self.outputs[k], upstream[k]) for k in used]
      flat, added = simplifications.apply(self.all_ops, made, flat, fed, alike)
      gradients, made = rebuild(flat), made + added
    made = set(made)
    if not find_cut:
      return Backward(gradients, None)
    targets = flatten(gradients)[0]
    search = functools.partial(
      self._search,
      targets,
      made.__contains__,
      {upstream[k].name for k in used},
      walk.names(self.inputs),
    )
    for kept_already in [have, frozenset()] if have else [frozenset()]:
      plan = choice.find(
        self.policy,
        search,
        targets,
        self.shapes,
        kept_already,
        self.bytes_of,
        self._besides,
      )
      if walk.names(plan.cut.kept) <= kept_already:
        break
    result = plan.cut
    if self.policy.residuals == policies.ALL:
      result = self._keep_everything(result)
    # Without inputs that the gradient of a loop has added to the loop.
    made -= frozenset(walk.ancestors(result.kept + self.outputs))
    return Backward(gradients, result, bytes=plan.bytes, made=made)

  def _gradients(self, outputs, sources, upstream):
    """Calls `tf.gradients` with the devices and control flow of the ops."""
    compat.keep_function_graphs(self.all_ops)
    placed = any(op.device for op in self.ops)  # "" changes nothing
    device = tf1.device(self.outputs[0].op.device)
    style = compat.control_flow_of(self.all_ops)
    with self.graph.control_dependencies(None), style, device:
      return tf1.gradients(
        outputs,
        sources,
        grad_ys=upstream,
        stop_gradients=self.inputs,
        colocate_gradients_with_ops=placed,
      )

  def _search(self, *args, **options):
    """Finds a cut that keeps a reference variable once, not once per read."""
    keep, standing = options.pop("keep"), cut.FREE
    if self.weights_unchanged:
      standing = standing | cut.REFERENCES
    return cut.cut(
      *args,
      keep=lambda t: not references.is_value(t) and keep(t),
      standing=standing,
      **options,
    )

  def _sources(self):
    """Returns what `tf.gradients` takes for the variables."""
    return list(self.variables)

  def _keep_everything(self, result):
    names = walk.names(result.kept)
    extra = [
      tensor
      for tensor in policies.everything(self.between, self.graph)
      if tensor.name not in names and not references.is_value(tensor)
    ]
    return result._replace(kept=result.kept + extra)

  def connect(self, backward, restored, name):
    """Makes the backward ops, or copies, read the restored residuals.

    Args:
      backward: what `differentiate` returned.
      restored: a dict from the name of each kept tensor to the tensor that
        replaces it, of its shape and dtype.
      name: name scope of the copies.

    Returns:
      A `Gradients` of tensors that depend only on `restored` and on the
      upstream gradients.
    """
    flat, rebuild = flatten(backward.gradients)
    with tf1.name_scope(name), tf1.control_dependencies(None):
      names = backward.names or {}
      restored = {names.get(name, name): t for name, t in restored.items()}
      replace = {**restored, **backward.cut.handles}
      shapes = backward.shapes or self.shapes
      replace.update(cut.rebuild_shapes(backward.cut.shaped, restored, shapes))
      copies = copying.move(backward.cut.copied, backward.made, flat, replace)
    return rebuild(copies)


def flatten(gradients) -> Tuple[list, Any]:
  """Lists the tensors of `gradients`, inputs first, without each `None`.

  Args:
    gradients: a `Gradients`. A sparse one gives its values, indices and shape.

  Returns:
    The list of tensors, and a function that makes a `Gradients` of the same
    structure from another list of as many tensors.
  """
  flat = []
  for gradient in gradients.inputs + gradients.variables:
    if compat.is_indexed_slices(gradient):
      flat.extend([gradient.values, gradient.indices])
      if gradient.dense_shape is not None:
        flat.append(gradient.dense_shape)
    elif gradient is not None:
      flat.append(gradient)

  def rebuild(tensors):
    rest = iter(tensors)

    def one(gradient):
      if compat.is_indexed_slices(gradient):
        values, indices = next(rest), next(rest)
        has_shape = gradient.dense_shape is not None
        return tf1.IndexedSlices(
          values, indices, next(rest) if has_shape else None
        )
      return None if gradient is None else next(rest)

    return Gradients(
      [one(gradient) for gradient in gradients.inputs],
      [one(gradient) for gradient in gradients.variables],
    )

  return flat, rebuild
