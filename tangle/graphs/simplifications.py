"""Makes backward ops simpler, with the same values.

In a joint graph TensorFlow's optimizer removes reductions over no axes and
computes offsets that are known, as it sees the shapes of the forward ops. A
backward pass that reads its residuals has no forward ops, so that this is done
before they are cut off. `broadcasts` and `concats` say why the values stay the
same.
"""

from tangle.graphs import broadcasts, concats


def apply(ops, new_ops, targets, fed, alike):
  """Simplifies the ops of gradients; see `broadcasts` and `concats`.

  Args:
    ops: the ops that `new_ops` read, producers before consumers.
    new_ops: ops of gradients, added after the last run of the graph, in the
      order in which they were made; the inputs of some are changed.
    targets: gradients, tensors of any shapes.
    fed: names of all tensors that may be fed; `None` if that is not known.
      Reductions are then left alone, as no shape is certain.
    alike: pairs of tensors that have the same shape, such as an output and its
      upstream gradient.

  Returns:
    Two lists: for each target the tensor to use in its place, and the ops,
    constants, that were added to the graph.
  """
  if fed is not None:
    targets = broadcasts.bypass(ops, new_ops, targets, fed, alike)
  return targets, concats.fix_slices(new_ops)
