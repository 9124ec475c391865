"""Tests of translation."""

import os
import signal

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import languages, translation
from tests.experiments import babel
from tests.training import folders


class TranslationTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = babel.write(self)
    self.out_dir = os.path.join(self.folder, "run")
    self.corpus = languages.load(
      babel.NAMES,
      *(f"{self.folder}/{split}.{{}}" for split in babel.LINES),
      min_count=1,
      buckets=1,
    )

  def train(self, out_dir=None, **settings):
    sizes = {
      "units": 32,
      "embedding_dim": 16,
      "batch_size": 16,
      "evaluations": 2,
    }
    sizes.update(settings)
    return translation.train(self.corpus, out_dir or self.out_dir, **sizes)

  def test_all_directions_are_learned_and_one_unseen(self):
    figures = self.train(
      held_out=["aa-cc"], epochs=40.0, learning_rate=0.01, dropout_rate=0.1
    )
    self.assertEqual(figures["held_out"], ["aa-cc"])
    self.assertCountEqual(figures["bleu"], map(str, self.corpus.directions))
    seen = [b for name, b in figures["bleu"].items() if name != "aa-cc"]
    self.assertGreater(min(seen), 60.0)
    self.assertEqual(figures["graphs"], 6)
    self.assertEqual(figures["steps"], 40 * 5 * 6)
    self.assertEqual(
      [n for n in folders.without_unit(self.out_dir) if "loss_" not in n], []
    )

  def test_a_run_that_was_stopped_goes_on(self):
    whole = self.train(epochs=1.0)
    other = self.out_dir + "_stopped"

    def stop(step, *rest):
      if step == 8:
        os.kill(os.getpid(), signal.SIGTERM)

    self.assertNotIn("bleu", self.train(other, epochs=1.0, progress=stop))
    again = self.train(other, epochs=1.0)
    self.assertEqual(again["resumed_from"], 8)
    self.assertEqual(again["bleu"], whole["bleu"])
    ends = []
    for folder in (self.out_dir, other):
      prefix = tf1.train.latest_checkpoint(os.path.join(folder, "checkpoints"))
      reader = tf1.train.load_checkpoint(prefix)
      names = sorted(reader.get_variable_to_shape_map())
      ends.append({name: reader.get_tensor(name) for name in names})
    for name, value in ends[0].items():
      np.testing.assert_array_equal(value, ends[1][name], name)

  def test_another_run_is_refused_and_nothing_written(self):
    self.train(epochs=0.1, evaluations=1)
    before = folders.contents(self.out_dir)
    names = [f"vocabulary_{name}.txt" for name in babel.NAMES]
    self.assertContainsSubset(["run.json", *names], before)
    for changes, message in (
      ({"learning_rate": 0.5}, "'learning_rate': 0.002}, not"),
      ({"seed": 3, "dropout_rate": 0.9}, "'seed': 0}, not"),
      ({"epochs": 0.3}, "'steps'"),
      ({"held_out": ["aa-cc"]}, "'held_out': ..,.* not"),
    ):
      with self.assertRaisesRegex(errors.DataError, message):
        self.train(**dict({"epochs": 0.1, "evaluations": 1}, **changes))
    path = self.corpus.paths["validation"]["aa"]
    with open(path, encoding="utf-8") as file:
      text = file.read()
    with open(path, "w", encoding="utf-8") as file:
      file.write(text.replace(text.split()[0], "other", 1))
    with self.assertRaisesRegex(errors.DataError, "data: validation, aa. Give"):
      self.train(epochs=0.1, evaluations=1)
    self.assertEqual(folders.contents(self.out_dir), before)

  def test_a_direction_alone_is_a_network_of_its_own(self):
    figures = self.train(directions=["bb-aa"], epochs=0.5)
    self.assertEqual(list(figures["bleu"]), ["bb-aa"])
    self.assertEqual(figures["graphs"], 2)

  @parameterized.named_parameters(
    ("unknown", {"directions": ["aa-dd"]}, "'aa-dd'"),
    ("none", {"directions": ["aa-bb"], "held_out": ["aa-bb"]}, "encoder"),
    (
      "decoder",
      {"directions": ["aa-bb", "bb-cc"], "held_out": ["bb-aa"]},
      "decoder of 'aa'",
    ),
  )
  def test_refuses(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.train(**settings)
    self.assertFalse(os.path.exists(self.out_dir))


if __name__ == "__main__":
  absltest.main()
