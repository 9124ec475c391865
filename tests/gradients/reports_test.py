"""Tests of reports."""

import numpy as np
from absl.testing import absltest

from tangle import errors, gradients
from tangle.compat import tf1
from tests.gradients import jacobians


class ReportsTest(jacobians.JacobianTestCase):
  def explain(self, jacobian, method="mgda"):
    rows = [[tf1.constant(row)] for row in jacobian]
    return gradients.explain(rows, method)

  def test_tells_weights_norms_cosines_and_gains(self):
    jacobian = self.normal(3, 5)
    combined = self.explain(jacobian, "upgrad")
    found, d = self.session().run(
      [gradients.report(combined)._asdict(), combined.gradients[0]]
    )
    norms = np.linalg.norm(jacobian, axis=1)
    np.testing.assert_allclose(found["weights"] @ jacobian, d)
    np.testing.assert_allclose(found["norms"], norms)
    np.testing.assert_allclose(
      found["cosines"], jacobian @ jacobian.T / np.outer(norms, norms)
    )
    np.testing.assert_allclose(found["norm"], np.linalg.norm(d))
    np.testing.assert_allclose(found["gains"], jacobian @ d)

  def test_cosines_with_zero_are_zero(self):
    found = gradients.report(self.explain(np.array([[1.0, 2], [0, 0]])))
    np.testing.assert_allclose(
      self.session().run(found.cosines), [[1, 0], [0, 0]]
    )

  def test_graddrop_has_no_weights(self):
    found = gradients.report(self.explain(jacobians.EXAMPLE, "graddrop"))
    self.assertEqual((found.weights, found.norm, found.gains), (None,) * 3)
    self.assertLen(self.session().run(found.norms), 2)
    merged = gradients.summarize(self.explain(jacobians.EXAMPLE, "graddrop"))
    self.assertNotEmpty(self.session().run(merged))

  def test_summaries_have_a_tag_for_each_number(self):
    combined = self.explain(jacobians.EXAMPLE)
    with tf1.name_scope("outer"):
      merged = gradients.summarize(combined, ["a", "b"])
    text = self.session().run(merged)
    values = {
      value.tag: value.simple_value
      for value in tf1.Summary.FromString(text).value
    }
    expected = {
      "norm/a": np.sqrt(18),
      "norm/b": np.sqrt(38),
      "weight/a": 0.6,
      "weight/b": 0.4,
      "gain/a": 2.0,
      "gain/b": 2.0,
      "cosine/a_b": -22 / np.sqrt(18 * 38),
      "norm/combined": np.sqrt(2),
    }
    self.assertEqual(set(values), {f"gradients/{tag}" for tag in expected})
    for tag, value in expected.items():
      self.assertAlmostEqual(values[f"gradients/{tag}"], value, places=5)

  def test_refuses_what_has_no_gradients_of_single_losses(self):
    x = self.variable("x", self.normal(2))
    found = gradients.of_losses([tf1.reduce_sum(x), tf1.reduce_mean(x)], [x])
    for function in (gradients.report, gradients.summarize):
      with self.assertRaisesRegex(errors.ArgumentError, "explain"):
        function(found)

  def test_refuses_too_few_labels(self):
    with self.assertRaisesRegex(errors.ArgumentError, "each of the 2"):
      gradients.summarize(self.explain(jacobians.EXAMPLE), ["a"])


if __name__ == "__main__":
  absltest.main()
