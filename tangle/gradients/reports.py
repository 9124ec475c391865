"""Reports on combined gradients: weights, norms, cosines and gains."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

from tangle import errors
from tangle.compat import tf1
from tangle.gradients import combining


class GradientReport(NamedTuple):
  """Numbers about a combination of K gradients, as float64 tensors.

  Attributes:
    weights: `[K]`, `None` for GradDrop.
    norms: `[K]`, the norms of the losses' gradients.
    cosines: `[K, K]`, between the losses' gradients; 0 where a gradient is
      zero.
    norm: scalar, the norm of `sum_k weights[k] g_k`; `None` without weights.
    gains: `[K]`, `g_k^T d` for `d = sum_k weights[k] g_k`: the decrease of each
      loss per unit of learning rate, for a small step; `None` without weights.
      A negative gain is a remaining conflict.
  """

  weights: Optional[tf1.Tensor]
  norms: tf1.Tensor
  cosines: tf1.Tensor
  norm: Optional[tf1.Tensor]
  gains: Optional[tf1.Tensor]


@errors.named("gradients.report")
def report(
  combined: combining.CombinedGradients, name: str = "report"
) -> GradientReport:
  """Computes the weights, norms, cosines and gains of a combined gradient.

  Args:
    combined: a `CombinedGradients` that has a Gramian.
    name: name scope of the new ops.

  Returns:
    A `GradientReport`.

  Raises:
    ArgumentError: if `combined.gramian` is None, as `of_losses` returns it for
      `sum`, `mean` and `weighted`.
  """
  if combined.gramian is None:
    raise errors.ArgumentError(
      "there are no gradients of single losses, as one "
      "backward pass gave their combination. Make them with tf.gradients, a "
      "list for each loss, and call gradients.explain."
    )
  with tf1.name_scope(name):
    gram, weights = combined.gramian, combined.weights
    norms = tf1.sqrt(tf1.linalg.diag_part(gram))
    sizes = norms[:, None] * norms[None, :]
    safe = tf1.where_v2(tf1.equal(sizes, 0), tf1.ones_like(sizes), sizes)
    cosines = gram / safe
    norm = gains = None
    if weights is not None:
      gains = tf1.linalg.matvec(gram, weights)
      square = tf1.reduce_sum(gains * weights)
      norm = tf1.sqrt(tf1.maximum(square, 0.0))
    return GradientReport(weights, norms, cosines, norm, gains)


@errors.named("gradients.summarize")
def summarize(
  combined: combining.CombinedGradients,
  labels: Optional[Sequence[str]] = None,
  family: str = "gradients",
  name: str = "summarize",
) -> tf1.Tensor:
  """Adds summaries for TensorBoard: scalars for the numbers of a report.

  The tags below `family` are `norm/label` for each loss and
  `cosine/label_label` for each pair; if there are weights, also `weight/label`
  and `gain/label` for each loss, and `norm/combined` for the result; see
  `GradientReport`. The graph's summary collection gets the summaries, too.

  Args:
    combined: a `CombinedGradients` that has a Gramian.
    labels: K names of the losses; `0` to `K - 1` by default.
    family: the first part of each tag, such as `family/weight/label`.
    name: name scope of the new ops, except the summaries themselves.

  Returns:
    A scalar string tensor, the merged summary.

  Raises:
    ArgumentError: if `combined.gramian` is None, or there are not K labels.
  """
  if combined.gramian is not None:
    count = tf1.dimension_value(combined.gramian.shape[0])
    labels = [str(k) for k in range(count)] if labels is None else list(labels)
    if len(labels) != count:
      raise errors.ArgumentError(
        f"there must be a label for each of the {count} losses, got {labels}."
      )
  found = report(combined, name)
  with tf1.name_scope(None):  # a summary's tag is its name, with the scope
    made = []

    def add(tag, value):
      made.append(tf1.summary.scalar(f"{family}/{tag}", value))

    for k, label in enumerate(labels):
      add(f"norm/{label}", found.norms[k])
      if found.weights is not None:
        add(f"weight/{label}", found.weights[k])
        add(f"gain/{label}", found.gains[k])
      for j in range(k):
        add(f"cosine/{labels[j]}_{label}", found.cosines[j, k])
    if found.norm is not None:
      add("norm/combined", found.norm)
    return tf1.summary.merge(made)
