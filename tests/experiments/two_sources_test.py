"""Tests for `tangle.experiments.two_sources`. All texts are made up here."""

import json
import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import aligned_task, two_sources
from tests.training import folders

COLOURS, THINGS = "rgbw", "stuv"
SMALL = {"units": 12, "embedding_dim": 8, "batch_size": 16, "dropout_rate": 0.0}


class TwoSourcesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def split(self, name, count):
    """Writes lines whose targets pair off what two sources say."""
    lines = [[], [], []]
    for _ in range(count):
      length = self.rng.randint(1, 4)
      colours = self.rng.choice(list(COLOURS), length)
      things = self.rng.choice(list(THINGS), length)
      lines[0].append(" ".join(colours))
      lines[1].append(" ".join(["the"] * 2 + list(things)))
      lines[2].append(" ".join(c + t for c, t in zip(colours, things)))
    paths = [os.path.join(self.folder, f"{name}.{k}") for k in range(3)]
    for path, side in zip(paths, lines):
      with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(side) + "\n")
    return paths

  def task(self, count=400):
    return aligned_task.load(
      self.split("train", count),
      self.split("validation", 40),
      self.split("test", 40),
      buckets=2,
    )

  def train(self, task, out_dir="run", **settings):
    return two_sources.train(
      task, os.path.join(self.folder, out_dir), **dict(SMALL, **settings)
    )

  def test_it_learns_what_takes_both_sources(self):
    said = []
    figures = self.train(
      self.task(), epochs=12, learning_rate=0.02, report=said.append
    )
    self.assertEqual(figures["steps"], 12 * 25)
    self.assertEqual((figures["graphs"], figures["joint_graphs"]), (6, 8))
    # One source alone leaves four words to choose from: log 4 a word.
    self.assertLess(figures["validation_loss"], 0.35)
    self.assertBetween(figures["test_bleu"], 0, 100)
    self.assertEqual(figures["test_left_out"], 0)
    self.assertLen(figures["source_wastes"], 2)
    self.assertIn("6 static graphs for GridBuckets", "\n".join(said))
    folder = os.path.join(self.folder, "run")
    with open(os.path.join(folder, "test.txt"), encoding="utf-8") as file:
      found = [line.split() for line in file]
    with open(os.path.join(self.folder, "test.2"), encoding="utf-8") as file:
      wanted = [line.split() for line in file]
    self.assertLen(found, 40)
    self.assertGreater(np.mean([a == b for a, b in zip(found, wanted)]), 0.7)
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
      last = json.loads(file.readlines()[-1])
    self.assertEqual(last["test_bleu"], figures["test_bleu"])
    names = [f"vocabulary_{k}.txt" for k in range(3)]
    self.assertLess(set(names), set(os.listdir(folder)))
    self.assertEqual(folders.without_unit(folder), [])

  def test_a_finished_run_is_measured_again_and_not_trained(self):
    task = self.task(64)
    first = self.train(task, epochs=1)
    again = self.train(task, epochs=1)
    for name in ("steps", "loss", "validation_loss", "test_bleu"):
      self.assertEqual(again[name], first[name])

  def test_the_first_guess_is_of_the_frequencies(self):
    task = self.task(64)
    with tf1.Graph().as_default(), tf1.Session() as sess:
      translator = two_sources.Translator(task, 4, 1, 4)
      translator.pipeline.build()
      sess.run(tf1.global_variables_initializer())
      before = translator.validate(sess)["validation_loss"]
      translator.start_from_frequencies(sess)
      after = translator.validate(sess)["validation_loss"]
    targets = [ids + [2] for _, _, ids in task.train.examples]
    counts = np.bincount(np.concatenate(targets)) / sum(map(len, targets))
    entropy = -np.sum(counts * np.log(np.maximum(counts, 1e-9)))
    self.assertLess(after, before)
    self.assertLess(abs(after - entropy), 0.3)

  def test_another_run_is_refused_and_nothing_written(self):
    task = self.task(64)
    other = self.task(64)
    self.train(task, epochs=1)
    before = folders.contents(os.path.join(self.folder, "run"))
    for changes, message in (
      ({"learning_rate": 0.5}, "learning_rate.: 0.002}, not {.*0.5}"),
      ({"dropout_rate": 0.7, "epochs": 2}, "'steps': 4.*'steps': 8"),
      ({"task": other}, "other (data|vocabularies): "),
      (
        {"task": task._replace(validation=other.validation)},
        "other data: validation",
      ),
      ({"task": self.task(48)}, "buckets|data|steps"),
    ):
      changes = dict({"task": task, "epochs": 1}, **changes)
      with self.assertRaisesRegex(errors.DataError, message):
        self.train(**changes)
    after = folders.contents(os.path.join(self.folder, "run"))
    self.assertEqual(after, before)

  def test_nothing_is_measured_without_files_to_measure_on(self):
    task = self.task(32)._replace(validation=None, test=None)
    figures = self.train(task, epochs=1)
    self.assertIsNone(figures["validation_loss"])
    self.assertNotIn("test_bleu", figures)


if __name__ == "__main__":
  absltest.main()
