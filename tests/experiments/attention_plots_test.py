"""Tests of attention_plots."""

import os
import sys
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.experiments import (
  attention_plots,
  cmudict_data,
  plots,
  tasks,
  translator,
)
from tests.experiments import spelling, trained


class AttentionPlotsTest(parameterized.TestCase):
  def align(self, bucketing="independent", split="validation", **settings):
    """Returns the task and the attention of a model that is not trained."""
    data = cmudict_data.load(spelling.entries())
    layout = settings.pop("layout", "plain")
    task = tasks.cmudict(data, bucketing, buckets=2, layout=layout)
    with tf1.Graph().as_default(), tf1.Session() as sess:
      tf1.set_random_seed(1)
      model = translator.Translator(
        task.vocabularies, task.buckets, units=8, embedding_dim=4, **settings
      )
      step = tf1.train.create_global_step()
      model.minimize(tf1.train.GradientDescentOptimizer(0.1), None, step)
      sess.run(tf1.global_variables_initializer())
      return task, attention_plots.align(model, sess, task, split)

  @parameterized.named_parameters(
    ("independent", "independent", {}),
    ("joint", "joint", {}),
    ("micro_batches", "independent", {"micro_batches": 3}),
    ("training_data", "independent", {"split": "train"}),
  )
  def test_each_token_attends_to_its_whole_source(self, bucketing, settings):
    task, found = self.align(bucketing, **settings)
    self.assertLen(found, attention_plots.EXAMPLES)
    (encoded,) = task.encoded[settings.get("split", "validation")].values()
    for each, (source, _) in zip(found, encoded.examples):
      symbols = task.vocabularies["source"].decode(source)
      self.assertEqual(each.name, "source")
      self.assertEqual(list(each.source), symbols)
      self.assertEqual(each.target[-1], "_EOS")
      self.assertNotIn("_EOS", each.target[:-1])
      shape = len(each.target), len(source)
      self.assertEqual(np.shape(each.weights), shape)
      np.testing.assert_allclose(np.sum(each.weights, 1), 1.0, rtol=1e-5)
      if len(source) > 1:  # softmax of finite scores
        self.assertGreater(np.min(each.weights), 0.0)

  def test_tokens_are_in_the_order_of_the_encoder(self):
    _, plain = self.align()
    _, reverse = self.align(layout="tutorial")
    for one, other in zip(plain, reverse):
      self.assertEqual(list(one.source), list(other.source)[::-1])
      self.assertEqual(np.shape(other.weights)[1], len(other.source))

  def test_long_sources_are_skipped(self):
    with mock.patch.object(attention_plots, "_LONGEST", 2):
      _, found = self.align()
    self.assertLen(found, attention_plots.EXAMPLES)
    self.assertLessEqual(max(len(each.source) for each in found), 2)

  def test_each_example_has_ticks_and_axis_names(self):
    drawings, real = [], plots.open_drawing

    def keep(*arguments):
      drawings.append(real(*arguments))
      return drawings[-1]

    found = [
      attention_plots.Aligned("en", ["a", "b"], ["x", "_EOS"], np.eye(2)),
      attention_plots.Aligned("en", ["word"], ["_EOS"], np.ones([1, 1])),
      attention_plots.Aligned("en", ["c"], ["_EOS"], np.ones([1, 1])),
    ]
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "x.png")
      with mock.patch.object(plots, "open_drawing", keep):
        attention_plots.draw(found, "validation", path)
      self.assertGreater(os.path.getsize(path), 1000)
    axes = [each for each in drawings[0].axes if each.get_visible()]
    self.assertLen(axes, 4)  # the examples and the scale
    for each, space in zip(found, axes):
      ticks = [[t.get_text() for t in space.get_xticklabels()]]
      ticks.append([t.get_text() for t in space.get_yticklabels()])
      self.assertEqual(ticks, [list(each.source), list(each.target)])
      self.assertEqual(space.get_xlabel(), "en token")
      self.assertEqual(space.get_ylabel(), "decoded token")
    self.assertEqual(axes[-1].get_ylabel(), "attention weight")
    title = drawings[0]._suptitle.get_text()
    self.assertEqual(
      title, "Attention: examples of the validation data, greedy search"
    )

  def test_a_training_draws_its_attention(self):
    folder, _, _ = trained.run()
    path = os.path.join(folder, attention_plots.FILE)
    self.assertGreater(os.path.getsize(path), 1000)

  @parameterized.named_parameters(("package", True), ("folder", False))
  def test_no_plot_ends_a_training(self, is_missing):
    task, found = self.align()
    said, folder = [], "/no/such/folder"
    missing = {"matplotlib": None} if is_missing else {}
    with mock.patch.dict(sys.modules, missing):
      with mock.patch.object(attention_plots, "align", lambda *_: found):
        attention_plots.write(folder, None, None, task, said.append)
    self.assertLen(said, 1)
    self.assertStartsWith(said[0], "No attention is drawn: ")
    self.assertEqual("pip install" in said[0], is_missing)

  def test_nothing_is_drawn_without_examples(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "x.png")
      attention_plots.draw([], "validation", path)
      self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
  absltest.main()
