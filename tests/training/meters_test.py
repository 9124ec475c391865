"""Tests of meters."""

import json
import math
import types

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.training import meters


def result(loss, buckets=None, **metrics):
  return types.SimpleNamespace(
    loss=loss, buckets=buckets, metrics={"decoder": metrics}
  )


class MeterTest(parameterized.TestCase):
  def test_means_by_bucket_and_in_all(self):
    meter = meters.Meter()
    self.assertIsNone(meter.mean)
    for loss, bucket in ((1.0, 10), (3.0, 20), (2.0, 10)):
      meter.add(result(loss, {"encoder": bucket, "decoder": 5, "head": None}))
    figures = meter.figures()
    self.assertEqual(
      figures,
      {
        "loss": 2.0,
        "perplexity": math.exp(2.0),
        "buckets": {
          "10x5": {"loss": 1.5, "perplexity": math.exp(1.5), "count": 2.0},
          "20x5": {"loss": 3.0, "perplexity": math.exp(3.0), "count": 1.0},
        },
      },
    )
    self.assertEqual(
      meter.figures("x_", with_perplexity=False)["x_buckets"]["20x5"],
      {"loss": 3.0, "count": 1.0},
    )
    meter.clear()
    self.assertIsNone(meter.mean)
    self.assertEqual(meter.figures(), {"buckets": {}})

  def test_each_symbol_may_weigh_alike(self):
    meter = meters.Meter(meters.per_symbol("decoder"))
    meter.add(result(9.0, None, total_loss=np.float32(30), symbols=10))
    meter.add(result(9.0, None, total_loss=np.float32(2), symbols=np.int32(6)))
    self.assertEqual(meter.mean, 2.0)
    self.assertEqual(meter.figures()["buckets"]["all"]["count"], 16.0)

  def test_a_bucket_without_symbols_has_no_mean(self):
    meter = meters.Meter(lambda result: (0.0, 0.0))
    meter.add(result(1.0))
    self.assertIsNone(meter.mean)
    self.assertEqual(meter.figures(), {"buckets": {}})

  @parameterized.parameters(
    ({"8": [1.0, -1]},), ({"8": 1.0},), ({"8": ["one", 1]},), (None,)
  )
  def test_a_state_that_is_refused_changes_nothing(self, state):
    meter = meters.Meter()
    meter.add(result(2.0))
    before = meter.state()
    with self.assertRaises((AttributeError, TypeError, ValueError)):
      meter.restore(state)
    self.assertEqual(meter.state(), before)

  def test_goes_on_from_a_state_bit_by_bit_in_any_order(self):
    rng = np.random.RandomState(0)
    results = [
      result(loss, {"a": bucket})
      for loss, bucket in zip(rng.uniform(0, 9, 60), rng.randint(0, 9, 60))
    ]
    whole, other = meters.Meter(), meters.Meter()
    for found in results[:30]:
      whole.add(found)
    state = json.loads(json.dumps(whole.state(), sort_keys=True))
    other.restore(dict(reversed(list(state.items()))))
    for found in results[30:]:
      whole.add(found)
      other.add(found)
    self.assertEqual(whole.mean, other.mean)
    self.assertEqual(whole.figures(), other.figures())

  def test_a_label_may_be_given(self):
    meter = meters.Meter(label=lambda result: len(result.metrics["decoder"]))
    meter.add(result(1.0, symbols=3))
    self.assertEqual(list(meter.figures()["buckets"]), ["1"])

  def test_refuses_a_measure_that_is_no_pair(self):
    for bad in (3.0, (1, 2, 3), ("a", 1), None):
      meter = meters.Meter(lambda result, bad=bad: bad)
      with self.assertRaisesRegex(errors.ArgumentError, "total loss and a cou"):
        meter.add(result(1.0))

  def test_labels(self):
    for buckets, label in (
      (None, "all"),
      ({}, "all"),
      ({"a": None}, "all"),
      ({"a": 10}, "10"),
      ({"a": (5, 10)}, "5-10"),
      ({"a": (5, 10), "b": "x"}, "5-10xx"),
    ):
      self.assertEqual(meters.label_buckets(result(1.0, buckets)), label)
    self.assertEqual(meters.label_buckets(types.SimpleNamespace()), "all")

  def test_perplexity_has_a_limit(self):
    self.assertEqual(meters.perplexity(0.0), 1.0)
    self.assertEqual(meters.perplexity(299.0), math.exp(299.0))
    self.assertEqual(meters.perplexity(300.0), math.inf)


if __name__ == "__main__":
  absltest.main()
