"""Mean losses and perplexities, overall and per bucket."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import numpy as np

from tangle import errors, hints

Measure = Callable[[Any], Tuple[Any, Any]]
"""A function from the result of a step to a total and its count."""

Label = Callable[[Any], str]
"""A function from the result of a step to the name of its bucket."""


class Meter:
  """Accumulates losses until `clear`.

  A mean is `sum_k total_k / sum_k count_k` over the batches k; the perplexity
  is its exponential, for losses in nats.

  Source: for the default, a mean over batches: TensorFlow's translate tutorial
  (2015), `translate.py`, `train`.
  """

  def __init__(
    self, measure: Optional[Measure] = None, label: Optional[Label] = None
  ) -> None:
    """Starts at zero.

    Args:
      measure: a function from a step's `Result` to its total loss and the count
        to divide it by; by default the loss and 1. See `per_symbol`.
      label: a function from a step's `Result` to the name of its bucket; by
        default `label_buckets`.
    """
    self._measure = measure or _per_batch
    self._label = label or label_buckets
    self._sums = {}  # bucket → [total, count]

  @errors.named("Meter.add")
  def add(self, result: Any) -> None:
    """Adds a batch.

    Args:
      result: the `Result` of a step or a forward run; `measure` and `label` say
        what it must have.

    Raises:
      ArgumentError: if `measure` does not return two numbers.
    """
    found = self._measure(result)
    try:
      total, count = map(float, found)
    except (TypeError, ValueError):
      raise errors.ArgumentError(
        f"measure must give a total loss and a count, got {found!r}."
      ) from None
    sums = self._sums.setdefault(str(self._label(result)), [0.0, 0.0])
    sums[0] += total
    sums[1] += count

  @property
  def mean(self) -> Optional[float]:
    """The mean over all added batches; `None` if they count nothing."""
    # A fixed order, so that restoring a state does not change the bits.
    sums = [self._sums[bucket] for bucket in sorted(self._sums)]
    count = sum(count for _, count in sums)
    return sum(total for total, _ in sums) / count if count else None

  def figures(
    self, prefix: str = "", with_perplexity: bool = True
  ) -> Dict[str, Any]:
    """Returns the means; does not reset them.

    Args:
      prefix: put before each name of the outer dict.
      with_perplexity: whether to include perplexities.

    Returns:
      A dict: `loss`, `perplexity`, and `buckets`, which maps each bucket that
      was added, sorted by name, to a dict of `loss`, `perplexity` and `count`.
      What has a count of zero is left out; `buckets` may be an empty dict.
    """

    def describe(mean):
      found = {"loss": mean}
      if with_perplexity:
        found["perplexity"] = perplexity(mean)
      return found

    mean = self.mean
    means = {} if mean is None else describe(mean)
    means["buckets"] = {
      bucket: dict(describe(total / count), count=count)
      for bucket, (total, count) in sorted(self._sums.items())
      if count
    }
    return {prefix + name: value for name, value in means.items()}

  def clear(self) -> None:
    """Resets the sums to zero."""
    self._sums = {}

  def state(self) -> hints.State:
    """Returns the state for a checkpoint: bucket → `[total, count]`."""
    return {bucket: list(sums) for bucket, sums in self._sums.items()}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Replaces the sums by those of a state.

    Args:
      state: what `state` returned: bucket → `[total, count]`.

    Raises:
      ValueError: if a count is negative.
      AttributeError, TypeError, ValueError: if it is no dict of pairs of
        numbers. The sums are unchanged after any of these.
    """
    sums = {
      bucket: [float(total), float(count)]
      for bucket, (total, count) in state.items()
    }
    if any(count < 0 for _, count in sums.values()):
      raise ValueError("a count is negative")
    self._sums = sums


def _per_batch(result):
  return result.loss, 1


def per_symbol(
  sub_model: str, total: str = "total_loss", count: str = "symbols"
) -> Measure:
  """Returns a measure that gives each symbol the same weight.

  Args:
    sub_model: the sub-model that has the metrics.
    total: name of the metric with the summed losses, a scalar or one per row.
    count: name of the metric with the number of losses, likewise.

  Returns:
    A function from a `Result` to the sums of the two metrics, for
    `Meter(measure=...)`. It raises `KeyError` if the result lacks one.
  """

  def measure(result):
    metrics = result.metrics[sub_model]
    return np.sum(metrics[total]), np.sum(metrics[count])

  return measure


def label_buckets(result: Any) -> str:
  """Returns the name of the buckets of a step, such as `"10x20"`.

  Args:
    result: a `Result`, whose `buckets` is a dict from sub-model to bucket.

  Returns:
    The buckets in the order of the dict, joined by `x`, leaving out `None`. The
    members of a tuple are joined by `-`. `"all"` if no bucket is left.
  """
  buckets = getattr(result, "buckets", None) or {}
  named = [
    "-".join(map(str, bucket)) if isinstance(bucket, tuple) else str(bucket)
    for bucket in buckets.values()
    if bucket is not None
  ]
  return "x".join(named) or "all"


def perplexity(loss: float) -> float:
  """Returns `exp(loss)`, or infinity if the loss is 300 or more.

  Source: TensorFlow's translate tutorial (2015), for the limit.

  Args:
    loss: a mean loss in nats.

  Returns:
    A float.
  """
  return math.exp(loss) if loss < 300 else math.inf
