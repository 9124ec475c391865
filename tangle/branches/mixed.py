"""Training on batches of mixed types, routed record by record in one graph.

Each branch is fed the values of its own type; the representations are stitched
together in the order of the batch, and the head runs on them once. If the batch
has no records of a type, an empty representation is fed in place of the
branch's, so that nothing of the branch runs, neither forward nor backward.
"""

import collections

import numpy as np

from tangle import compat
from tangle.branches import trainers
from tangle.compat import tf1
from tangle.gradients import totals
from tangle.mux import calls
from tangle.nets import half


class Mixed(trainers.Trainer):
  """The trainer of `Model.minimize` for batches of any types, all at once.

  The loss is the mean over the records of the batch.
  """

  mode = "mixed"

  def __init__(self, model, optimizer, clip_norm, global_step):
    """Builds the graph, and the update for all types; see `Model.minimize`."""
    super().__init__(model, optimizer, clip_norm, global_step)
    with tf1.name_scope("mixed") as scope:
      self._scope = scope
      self._places, representation = stitch(
        {k: path.representation for k, path in model.paths.items()}
      )
      self._targets_ph = model.make_targets()
      self._head = model.call_head(representation, self._targets_ph)
      with tf1.name_scope("gradients"):
        self._differentiate()
    # Makes all slots of the optimizer; later updates only add ops.
    self._prepare(tuple(model.paths))

  def _differentiate(self):
    """Makes the gradients of the head once, and those of each branch."""
    model, loss = self.model, self._head.loss
    leaves = collections.OrderedDict(
      (k, _floats(path.representation)) for k, path in model.paths.items()
    )
    representations = [leaf for group in leaves.values() for leaf in group]
    types = list(model.paths)
    above = model.variables_of([])
    found = tf1.gradients(
      loss, representations + above, stop_gradients=representations
    )
    upstream, of_head = iter(found), found[len(representations) :]
    self._gradients = {None: list(zip(above, of_head))}
    for k in types:
      pairs = [(leaf, next(upstream)) for leaf in leaves[k]]
      pairs = [(leaf, g) for leaf, g in pairs if g is not None]
      variables = model.variables[k]
      if not pairs or not variables:
        self._gradients[k] = []
        continue
      ys, grad_ys = zip(*pairs)
      below = tf1.gradients(ys, variables, [half.densify(g) for g in grad_ys])
      self._gradients[k] = list(zip(variables, below))

  def _build(self, types):
    parts = {}
    for part in (None,) + types:
      for variable, gradient in self._gradients[part]:
        parts.setdefault(variable.name, []).append(gradient)
    variables = self.model.variables_of(types)
    found = [totals.total(parts.get(v.name, [])) for v in variables]
    return self._apply(self._head.loss, found, variables)

  def _run(self, sess, types, batch):
    feed_dict = {self._targets_ph: batch.targets}
    for k, path in self.model.paths.items():
      if k in types:
        feed_dict[path.input_ph] = batch.inputs[k]
        feed_dict[self._places[k]] = batch.places[k]
        continue
      feed_dict[self._places[k]] = np.zeros([0], np.int32)
      for leaf in tf1.nest.flatten(path.representation):
        feed_dict[leaf] = _no_rows(leaf)
    return trainers.fetch(
      sess, self._updates[types], self._head.losses, feed_dict
    )


def stitch(representations, name="stitch"):
  """Puts the representations of several types in the order of a batch.

  Args:
    representations: type → nest of `[n_k, ...]`.
    name: name scope of the new ops.

  Returns:
    A dict: type → int32 placeholder `[n_k]` of its rows in the batch; and the
    stitched nest of `[B, ...]`, where B is the sum of all `n_k`.

  Raises:
    ValueError: of TensorFlow, if static shapes differ but for the first size.
  """
  with tf1.name_scope(name):
    places = collections.OrderedDict(
      (k, tf1.placeholder(tf1.int32, [None], name=f"{k}_places_ph"))
      for k in representations
    )
    nests = list(representations.values())
    joined = []
    for column in zip(*[tf1.nest.flatten(nest) for nest in nests]):
      shape = column[0].shape[1:]
      for leaf in column[1:]:
        shape = shape.merge_with(leaf.shape[1:])
      column = calls.restore_shape(list(column), shape)
      whole = tf1.dynamic_stitch(list(places.values()), column)
      whole.set_shape(tf1.TensorShape([None]).concatenate(shape))
      joined.append(whole)
    return places, tf1.nest.pack_sequence_as(nests[0], joined)


def _floats(nest):
  return [
    leaf
    for leaf in tf1.nest.flatten(nest)
    if compat.is_differentiable(leaf.dtype)
  ]


def _no_rows(leaf):
  dims = [tf1.dimension_value(dim) or 0 for dim in leaf.shape[1:]]
  return np.zeros([0] + dims, leaf.dtype.as_numpy_dtype)
