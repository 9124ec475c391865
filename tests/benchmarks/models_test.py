"""Tests of models."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.benchmarks import models
from tangle.compat import tf1
from tests import case

SIZES = models.ModelSizes(batch=3, units=8, steps=4, target_steps=2)


class ModelsTest(case.GraphTestCase):
  @parameterized.parameters(*models.NAMES)
  def test_every_weight_gets_a_gradient(self, name):
    model = models.make(name, SIZES)
    feeds, feed_dict = {}, {}
    for group in (model.lower_feeds, model.upper_feeds):
      for key, array in group.items():
        feeds[key] = tf1.placeholder(array.dtype, array.shape)
        feed_dict[feeds[key]] = array
    loss = model.upper(model.lower(feeds), feeds)
    variables = tf1.trainable_variables()
    with compat.control_flow_of(self.graph.get_operations()):
      gradients = tf1.gradients(loss, variables)
    self.assertNotEmpty(variables)
    self.assertNotIn(None, gradients)
    self.assertTrue(np.isfinite(self.session().run(loss, feed_dict)))

  def test_the_data_are_the_same_for_the_same_seed(self):
    first = models.make("attention", SIZES, seed=3).lower_feeds["source"]
    again = models.make("attention", SIZES, seed=3).lower_feeds["source"]
    other = models.make("attention", SIZES, seed=4).lower_feeds["source"]
    np.testing.assert_array_equal(first, again)
    self.assertFalse((first == other).all())

  def test_an_unknown_model_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "one of .*'perceptron'"):
      models.make("perceptron", SIZES)


if __name__ == "__main__":
  absltest.main()
