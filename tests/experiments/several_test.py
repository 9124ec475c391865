"""Tests of trainings with several sources, and with several directions.

All texts are made up here.
"""

import json
import os
import signal
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import decode, run_folder, seq2seq, tasks
from tests.experiments import babel
from tests.training import folders

COLOURS, THINGS = "rgbw", "stuv"


class SeveralTest(parameterized.TestCase):
  def check_figures(self, folder):
    """Fails if the records have a figure that is not explained."""
    found = folders.without_unit(folder)
    self.assertEqual([n for n in found if "-" not in n], [])

  def check_same_weights(self, *folders_of):
    ends = []
    for folder in folders_of:
      prefix = tf1.train.latest_checkpoint(os.path.join(folder, "checkpoints"))
      reader = tf1.train.load_checkpoint(prefix)
      names = sorted(reader.get_variable_to_shape_map())
      ends.append({name: reader.get_tensor(name) for name in names})
    for name, value in ends[0].items():
      np.testing.assert_array_equal(value, ends[1][name], name)


def stop(step, *rest):
  """Ends a run after its eighth step; to be passed as `progress`."""
  if step == 8:
    os.kill(os.getpid(), signal.SIGTERM)


class TwoSourcesTest(SeveralTest):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.out_dir = os.path.join(self.folder, "run")

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
    for k, side in enumerate(lines):
      path = os.path.join(self.folder, f"{name}.{'abc'[k]}")
      with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(side) + "\n")
    return [os.path.join(self.folder, f"{name}.{{}}")]

  def task(self, count=400):
    return tasks.parallel(
      self.split("train", count),
      self.split("validation", 40),
      self.split("test", 40),
      sources=["a+b"],
      targets=["c"],
      buckets=2,
    )

  def train(self, task, out_dir=None, **settings):
    sizes = {
      "network": {"units": 12, "embedding_dim": 8},
      "batch_size": 16,
      "output_bias": "frequencies",
    }
    return seq2seq.train(
      task, out_dir or self.out_dir, **dict(sizes, **settings)
    )

  def test_it_learns_what_takes_both_sources(self):
    said = []
    figures = self.train(
      self.task(), epochs=12, learning_rate=0.02, report=said.append
    )
    self.assertEqual(figures["steps"], 12 * 25)
    self.assertEqual((figures["graphs"], figures["joint_graphs"]), (6, 8))
    # One source alone leaves four words to choose from: log 4 a word.
    self.assertLess(figures["curve"][-1]["validation_loss"], 0.35)
    self.assertBetween(figures["curve"][-1]["validation_bleu"], 0, 100)
    self.assertBetween(figures["test_bleu"], 0, 100)
    self.assertEqual(figures["test_left_out"], 0)
    self.assertLen(figures["source_waste"], 2)
    self.assertIn("6 static graphs", "\n".join(said))
    self.check_figures(self.out_dir)
    with open(os.path.join(self.out_dir, "metrics.jsonl")) as file:
      records = [json.loads(line) for line in file]
    samples = [r for r in records if "validation_samples" in r][0]
    self.assertEqual(
      list(samples["validation_samples"][0]),
      ["a", "b", "reference", "decoded"],
    )
    with open(os.path.join(self.out_dir, "test.txt")) as file:
      found = file.read()
    with open(os.path.join(self.folder, "test.c")) as file:
      wanted = [line.split() for line in file]
    lines = [line.split() for line in found.splitlines()]
    self.assertLen(lines, 40)
    self.assertGreater(np.mean([a == b for a, b in zip(lines, wanted)]), 0.7)
    paths = [os.path.join(self.folder, f"test.{name}") for name in "ab"]
    out_path = os.path.join(self.folder, "decoded.txt")
    again = decode.decode_file(
      self.out_dir, paths, out_path, [os.path.join(self.folder, "test.c")]
    )
    self.assertEqual(again["bleu"], figures["test_bleu"])
    with open(out_path) as file:
      self.assertEqual(file.read(), found)

  def test_a_run_that_was_stopped_ends_with_the_same_weights(self):
    task = self.task(160)
    settings = {"epochs": 2, "evaluations": 2, "dropout_rate": 0.3}
    whole = self.train(task, **settings)
    other = self.out_dir + "_stopped"
    stopped = self.train(task, other, progress=stop, **settings)
    self.assertEqual((stopped["reason"], stopped["steps"]), ("interrupted", 8))
    self.assertNotIn("test_bleu", stopped)
    again = self.train(task, other, **settings)
    self.assertEqual(again["resumed_from"], 8)
    for name in ("curve", "test_bleu", "loss"):
      self.assertEqual(again[name], whole[name])
    self.check_same_weights(self.out_dir, other)

  def test_another_run_is_refused_and_nothing_written(self):
    task = self.task(64)
    other = self.task(64)
    self.train(task, epochs=1, evaluations=1)
    before = folders.contents(self.out_dir)
    names = [f"{name}_vocabulary.txt" for name in "abc"]
    self.assertContainsSubset(["run.json", *names], before)
    validation = dict(task.encoded, validation=other.encoded["validation"])
    for changes, message in (
      ({"learning_rate": 0.5}, "learning_rate.: 0.003}, not {.*0.5}"),
      ({"dropout_rate": 0.7, "epochs": 2}, "'steps': 4.*'steps': 8"),
      ({"task": other}, "other (data|vocabularies): "),
      (
        {"task": task._replace(encoded=validation)},
        "other data: validation",
      ),
      ({"task": self.task(48)}, "buckets|data|steps"),
    ):
      changes = dict({"task": task, "epochs": 1, "evaluations": 1}, **changes)
      with self.assertRaisesRegex(errors.DataError, message):
        self.train(**changes)
    self.assertEqual(folders.contents(self.out_dir), before)


class ManyToManyTest(SeveralTest):
  def setUp(self):
    super().setUp()
    self.folder = babel.write(self)
    self.out_dir = os.path.join(self.folder, "run")

  def train(self, out_dir=None, directions=None, held_out=None, **settings):
    task = tasks.parallel(
      *[[f"{self.folder}/{split}.{{}}"] for split in babel.LINES],
      sources=babel.NAMES,
      targets=babel.NAMES,
      directions=directions,
      held_out=held_out,
      buckets=1,
    )
    sizes = {
      "network": {"units": 32, "embedding_dim": 16},
      "batch_size": 16,
      "evaluations": 2,
    }
    return seq2seq.train(
      task, out_dir or self.out_dir, **dict(sizes, **settings)
    )

  def test_all_directions_are_learned_and_one_unseen(self):
    figures = self.train(
      held_out=["aa-cc"], epochs=40.0, learning_rate=0.01, dropout_rate=0.1
    )
    self.assertEqual(figures["held_out"], ["aa-cc"])
    every = [f"{a}-{b}" for a in babel.NAMES for b in babel.NAMES if a != b]
    self.assertCountEqual(figures["test_bleu"], every)
    seen = [b for name, b in figures["test_bleu"].items() if name != "aa-cc"]
    self.assertGreater(min(seen), 60.0)
    self.assertEqual((figures["graphs"], figures["joint_graphs"]), (6, 6))
    self.assertEqual(figures["steps"], 40 * 5 * 6)
    self.check_figures(self.out_dir)
    last = figures["curve"][-1]
    losses = [last[f"validation_loss_{one}"] for one in every if one != "aa-cc"]
    self.assertAlmostEqual(last["validation_loss"], np.mean(losses))
    self.assertNotIn("validation_loss_aa-cc", last)
    for one in ("aa-cc", "cc-bb"):
      source, target = one.split("-")
      path = os.path.join(self.folder, f"{one}.txt")
      found = decode.decode_file(
        self.out_dir,
        [f"{self.folder}/test.{source}"],
        path,
        [f"{self.folder}/test.{target}"],
        direction=one,
      )
      self.assertEqual(found["bleu"], figures["test_bleu"][one])
      with open(path) as file, open(
        os.path.join(self.out_dir, f"test_{one}.txt")
      ) as other:
        self.assertEqual(file.read(), other.read())
    with self.assertRaisesRegex(
      errors.ArgumentError, "direction must be one of aa-bb, .*, got None"
    ):
      with run_folder.decoder(self.out_dir):
        pass

  def test_a_run_that_was_stopped_goes_on(self):
    settings = {"epochs": 1.0, "dropout_rate": 0.2}
    whole = self.train(**settings)
    other = self.out_dir + "_stopped"
    self.assertNotIn("test_bleu", self.train(other, progress=stop, **settings))
    again = self.train(other, **settings)
    self.assertEqual(again["resumed_from"], 8)
    self.assertEqual(again["test_bleu"], whole["test_bleu"])
    self.assertEqual(again["curve"], whole["curve"])
    self.check_same_weights(self.out_dir, other)

  def test_another_run_is_refused_and_nothing_written(self):
    self.train(epochs=0.1, evaluations=1)
    before = folders.contents(self.out_dir)
    for changes, message in (
      ({"learning_rate": 0.5}, "'learning_rate': 0.003}, not"),
      ({"seed": 3, "dropout_rate": 0.9}, "'seed': 0}, not"),
      ({"epochs": 0.3}, "'steps'"),
      ({"held_out": ["aa-cc"]}, "'aa-cc'"),
      ({"directions": ["bb-aa", "aa-bb"]}, "buckets|'directions'"),
    ):
      with self.assertRaisesRegex(errors.DataError, message):
        self.train(**dict({"epochs": 0.1, "evaluations": 1}, **changes))
    path = os.path.join(self.folder, "validation.aa")
    with open(path, encoding="utf-8") as file:
      text = file.read()
    with open(path, "w", encoding="utf-8") as file:
      file.write(text.replace(text.split()[0], "other", 1))
    with self.assertRaisesRegex(
      errors.DataError, "data: .*validation aa-bb.* Give"
    ):
      self.train(epochs=0.1, evaluations=1)
    self.assertEqual(folders.contents(self.out_dir), before)

  def test_a_direction_alone_is_a_network_of_its_own(self):
    figures = self.train(directions=["bb-aa"], epochs=0.5)
    self.assertBetween(figures["test_bleu"], 0, 100)
    self.assertEqual(figures["graphs"], 2)

  def test_a_decoder_of_two_sources_and_one_of_one_are_trained_in_turn(self):
    figures = self.train(directions=["aa+bb-cc", "bb-aa"], epochs=1.0)
    self.assertCountEqual(figures["test_bleu"], ["aa+bb-cc", "bb-aa"])
    self.assertLen(figures["source_waste"]["aa+bb-cc"], 2)
    self.assertEqual(figures["graphs"], 4)


if __name__ == "__main__":
  absltest.main()
