"""Switch: one branch for the whole batch."""

from __future__ import annotations

from tangle import errors, hints
from tangle.compat import tf1
from tangle.mux import selectors, structures


@errors.named("mux.switch")
def switch(
  selector: hints.Value,
  inputs: hints.Nest,
  networks: selectors.Networks,
  name: str = "switch",
) -> hints.Nest:
  """Runs one branch for the whole batch, and only its ops.

  `outputs = networks[selector](inputs)`. No op of another branch runs, forward
  or backward. TensorFlow puts variables that a network makes when it is called
  outside the conditional. Other tensors that the network makes cannot be
  fetched from outside, nor can its update ops be run.

  Args:
    selector: scalar index in `[0, K)`, int32 or int64; or a name, if `networks`
      is a mapping. An index counts the items of a mapping in their order.
    inputs: nest of tensors of any shape.
    networks: K callables from nest to nest, in a list or as a mapping from
      name. All give the same structure, types and shapes; where dimensions are
      unknown, they may differ from run to run.
    name: name scope of the new ops.

  Returns:
    The outputs of the branch that runs, in the structure that it returns.

  Gradients:
    Those of the branch that runs, to any order that its ops have. The weights
    of the others get zeros, not `None`: an optimizer with momentum still moves
    them. None to the selector. On TensorFlow 2.21 with control flow v2, the
    second gradient of an embedding may fail if the number of its rows is
    statically known, by a fault of TensorFlow's graph optimizer.

  Raises:
    ArgumentError, DtypeError, GraphError: as `where`, also in a run.
    ShapeError: if the selector is no scalar, or networks give different shapes.
  """
  with tf1.name_scope(name):
    branches = selectors.list_networks(networks)
    index = selectors.to_indices(selector, branches, rank=0)
    inputs = structures.to_tensors("inputs", inputs)
    nests = []

    def run(k):
      what = f"what branch {branches.labels[k]} gives"
      found = branches.items[k](inputs)
      nests.append(structures.to_tensors(what, found))
      # Checked here, as TensorFlow's own error does not name the branches.
      labels = [branches.labels[0], branches.labels[k]]
      structures.check_alike(labels, [nests[0], nests[-1]], 0)
      return tf1.nest.flatten(nests[-1])

    calls = [lambda k=k: run(k) for k in range(len(branches.items))]
    if len(calls) == 1:
      calls.append(lambda: [_stand_in(v) for v in tf1.nest.flatten(nests[0])])
    # In TensorFlow 1 style, switch_case is a chain of conditionals.
    if tf1.control_flow_v2_enabled() and len(calls) > 2:
      found = tf1.switch_case(index, calls, name="branches")
    else:
      found = _bisect(index, 0, calls)
    leaves = tf1.nest.flatten(found)
    shapes = structures.check_alike(branches.labels, nests, first_row=0)
    for leaf, shape in zip(leaves, shapes):
      leaf.set_shape(shape)
    return tf1.nest.pack_sequence_as(nests[0], leaves)


def _bisect(index, offset, calls):
  """Calls `calls[index - offset]` by bisection: log K conditionals run."""
  if len(calls) == 1:
    return calls[0]()
  half = len(calls) // 2
  return tf1.cond(
    index < offset + half,
    lambda: _bisect(index, offset, calls[:half]),
    lambda: _bisect(index, offset + half, calls[half:]),
    name=f"branches_{offset}",
  )


def _stand_in(leaf):
  """Returns a tensor of the type of `leaf`, for a branch that never runs."""
  dims = [] if leaf.shape.ndims is None else leaf.shape
  dims = [tf1.dimension_value(dim) or 0 for dim in dims]
  return tf1.zeros(dims, leaf.dtype.base_dtype)
