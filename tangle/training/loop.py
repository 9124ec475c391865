"""The training loop: steps, reports, validation, checkpoints, stopping.

A run may be stopped at any moment, even by SIGKILL. Started again in the same
folder, it resumes from its newest checkpoint, and ends with the same bits as a
run that was never stopped: see `determinism` for what the model must do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any, Callable, Mapping, NamedTuple, Optional

from tangle import errors, files, hints
from tangle.compat import tf1
from tangle.pipeline import pipeline
from tangle.training import (
  arguments,
  failures,
  interrupts,
  meters,
  parts,
  recovery,
  schedules,
  stopping,
)
from tangle.training import checkpoints as checkpoints_lib
from tangle.training import metrics_writer as metrics_writer_lib
from tangle.training import sources as sources_lib

MAX_STEPS = "max_steps"
PATIENCE = "patience"
DATA = "data"
INTERRUPTED = "interrupted"
_END = object()  # what a stream gives that has ended


class Outcome(NamedTuple):
  """How a run ended.

  Attributes:
    step: how many steps have been done, including earlier runs.
    reason: `"max_steps"`; `"patience"`; `"data"`: there are no more batches; or
      `"interrupted"`: by a signal.
    loss: the loss of the last step; `None` if there was no step.
    best_score: the lowest validation score; `None` if there is none or all are
      NaN.
    best_step: the step of the best score; `None` if there is no best score.
    resumed_from: the step from which this run resumed; `None` for a new run.
    seconds: the time spent on training, including earlier runs.
    signal: name of the signal that ended the run; `None` if no signal did.
  """

  step: int
  reason: str
  loss: Optional[float]
  best_score: Optional[float]
  best_step: Optional[int]
  resumed_from: Optional[int]
  seconds: float
  signal: Optional[str] = None


def train(
  sess: hints.Session,
  trainer: Any,
  source: Any,
  out_dir: str,
  max_steps: int,
  **settings: Any,
) -> Outcome:
  """Trains a new run, or resumes a stopped one; see `Loop`.

  Args:
    sess: a session whose variables are initialized.
    trainer: an object with `step(sess, batch)`, such as a `Trainer`.
    source: a source of batches, see `sources`.
    out_dir: the folder of the run.
    max_steps: the step at which to stop, including steps of earlier runs.
    **settings: the other arguments of `Loop`.

  Returns:
    An `Outcome`.

  Raises:
    TangleError: as `Loop` and `Loop.run`.
  """
  return Loop(sess, trainer, source, out_dir, max_steps, **settings).run()


class Loop:
  """Trains step by step; can be stopped at any moment.

  The folder gets `metrics.jsonl`, with at most one record per step; the folders
  `checkpoints` and `summaries`, the latter for TensorBoard; and, if a loss was
  not finite, the batch of that step.

  Reports and validations are scheduled by steps only. Learning rate and early
  stopping depend on them, and would otherwise depend on the machine's speed.

  Attributes:
    sess: the session; the newest one if `reopen` has opened others. Whoever
      passed `reopen` closes it in the end.
    checkpoints: the `Checkpoints`.
    metrics_writer: the `MetricsWriter`. Final figures may be written to its
      `records` after `run`; a record without a step is removed when the run
      resumes.
  """

  @errors.named("Loop")
  def __init__(
    self,
    sess: hints.Session,
    trainer: Any,
    source: Any,
    out_dir: str,
    max_steps: int,
    feeds: Optional[Callable[[Any, int], Any]] = None,
    rate: Optional[schedules.LearningRate] = None,
    validate: Optional[Callable[[Any], Mapping[str, Any]]] = None,
    watch: str = "validation_loss",
    patience: Optional[int] = None,
    report_every: int = 100,
    validate_every: Optional[int] = None,
    checkpoint_every: Optional[int] = 1000,
    checkpoint_every_s: Optional[float] = 600.0,
    keep: int = 3,
    measure: Optional[meters.Measure] = None,
    label: Optional[meters.Label] = None,
    with_perplexity: bool = True,
    extra: Optional[Mapping[str, Any]] = None,
    checkpoints: Optional[checkpoints_lib.Checkpoints] = None,
    progress: Optional[Callable[[int, int, Any], Any]] = None,
    report: Optional[Callable[[str], Any]] = None,
    reopen: Optional[Callable[[], hints.Session]] = None,
    reopen_s: float = 600.0,
    locked: bool = False,
  ) -> None:
    """Adds ops to the graph, which must be complete; writes no file.

    Args:
      sess: a session whose variables are initialized. Restoring a checkpoint
        sets all of them.
      trainer: an object with `step(sess, batch)`, such as the `Trainer` of a
        pipeline. The result has `loss`, a number, and may have `buckets` and
        `global_norm`.
      source: a source of batches, see `sources`.
      out_dir: the folder of the run. A run that is already there is resumed.
      max_steps: the step at which to stop, including steps of earlier runs.
      feeds: a function `feeds(batch, step)` that returns the argument for
        `trainer.step`, with `step` the number of steps done; by default the
        batch. Use it to feed a `determinism.step_seed`.
      rate: a `schedules.LearningRate` whose variable the optimizer uses.
      validate: a function of the session that returns a dict of figures; its
        names should begin with `validation_`.
      watch: the name of the figure, lower is better, by which the best
        checkpoint is chosen and training is stopped early.
      patience: stop after this many validations in a row without a new best;
        never by default.
      report_every: steps between reports.
      validate_every: steps between validations, 1000 by default.
      checkpoint_every: steps between checkpoints; `None` for none by steps.
      checkpoint_every_s: seconds between checkpoints; `None` for none by time.
        A checkpoint is also written at the beginning, at each validation with a
        new best score, and at the end.
      keep: how many of the newest checkpoints to keep, besides the best; has no
        effect if `checkpoints` is given.
      measure: as in `meters.Meter`.
      label: as in `meters.Meter`.
      with_perplexity: whether reports include perplexities.
      extra: a dict from names to further objects to save in checkpoints, such
        as one with a random generator. Each has `state()` and `restore(state)`.
      checkpoints: a `Checkpoints`; by default one in the folder `checkpoints`.
      progress: called as `progress(step, max_steps, result)` after each step;
        see `progress.Bar`.
      report: called with lines of text; by default they are logged.
      reopen: opens a session like `sess`. When a task of the cluster is lost,
        the run waits until all tasks answer, opens a new session and resumes
        from the newest checkpoint. By default the error ends the run.
      reopen_s: the time limit from the loss of a task to the next step. The
        run also ends if the same step loses a task three times in a row.
      locked: whether the caller holds the lock of the folder, as within
        `runs.started`; by default `run` takes it.

    Raises:
      ArgumentError: if a number of steps is less than 1 or not whole, `keep` or
        `patience` is less than 1, an argument is of another kind, there are no
        variables, or there is `patience` or `validate_every` without
        `validate`.
      GraphError: if the graph is finalized, or is not that of the pipeline.
      SessionError: if `sess` is a monitored session that is closed.
    """
    arguments.check_kinds(sess, trainer, out_dir)
    numbers = max_steps, report_every, validate_every, checkpoint_every
    arguments.check_numbers(numbers)
    arguments.check_functions((feeds, validate, progress, report, reopen))
    sources_lib.check(source)
    arguments.check_validation(validate, validate_every, patience)
    self.sess, self._trainer, self._source = sess, trainer, source
    self._out_dir, self._max_steps, self._locked = out_dir, max_steps, locked
    self._feeds = feeds or (lambda batch, step: batch)
    self._rate, self._validate, self._watch = rate, validate, watch
    self._report_every = report_every
    self._validate_every = 1000 if validate_every is None else validate_every
    self._checkpoint_every = checkpoint_every
    self._checkpoint_every_s = checkpoint_every_s
    self._progress = progress or (lambda step, max_steps, result: None)
    report = report or logging.getLogger(__name__).info
    options = measure, label, with_perplexity, report
    writer = self.metrics_writer = metrics_writer_lib.MetricsWriter(*options)
    self._patience = stopping.Patience(patience)
    self._parts = {"metrics_writer": writer, "patience": self._patience}
    self._parts.update({} if rate is None else {"rate": rate})
    self._parts.update((f"extra {k}", v) for k, v in (extra or {}).items())
    if checkpoints is None:
      folder = os.path.join(out_dir, "checkpoints")
      with sess.graph.as_default():
        checkpoints = checkpoints_lib.Checkpoints(folder, keep, report=report)
    self.checkpoints = checkpoints
    self._recovery = recovery.Recovery(reopen, reopen_s, writer.say)
    self._guard = failures.Guard(sess.graph, out_dir)

  @errors.named("Loop")
  def run(self) -> Outcome:
    """Runs to the end, from the newest checkpoint if there is one.

    The first SIGINT or SIGTERM ends the run after the current step, with a
    checkpoint; the second ends it at once. Signals are handled only if this is
    called in the main thread.

    Returns:
      An `Outcome`.

    Raises:
      ArgumentError: if the result of a step has no loss, or `validate` returns
        no dict, no number `watch`, or a figure with a name that the loop uses.
      TrainingError: if a loss, a norm of the gradients or a weight is not
        finite, the checkpoint or the state in it does not fit, all checkpoints
        are damaged, memory runs out, or another run uses the folder.
      TaskLostError: if a task of the cluster is lost, and it does not return in
        time or there is no `reopen`.
      DataError: if the batches differ from those of the run to resume,
        `metrics.jsonl` is damaged, or checkpoints are missing.
      FileError: if a file cannot be written, for example because the disk is
        full. After this, or after memory ran out, the run can be resumed from
        its last checkpoint.
      KeyboardInterrupt: at the second signal.
      Exception: what the source, the trainer or a given function raises.
    """
    lock = files.lock(self._out_dir)
    with contextlib.nullcontext() if self._locked else lock:
      with interrupts.Interrupts() as signals:
        resumed_from = self._begin()
        try:
          reason = self._steps_and_losses(signals)
        except failures.OUT_OF_ROOM as error:
          raise failures.say_how_to_go_on(error, self._step) from error
        finally:
          self.metrics_writer.close()
    by = f" by {signals.received}" if signals.received else ""
    self.metrics_writer.say(f"Ended after step {self._step}: {reason}{by}.")
    return Outcome(
      step=self._step,
      reason=reason,
      loss=self._loss,
      best_score=self._patience.best,
      best_step=self._patience.best_step,
      resumed_from=resumed_from,
      seconds=self.metrics_writer.seconds,
      signal=signals.received,
    )

  def _begin(self):
    """Restores everything; returns the step from which the run resumes."""
    if self._rate is not None:
      self._rate.forget()
    restored = self.checkpoints.restore(self.sess)
    if restored is None:
      resumed_from, position = None, None
      self._step, self._loss = self._first_step(), None
    else:
      resumed_from = self._step = restored.step
      self._loss, position = parts.restore(restored, self._parts)
      text = f"Resuming from the checkpoint of step {self._step}."
      self.metrics_writer.say(text)
    with parts.explained(restored):
      self._stream = self._source.at(position)
    own = getattr(self._trainer, "pipeline", None)
    own = own if isinstance(own, pipeline.Pipeline) else None
    given = self.sess.graph, self._step, restored is not None, own
    self.metrics_writer.open(self._out_dir, *given)
    self._score = None  # validation score at this step
    self._saved_step, self._saved_s = resumed_from, time.monotonic()
    return resumed_from

  def _first_step(self):
    global_step = tf1.train.get_global_step(self.sess.graph)
    return 0 if global_step is None else int(self.sess.run(global_step))

  def _steps_and_losses(self, signals):
    """Runs the steps; resumes from the newest checkpoint if a task is lost."""
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
    """Resumes in a new session, after a task was lost."""
    while True:
      is_saved = bool(self.checkpoints.steps())
      self.sess = self._recovery.session(
        self.sess, error, self._step, signals, is_saved
      )
      self.metrics_writer.close()
      try:
        self._begin()
        return
      except recovery.ERRORS as found:
        error = found

  def _steps(self, signals):
    """Runs the steps; returns the reason for stopping."""
    whole = True  # whether the state is consistent enough for a checkpoint
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
    """Runs one step, and the reports, validation and saving due after it."""
    sess = self.sess
    feeds = self._feeds(batch, self._step)
    rate = self._rate and self._rate.update(sess, self._step)
    result = self._trainer.step(sess, feeds)
    self._step += 1
    self._recovery.has_stepped = True
    self._guard.check_result(self._step, result, batch, feeds)
    self._loss = float(result.loss)
    self.metrics_writer.meter.add(result)
    figures, better, self._score = {}, False, None
    if self._step % self._report_every == 0:
      mean, figures = self.metrics_writer.report(self._step, result, rate)
      if self._rate is not None and mean is not None:
        self._rate.schedule.report(mean)
    if self._validate is not None and self._step % self._validate_every == 0:
      found, better = self._run_validation()
      figures.update(found)
    self.metrics_writer.write(self._step, figures)
    if better or self._is_due():
      self._save()
    return result

  def _run_validation(self):
    """Returns the validation figures, and whether they are the best so far."""
    found = self._validate(self.sess)
    self._score = metrics_writer_lib.check_validation(found, self._watch)
    better = self._patience.add(self._step, self._score)
    text = f"step {self._step}: {self._watch} {self._score:.4g}"
    self.metrics_writer.say(f"{text}, the best so far" if better else text)
    return dict(found), better

  def _is_due(self):
    every, every_s = self._checkpoint_every, self._checkpoint_every_s
    if every is not None and self._step % every == 0:
      return True
    return every_s is not None and time.monotonic() - self._saved_s >= every_s

  def _save(self):
    """Writes a checkpoint, unless this step already has one."""
    if self._saved_step == self._step:
      return
    self._guard.check_weights(self.sess, self._step)
    self.metrics_writer.sync()
    state = parts.state(self._parts, self._loss, self._stream.position)
    self.checkpoints.save(self.sess, self._step, state, self._score)
    self._saved_step, self._saved_s = self._step, time.monotonic()
