"""Losses over padded sequences."""

from __future__ import annotations

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks, half


@errors.named("{name}")
def masked_cross_entropy(
  logits: hints.Value,
  targets: hints.Value,
  weights: hints.Value,
  name: str = "masked_cross_entropy",
) -> tf1.Tensor:
  """Sums the weighted cross entropy of each example over its steps.

  Returns `sum_t weights[b, t] * -log softmax(logits[b, t])[targets[b, t]]`.
  There is no division: use `tf1.reduce_mean` for a mean over examples, or
  divide the sum by that of `weights` for a mean over tokens.

  Args:
    logits: `[B, T, V]` float, finite at every step.
    targets: `[B, T]` int32 or int64 in `[0, V)`; any int where the weight is 0.
    weights: `[B, T]` of the type of `logits`, zero for padding.
    name: name scope of the new ops.

  Returns:
    `[B]` of the type of `logits`.

  Gradients:
    For `logits` and `weights`. Where a weight is zero, its own gradient is
    computed as if the target was 0.

  Raises:
    DtypeError: if `logits` are not floats, `targets` are not integers, or
      `weights` have another type than `logits`.
    GraphError: if an argument is from another graph.
    ArgumentError: if an argument is None.
    ShapeError: if `logits` is not of rank 3, or `targets` or `weights` is not
      `[B, T]` as in `logits`. Only static dimensions are compared.
  """
  checks.check_graph("logits", logits)
  with tf1.name_scope(name):
    logits = tf1.convert_to_tensor(logits)
    if not logits.dtype.is_floating:
      raise errors.DtypeError(
        f"logits must be floats, got {checks.describe(logits)}. "
        "Pass the scores, not ids."
      )
    targets = checks.convert_ints("targets", targets)
    dtype = logits.dtype.base_dtype
    weights = checks.convert_floats("weights", weights, dtype)
    _check_shapes(logits, targets, weights)
    counts = tf1.not_equal(weights, 0)
    # An id outside the vocabulary, such as -1 for padding, would raise.
    targets = tf1.where_v2(counts, targets, tf1.zeros([], targets.dtype))
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=targets, logits=logits
    )
    return half.reduce_sum(losses * weights, axis=1)


def _check_shapes(logits, targets, weights):
  checks.check_rank("logits", logits, (3,))
  steps = logits.shape[:2]
  for argument, tensor in (("targets", targets), ("weights", weights)):
    checks.check_rank(argument, tensor, (2,))
    if not tensor.shape.is_compatible_with(steps):
      raise errors.ShapeError(
        f"{argument} must be [B, T] as in logits "
        f"{checks.describe(logits)}, got {checks.describe(tensor)}. Cut or pad "
        "one of them."
      )
