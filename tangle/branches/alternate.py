"""Training on batches of one type each, with separate ops for each type."""

from tangle import errors
from tangle.branches import trainers
from tangle.compat import tf1


class Alternate(trainers.Trainer):
  """The trainer of `Model.minimize` that takes batches of one type each."""

  mode = "alternate"

  def __init__(self, model, optimizer, clip_norm, global_step):
    """Builds the step of each type; see `Model.minimize`."""
    super().__init__(model, optimizer, clip_norm, global_step)
    with tf1.name_scope("alternate") as scope:
      self._scope = scope
    for k in model.paths:
      self._prepare((k,))

  @errors.named("Training of branches with mode={self.mode!r}")
  def _check_types(self, types):
    if len(types) > 1:
      raise errors.ArgumentError(
        f"the batch has records of {list(types)}; it must be "
        f"of one type. Split it by type, or train with mode='mixed'."
      )

  def _build(self, types):
    loss = self.model.paths[types[0]].head.loss
    variables = self.model.variables_of(types)
    return self._apply(loss, tf1.gradients(loss, variables), variables)

  def _run(self, sess, types, batch):
    (k,) = types
    path = self.model.paths[k]
    # The losses are in the order of the type's values, not of the batch.
    places = batch.places[k]
    feed_dict = {
      path.input_ph: batch.inputs[k],
      path.targets_ph: batch.targets[places],
    }
    losses, norm = trainers.fetch(
      sess, self._updates[types], path.head.losses, feed_dict
    )
    return reorder(losses, places), norm


def reorder(losses, places):
  """Puts losses in the order of the batch.

  Args:
    losses: `[B]`; entry k belongs to row `places[k]` of the batch.
    places: `[B]` ints.

  Returns:
    `[B]`, a new array.
  """
  found = losses.copy()
  found[places] = losses
  return found
