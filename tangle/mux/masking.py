"""Where: computes every branch for every example, and chooses one of them.

`tf.where` on the outputs alone is not safe: the gradient to the branch not
taken is zero, and zero times infinity is NaN. So every branch reads only rows
that select it, on which it is safe.
"""

from __future__ import annotations

from tangle import errors, hints
from tangle.compat import tf1
from tangle.mux import calls, selectors, structures


@errors.named("mux.where")
def where(
  selector: hints.Value,
  inputs: hints.Nest,
  networks: selectors.Networks,
  run_empty: bool = False,
  name: str = "where",
) -> hints.Nest:
  """Computes every branch for every example, and chooses one for each.

  `outputs[b] = networks[selector[b]](inputs)[b]`. Branch k reads all B rows,
  but those that do not take it are replaced by a copy of one that does. A NaN
  or an infinity of a branch not taken is never computed, so it reaches neither
  values nor gradients, of any order: not those of the inputs, nor of weights,
  shared or not, nor of whatever else the networks close over.

  Limits: a network that closes over a tensor with a row per example reads all
  its rows, taken or not, and is not safe there; pass the tensor in `inputs`. A
  network that mixes rows, such as batch normalization, sees the copies. A
  branch that no example takes has no safe row to copy; it does not run.

  Source: the "double where" of the JAX documentation (FAQ, "Gradients contain
  NaN where using where"), with a row of the batch instead of a constant, which
  would have to be known for every network.

  Args:
    selector: `[B]` indices in `[0, K)`, int32 or int64; or names, if `networks`
      is a mapping. Indices count the items of a mapping in their order.
    inputs: nest of `[B, ...]`; B may be unknown, and 0.
    networks: K callables from a nest `[n, ...]` to a nest `[n, ...]`, in a
      list or as a mapping from name; n is B, but the graph does not know it.
      All give the same structure and types, and shapes that agree beyond the
      rows.
    run_empty: whether a branch that no example takes runs, on 0 rows, rather
      than being skipped by a conditional. That makes plain ops, which a
      sub-model can cut in any style of control flow, but every op of the
      networks must take 0 rows.
    name: name scope of the new ops.

  Returns:
    Nest of `[B, ...]`, in the structure that the networks return. Dimensions
    that the graph does not know are 0 if no branch ran.

  Gradients:
    Exact, to any order that the networks' ops have. A branch that no example
    takes gives its weights zero, not `None`: an optimizer with momentum still
    moves them. None to the selector.

  Raises:
    ArgumentError: if `networks` is neither list nor mapping or is empty, a name
      is no string, a network is not callable, `inputs` or what a network gives
      has no tensor or another thing than dense tensors, the networks give
      different structures, the selector is None or has names while `networks`
      is a list, or a selector that the graph knows is out of range or of
      unknown name. One that it does not know fails in the run, with
      `InvalidArgumentError`.
    DtypeError: if the selector is neither of indices nor of names, or the
      networks give different types.
    GraphError: if an argument belongs to another graph.
    ShapeError: if selector and inputs have different numbers of rows, a tensor
      has no rows or unknown rank, or networks give different shapes. A number
      of rows that only a run knows fails there, with `InvalidArgumentError`.
  """
  with tf1.name_scope(name):
    branches = selectors.list_networks(networks)
    indices = selectors.to_indices(selector, branches, rank=1)
    inputs = structures.to_tensors("inputs", inputs)
    leaves = tf1.nest.flatten(inputs)
    indices = selectors.check_rows(indices, leaves)
    rows = tf1.shape(indices)[0]
    masks, counts, results = [], [], []
    for k, network in enumerate(branches.items):
      masks.append(tf1.equal(indices, k))
      runs = tf1.reduce_any(masks[k])
      # TensorFlow 2.21's graph optimizer folds the shape of one side of a
      # conditional into its gradient, so the number of rows must not be static.
      # Slices of whole rows copy nothing.
      counts.append(rows * tf1.cast(runs, tf1.int32))
      own = [value[: counts[k]] for value in _fill(leaves, masks[k], rows)]
      own = tf1.nest.pack_sequence_as(inputs, own)
      label, scope = branches.labels[k], f"branch_{k}"
      if run_empty:
        result = calls.call(label, network, own, scope)
      else:
        result = calls.call_if(runs, label, network, own, scope, rows)
      results.append(result)
    nests = [result.nest for result in results]
    shapes = structures.check_alike(branches.labels, nests)
    columns = list(zip(*[result.leaves for result in results]))
    outputs = []
    for column, shape in zip(columns, shapes):
      # A skipped branch gives all B rows already, if the other dimensions are
      # statically known.
      whole = [
        not run_empty and value.shape[1:].is_fully_defined() for value in column
      ]
      if not run_empty:
        column = calls.restore_shape(column, shape)
      column = [
        value if is_whole else _lengthen(value, rows - count)
        for value, is_whole, count in zip(column, whole, counts)
      ]
      outputs.append(choose(masks, column))
      outputs[-1].set_shape(indices.shape.concatenate(shape))
    return tf1.nest.pack_sequence_as(nests[0], outputs)


def choose(masks, values):
  """Chooses rows among existing tensors.

  Args:
    masks: K bool tensors `[B]`; in each row exactly one of them is true.
    values: K tensors `[B, ...]` of one shape and type.

  Returns:
    `[B, ...]`: row b of the value whose mask is true there.
  """
  # Select is the op of `tf.where`, which 1.15 reports as deprecated.
  # A single value is chosen, too, so that its gradient reads the selector.
  chosen = values[0] if len(values) > 1 else tf1.zeros_like(values[0])
  start = 1 if len(values) > 1 else 0
  for mask, value in zip(masks[start:], values[start:]):
    chosen = tf1.raw_ops.Select(condition=mask, x=value, y=chosen)
  return chosen


def _fill(leaves, mask, rows):
  """Replaces rows outside `mask` by a copy of one inside, if there is one."""
  order = tf1.range(rows)
  last = tf1.reduce_max(tf1.where_v2(mask, order, 0))
  # With no rows at all the maximum is the smallest int; nothing reads it.
  safe = tf1.fill([rows], tf1.maximum(last, 0))
  # Stop gradients from the copies. They are zero, or NaN: zero times the
  # infinite gradient of a row that is taken.
  copies = [tf1.gather(tf1.stop_gradient(leaf), safe) for leaf in leaves]
  return [
    tf1.raw_ops.Select(condition=mask, x=leaf, y=copy)
    for leaf, copy in zip(leaves, copies)
  ]


def _lengthen(value, count):
  """Adds `count` rows of zeros."""
  missing = tf1.concat([[count], tf1.shape(value)[1:]], 0)
  return tf1.concat([value, tf1.zeros(missing, value.dtype.base_dtype)], 0)
