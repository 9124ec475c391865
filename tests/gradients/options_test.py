"""Tests of options."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.gradients import options as options_lib
from tests import case


class OptionsTest(case.GraphTestCase):
  @parameterized.named_parameters(
    ("method", "best", {}, "'best'"),
    ("option", "mgda", {"c": 1.0}, "no option 'c'"),
    ("option_of_another", "cagrad", {"max_norm": 1.0}, "It has c"),
    ("no_weights", "weighted", {}, "needs weights"),
    ("few_weights", "weighted", {"weights": [1.0]}, "2 numbers"),
    ("negative_weights", "weighted", {"weights": [1.0, -1]}, "at least 0"),
    ("infinite", "weighted", {"weights": [1.0, np.inf]}, "finite"),
    ("nan", "weighted", {"weights": [np.nan, 1]}, "finite"),
    ("text", "weighted", {"weights": ["a", "b"]}, "numbers"),
    ("preference", "upgrad", {"preference": [1.0]}, "preference"),
    ("c", "cagrad", {"c": -0.1}, "at least 0"),
    ("max_norm", "nash_mtl", {"max_norm": 0.0}, "positive"),
    ("regularization", "upgrad", {"regularization": "x"}, "number"),
  )
  def test_refuses(self, method, options, text):
    with self.assertRaises(errors.ArgumentError) as caught:
      options_lib.check_method(method, options, 2)
    self.assert_message(caught.exception, text)

  def test_refuses_tensors_of_other_shape_type_or_graph(self):
    with self.assertRaisesRegex(errors.ShapeError, r"\[2\]"):
      options_lib.check_weights("weights", tf1.zeros([3]), 2)
    with self.assertRaisesRegex(errors.DtypeError, "int32"):
      options_lib.check_weights("weights", tf1.zeros([2], tf1.int32), 2)
    with tf1.Graph().as_default():
      other = tf1.zeros([2])
    with self.assertRaisesRegex(errors.GraphError, "another graph"):
      options_lib.check_weights("weights", other, 2)

  def test_weights_of_a_tensor_are_checked_in_the_run(self):
    ph = tf1.placeholder(tf1.float32, [2])
    found = options_lib.linear_weights("weighted", 2, ph)
    sess = self.session()
    np.testing.assert_array_equal(sess.run(found, {ph: [1, 2]}), [1, 2])
    for bad in ([1.0, -1.0], [np.nan, 1.0]):
      with self.assertRaisesRegex(tf1.errors.InvalidArgumentError, "at least"):
        sess.run(found, {ph: bad})


if __name__ == "__main__":
  absltest.main()
