"""Checkpoints that survive a kill at any moment and detect damaged files.

A checkpoint is a folder `step-00001200` with the two files of a plain
`tf.train.Saver` checkpoint, `model`, and a manifest. It is written under a
temporary name and renamed once all of it has reached the disk. Only one process
at a time may write; any may read. The training process writes and reads all
files itself, even if variables live on other tasks of a cluster.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from typing import Any, Callable, Iterable, List, NamedTuple, Optional

from tangle import errors, files, hints
from tangle.compat import tf1
from tangle.training import manifests, savers

_FOLDER = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,17})")
_MODEL = "model"


class Restored(NamedTuple):
  """A checkpoint that was restored.

  Attributes:
    step: how many steps had been done.
    score: the validation score at this step, lower is better; `None` if
      unknown.
    state: the state that was saved with the weights; `None` if none was.
    prefix: what `tf.train.Saver().restore` takes.
  """

  step: int
  score: Optional[float]
  state: Any
  prefix: str


class Checkpoints:
  """Writes and restores the checkpoints in a folder.

  Keeps the newest checkpoints, and the best one by validation score.
  `tf.train.latest_checkpoint` also finds the newest, but does not check it.

  Attributes:
    folder: the folder.
  """

  @errors.named("Checkpoints")
  def __init__(
    self,
    folder: hints.Path,
    keep: int = 3,
    variables: Optional[Iterable[hints.Variable]] = None,
    report: Optional[Callable[[str], Any]] = None,
    part: bool = False,
    name: str = "checkpoints",
  ) -> None:
    """Adds the ops that save and restore to the graph of the variables.

    Args:
      folder: created when the first checkpoint is written.
      keep: how many of the newest checkpoints to keep. With 1 there is no older
        one to restore if the newest is damaged.
      variables: what to save; by default all global variables, among them the
        slots of the optimizer and the global step, so that the graph must be
        complete.
      report: called with a line of text that describes damage; by default the
        line is logged as a warning.
      part: whether the checkpoints may have variables beside `variables`. For
        reading only, as when a decoding graph reads a training's checkpoint.
      name: name scope of the new ops.

    Raises:
      ArgumentError: if `keep` is less than 1, or there are no variables.
      GraphError: if the graph is finalized.
    """
    if keep < 1:
      raise errors.ArgumentError(f"keep must be at least 1, got {keep}.")
    self.folder = os.path.abspath(folder)
    self._keep, self._part = keep, part
    self._report = report or logging.getLogger(__name__).warning
    self._damaged = {}  # step → why
    if variables is None:
      variables = tf1.global_variables()
    self._variables = list(variables)
    if not self._variables:
      raise errors.ArgumentError(
        "there are no variables to save. Build the model first, "
        "and make its graph the default graph."
      )
    if self._variables[0].graph.finalized:
      raise errors.GraphError(
        "the graph is finalized, so that the ops that save "
        "cannot be added. Make the Checkpoints before the graph is finalized."
      )
    with self._variables[0].graph.as_default(), tf1.name_scope(name):
      self._saver = savers.Saver(self._variables)

  def steps(self) -> List[int]:
    """Lists the steps that have checkpoints, damaged or not.

    Returns:
      A list of ints, increasing.

    Raises:
      FileError: if the folder cannot be read.
    """
    if not os.path.lexists(self.folder):
      return []
    with files.explained(self.folder, "read"):
      found = map(_FOLDER.fullmatch, os.listdir(self.folder))
    return sorted(int(match.group(1)) for match in found if match)

  def path(self, step: int) -> str:
    """Returns the folder of the checkpoint of a step.

    Args:
      step: how many steps had been done.

    Returns:
      An absolute path, whether or not the checkpoint exists.
    """
    return os.path.join(self.folder, f"step-{step:08d}")

  @errors.named("Checkpoints.save")
  def save(
    self,
    sess: hints.Session,
    step: int,
    state: Any = None,
    score: Optional[float] = None,
  ) -> str:
    """Writes a checkpoint; a kill at any moment leaves the older ones intact.

    Then removes the checkpoints that are not to be kept, and those that
    `restore` found damaged.

    Args:
      sess: a session.
      step: how many steps have been done.
      state: other state needed to resume: dicts, lists, strings, numbers, bools
        and `None`.
      score: the validation score of these weights, lower is better; `None` or
        NaN for no score.

    Returns:
      The path prefix that `tf.train.Saver().restore` takes.

    Raises:
      ArgumentError: if this step or a later one has a checkpoint that `restore`
        did not find damaged, or if `state` changes in a round trip through
        JSON.
      FileError: if a file cannot be written, for example because the disk is
        full; the older checkpoints stay as they are.
      SessionError: if a variable has no value in a local session.
    """
    manifest = manifests.Manifest(int(step), _number(score), state)
    manifests.check(manifest)
    self._refuse_later(manifest.step)
    files.make_folder(self.folder)
    files.clean(self.folder)
    path = self.path(manifest.step)
    temporary = os.path.join(
      self.folder, files.WRITING + os.path.basename(path)
    )
    try:
      files.make_folder(temporary)
      self._saver.save(sess, os.path.join(temporary, _MODEL))
      manifests.write(temporary, manifest)
    except BaseException:
      shutil.rmtree(temporary, ignore_errors=True)  # the disk may be full
      raise
    if os.path.lexists(path):  # a damaged checkpoint
      files.remove(path)
      self._damaged.pop(manifest.step, None)
    files.publish(temporary, path)
    self._retain()
    return os.path.join(path, _MODEL)

  def _refuse_later(self, step):
    later = [
      other
      for other in self.steps()
      if other >= step and other not in self._damaged
    ]
    if later:
      raise errors.ArgumentError(
        f"step {step} is not after the steps {later}, of "
        f"which {self.folder!r} has checkpoints. Call restore first and "
        f"continue from there, or give another folder."
      )

  def _retain(self):
    """Removes the checkpoints that are neither newest nor best."""
    scores = self._scores()
    kept = sorted(scores)[-self._keep :]
    known = [step for step in scores if scores[step] is not None]
    if known:
      kept.append(min(known, key=lambda step: (scores[step], step)))
    self._write_index(sorted(set(kept)))
    for step in self.steps():
      if step not in kept:
        files.remove(self.path(step))
        self._damaged.pop(step, None)

  def _write_index(self, steps):
    """Writes the index file that `tf.train.latest_checkpoint` reads."""
    # TensorFlow's own function for this warns that it is deprecated.
    prefixes = [
      json.dumps(os.path.relpath(self._prefix(step), self.folder))
      for step in steps
    ]
    lines = [f"model_checkpoint_path: {prefixes[-1]}"]
    lines += [f"all_model_checkpoint_paths: {prefix}" for prefix in prefixes]
    path = os.path.join(self.folder, "checkpoint")
    if os.path.isdir(path):  # tangle writes no folder of this name
      files.remove(path)
    files.write_text(path, "\n".join(lines) + "\n")

  def _prefix(self, step):
    return os.path.join(self.path(step), _MODEL)

  @errors.named("Checkpoints.restore")
  def restore(self, sess: hints.Session) -> Optional[Restored]:
    """Restores the newest undamaged checkpoint; reports each damaged one.

    Args:
      sess: a session; all variables get their values.

    Returns:
      A `Restored`; `None` if there is no checkpoint, and nothing is restored.

    Raises:
      TrainingError: if all checkpoints are damaged, or if the newest undamaged
        one does not fit the variables.
      FileError: if the folder, or a file that may be intact, cannot be read.
    """
    return self._restore(sess, self.steps()[::-1])

  @errors.named("Checkpoints.restore_best")
  def restore_best(self, sess: hints.Session) -> Optional[Restored]:
    """Restores the undamaged checkpoint with the lowest score.

    Args:
      sess: a session; all variables get their values.

    Returns:
      A `Restored`, or `None` if there is no checkpoint with a score.

    Raises:
      TrainingError: if no undamaged checkpoint has a score and some checkpoint
        is damaged, or if the best undamaged one does not fit the variables.
      FileError: as `restore`.
    """
    return self._restore(sess, self._best_first())

  @errors.named("Checkpoints.restore_best")
  def restore_best_or_newest(self, sess: hints.Session) -> Optional[Restored]:
    """Restores the best undamaged checkpoint, the newest if none has a score.

    Args:
      sess: a session; all variables get their values.

    Returns:
      A `Restored`, or `None` if there is no checkpoint.

    Raises:
      TrainingError, FileError: as `restore`.
    """
    best = self._best_first()
    others = [step for step in self.steps()[::-1] if step not in best]
    return self._restore(sess, best + others)

  def _best_first(self):
    scores = self._scores()
    known = [step for step in scores if scores[step] is not None]
    return sorted(known, key=lambda step: (scores[step], step))

  def _scores(self):
    """Returns step → score, except for steps whose manifest is damaged."""
    scores = {}
    for step in self.steps():
      if step not in self._damaged:
        try:
          score = self._read(step, deep=False).score
          # NaN counts as no score: it cannot be compared.
          scores[step] = score if score == score else None
        except errors.DataError as error:
          self._say_damaged(step, error)
    return scores

  def _say_damaged(self, step, why):
    self._damaged[step] = str(why)
    self._report(f"Checkpoint {self.path(step)!r} is damaged: {why}.")

  def _read(self, step, deep=True):
    """Reads the manifest of a checkpoint; see `manifests.read`."""
    manifest = manifests.read(self.path(step), deep)
    if manifest.step != step:
      raise errors.DataError(
        f"{manifests.NAME} is the manifest of step {manifest.step}: the "
        f"folder has been renamed or copied"
      )
    return manifest

  def _restore(self, sess, steps):
    """Restores the first of `steps` that is not damaged."""
    passed_over = False
    for step in steps:
      prefix = self._prefix(step)
      try:
        manifest = self._read(step)
        check_fit(prefix, self._variables, self._part)
        self._saver.restore(sess, prefix)
      except errors.DataError as error:
        self._say_damaged(step, error)
        passed_over = True
        continue
      self._damaged.pop(step, None)
      if passed_over:
        self._report(f"The checkpoint of step {step} is used instead.")
      return Restored(manifest.step, manifest.score, manifest.state, prefix)
    found = [step for step in self.steps() if step in self._damaged]
    if found:
      reasons = "; ".join(f"step {k}: {self._damaged[k]}" for k in found)
      raise errors.TrainingError(
        f"no checkpoint in {self.folder!r} is undamaged: "
        f"{reasons}. Put a copy of one back, or move the folder "
        f"away to start again."
      )
    return None


def check_fit(
  prefix: str,
  variables: Iterable[hints.Variable],
  part: bool = False,
) -> None:
  """Checks that a checkpoint has exactly the variables of a graph.

  Args:
    prefix: path prefix of a checkpoint that `tf.train.Saver` wrote.
    variables: the variables of the graph.
    part: whether the checkpoint may have further variables.

  Raises:
    TrainingError: if a name is missing on one side, or a shape or a dtype
      differs; the message lists all such variables.
    DataError: if TensorFlow cannot read the checkpoint.
  """
  try:
    reader = tf1.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    dtypes = reader.get_variable_to_dtype_map()
  except (tf1.errors.OpError, RuntimeError, ValueError) as error:
    raise savers.unreadable(error) from error
  wanted = dict(map(_signature, variables))
  problems = [
    f"{name} is {why}"
    for why, names in (
      ("not in the checkpoint", set(wanted) - set(shapes)),
      ("not in the graph", set() if part else set(shapes) - set(wanted)),
    )
    for name in sorted(names)
  ]
  for name in sorted(set(wanted) & set(shapes)):
    shape, dtype = wanted[name]
    found, found_dtype = shapes[name], dtypes[name].base_dtype
    if not shape.is_compatible_with(found) or dtype != found_dtype:
      problems.append(
        f"{name} is {found_dtype.name} {found} in the checkpoint and "
        f"{dtype.name} {shape} in the graph"
      )
  if problems:
    raise errors.TrainingError(
      f"the checkpoint {prefix!r} does not fit the graph: "
      f"{'; '.join(problems)}. Build the graph with the settings of that run, "
      f"or give another folder."
    )


def _signature(variable):
  """Returns the name of a variable in a checkpoint, its shape and dtype."""
  dtype = variable.dtype.base_dtype
  # A part of a partitioned variable is saved under the name of the whole
  # variable. No public API gives that name.
  part = getattr(variable, "_save_slice_info", None)
  if part is not None:
    return part.full_name, (tf1.TensorShape(part.full_shape), dtype)
  return variable.op.name, (variable.shape, dtype)


def _number(score):
  return None if score is None else float(score)
