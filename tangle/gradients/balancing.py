"""Weighs losses by their past values, or at random.

Each class is constructed from the losses and has

- `loss`: the weighted sum; its gradient takes one backward pass,
- `weights`: `[K]`, the weights of this step,
- `variables`: its own variables, to be saved in checkpoints,
- `update_op`: an op to run with each training step. It may change the weights;
  the weights of a step are read before its update.

    balance = gradients.DynamicWeightAveraging(losses)
    train_op = optimizer.minimize(balance.loss)
    sess.run([train_op, balance.update_op])
"""

from __future__ import annotations

import numbers
from typing import Optional, Sequence, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.gradients import options
from tangle.graphs import walk
from tangle.nets import checks, half


class Balance:
  """Base class of the weightings; its subclasses set the attributes.

  Attributes:
    loss: scalar, the weighted sum of the losses; float32 if the losses are in
      half precision. `UncertaintyWeighting` adds a term.
    weights: `[K]`, of the type of `loss`.
    variables: a list of the object's own variables; empty for
      `RandomWeighting`.
    update_op: an op to run with each training step.
  """

  @errors.named("{name}")
  def __init__(self, losses: Sequence[tf1.Tensor], name: str) -> None:
    """Checks the losses, and casts half precision to float32.

    Args:
      losses: K float scalars of one type.
      name: name of the variables and of the name scope.

    Raises:
      ArgumentError: if there is no loss, or `name` cannot name a scope.
      DtypeError: if losses are not of one float type.
      GraphError: if losses belong to different graphs.
      ShapeError: if a loss is not a scalar.
    """
    checks.check_name(type(self).__name__, name)
    losses = walk.check_tensors("losses", losses)
    if not losses:
      raise errors.ArgumentError(
        "losses is empty. Give at least one loss to balance."
      )
    for loss in losses:
      if loss.shape.ndims != 0:
        raise errors.ShapeError(
          f"losses must be scalars, got {checks.describe(loss)}. Take "
          "the mean, or call set_shape([])."
        )
    kinds = {loss.dtype for loss in losses}
    if len(kinds) > 1 or not losses[0].dtype.is_floating:
      raise errors.DtypeError(
        f"losses must be of one float type, got "
        f"{[loss.dtype.name for loss in losses]}. Convert them with tf.cast."
      )
    with tf1.name_scope(name):
      # In half precision, a step count or a running mean would stop growing.
      self._losses, self._name = [half.widen(loss) for loss in losses], name
    self._count, self._dtype = len(losses), self._losses[0].dtype
    self.variables = []

  @errors.named("{self._name}")
  def _variable(self, name, shape, value, trainable=False):
    with tf1.variable_scope(self._name):
      try:
        found = tf1.get_variable(
          name,
          shape,
          self._dtype,
          tf1.constant_initializer(value),
          trainable=trainable,
          use_resource=True,
        )
      except ValueError as error:
        raise errors.ArgumentError(
          f"cannot make variable {name!r}: give the object another name=, and "
          f"make it outside of scopes with reuse=True. "
          f"TensorFlow says: {errors.summarize(error)}"
        ) from error
    self.variables.append(found)
    return found

  def _weigh(self, weights):
    self.weights = weights
    return tf1.add_n([weights[k] * loss for k, loss in enumerate(self._losses)])


class UncertaintyWeighting(Balance):
  """Learns the uncertainty of each task, and weighs by it.

  `loss = sum_k factors[k] exp(-s_k) loss_k + s_k / 2`, where `s_k`, the
  logarithm of a variance, is a trainable variable, initially 0. The optimizer
  that minimizes `loss` changes it, so `update_op` does nothing. `weights` holds
  `factors[k] exp(-s_k)`.

  Source: Kendall, Gal & Cipolla 2018, "Multi-Task Learning Using Uncertainty to
  Weigh Losses", equations 7 and 10; with `s = log sigma^2`, as they advise.
  """

  @errors.named("{name}")
  def __init__(
    self,
    losses: Sequence[tf1.Tensor],
    factors: Optional[Sequence[float]] = None,
    name: str = "uncertainty_weighting",
  ) -> None:
    """Makes the variables and the loss.

    Args:
      losses: K float scalars of one type.
      factors: K numbers: 1/2 for squared errors, 1 for cross entropies; all 1
        for None.
      name: name of the variables and of the name scope.

    Raises:
      ArgumentError: if there is no loss, or `factors` are not K finite numbers
        of at least 0.
      DtypeError: if losses are of different types.
      GraphError: if losses belong to different graphs.
      ShapeError: if a loss is not a scalar.
    """
    super().__init__(losses, name)
    factors = [1.0] * self._count if factors is None else factors
    options.check_weights("factors", factors, self._count)
    self._log_variances = self._variable(
      "log_variances", [self._count], 0.0, trainable=True
    )
    with tf1.name_scope(name):
      logs = self._log_variances.read_value()
      weights = tf1.cast(tf1.convert_to_tensor(factors), self._dtype)
      self.loss = self._weigh(weights * tf1.exp(-logs))
      self.loss += 0.5 * tf1.reduce_sum(logs)
      self.update_op = tf1.no_op()


class RandomWeighting(Balance):
  """Draws the weights of each step: `K softmax(n)`, `n ~ N(0, 1)`.

  It has no variables, and its `update_op` does nothing.

  Source: Lin et al. 2022, "Reasonable Effectiveness of Random Weighting",
  equation 2, times K, so that the weights sum to K as in the other classes.
  """

  def __init__(
    self,
    losses: Sequence[tf1.Tensor],
    seed: Optional[hints.Seed] = None,
    name: str = "random_weighting",
  ) -> None:
    """Makes the loss.

    Args:
      losses: K float scalars of one type.
      seed: an int or None: seed of a stateful random op. Or an int tensor or
        array `[2]`: seed of a stateless op; compute it from the step if the
        training is to be resumable.
      name: name scope of the new ops.

    Raises:
      ArgumentError: if there is no loss.
      DtypeError: if losses are of different types.
      GraphError: if losses belong to different graphs.
      ShapeError: if a loss is not a scalar.
    """
    super().__init__(losses, name)
    with tf1.name_scope(name):
      if seed is None or isinstance(seed, numbers.Integral):
        noise = tf1.random.normal([self._count], dtype=self._dtype, seed=seed)
      else:
        noise = tf1.random.stateless_normal(
          [self._count], seed, dtype=self._dtype
        )
      self.loss = self._weigh(self._count * tf1.nn.softmax(noise))
      self.update_op = tf1.no_op()


class DynamicWeightAveraging(Balance):
  """Weighs slowly falling losses most: `K softmax(r / temperature)`.

  `r_k` is the mean loss of the last epoch divided by that of the epoch before;
  weights are 1 in the first two epochs. `update_op` adds a step's losses to the
  means; `end_epoch_op` ends an epoch.

  Source: Liu, Johns & Davison 2019, "End-to-End Multi-Task Learning with
  Attention", equation 7.

  Attributes:
    end_epoch_op: an op to run by itself after the last step of an epoch. An
      epoch without steps is ignored.
  """

  def __init__(
    self,
    losses: Sequence[tf1.Tensor],
    temperature: float = 2.0,
    name: str = "dynamic_weight_averaging",
  ) -> None:
    """Makes the variables, the loss and the ops.

    Args:
      losses: K float scalars of one type.
      temperature: the higher, the more equal the weights; positive.
      name: name of the variables and of the name scope.

    Raises:
      ArgumentError: if there is no loss, or `temperature` is not a positive
        finite number.
      DtypeError: if losses are of different types.
      GraphError: if losses belong to different graphs.
      ShapeError: if a loss is not a scalar.
    """
    super().__init__(losses, name)
    _check_number(name, "temperature", temperature)
    shape = [self._count]
    total = self._variable("total", shape, 0.0)
    steps = self._variable("steps", [], 0.0)
    epochs = self._variable("epochs", [], 0.0)
    last = self._variable("last", shape, 1.0)
    before = self._variable("before", shape, 1.0)
    with tf1.name_scope(name):
      past = before.read_value()
      safe = tf1.where_v2(tf1.equal(past, 0), tf1.ones_like(past), past)
      ratio = last.read_value() / safe
      learned = self._count * tf1.nn.softmax(ratio / temperature)
      known = epochs.read_value() >= 2
      weights = tf1.where_v2(known, learned, tf1.ones_like(learned))
      self.loss = self._weigh(tf1.stop_gradient(weights))
      with tf1.control_dependencies([weights]):
        self.update_op = tf1.group(
          total.assign_add(tf1.stop_gradient(tf1.stack(self._losses))),
          steps.assign_add(1.0),
        )
      self.end_epoch_op = self._end_epoch(total, steps, epochs, last, before)

  def _end_epoch(self, total, steps, epochs, last, before):
    count, old = steps.read_value(), last.read_value()
    mean = total.read_value() / tf1.maximum(count, 1.0)
    counts = count > 0
    values = [
      tf1.where_v2(counts, mean, old),
      tf1.where_v2(counts, old, before.read_value()),
      epochs.read_value() + tf1.cast(counts, self._dtype),
    ]
    with tf1.control_dependencies(values):
      return tf1.group(
        last.assign(values[0]),
        before.assign(values[1]),
        epochs.assign(values[2]),
        total.assign(tf1.zeros_like(mean)),
        steps.assign(0.0),
      )


class GradNorm(Balance):
  """Learns weights with which all tasks train at the same pace.

  Let `n_k = |d loss_k / d shared|` and `G_k = weights[k] n_k`. Let `r_k` be the
  ratio of loss k to its value at the first run of `update_op`, divided by the
  mean of these ratios.
  `update_op` takes a gradient step on `sum_k |G_k - mean(G) r_k^alpha|`, where
  the second term counts as constant, and scales the weights to sum to K. The
  gradient is `n_k sign(...)`, so no second derivative is needed.

  Each run of `update_op` takes one pass per loss, for the norms, from the
  losses to `shared`, which should be near them: the last shared layer. The
  training itself takes one pass.

  Source: Chen et al. 2018, "GradNorm: Gradient Normalization for Adaptive Loss
  Balancing in Deep Multitask Networks", Algorithm 1. Added: weights below
  `floor` are raised to it, before all are scaled.
  """

  @errors.named("{name}")
  def __init__(
    self,
    losses: Sequence[tf1.Tensor],
    shared: Sequence[Union[hints.Variable, tf1.Tensor]],
    alpha: float = 1.5,
    learning_rate: float = 0.025,
    floor: float = 1e-3,
    name: str = "gradnorm",
  ) -> None:
    """Makes the variables, the loss and the update.

    Args:
      losses: K float scalars of one type.
      shared: variables, or tensors; every loss reaches at least one of them.
      alpha: how strongly a lagging task is pulled; at least 0.
      learning_rate: learning rate of the weights.
      floor: the smallest weight before scaling.
      name: name of the variables and of the name scope.

    Raises:
      ArgumentError: if there is no loss, `shared` is not a list of variables
        or tensors, `alpha` is negative, `learning_rate` or `floor` is not
        positive, or one of the three is not finite.
      DisconnectedError: if a loss has no gradient with respect to `shared`.
      DtypeError: if losses are of different types.
      GraphError: if losses belong to different graphs.
      ShapeError: if a loss is not a scalar.
    """
    super().__init__(losses, name)
    _check_number(name, "alpha", alpha, zero=True)
    _check_number(name, "learning_rate", learning_rate)
    _check_number(name, "floor", floor)
    many = hasattr(shared, "__iter__") and not hasattr(shared, "graph")
    shared = list(shared) if many else shared
    if not many or not all(map(_has_graph, shared)):
      raise errors.ArgumentError(
        f"shared must be a list of variables or tensors, got "
        f"{errors.show(shared)}. Put a single one into a list."
      )
    with tf1.name_scope(name):
      norms = [
        self._norm(k, loss, shared) for k, loss in enumerate(self._losses)
      ]
      values = tf1.stop_gradient(tf1.stack(self._losses))
    current = self._variable("weights", [self._count], 1.0)
    first = self._variable("first", [self._count], 0.0)
    begun = self._variable("begun", [], 0.0)
    with tf1.name_scope(name):
      weights = current.read_value()
      self.loss = self._weigh(tf1.stop_gradient(weights))
      start = tf1.where_v2(begun.read_value() > 0, first.read_value(), values)
      safe = tf1.where_v2(tf1.equal(start, 0), tf1.ones_like(start), start)
      share = values / safe
      mean = tf1.maximum(tf1.reduce_mean(share), 1e-30)
      norms = tf1.stack(norms)
      sizes = weights * norms
      target = tf1.reduce_mean(sizes) * (share / mean) ** alpha
      slope = norms * tf1.sign(sizes - target)
      moved = tf1.maximum(weights - learning_rate * slope, floor)
      scaled = moved * (self._count / tf1.reduce_sum(moved))
      with tf1.control_dependencies([scaled, start]):
        self.update_op = tf1.group(
          current.assign(scaled), first.assign(start), begun.assign(1.0)
        )

  @errors.named("{self._name}")
  def _norm(self, k, loss, shared):
    found = tf1.gradients(loss, shared, name=f"backward_{k}")
    found = [gradient for gradient in found if gradient is not None]
    if not found:
      raise errors.DisconnectedError(
        f"losses[{k}], {loss.name!r}, does not reach what is "
        "shared. Pass a layer that all losses depend on."
      )
    return half.global_norm([half.densify(gradient) for gradient in found])


def _has_graph(item):
  """Whether `item` is a tensor or a variable, which may be one of Keras 3."""
  return hasattr(item, "graph") or hasattr(
    getattr(item, "value", None), "graph"
  )


@errors.named("{name}")
def _check_number(name, argument, value, zero=False):
  good = isinstance(value, numbers.Real) and (value > 0 or zero and value == 0)
  if not good or value == float("inf"):
    least = "at least 0" if zero else "positive"
    raise errors.ArgumentError(
      f"{argument} must be a finite number, {least}, got {value!r}."
    )
