"""Route: every example goes only through its own branch."""

from __future__ import annotations

from tangle import errors, hints
from tangle.compat import tf1
from tangle.mux import calls, selectors, structures


@errors.named("mux.route")
def route(
  selector: hints.Value,
  inputs: hints.Nest,
  networks: selectors.Networks,
  run_empty: bool = False,
  name: str = "route",
) -> hints.Nest:
  """Sends every example through its own branch, and restores the order.

  `outputs[b] = networks[selector[b]](inputs)[b]`. Branch k is called once, on
  the rows that select it, in their order. A branch sees only those rows: a
  network that mixes rows, such as batch normalization, gives other values here
  than in `where`.

  Tensors that the networks close over are shared by all examples; a tensor with
  a row per example must be passed in `inputs`.

  Args:
    selector: `[B]` indices in `[0, K)` or names, as for `where`.
    inputs: nest of `[B, ...]`; B may be unknown, and 0.
    networks: K callables from a nest `[n_k, ...]` to a nest `[n_k, ...]`, in a
      list or as a mapping from name. All give the same structure and types,
      and shapes that agree beyond the rows.
    run_empty: whether a branch that no example selects runs, on 0 rows, rather
      than being skipped by a conditional, see `where`.
    name: name scope of the new ops.

  Returns:
    Nest of `[B, ...]`, in the structure that the networks return. Dimensions
    that the graph does not know are 0 if no branch ran.

  Gradients:
    As those of `where`: a branch that no example selects gives its weights
    zero.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as `where`, also in a
      run.
  """
  with tf1.name_scope(name):
    branches = selectors.list_networks(networks)
    indices = selectors.to_indices(selector, branches, rank=1)
    inputs = structures.to_tensors("inputs", inputs)
    leaves = tf1.nest.flatten(inputs)
    indices = selectors.check_rows(indices, leaves)
    count = len(branches.items)
    places = tf1.dynamic_partition(
      tf1.range(tf1.shape(indices)[0]), indices, count
    )
    parts = [tf1.dynamic_partition(leaf, indices, count) for leaf in leaves]
    results = []
    for k, network in enumerate(branches.items):
      own = tf1.nest.pack_sequence_as(inputs, [part[k] for part in parts])
      label, scope = branches.labels[k], f"branch_{k}"
      if run_empty:
        result = calls.call(label, network, own, scope)
      else:
        runs = tf1.size(places[k]) > 0
        result = calls.call_if(runs, label, network, own, scope)
      results.append(result)
    nests = [result.nest for result in results]
    shapes = structures.check_alike(branches.labels, nests)
    columns = list(zip(*[result.leaves for result in results]))
    outputs = []
    for column, shape in zip(columns, shapes):
      if not run_empty:
        column = calls.restore_shape(column, shape)
      output = tf1.dynamic_stitch(places, list(column))
      output.set_shape(indices.shape.concatenate(shape))
      outputs.append(output)
    return tf1.nest.pack_sequence_as(nests[0], outputs)
