"""Updates of the weights that one step may change, and of no others."""

import collections

from tangle import errors
from tangle.compat import tf1
from tangle.nets import half


class Optimizers:
  """One optimizer, or one for each part of a model, used as one optimizer.

  What an optimizer keeps for itself rather than for a variable, such as the
  powers of beta by which Adam corrects its moments, counts its own steps. With
  one for each part, a branch that first takes part in step 1000 begins as in
  step 1.

  Attributes:
    of_part: part → optimizer.
  """

  def __init__(self, caller, optimizer, owners, scope):
    """Takes the optimizer, or makes those of the parts.

    Args:
      caller: who asks, for messages.
      optimizer: a `tf.compat.v1.train.Optimizer`, or a function without
        arguments that makes one, a new one each time.
      owners: name of a variable → its part.
      scope: name scope of the update ops, with a `/` at the end. What it holds
        of variables thus has the same names however often it is used.

    Raises:
      ArgumentError: if it is neither, or the function gives no optimizer, or
        the same twice.
    """
    self._owners = dict(owners)
    self._scope = scope
    self.of_part = collections.OrderedDict()
    self._one = not callable(optimizer)
    for part in dict.fromkeys(owners.values()):
      made = optimizer if self._one else optimizer()
      if not hasattr(made, "apply_gradients"):
        raise errors.ArgumentError(
          f"{caller}: optimizer must be a tf.compat.v1.train.Optimizer, or a "
          f"function without arguments that makes one, got {made!r}."
        )
      if not self._one and any(
        made is other for other in self.of_part.values()
      ):
        raise errors.ArgumentError(
          f"{caller}: the function optimizer must make a new optimizer each "
          f"time, and gave {made!r} twice. Make it inside, or give it alone."
        )
      self.of_part[part] = made

  def apply_gradients(self, grads_and_vars, global_step=None):
    """Applies gradients, those of each part by its optimizer.

    Args:
      grads_and_vars: pairs of gradient and variable.
      global_step: a variable to add 1 to, once.

    Returns:
      An op.
    """
    groups = collections.OrderedDict()
    for gradient, variable in grads_and_vars:
      part = self._owners[variable.name]
      optimizer = self.of_part[part]
      _, pairs = groups.setdefault(id(optimizer), (part, []))
      pairs.append((gradient, variable))
    ops = []
    for part, pairs in groups.values():
      label = "all" if self._one else part
      with tf1.name_scope(f"{self._scope}{label}/"):
        ops.append(self.of_part[part].apply_gradients(pairs))
    with tf1.name_scope(self._scope):
      if global_step is None:
        return tf1.group(*ops)
      with tf1.control_dependencies(ops):
        one = tf1.ones([], global_step.dtype.base_dtype)
        return tf1.assign_add(global_step, one).op


def apply(optimizer, gradients, variables, loss, clip_norm, global_step):
  """Makes the op that applies gradients, once all of them are there.

  Args:
    optimizer: an optimizer.
    gradients: a tensor or `IndexedSlices` for each variable.
    variables: the variables.
    loss: a tensor to be computed before anything changes.
    clip_norm: global norm that gradients are scaled down to; `None` leaves
      them.
    global_step: a variable to add 1 to, or `None`.

  Returns:
    The op, and the tensor of the global norm or `None`.
  """
  norm = None
  if clip_norm is not None:
    gradients, norm = half.clip_by_global_norm(gradients, clip_norm)
  # With reference variables an update could else come before a read.
  gradients = tf1.tuple(list(gradients), control_inputs=[loss.op])
  pairs = list(zip(gradients, variables))
  return optimizer.apply_gradients(pairs, global_step=global_step), norm
