"""Checks the inputs, outputs, variables and fetches of a sub-model."""

import numpy as np

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import gradient_paths, strategies, walk


def check_store(store, known):
  """Refuses a store that does not exist.

  Args:
    store: the argument `store`.
    known: the names of the stores.

  Returns:
    `store`.

  Raises:
    ArgumentError: if `store` is no string, or not one of `known`.
  """
  if isinstance(store, str) and store in known:
    return store
  raise errors.ArgumentError(
    f"store must be one of {known}, got {errors.show(store)}."
    f"{errors.suggest(store, known) or ' Leave it out for auto.'}"
  )


def check_alive(inputs, outputs, ops):
  """Refuses inputs that no output depends on.

  Args:
    inputs: the tensors where a piece begins, of any shapes.
    outputs: the tensors where it ends, of any shapes.
    ops: all ops that the outputs depend on, up to the inputs.

  Raises:
    DisconnectedError: if an input is neither an output nor read by one of
      `ops`.
  """
  read = {tensor.name for op in ops for tensor in op.inputs}
  read |= walk.names(outputs)
  for tensor in inputs:
    if tensor.name in read:
      continue
    near = gradient_paths.nearest(tensor, outputs)
    remedy = "Leave it out, or see tangle.cut_points(inputs, outputs)"
    if near is not None:
      remedy = f"Cut at {near.name!r}, from which {tensor.name!r} is made"
    raise errors.DisconnectedError(
      f"none of the outputs {[t.name for t in outputs]} depends on "
      f"the input {tensor.name!r}, so that no gradient would reach it. "
      f"{remedy}."
    )


def check_connected(inputs, outputs, reached):
  """Refuses outputs that depend on no input and no variable.

  Args:
    inputs: the tensors where a piece begins, of any shapes.
    outputs: the tensors where it ends, of any shapes.
    reached: names of the inputs, of the handles of the trained variables, and
      of all tensors that depend on these.

  Raises:
    DisconnectedError: if the name of an output is not in `reached`.
  """
  for tensor in outputs:
    if tensor.name not in reached:
      raise errors.DisconnectedError(
        f"the output {tensor.name!r} depends on none of the inputs "
        f"{[t.name for t in inputs]}, and on no trainable variable. Leave it "
        f"out, or name the input that it depends on."
      )


def find_wanted(inputs, ops, wanted=None):
  """Returns which inputs get gradients.

  Args:
    inputs: the tensors where a piece begins, of any shapes.
    ops: the ops of the piece.
    wanted: those of `inputs` that get gradients, none if empty; by default all
      floating ones but placeholders of the values of a sparse tensor.

  Returns:
    A list with a bool for each input, in order.

  Raises:
    ArgumentError: if `wanted` is no sequence of tensors, or has a tensor that
      is no floating input.
    GraphError: if the tensors of `wanted` belong to several graphs.
  """
  if wanted is None:
    values = _sparse_values(ops)
    return [
      compat.is_differentiable(t.dtype)
      and not (t.op.type == "Placeholder" and t.name in values)
      for t in inputs
    ]
  wanted = walk.check_tensors("input_gradients", wanted)
  names = {t.name for t in inputs if compat.is_differentiable(t.dtype)}
  for tensor in wanted:
    if tensor.name not in names:
      raise errors.ArgumentError(
        f"input_gradients has {tensor.name!r}, which is none of the "
        f"floating inputs {sorted(names)}. Name some of these."
      )
  return [t.name in walk.names(wanted) for t in inputs]


def _sparse_values(ops):
  """Names the tensors that ops take as the values of sparse tensors."""
  found = set()
  for op in ops:
    if op.type.startswith("Sparse"):
      for argument, tensor in zip(op.op_def.input_arg, op.inputs):
        if argument.name.endswith("values"):
          found.add(tensor.name)
  return found


def check_used(used, outputs):
  """Checks which outputs a loss will use.

  Args:
    used: a sequence of one bool for each output.
    outputs: the outputs of the sub-model, of any shapes.

  Returns:
    `used` as a tuple of bools.

  Raises:
    ArgumentError: if `used` is no sequence, has not one item for each output,
      or none of them is true.
    DtypeError: if a used output is not differentiable.
  """
  fits = hasattr(used, "__len__") and len(used) == len(outputs)
  if not fits or not any(used):
    raise errors.ArgumentError(
      f"used must have one bool for each of the outputs "
      f"{[t.name for t in outputs]}, at least one of them true, got "
      f"{errors.show(used)}. To use all, give {[True] * len(outputs)}."
    )
  for use, tensor in zip(used, outputs):
    if use and not compat.is_differentiable(tensor.dtype):
      raise errors.DtypeError(
        f"the output {tensor.name!r} ({tensor.dtype.name}) can have "
        f"no gradient. Its entry in used must be False."
      )
  return tuple(map(bool, used))


def find_variables(ops, graph, variables=None):
  """Finds the variables that get gradients.

  Args:
    ops: the ops of a piece, and those that hold its variables.
    graph: the `tf.Graph`.
    variables: variables, none if empty; by default the trainable ones of
      `graph` that are among `ops`.

  Returns:
    A list of variables, in the order of `variables` or of the graph's
    collection of trainable variables. For a variable of a distribution
    strategy, it has the component that the piece reads.

  Raises:
    ArgumentError: if `variables` has an item that is not a variable, or a
      strategy keeps a variable on several devices and this is not called in the
      context of one replica.
    GraphError: if a variable belongs to another graph.
    DisconnectedError: if a variable is not among `ops`.
  """
  if variables is None:
    found = walk.trainable_variables(ops, graph)
  else:
    found, present = [], set(ops)
    for variable in variables:
      found.extend(_find_read(present, graph, variable))
  strategies.check(found)
  return found


def _find_read(present, graph, variable):
  """Returns those components of a variable that are among `present`."""
  parts = strategies.components(variable)
  for part in parts:
    if not hasattr(part, "op") or not hasattr(part, "graph"):
      raise errors.ArgumentError(
        f"variables must hold variables of a graph, got "
        f"{errors.show(part)}. Give a partitioned variable as the list of its "
        f"parts."
      )
    if part.graph is not graph:
      raise errors.GraphError(
        f"the variable {part.name!r} belongs to another graph than "
        f"the outputs. Build both in one graph."
      )
  found = [part for part in parts if part.op in present]
  if not found:
    raise errors.DisconnectedError(
      f"no output depends on the variable {parts[0].name!r} between "
      f"inputs and outputs. Leave it out, or name inputs that are nearer to "
      f"the data, so that the variable is used between them and the outputs."
    )
  return found


def check_fetches(fetches, graph):
  """Refuses what a session cannot run or fetch, before it runs anything.

  Args:
    fetches: the argument: dicts, lists and tuples of ops, tensors, their names,
      or of whatever else a session fetches.
    graph: the graph of the session.

  Raises:
    ArgumentError: if `fetches` is or holds a session, `None`, a number, an
      array or an eager tensor, or a name that is not in `graph`.
    GraphError: if it holds what belongs to another graph.
  """
  if hasattr(fetches, "partial_run"):
    raise errors.ArgumentError(
      "fetches must be ops or tensors, got a session. Call "
      "run(fetches, upstream); it uses the session of the forward run."
    )
  stack = [fetches]
  while stack:
    item = stack.pop()
    own = getattr(item, "graph", None)
    if isinstance(item, dict):
      stack.extend(item.values())
    elif isinstance(item, (list, tuple)):
      stack.extend(item)
    elif isinstance(own, tf1.Graph) and own is not graph:
      raise errors.GraphError(
        f"fetches has {item.name!r}, which belongs to another graph. "
        f"Build it in the graph of the sub-model."
      )
    elif not _is_fetch(item, graph):
      raise errors.ArgumentError(
        f"fetches must be ops or tensors, got {errors.show(item)}. "
        f"Give what to run or to fetch, such as a train op that reads "
        f"SubModel.gradients."
      )


def _is_fetch(item, graph):
  """Whether a session may take `item`, which is no list or dict, as a fetch."""
  if isinstance(item, (str, bytes)):
    try:
      return graph.as_graph_element(item) is not None
    except (KeyError, ValueError):
      return False
  values = (bool, int, float, complex, np.ndarray, np.generic)
  is_eager = isinstance(item, tf1.Tensor) and not hasattr(item, "graph")
  return item is not None and not is_eager and not isinstance(item, values)


def translated(piece, find):
  """Returns keyword arguments for a `Split` of a copy of a piece.

  Args:
    piece: a `Split`.
    find: a function from a tensor of `piece` to the one in its place.

  Returns:
    A dict with the keys `inputs`, `outputs`, `wanted` (lists of the tensors
    that `find` returns), `connected` (`False`), `weights_unchanged` and
    `simplify`. `variables`, `residuals` and `fed` are left to the caller.
  """
  return {
    "inputs": [find(tensor) for tensor in piece.inputs],
    "outputs": [find(tensor) for tensor in piece.outputs],
    "connected": False,
    "weights_unchanged": piece.weights_unchanged,
    "simplify": piece.simplify,
    "wanted": [
      find(tensor)
      for tensor, is_wanted in zip(piece.inputs, piece.wanted)
      if is_wanted
    ],
  }
