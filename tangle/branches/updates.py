"""Updates of only those weights that a step may change."""

import collections

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import strategies
from tangle.nets import half


class Optimizers:
  """One optimizer, or one for each part of a model, behind `apply_gradients`.

  State that an optimizer has once, not per variable, such as the powers of beta
  by which Adam corrects its moments, counts the optimizer's own steps. With one
  optimizer per part, a branch whose first step is step 1000 therefore starts
  with the corrections of step 1.

  Attributes:
    of_part: part → optimizer; the same for all parts if there is only one.
  """

  def __init__(self, optimizer, make_optimizer, owners, scope):
    """Stores the optimizer, or makes one per part.

    Args:
      optimizer: a `tf.compat.v1.train.Optimizer`, or `None`.
      make_optimizer: a function without arguments that makes a new one at each
        call, if `optimizer` is `None`.
      owners: name of a variable → its part.
      scope: name scope of the update ops, ending with `/`. Variables created in
        it thus have the same names, however often it is entered.

    Raises:
      ArgumentError: if none or both are given, one is of another kind, or the
        function returns something else, or the same optimizer twice.
    """
    self._owners = dict(owners)
    self._scope = scope
    self.of_part = collections.OrderedDict()
    self._one = make_optimizer is None
    _check(optimizer, make_optimizer)
    for part in dict.fromkeys(owners.values()):
      made = optimizer if self._one else make_optimizer()
      strategies.check_optimizer(made)
      if not self._one and any(
        made is other for other in self.of_part.values()
      ):
        raise errors.ArgumentError(
          f"make_optimizer must make a new optimizer each time, and "
          f"gave {made!r} twice. Make it inside, or pass it as optimizer=."
        )
      self.of_part[part] = made

  def apply_gradients(self, grads_and_vars, global_step=None):
    """Adds the ops that apply gradients, each by the optimizer of its part.

    Args:
      grads_and_vars: pairs of gradient and variable; each variable must have an
        owner.
      global_step: a variable to increment by 1, once; `None` for none.

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


def _check(optimizer, make_optimizer):
  """Refuses what is not either an optimizer or a function that makes them."""
  if make_optimizer is None and callable(optimizer):
    kind = "class" if isinstance(optimizer, type) else "function"
    name = getattr(optimizer, "__name__", "")
    name = name if name.isidentifier() else "make"
    raise errors.ArgumentError(
      f"optimizer must be an optimizer, got the {kind} {name}. Pass "
      f"make_optimizer={name}, for one of each branch and of the head, or "
      f"optimizer={name}(), for one of all."
    )
  if (optimizer is None) == (make_optimizer is None):
    raise errors.ArgumentError(
      "give one optimizer, or a function that makes them, not both. "
      "Pass optimizer=tf.compat.v1.train.AdamOptimizer(), or "
      "make_optimizer=tf.compat.v1.train.AdamOptimizer."
    )
  if make_optimizer is not None and not callable(make_optimizer):
    raise errors.ArgumentError(
      f"make_optimizer must be a function without arguments, got "
      f"{make_optimizer!r}. Pass optimizer= for one optimizer of all parts."
    )


def apply(optimizer, gradients, variables, loss, clip_norm, global_step):
  """Makes the op that applies gradients, after all of them are computed.

  Args:
    optimizer: an optimizer.
    gradients: a tensor or `IndexedSlices` for each variable.
    variables: the variables.
    loss: a tensor to compute before anything changes.
    clip_norm: gradients are scaled down to this global norm; `None` for no
      clipping.
    global_step: a variable to increment by 1, or `None`.

  Returns:
    A pair: the op, and the tensor of the global norm before clipping, `None`
    without clipping.
  """
  norm = None
  if clip_norm is not None:
    gradients, norm = half.clip_by_global_norm(gradients, clip_norm)
  # With reference variables, an update could otherwise run before a read.
  gradients = tf1.tuple(list(gradients), control_inputs=[loss.op])
  pairs = list(zip(gradients, variables))
  return optimizer.apply_gradients(pairs, global_step=global_step), norm
