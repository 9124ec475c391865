"""Mean losses and perplexities, in all and by bucket."""

import math

import numpy as np

from tangle import errors


class Meter:
  """Sums up losses until they are asked for.

  A mean is `sum_k total_k / sum_k count_k` over the batches k; the perplexity
  is its exponential, for losses in nats.

  Source: for the default, a mean over batches: TensorFlow's translate tutorial
  (2015), `translate.py`, `train`.
  """

  def __init__(self, measure=None, label=None):
    """Starts at zero.

    Args:
      measure: a function from a step's `Result` to its total loss and what to
        divide it by; by default the loss, and 1. See `per_symbol`.
      label: a function from a step's `Result` to the name of its bucket; by
        default `label_buckets`.
    """
    self._measure = measure or _per_batch
    self._label = label or label_buckets
    self._sums = {}  # bucket → [total, count]

  def add(self, result):
    """Adds a batch.

    Args:
      result: what a step or a forward run has returned.

    Raises:
      ArgumentError: if `measure` gives something that is not two numbers.
    """
    found = self._measure(result)
    try:
      total, count = map(float, found)
    except (TypeError, ValueError):
      raise errors.ArgumentError(
        f"Meter.add: measure must give a total loss and a count, got {found!r}."
      ) from None
    sums = self._sums.setdefault(str(self._label(result)), [0.0, 0.0])
    sums[0] += total
    sums[1] += count

  @property
  def mean(self):
    """The mean of all that was added; `None` if nothing was."""
    # In an order that a state does not change, so that bits do not.
    sums = [self._sums[bucket] for bucket in sorted(self._sums)]
    count = sum(count for _, count in sums)
    return sum(total for total, _ in sums) / count if count else None

  def figures(self, prefix="", with_perplexity=True):
    """Returns the means.

    Args:
      prefix: begins the names.
      with_perplexity: whether to give perplexities.

    Returns:
      A dict: `loss`, `perplexity`, and `buckets`, which has a dict with
      `loss`, `perplexity` and `count` for each bucket that was added, in order
      of their names.
    """

    def describe(mean):
      found = {"loss": mean}
      if with_perplexity:
        found["perplexity"] = perplexity(mean)
      return found

    means = describe(self.mean) if self._sums else {}
    means["buckets"] = {
      bucket: dict(describe(total / count), count=count)
      for bucket, (total, count) in sorted(self._sums.items())
      if count
    }
    return {prefix + name: value for name, value in means.items()}

  def clear(self):
    """Goes back to zero."""
    self._sums = {}

  def state(self):
    """Returns what a checkpoint needs, a dict."""
    return {bucket: list(sums) for bucket, sums in self._sums.items()}

  def restore(self, state):
    """Goes on from a state.

    Args:
      state: what `state` returned.
    """
    self._sums = {
      bucket: [float(total), float(count)]
      for bucket, (total, count) in state.items()
    }


def _per_batch(result):
  return result.loss, 1


def per_symbol(sub_model, total="total_loss", count="symbols"):
  """Returns a measure that weighs each symbol alike.

  Args:
    sub_model: whose metrics they are.
    total: name of the metric that is the sum of the losses, a scalar or of
      each row.
    count: name of the metric that is their number, likewise.

  Returns:
    A function for `Meter`.
  """

  def measure(result):
    metrics = result.metrics[sub_model]
    return np.sum(metrics[total]), np.sum(metrics[count])

  return measure


def label_buckets(result):
  """Returns the name of the buckets of a step, such as `"10x20"`.

  Args:
    result: a `Result`, whose `buckets` is a dict from sub-model to bucket.

  Returns:
    The buckets in the order of the sub-models, joined by `x`, without those
    that are `None`; `"all"` if there are none.
  """
  buckets = getattr(result, "buckets", None) or {}
  named = [
    "-".join(map(str, bucket)) if isinstance(bucket, tuple) else str(bucket)
    for bucket in buckets.values()
    if bucket is not None
  ]
  return "x".join(named) or "all"


def perplexity(loss):
  """Returns `exp(loss)`, infinity from a loss of 300 on.

  Source: TensorFlow's translate tutorial (2015), for the limit.

  Args:
    loss: a mean loss in nats.

  Returns:
    A float.
  """
  return math.exp(loss) if loss < 300 else math.inf
