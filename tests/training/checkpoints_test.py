"""Tests of checkpoints."""

import errno
import math
import os
import resource
import shutil
import signal
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, files
from tangle.compat import tf1
from tangle.training import checkpoints, manifests
from tests import case
from tests.training import support

DATA = "model.data-00000-of-00001"


class Killed(BaseException):
  """Stands for SIGKILL: nothing after it runs."""


class CheckpointsTestCase(case.GraphTestCase):
  """Makes checkpoints of a variable `w`."""

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.join(folder.name, "run", "checkpoints")
    self.said = []

  def build(self, keep=3, optimizer=None):
    """Makes a variable `w`, slots for it, and the checkpoints."""
    self.w = self.variable("w", np.float32([1, 2, 3]))
    self.step = tf1.train.create_global_step()
    optimizer = optimizer or tf1.train.AdamOptimizer(0.1)
    loss = tf1.reduce_sum(tf1.square(self.w))
    self.train_op = optimizer.minimize(loss, self.step, [self.w])
    self.found = checkpoints.Checkpoints(
      self.folder, keep, report=self.said.append
    )
    self.sess = self.session()

  def save(self, *steps, scores=None):
    """Saves checkpoints with w = step, after a training step each."""
    for step in steps:
      self.sess.run(self.train_op)
      self.w.load([step] * 3, self.sess)
      score = (scores or {}).get(step)
      self.found.save(self.sess, step, {"at": step}, score)

  def values(self):
    return self.sess.run({v.op.name: v for v in tf1.global_variables()})

  def change(self, step, name, change):
    path = os.path.join(self.found.path(step), name)
    with open(path, "rb") as file:
      content = bytearray(file.read())
    with open(path, "wb") as file:
      file.write(change(content))

  def flip(self, step, name=DATA):
    def change(content):
      content[len(content) // 2] ^= 1
      return content

    self.change(step, name, change)


class CheckpointsTest(CheckpointsTestCase):
  def test_everything_comes_back(self):
    self.build()
    self.save(5)
    wanted = self.values()
    self.assertLen(wanted, 6)  # w, its two slots, two powers, the step
    self.sess.run(tf1.global_variables_initializer())
    found = self.found.restore(self.sess)
    self.assertEqual(found.step, 5)
    self.assertEqual(found.state, {"at": 5})
    self.assertIsNone(found.score)
    for name, value in self.values().items():
      self.assertEqual(value.tobytes(), wanted[name].tobytes(), name)

  def test_without_a_checkpoint_there_is_nothing_to_restore(self):
    self.build()
    self.assertEqual(self.found.steps(), [])
    self.assertIsNone(self.found.restore(self.sess))
    self.assertIsNone(self.found.restore_best(self.sess))
    os.makedirs(self.folder)
    self.assertIsNone(self.found.restore(self.sess))
    self.assertEmpty(self.said)

  def test_the_files_are_those_of_a_plain_saver(self):
    self.build()
    self.save(3, 4)
    prefix = self.found.save(self.sess, 5)
    self.assertEqual(tf1.train.latest_checkpoint(self.folder), prefix)
    self.assertEqual(
      support.read_variables(prefix)["w"].tolist(), [4.0, 4.0, 4.0]
    )
    with tf1.Graph().as_default(), tf1.Session() as sess:
      w = tf1.get_variable("w", [3], use_resource=True)
      tf1.train.Saver().restore(sess, prefix)
      self.assertEqual(sess.run(w).tolist(), [4.0, 4.0, 4.0])

  def test_all_is_on_the_disk_before_it_has_its_name(self):
    self.build()
    done = []
    sync, rename = files.sync, os.rename

    def name_of(path):
      return os.path.relpath(path, self.folder)

    with mock.patch.object(
      files, "sync", lambda path: (done.append(name_of(path)), sync(path))
    ), mock.patch.object(
      os,
      "rename",
      lambda *paths: (
        done.append(" -> ".join(map(name_of, paths))),
        rename(*paths),
      ),
    ):
      self.save(1)
    temporary = "writing-step-00000001"
    self.assertEqual(
      done[:6],
      [f"{temporary}/{name}" for name in (DATA, "model.index")]
      + [f"{temporary}/writing-{manifests.NAME}", temporary]
      + [f"{temporary} -> step-00000001", "."],
    )

  def test_keeps_the_newest_and_the_best(self):
    self.build(keep=2)
    self.save(1, 2, 3, 4, 5, scores={1: 3.0, 2: 0.5, 3: 0.5, 4: 0.7})
    self.assertEqual(self.found.steps(), [2, 4, 5])
    state = tf1.train.get_checkpoint_state(self.folder)
    self.assertEqual(
      [
        os.path.relpath(p, self.folder)
        for p in state.all_model_checkpoint_paths
      ],
      [f"step-{step:08d}/model" for step in (2, 4, 5)],
    )
    best = self.found.restore_best(self.sess)
    self.assertEqual((best.step, best.score), (2, 0.5))
    self.assertEqual(self.sess.run(self.w).tolist(), [2, 2, 2])
    self.assertEqual(self.found.restore(self.sess).step, 5)

  def test_the_newest_stands_in_where_none_has_a_score(self):
    self.build()
    self.assertIsNone(self.found.restore_best_or_newest(self.sess))
    self.save(1, 2)
    self.assertEqual(self.found.restore_best_or_newest(self.sess).step, 2)
    os.remove(os.path.join(self.found.path(2), "model.index"))
    self.assertEqual(self.found.restore_best_or_newest(self.sess).step, 1)
    self.save(3, 4, 5, scores={3: 1.0, 4: 2.0})
    self.assertEqual(self.found.restore_best_or_newest(self.sess).step, 3)
    for step in (3, 4):
      os.remove(os.path.join(self.found.path(step), manifests.NAME))
    self.assertEqual(self.found.restore_best_or_newest(self.sess).step, 5)

  def test_a_better_one_replaces_the_best(self):
    self.build(keep=1)
    self.save(1, 2, 3, 4, scores={1: 3.0, 3: 2.0})
    self.assertEqual(self.found.steps(), [3, 4])

  @parameterized.named_parameters(
    ("truncated", DATA, lambda c: c[:-3], "data-.* has .* bytes, and had"),
    ("flipped", DATA, lambda c: c[:-1] + b"~", "data-.* has changed"),
    ("index", "model.index", lambda c: c[:-1] + b"~", "index has changed"),
    ("empty", "model.index", lambda c: b"", "index has 0 bytes"),
    (
      "garbage",
      manifests.NAME,
      lambda c: b"%&/",
      "json is damaged: .* not JSON",
    ),
    ("no_manifest", manifests.NAME, None, "manifest.json cannot be read"),
    ("no_data", DATA, None, "data-.* cannot be read"),
  )
  def test_a_damaged_one_is_said_and_passed_over(self, name, change, why):
    self.build()
    self.save(1, 2)
    if change is None:
      os.remove(os.path.join(self.found.path(2), name))
    else:
      self.change(2, name, change)
    self.assertEqual(self.found.restore(self.sess).step, 1)
    self.assertEqual(self.sess.run(self.w).tolist(), [1, 1, 1])
    self.assertLen(self.said, 2)
    self.assertRegex(
      self.said[0], f"^Checkpoint '.*step-00000002' is damaged: .*{why}"
    )
    self.assertEqual(self.said[1], "The checkpoint of step 1 is used instead.")

  def test_one_under_the_name_of_another_step_is_passed_over(self):
    self.build()
    self.save(1, 2)
    shutil.copytree(self.found.path(1), self.found.path(9))
    self.assertEqual(self.found.restore(self.sess).step, 2)
    self.assertRegex(self.said[0], "00000009' is damaged: .* of step 1: .*copi")
    self.save(3)
    self.assertEqual(self.found.steps(), [1, 2, 3])

  def test_what_is_no_folder_is_passed_over_and_goes(self):
    self.build()
    self.save(1)
    with open(self.found.path(2), "w"):
      pass
    os.symlink(self.found.path(1), self.found.path(3) + "-link")
    os.symlink("nowhere", self.found.path(3))
    for odd in ("step-0000001", "step-000000001", "step-\u0661" + 7 * "1"):
      os.mkdir(os.path.join(self.folder, odd))
    self.assertEqual(self.found.steps(), [1, 2, 3])
    self.assertEqual(self.found.restore(self.sess).step, 1)
    self.save(2)
    self.assertEqual(self.found.steps(), [1, 2])

  def test_weights_that_tensorflow_cannot_read_are_passed_over(self):
    """The manifest was forged: its digests are right."""
    self.build()
    self.save(1, 2, 3)
    for step, name in ((2, "model.index"), (3, DATA)):
      state = manifests.read(self.found.path(step)).state
      self.change(step, name, lambda content: b"\x00" * len(content))
      os.remove(os.path.join(self.found.path(step), manifests.NAME))
      manifest = manifests.Manifest(step, None, state)
      manifests.write(self.found.path(step), manifest)
    self.assertEqual(self.found.restore(self.sess).step, 1)
    self.assertEqual(self.sess.run(self.w).tolist(), [1, 1, 1])
    for line in self.said[:2]:
      self.assertRegex(line, "is damaged: TensorFlow cannot read the weights")

  def test_a_score_that_is_no_number_is_not_the_best(self):
    self.build(keep=5)
    self.save(1, 2, 3, scores={1: math.nan, 2: 0.5, 3: math.nan})
    self.assertEqual(self.found.restore_best(self.sess).step, 2)

  def test_a_fault_of_the_machine_removes_nothing(self):
    self.build()
    self.save(1, 2)
    error = OSError(errno.EMFILE, "Too many open files")
    with mock.patch.object(os, "open", side_effect=error):
      with self.assertRaisesRegex(errors.FileError, "limit on open files"):
        self.found.restore(self.sess)
    self.assertEqual(self.found.restore(self.sess).step, 2)

  @parameterized.parameters("open", "fsync", "replace", "rename", "mkdir")
  def test_a_full_disk_at_any_call_leaves_what_was_there(self, name):
    self.build()
    self.save(1)
    original, number, full = getattr(os, name), 0, True
    while full:
      step, calls, full = number + 2, iter(range(10**6)), False

      def call(*args, number=number, calls=calls, **kwargs):
        nonlocal full
        if next(calls) == number:
          full = True
          raise OSError(errno.ENOSPC, "No space left on device")
        return original(*args, **kwargs)

      before = self.found.steps()[-1]
      with mock.patch.object(os, name, call):
        if name == "open" and number > 40:
          break
        try:
          self.save(step)
        except errors.FileError as error:
          self.assertRegex(str(error), "No space left on device. Free space")
          self.assertNotIn("\n", str(error))
      found = self.found.restore(self.sess).step
      self.assertIn(found, (before, step))
      self.assertEqual(self.sess.run(self.w).tolist(), [found] * 3)
      number += 1
    self.assertEqual(self.said, [])
    self.assertGreater(number, 1)

  @parameterized.parameters(0, 50, 200)
  def test_a_limit_on_the_size_of_files_is_named(self, most):
    """As a full disk is, to TensorFlow's own writes, too."""
    self.build()
    self.save(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
      resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
      with self.assertRaisesRegex(errors.FileError, "cannot be written") as got:
        self.save(2)
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, limits)
      signal.signal(signal.SIGXFSZ, before)
    self.assertNotIn("\n", str(got.exception))
    self.assertEqual(self.found.restore(self.sess).step, 1)
    self.assertEqual(self.said, [])
    self.save(2)
    self.assertEqual(os.listdir(self.folder).count("checkpoint"), 1)
    self.assertEqual(self.found.restore(self.sess).step, 2)

  def test_damage_goes_to_the_log_by_default(self):
    self.build()
    self.save(1, 2)
    self.flip(2)
    found = checkpoints.Checkpoints(self.folder, name="others")
    with self.assertLogs("tangle.training.checkpoints", "WARNING") as logs:
      found.restore(self.sess)
    self.assertIn("step-00000002' is damaged", logs.output[0])

  def test_a_damaged_one_is_replaced_when_training_gets_there_again(self):
    self.build()
    self.save(1, 2, 3)
    self.flip(2)
    self.flip(3)
    self.assertEqual(self.found.restore(self.sess).step, 1)
    self.save(2)
    self.assertEqual(self.found.steps(), [1, 2])  # 3 is no use any more
    self.assertEqual(self.found.restore(self.sess).step, 2)

  def test_a_damaged_one_does_not_count_among_those_kept(self):
    self.build(keep=2)
    self.save(1, 2)
    self.change(2, manifests.NAME, lambda content: b"")
    self.save(3)
    self.assertEqual(self.found.steps(), [1, 3])
    self.assertRegex(self.said[0], "step-00000002' is damaged: manifest.json")

  def test_all_damaged(self):
    self.build()
    self.save(1, 2)
    self.flip(1)
    os.remove(os.path.join(self.found.path(2), manifests.NAME))
    with self.assertRaisesRegex(
      errors.TrainingError,
      "no checkpoint in .*/checkpoints' is undamaged: step 1: model.data.* "
      "changed .*; step 2: manifest.json cannot be read.* Put a copy .* start "
      "again",
    ):
      self.found.restore(self.sess)

  def test_a_damaged_best_is_said_and_the_second_best_is_used(self):
    self.build()
    self.save(1, 2, 3, scores={1: 2.0, 2: 1.0})
    self.flip(2)
    self.assertEqual(self.found.restore_best(self.sess).step, 1)
    self.assertIn("step-00000002' is damaged", self.said[0])
    self.flip(1)
    with self.assertRaisesRegex(errors.TrainingError, "restore_best: no"):
      self.found.restore_best(self.sess)

  def test_one_that_was_put_back_is_used_again(self):
    self.build()
    self.save(1, 2)
    self.flip(2)
    self.found.restore(self.sess)
    self.flip(2)
    self.assertEqual(self.found.restore(self.sess).step, 2)

  def test_refuses_a_step_that_is_not_later(self):
    self.build()
    self.save(4)
    for step in (3, 4):
      with self.assertRaisesRegex(
        errors.ArgumentError, f"step {step} is not after the steps .4., .*Call"
      ):
        self.found.save(self.sess, step)
    self.assertEqual(self.found.steps(), [4])

  def test_refuses_a_state_before_anything_is_written(self):
    self.build()
    with self.assertRaisesRegex(errors.ArgumentError, "Checkpoints.save: the "):
      self.found.save(self.sess, 1, {"a": (1, 2)})
    self.assertFalse(os.path.exists(self.folder))

  def test_refuses_to_keep_none_and_to_save_nothing(self):
    with self.assertRaisesRegex(errors.ArgumentError, "keep must be at least"):
      checkpoints.Checkpoints(self.folder, keep=0)
    with self.assertRaisesRegex(errors.ArgumentError, "no variables to save"):
      checkpoints.Checkpoints(self.folder)

  def test_refuses_a_finalized_graph(self):
    self.variable("w", 1.0)
    self.graph.finalize()
    with self.assertRaisesRegex(errors.GraphError, "finalized.*before"):
      checkpoints.Checkpoints(self.folder)

  def test_its_ops_are_in_its_scope(self):
    self.variable("w", 1.0)
    before = self.graph.get_operations()
    checkpoints.Checkpoints(self.folder, name="kept")
    for op in self.graph.get_operations()[len(before) :]:
      self.assertStartsWith(op.name, "kept/")

  def test_a_graph_of_which_ops_are_no_more_added_is_enough(self):
    self.build()
    self.graph.finalize()
    self.found.save(self.sess, 1)
    self.assertEqual(self.found.restore(self.sess).step, 1)

  def test_readers_need_not_have_written(self):
    self.build()
    self.save(1)
    other = checkpoints.Checkpoints(self.folder, name="other")
    self.assertEqual(other.restore(self.sess).step, 1)


class KilledWriteTest(CheckpointsTestCase):
  """Every moment at which a write may be killed, one after the other."""

  def stages(self):
    """Yields patches that kill the n-th call of what touches the disk."""
    for target, name in (
      (files, "sync"),
      (os, "rename"),
      (os, "replace"),
      (os, "mkdir"),
      (files, "digest"),
      (shutil, "rmtree"),
    ):
      real = getattr(target, name)
      for survive in range(20):
        calls = []

        def call(*args, real=real, calls=calls, survive=survive, **kwargs):
          calls.append(args)
          if len(calls) > survive:
            raise Killed
          return real(*args, **kwargs)

        yield f"{name} {survive}", mock.patch.object(target, name, call)
        if len(calls) <= survive:  # it was not called so often
          break

  def test_a_kill_at_any_moment_leaves_a_checkpoint(self):
    self.build(keep=2)
    self.save(1, 2, scores={1: 0.5})
    step, killed = 2, 0
    seen = set()
    for stage, patch in self.stages():
      before = self.found.steps()
      self.w.load([step + 1] * 3, self.sess)
      try:
        with patch:
          self.found.save(self.sess, step + 1, {"at": step + 1}, 1.0)
        died = False
      except Killed:
        died = True
      killed += died
      fresh = checkpoints.Checkpoints.__new__(checkpoints.Checkpoints)
      fresh.__dict__.update(self.found.__dict__, _damaged={})
      found = fresh.restore(self.sess)
      self.assertIn(found.step, (step, step + 1), stage)
      self.assertEqual(self.sess.run(self.w).tolist(), [found.step] * 3)
      self.assertEqual(found.state, {"at": found.step})
      self.assertEmpty(self.said, stage)
      self.assertEqual(fresh.restore_best(self.sess).step, 1, stage)
      if not died:
        self.assertEqual(found.step, step + 1)
      seen.add((died, found.step - step))
      self.assertContainsSubset(before[-1:], self.found.steps())
      step = found.step
      self.w.load([step] * 3, self.sess)
    self.assertGreater(killed, 15)
    # Killed before and after the moment that counts, and not at all.
    self.assertEqual(seen, {(True, 0), (True, 1), (False, 1)})
    # The next write that is not killed cleans up.
    self.found.save(self.sess, step + 1)
    self.assertEqual(
      sorted(os.listdir(self.folder)),
      ["checkpoint"] + [f"step-{number:08d}" for number in (1, step, step + 1)],
    )


class FitTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.variable("same", np.zeros([2], np.float32))
    self.variable("gone", np.zeros([2], np.float32))
    self.variable("shape", np.zeros([2, 3], np.float32))
    self.variable("dtype", np.zeros([2], np.float32))
    checkpoints.Checkpoints(self.folder).save(self.session(), 1)

  def test_all_that_does_not_fit_is_named(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      self.variable("same", np.zeros([2], np.float32))
      self.variable("new", np.zeros([2], np.float32))
      self.variable("shape", np.zeros([3, 3], np.float32))
      self.variable("dtype", np.zeros([2], np.float64))
      found = checkpoints.Checkpoints(self.folder)
      with self.assertRaises(errors.TrainingError) as caught:
        found.restore(sess)
    text = str(caught.exception)
    for part in (
      "Checkpoints.restore: the checkpoint '",
      "new is not in the checkpoint",
      "gone is not in the graph",
      "shape is float32 [2, 3] in the checkpoint and float32 (3, 3) in the",
      "dtype is float32 [2] in the checkpoint and float64 (2,) in the graph",
      "Build the graph with the settings of that run",
    ):
      self.assertIn(part, text)
    self.assertNotIn("same", text)

  def test_a_partitioned_variable_fits_itself(self):
    folder = os.path.join(self.folder, "other")
    with tf1.Graph().as_default(), tf1.Session() as sess:
      tf1.get_variable(
        "parts",
        [6, 2],
        partitioner=tf1.fixed_size_partitioner(3),
        use_resource=True,
      )
      sess.run(tf1.global_variables_initializer())
      found = checkpoints.Checkpoints(folder)
      found.save(sess, 1)
      self.assertEqual(found.restore(sess).step, 1)

  def test_reference_variables_fit(self):
    folder = os.path.join(self.folder, "other")
    with tf1.Graph().as_default(), tf1.Session() as sess:
      w = self.variable("w", np.float32([1]), use_resource=False)
      sess.run(tf1.global_variables_initializer())
      found = checkpoints.Checkpoints(folder)
      found.save(sess, 1)
      w.load([2], sess)
      found.restore(sess)
      self.assertEqual(sess.run(w).tolist(), [1])


if __name__ == "__main__":
  absltest.main()
