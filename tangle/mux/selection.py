"""Select: one of several tensors for each example."""

from __future__ import annotations

from tangle import errors, hints
from tangle.compat import tf1
from tangle.mux import masking, selectors, structures


@errors.named("mux.select")
def select(
  selector: hints.Value, branches: selectors.Choices, name: str = "select"
) -> hints.Nest:
  """Chooses for each example one of several existing tensors.

  `outputs[b] = branches[selector[b]][b]`. Gradients may be NaN: a NaN or an
  infinity in a row not taken does not reach the outputs, and its gradient is
  set to zero here. But the op that computed that row multiplies the zero by its
  own derivative, and zero times infinity is NaN. `mux.where` calls the
  networks itself and is safe.

  Args:
    selector: `[B]` indices in `[0, K)`, int32 or int64; or names, if `branches`
      is a mapping. Indices count the items of a mapping in their order.
    branches: K nests of `[B, ...]`, in a list or as a mapping from name. All
      have the same structure, types and shapes.
    name: name scope of the new ops.

  Returns:
    Nest of `[B, ...]`, in the structure of a branch.

  Gradients:
    To each branch the gradient of the rows taken from it, zero elsewhere.
    None to the selector.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as `where`, also in a
      run, for `branches` in place of what networks give.
  """
  with tf1.name_scope(name):
    listed = selectors.list_branches("branches", branches)
    indices = selectors.to_indices(selector, listed, rank=1)
    nests = [
      structures.to_tensors(f"branch {label}", nest)
      for label, nest in zip(listed.labels, listed.items)
    ]
    leaves = [tf1.nest.flatten(nest) for nest in nests]
    for tensors in leaves:
      indices = selectors.check_rows(indices, tensors)
    shapes = structures.check_alike(listed.labels, nests)
    masks = [tf1.equal(indices, k) for k in range(len(nests))]
    outputs = []
    for column, shape in zip(zip(*leaves), shapes):
      outputs.append(masking.choose(masks, column))
      outputs[-1].set_shape(indices.shape.concatenate(shape))
    return tf1.nest.pack_sequence_as(nests[0], outputs)
