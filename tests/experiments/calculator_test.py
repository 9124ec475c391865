"""Tests of calculator."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import mux
from tangle.compat import tf1
from tangle.experiments import calculator, digits
from tests import case


class CalculatorTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.lessons = digits.make_lessons({"decimal/plus1/binary": [2, 3]})
    self.networks = calculator.Networks(5, 7, tf1.float64)

  def values(self, sess):
    return {v.op.name: sess.run(v) for v in tf1.trainable_variables()}

  @parameterized.parameters("route", "where")
  def test_six_graphs_train_as_one_graph(self, multiplexer):
    one = calculator.OneGraph(self.networks, getattr(mux, multiplexer))
    six = calculator.SixGraphs(self.networks)
    for model in (one, six):
      model.minimize(tf1.train.GradientDescentOptimizer(0.1))
    sess = self.session()
    first = self.values(sess)
    self.assertLen(first, 24)
    found = []
    for model in (one, six):
      for variable in tf1.trainable_variables():
        variable.load(first[variable.op.name], sess)
      losses = [
        model.step(sess, {pair: lesson})
        for _ in range(3)
        for pair, lesson in self.lessons.items()
      ]
      found.append((losses, self.values(sess)))
    (losses, weights), (other_losses, other_weights) = found
    np.testing.assert_allclose(losses, other_losses, rtol=1e-12)
    for name, value in weights.items():
      self.assertGreater(np.abs(value - first[name]).max(), 1e-4, name)
      np.testing.assert_allclose(
        value, other_weights[name], rtol=1e-12, atol=1e-14, err_msg=name
      )

  def test_both_answer_alike(self):
    one = calculator.OneGraph(self.networks)
    six = calculator.SixGraphs(self.networks)
    six.pipeline.build()
    sess = self.session()
    answers = one.answer(sess, self.lessons)
    others = six.answer(sess, self.lessons)
    self.assertCountEqual(answers, digits.PATHS)
    for path, logits in answers.items():
      np.testing.assert_allclose(logits, others[path], rtol=1e-12)

  def test_a_step_of_six_graphs_leaves_other_networks_alone(self):
    six = calculator.SixGraphs(self.networks)
    six.minimize(tf1.train.AdamOptimizer(0.1))
    sess = self.session()
    pairs = list(self.lessons.items())
    six.step(sess, dict(pairs[:1]))
    before = self.values(sess)
    six.step(sess, dict(pairs[3:]))
    after = self.values(sess)
    for name in before:
      active = not name.startswith(("binary_encoder", "plus1"))
      self.assertEqual(np.any(before[name] != after[name]), active, name)

  def test_exported_paths_answer_as_the_pipeline(self):
    six = calculator.SixGraphs(self.networks)
    six.pipeline.build()
    sess = self.session()
    path = digits.parse_path("decimal/times2/binary")
    with tempfile.TemporaryDirectory() as folder:
      folder = os.path.join(folder, "path")
      six.export(sess, path, folder)
      with tf1.Graph().as_default(), tf1.Session() as own:
        model = tf1.saved_model.loader.load(own, ["serve"], folder)
        signature = model.signature_def["serving_default"]
        found = own.run(
          signature.outputs["logits"].name,
          {signature.inputs["digits"].name: np.eye(10)},
        )
    expected = six.answer(sess, self.lessons)[path]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


if __name__ == "__main__":
  absltest.main()
