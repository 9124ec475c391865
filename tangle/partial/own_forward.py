"""Gives a piece its own copy of the forward ops, if the originals cannot serve.

The user's ops are not changed. A copy of the forward ops, with the same values,
runs in their place if

- TensorFlow would not stop a gradient at an input, or would stop it elsewhere;
- the graph optimizer of TensorFlow 2 would ignore the feed of an input;
- the forward pass assigns a reference variable that it also reads;
- residuals lie inside a loop or a function, and may be the memory of a
  reference variable.
"""

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import (
  aliases,
  cloning,
  cut,
  feeding,
  internals,
  own_gradients,
  references,
  walk,
)
from tangle.partial import arguments, choice, ends, split, staging

_FED = frozenset(["Placeholder", "PlaceholderWithDefault"])


def settle(piece, fetched=(), in_one_run=False):
  """Makes a copy of the forward ops of a piece, if it needs one.

  The copy is added to the default graph, which must be that of the piece.

  Args:
    piece: a `split.Split`. Its attribute `assigned` is set.
    fetched: tensors and ops that a forward run computes besides the outputs.
    in_one_run: whether residuals stay in the run that makes them.

  Returns:
    A `split.Split` of the copy, and its `cloning.Clone`; if `piece` needs no
    copy, `piece` itself and `None`, and nothing is added to the graph.

  Raises:
    CutError: if a copy is needed, and a gradient flows through a loop or
      conditional that has an op with a `tf.custom_gradient` in it.
  """
  wanted = piece.outputs + list(fetched)
  run = walk.ancestors(wanted, control=True)
  held = [op for op in piece.all_ops if op.type in cut.REFERENCES]
  if any(op.type in cut.REFERENCES for op in run):
    piece.assigned = references.assigned(run)
  # A variable assigned within a loop is read at no single moment.
  changed = [
    variable
    for variable, ops in piece.assigned.items()
    if not any(internals.in_v1_loop(op) for op in ops)
  ]
  assigned = [variable for variable in changed if variable in set(held)]
  may_change = bool(held) and not piece.weights_unchanged
  given = []  # variables that are arguments of functions
  if may_change:
    given = _given_to_functions(piece.all_ops)
    given = [v for v in given if v not in piece.assigned]
  copied_later = in_one_run and may_change
  risky = _assigned_inputs(piece)
  if not (assigned or given or copied_later or risky or _loses_inputs(piece)):
    return piece, None
  _check_memory(piece, bool(assigned or given or copied_later))
  variables = set(changed).union(given, held if copied_later else [])
  wanted += own_gradients.remembered(piece.differentiable_ops())
  touched = [
    op
    for op in walk.ancestors(wanted, control=True)
    if any(
      compat.is_ref(t) and references.of(t) in variables for t in op.inputs
    )
  ]
  replace, readers = {}, []
  for k, tensor in enumerate(piece.inputs):
    if tensor.op.type not in _FED:
      value = references.copy(tensor) if tensor.name in risky else tensor
      other = replace[tensor.name] = _stand_in(value, f"input_{k}")
      readers += [op for op in (value.op, other.op) if op is not tensor.op]
  copy = cloning.clone(wanted, replace, touched, "forward", readers)
  references.keep_reads(assigned, copy.copies)
  held = [variable.outputs[0] for variable in given]
  copy.copies += [t.op for t in references.keep_tensors(held, copy.copies)]
  own = split.Split(
    variables=piece.variables,
    residuals=choice.seen_through(piece.policy, copy),
    fed=piece.fed,
    **arguments.translated(piece, copy.find),
  )
  own.assigned = piece.assigned
  own.copy = copy
  return own, copy


def _check_memory(piece, for_variables):
  """Refuses gradient functions that would read the originals, not the copy.

  Args:
    piece: the `split.Split` whose forward ops will be copied.
    for_variables: whether reference variables are the reason for the copy.

  Raises:
    CutError: if a gradient flows through a loop or conditional that has an op
      with a `tf.custom_gradient` in it.
  """
  for op in piece.differentiable_ops():
    name = own_gradients.inner_memory(op)
    if name is not None:
      remedy = "See tangle.cut_points(inputs, outputs) for other places to cut."
      if for_variables:
        remedy = "Make the variables with use_resource=True."
        if not (piece.weights_unchanged or piece.assigned):
          remedy = (
            "If no variable changes between a forward run and its backward "
            "run, say so by weights_unchanged=True; or make the variables with "
            "use_resource=True."
          )
      raise errors.CutError(
        f"{name!r} in a loop or conditional has a gradient "
        f"function by tf.custom_gradient, which remembers the ops beside it; "
        f"but here a copy of these ops has to run in their place. {remedy}"
      )


def _assigned_inputs(piece):
  """Names the inputs whose memory the forward pass may assign."""
  if not piece.assigned:
    return set()
  return {
    tensor.name
    for tensor in piece.inputs
    if references.is_copyable(tensor.dtype)
    and any(v in piece.assigned for v in aliases.variables_behind([tensor]))
  }


def _given_to_functions(ops):
  """Lists the reference variables that are inputs of loops and functions."""
  found = {}
  for op in ops:
    if op.type in cloning.FLOW_V2 or compat.is_call(op):
      for tensor in op.inputs:
        read = references.read_of(tensor)
        if read is not None and read.type in cut.REFERENCES:
          found[read] = True
  return list(found)


def check_cut(piece, found):
  """Refuses a cut that needs a value which the forward pass has overwritten.

  Args:
    piece: a `split.Split` that `settle` returned.
    found: the `cut.Cut` of a backward pass of `piece`.

  Raises:
    CutError: if a tensor is the memory of a reference variable that the forward
      pass assigns.
  """
  standing = [piece.graph.get_tensor_by_name(name) for name in found.standing]
  _check_moments(piece, found.kept + standing)


def differentiate_in_one_run(piece, copy, upstream, has_run=False):
  """Makes backward ops for the second part of a partial run.

  They read the forward ops, not copies or restored tensors; but values of
  reference variables are copied, unless `piece.weights_unchanged`.

  Args:
    piece: a `split.Split` that `settle` returned.
    copy: the `cloning.Clone` that `settle` returned, or `None`.
    upstream: as for `Split.differentiate`.
    has_run: whether the copy may have run already.

  Returns:
    A `split.Backward`, and the tensors, of any shapes, that the first part of
    the run must have computed before a variable changes.

  Raises:
    CutError: if a value of a reference variable cannot be kept, or as
      `Split.differentiate`.
  """
  before = len(piece.graph.get_operations())
  backward = piece.differentiate(upstream)
  made = piece.graph.get_operations()[before:]
  _check_moments(piece, _read_by(made))
  if piece.weights_unchanged:
    return backward, []
  copies = []
  if copy is not None and not has_run:
    held = aliases.variables_behind(_read_by(made))
    held = [variable.outputs[0] for variable in held]
    for tensor in held:
      staging.check_copyable(tensor)
    copies += references.keep_tensors(held, copy.copies + made)
  read = _read_by(made)
  names = aliases.of_references(read)
  sharing = [tensor for tensor in read if tensor.name in names]
  for tensor in sharing:
    staging.check_copyable(tensor)
    if compat.in_v1_control_flow(tensor.op):
      raise errors.CutError(
        f"the residual {tensor.name!r} ({tensor.op.type}) is "
        f"the memory of a reference variable inside a loop or conditional. If "
        f"no variable changes between a forward run and its backward run, say "
        f"so by weights_unchanged=True."
      )
  return backward, copies + references.keep_tensors(sharing, made)


def _read_by(made):
  """Lists the forward tensors whose values gradient ops read."""
  own = set(made)
  return [
    tensor
    for op in made
    if op.type not in cut.SHAPES
    for tensor in op.inputs
    if tensor.op not in own
  ]


def _check_moments(piece, tensors):
  """Refuses values of variables that the forward pass overwrites."""
  behind = aliases.variables_behind(tensors) if piece.assigned else []
  if not any(variable in piece.assigned for variable in behind):
    return
  for tensor in tensors:
    for variable in aliases.variables_behind([tensor]):
      for op in piece.assigned.get(variable, []):
        raise errors.CutError(
          f"the residual {tensor.name!r} ({tensor.op.type}) is "
          f"the memory of the reference variable {variable.name!r}, which "
          f"{op.name!r} ({op.type}) changes in the forward pass, so that its "
          f"value is lost. Cut where the gradient does not need it, or make "
          f"the variable with use_resource=True."
        )


def _loses_inputs(piece):
  """Whether gradients would pass the inputs, or their feeds be ignored."""
  return any(
    feeding.is_forgotten(tensor) or _ends_a_loop(tensor)
    for tensor in piece.inputs
  ) or ends.is_passed(
    piece.inputs, piece.float_sources(), piece.differentiable_ops()
  )


def _ends_a_loop(tensor):
  """Whether TensorFlow would differentiate the loop that gave `tensor`."""
  return tensor.op.type == "Exit" or tensor.op.type.startswith("TensorArray")


def _stand_in(tensor, name):
  """Returns a placeholder that has the value of `tensor` unless it is fed."""
  if tensor.dtype.base_dtype in (tf1.resource, tf1.variant):
    return tensor
  return tf1.placeholder_with_default(tensor, tensor.shape, name)
