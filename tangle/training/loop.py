"""The training loop: steps, reports, validation, checkpoints, an end.

A run that was stopped at any moment, by SIGKILL too, and is started again in
the same folder goes on from its newest checkpoint, and ends with the same
weights, slots and figures, bit by bit, as one that was not stopped. What that
takes of the model is in `determinism`.
"""

import contextlib
import logging
import os
import time
from typing import NamedTuple, Optional

from tangle import errors, files
from tangle.compat import tf1
from tangle.training import checkpoints as checkpoints_lib
from tangle.training import failures, interrupts, parts, recovery, stopping
from tangle.training import journal as journal_lib

MAX_STEPS = "max_steps"
PATIENCE = "patience"
DATA = "data"
INTERRUPTED = "interrupted"


class Outcome(NamedTuple):
  """How a run has ended.

  Attributes:
    step: how many steps have been done.
    reason: `"max_steps"`; `"patience"`; `"data"`, there are no more batches; or
      `"interrupted"`, by a signal.
    loss: of the last step; `None` if there was none.
    best_score: the lowest of validation; `None` without.
    best_step: the step that it belongs to.
    resumed_from: the step where this run went on; `None` if it began.
    seconds: what training has taken, earlier runs too.
    signal: name of the signal that has ended the run, such as `"SIGTERM"`;
      `None` without.
  """

  step: int
  reason: str
  loss: Optional[float]
  best_score: Optional[float]
  best_step: Optional[int]
  resumed_from: Optional[int]
  seconds: float
  signal: Optional[str] = None


def train(sess, trainer, source, out_dir, max_steps, **settings):
  """Trains, or goes on with what was stopped; see `Loop`.

  Args:
    sess: a session whose variables are initialized.
    trainer: what makes a step.
    source: what gives batches.
    out_dir: the folder of the run.
    max_steps: after how many steps to end.
    **settings: those of `Loop`.

  Returns:
    An `Outcome`.

  Raises:
    TrainingError: as `Loop.run`.
  """
  return Loop(sess, trainer, source, out_dir, max_steps, **settings).run()


class Loop:
  """Trains step by step, and can be stopped at any moment.

  In the folder are `metrics.jsonl`, with at most one record a step, the folders
  `checkpoints` and `summaries`, the latter for TensorBoard, and, if a loss was
  not finite, its batch.

  Reports and validations go by steps only, since learning rate and early
  stopping depend on them, and would else depend on the speed of the machine.

  Attributes:
    sess: the session, the newest one if `reopen` has opened others; whoever
      gave `reopen` closes it in the end.
    checkpoints: the `Checkpoints`.
    journal: the `Journal`. Figures of the end may be written to its `records`
      after `run`; a record without a step is removed when the run goes on.
  """

  def __init__(
    self,
    sess,
    trainer,
    source,
    out_dir,
    max_steps,
    feeds=None,
    rate=None,
    validate=None,
    watch="validation_loss",
    patience=None,
    report_every=100,
    validate_every=1000,
    checkpoint_every=1000,
    checkpoint_every_s=600.0,
    keep=3,
    measure=None,
    label=None,
    with_perplexity=True,
    extra=None,
    checkpoints=None,
    progress=None,
    report=None,
    reopen=None,
    reopen_s=600.0,
    locked=False,
  ):
    """Adds the ops of checkpoints to the graph, which must be complete.

    Args:
      sess: a session whose variables are initialized. Restoring a checkpoint
        sets all of them.
      trainer: an object with `step(sess, batch)`, which returns an object with
        `loss`, a number, and may have `buckets` and `global_norm`: a `Trainer`
        of a pipeline, for one.
      source: where batches come from, see `sources`.
      out_dir: the folder of the run; one that has a run goes on with it.
      max_steps: after how many steps to end.
      feeds: a function of a batch and of how many steps have been done that
        returns what `trainer.step` takes; by default the batch. Here a
        `determinism.step_seed` is fed.
      rate: a `schedules.LearningRate` whose variable the optimizer uses.
      validate: a function of the session that returns a dict of figures; its
        names should begin with `validation_`.
      watch: the name of the figure, lower is better, that tells which
        checkpoint is the best, and when to stop.
      patience: after how many validations that are not better to stop; never
        by default.
      report_every: steps between reports.
      validate_every: steps between validations.
      checkpoint_every: steps between checkpoints; `None` for none by steps.
      checkpoint_every_s: seconds between checkpoints; `None` for none by time.
        There is also one at the beginning, at each validation that is the best
        so far, and at the end.
      keep: how many checkpoints to keep, besides the best.
      measure: as in `meters.Meter`.
      label: as in `meters.Meter`.
      with_perplexity: whether reports give perplexities.
      extra: a dict of objects with `state()` and `restore(state)`, which are
        part of a checkpoint, such as one with a random generator.
      checkpoints: a `Checkpoints`; by default one is made.
      progress: called as `progress(step, max_steps, result)` after each step;
        see `progress.Bar`.
      report: called with lines of text; by default they go to the log.
      reopen: a function without arguments that opens a session like `sess`.
        When a task of its cluster is lost, the run waits until all tasks
        answer, and goes on from the newest checkpoint in a new session. By
        default the error ends the run.
      reopen_s: seconds that may pass from a loss to the next step. A step
        that loses a task three times in a row, too, ends the run.
      locked: whether the caller holds the lock of the folder, as within
        `runs.started`; by default `run` takes it.

    Raises:
      ArgumentError: if a number of steps or `patience` is less than 1, there
        are no variables, or there is `patience` without `validate`.
      GraphError: if the graph is finalized.
    """
    _check_numbers(max_steps, report_every, validate_every, checkpoint_every)
    if patience is not None and validate is None:
      raise errors.ArgumentError(
        "Loop: patience counts validations. Give validate, too."
      )
    self.sess, self._trainer, self._source = sess, trainer, source
    self._out_dir, self._max_steps, self._locked = out_dir, max_steps, locked
    self._feeds = feeds or (lambda batch, step: batch)
    self._rate = rate
    self._validate, self._watch = validate, watch
    self._report_every, self._validate_every = report_every, validate_every
    self._checkpoint_every = checkpoint_every
    self._checkpoint_every_s = checkpoint_every_s
    self._progress = progress or (lambda step, max_steps, result: None)
    report = report or logging.getLogger(__name__).info
    self.journal = journal_lib.Journal(measure, label, with_perplexity, report)
    self._patience = stopping.Patience(patience)
    self._parts = {"journal": self.journal, "patience": self._patience}
    if rate is not None:
      self._parts["rate"] = rate
    self._parts.update((f"extra {k}", v) for k, v in (extra or {}).items())
    if checkpoints is None:
      folder = os.path.join(out_dir, "checkpoints")
      with sess.graph.as_default():
        checkpoints = checkpoints_lib.Checkpoints(folder, keep, report=report)
    self.checkpoints = checkpoints
    self._recovery = recovery.Recovery(reopen, reopen_s, self.journal.say)
    self._guard = failures.Guard(sess.graph, out_dir)

  def run(self):
    """Goes on from the newest checkpoint, if there is one, to the end.

    SIGINT and SIGTERM end the run after the step, with a checkpoint; the second
    of them ends it at once.

    Returns:
      An `Outcome`.

    Raises:
      ArgumentError: if a step gives no loss, or a validation no figure of the
        name `watch`.
      TrainingError: if a loss or a weight is not finite, the checkpoint does
        not fit, all checkpoints are damaged, or another run is in the folder.
      TaskLostError: if a task of the cluster is lost, and is not back in time
        or there is no `reopen`.
      DataError: if the batches are not those of the run that goes on, or
        `metrics.jsonl` is damaged, or its checkpoints are missing.
      FileError: if a file cannot be written, as on a full disk. The run goes
        on from its last checkpoint, as it does when memory runs out, which is
        a `TrainingError`.
      KeyboardInterrupt: at the second signal.
    """
    lock = files.lock(self._out_dir, "Loop.run")
    with contextlib.nullcontext() if self._locked else lock:
      with interrupts.Interrupts() as signals:
        resumed_from = self._begin()
        try:
          reason = self._steps_and_losses(signals)
        except failures.OUT_OF_ROOM as error:
          raise failures.say_how_to_go_on(error, self._step) from error
        finally:
          self.journal.close()
    by = f" by {signals.received}" if signals.received else ""
    self.journal.say(f"Ended after step {self._step}: {reason}{by}.")
    return Outcome(
      step=self._step,
      reason=reason,
      loss=self._loss,
      best_score=self._patience.best,
      best_step=self._patience.best_step,
      resumed_from=resumed_from,
      seconds=self.journal.seconds,
      signal=signals.received,
    )

  def _begin(self):
    """Restores everything; returns the step where the run goes on."""
    if self._rate is not None:
      self._rate.forget()
    restored = self.checkpoints.restore(self.sess)
    if restored is None:
      resumed_from, position = None, None
      self._step, self._loss = self._first_step(), None
    else:
      resumed_from = self._step = restored.step
      self._loss, position = parts.restore(restored, self._parts)
      self.journal.say(f"Going on from the checkpoint of step {self._step}.")
    with parts.explained(restored):
      self._stream = self._source.at(position)
    self.journal.open(
      self._out_dir, self.sess.graph, self._step, restored is not None
    )
    self._score = None  # of validation at this step
    self._saved_step, self._saved_s = resumed_from, time.monotonic()
    return resumed_from

  def _first_step(self):
    global_step = tf1.train.get_global_step(self.sess.graph)
    return 0 if global_step is None else int(self.sess.run(global_step))

  def _steps_and_losses(self, signals):
    """Runs the steps, after each loss of a task from the newest checkpoint."""
    while True:
      try:
        self._save()
        reason = self._steps(signals)
        self._save()
        return reason
      except recovery.ERRORS as found:
        error = found
      self._go_on(error, signals)

  def _go_on(self, error, signals):
    """Begins again in a new session, after a task was lost."""
    while True:
      is_saved = bool(self.checkpoints.steps())
      self.sess = self._recovery.session(
        self.sess, error, self._step, signals, is_saved
      )
      self.journal.close()
      try:
        self._begin()
        return
      except recovery.ERRORS as found:
        error = found

  def _steps(self, signals):
    """Runs the steps; returns why they have ended."""
    whole = True  # whether a checkpoint could be made just now
    try:
      while True:
        if self._patience.exhausted:
          return PATIENCE
        if self._step >= self._max_steps:
          return MAX_STEPS
        if signals.received:
          return INTERRUPTED
        whole = False
        batch = next(self._stream, _END)
        if batch is _END:
          return DATA
        result = self._train_on(batch)
        whole = True
        self._progress(self._step, self._max_steps, result)
    except KeyboardInterrupt:
      if not whole:
        raise
      return INTERRUPTED

  def _train_on(self, batch):
    """Makes one step, and all that is due after it."""
    sess = self.sess
    feeds = self._feeds(batch, self._step)
    rate = self._rate and self._rate.update(sess, self._step)
    result = self._trainer.step(sess, feeds)
    self._step += 1
    self._recovery.has_stepped = True
    self._guard.check_result(self._step, result, batch, feeds)
    self._loss = float(result.loss)
    self.journal.meter.add(result)
    figures, better, self._score = {}, False, None
    if self._step % self._report_every == 0:
      mean, figures = self.journal.report(self._step, result, rate)
      if self._rate is not None:
        self._rate.schedule.report(mean)
    if self._validate is not None and self._step % self._validate_every == 0:
      found, better = self._run_validation()
      figures.update(found)
    self.journal.write(self._step, figures)
    if better or self._is_due():
      self._save()
    return result

  def _run_validation(self):
    """Returns the figures of validation, and whether they are the best."""
    figures = dict(self._validate(self.sess))
    self._score = journal_lib.check_validation(figures, self._watch)
    better = self._patience.add(self._step, self._score)
    text = f"step {self._step}: {self._watch} {self._score:.4g}"
    self.journal.say(f"{text}, the best so far" if better else text)
    return figures, better

  def _is_due(self):
    every, every_s = self._checkpoint_every, self._checkpoint_every_s
    if every is not None and self._step % every == 0:
      return True
    return every_s is not None and time.monotonic() - self._saved_s >= every_s

  def _save(self):
    """Writes a checkpoint, if there is none of this step."""
    if self._saved_step == self._step:
      return
    self._guard.check_weights(self.sess, self._step)
    self.journal.sync()
    state = parts.state(self._parts, self._loss, self._stream.position)
    self.checkpoints.save(self.sess, self._step, state, self._score)
    self._saved_step, self._saved_s = self._step, time.monotonic()


_END = object()


def _check_numbers(max_steps, report_every, validate_every, checkpoint_every):
  numbers = {
    "max_steps": max_steps,
    "report_every": report_every,
    "validate_every": validate_every,
    "checkpoint_every": checkpoint_every,
  }
  for name, value in numbers.items():
    if name == "checkpoint_every" and value is None:
      continue
    if value is None or value < 1:
      raise errors.ArgumentError(
        f"Loop: {name} must be at least 1, got {value}."
      )
