"""Profiles of training steps: what each run of a step computes, and when.

A profiled step is a real step whose runs TensorFlow traces. Tracing takes time
of its own, so that a profiled step is slower than others.

TensorFlow does not trace partial runs, which carry TensorFlow 1 style loops: of
these only the time is known. It cannot trace what a GPU does in two runs at the
same time: with `overlap` or `micro_batches`, the times of a GPU's ops are those
of their launch.
"""

from __future__ import annotations

import collections
import functools
import json
import numbers
import re
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from tangle import errors, files, hints
from tangle.compat import tf1
from tangle.partial import monitored
from tangle.partial import residuals as residuals_lib
from tangle.pipeline import faults, step_runs
from tangle.pipeline import runs as runs_lib

_LABEL = re.compile(r"= (\w+)\(")  # in "name = Type(inputs)"


class Op(NamedTuple):
  """One execution of an op.

  Attributes:
    name: name of the op.
    type: its type, or its name if TensorFlow does not tell.
    device: name of the device.
    begin_s: when it began, in seconds since 1970, by the clock of its task.
    end_s: when it ended.
    bytes: the bytes of its outputs; several tensors may share memory.
    shapes: the index of each output → its shape.
  """

  name: str
  type: str
  device: str
  begin_s: float
  end_s: float
  bytes: int
  shapes: Dict[int, Tuple[int, ...]]


class Run(NamedTuple):
  """One run of a step.

  Attributes:
    sub_model: name of the sub-model, `None` for a separate update and for all
      sub-models together.
    kind: `"forward"`, `"backward"`, `"update"`, `"backward and update"`,
      `"forward and backward"` for a sub-model that no other reads, or
      `"joint"` for the one run of a `JointTrainer`.
    micro_batch: its number, from 0; 0 also for an update and without
      micro-batches.
    begin_s: when the client began it, in seconds since 1970.
    end_s: when the client had its results.
    ops: a list of `Op`; `None` if the run is a part of a partial run.
    fed: name of each fed tensor → shape of its value; empty if the run is a
      part of a partial run.
  """

  sub_model: Optional[str]
  kind: str
  micro_batch: int
  begin_s: float
  end_s: float
  ops: Optional[List[Op]]
  fed: Dict[str, Tuple[int, ...]]


class Profile:
  """The runs of one training step, printable as a table.

  A line of the table sums over micro-batches, but for the residual bytes, which
  are those that one forward run keeps. `time ms` is the time that the client
  waited, `ops ms` the sum of the times of all ops.

  Attributes:
    runs: a list of `Run`, in the order in which they began.
    residuals: sub-model → its `Residuals`, of those with a backward run. Sizes
      are those of this step, or of its first micro-batch. Empty for a
      `JointTrainer`.
    result: the `Result` of the step.
  """

  def __init__(
    self,
    runs: Iterable[Run],
    residuals: Dict[str, residuals_lib.Residuals],
    result: runs_lib.Result,
  ) -> None:
    """Stores the arguments; see the attributes."""
    self.runs = sorted(runs, key=lambda run: run.begin_s)
    self.residuals = residuals
    self.result = result

  def __str__(self):
    rows = [
      ("sub-model", "run", "runs", "time ms", "ops ms", "ops", "output bytes")
      + ("residual bytes",)
    ]
    groups = collections.OrderedDict()
    for run in self.runs:
      groups.setdefault((run.sub_model, run.kind), []).append(run)
    for (name, kind), runs in groups.items():
      kept = self.residuals.get(name) if kind == "forward" else None
      seconds = sum(run.end_s - run.begin_s for run in runs)
      rows.append((name or "", kind, *_cells(runs, seconds), _size(kept)))
    whole = max(r.end_s for r in self.runs) - self.runs[0].begin_s
    rows.append(("whole step", "", *_cells(self.runs, whole), ""))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
      "  ".join(
        cell.ljust(width) if k < 2 else cell.rjust(width)
        for k, (cell, width) in enumerate(zip(row, widths))
      ).rstrip()
      for row in rows
    ]
    if any(run.ops is None for run in self.runs):
      lines.append("-: TensorFlow does not trace partial runs.")
    if any(row[-1].endswith("+") for row in rows):
      lines.append("+: besides what has no known size; see residuals.")
    return "\n".join(lines)

  def write(self, path: hints.Path) -> None:
    """Writes the step as a Chrome trace, for chrome://tracing or Perfetto.

    The first group of rows has the runs of each sub-model; each further group
    has the ops on one device. All share one time axis. Ops of other machines
    are placed by the clocks of these machines.

    Args:
      path: the JSON file to write; an existing file is replaced.

    Raises:
      FileError: if the file cannot be written.
    """
    trace = {"traceEvents": _events(self.runs), "displayTimeUnit": "ms"}
    files.write_text(path, json.dumps(trace))


def _cells(runs, seconds):
  """Returns the number of runs, their time, and the figures of their ops."""
  found = [str(len(runs)), f"{1e3 * seconds:.2f}"]
  ops = [op for run in runs for op in run.ops or ()]
  if all(run.ops is None for run in runs):
    return found + ["-"] * 3
  busy = sum(op.end_s - op.begin_s for op in ops)
  size = sum(op.bytes for op in ops)
  return found + [f"{1e3 * busy:.2f}", f"{len(ops):,}", f"{size:,}"]


def _size(kept):
  """Returns the bytes of residuals; a `+` marks that some are unknown."""
  if kept is None:
    return ""
  unknown = any(r.bytes is None and not r.is_variable for r in kept)
  return f"{kept.bytes:,}{'+' if unknown or kept.stacks else ''}"


def _events(runs):
  """Returns the events of a Chrome trace, a list of dicts."""
  begin = min(
    [run.begin_s for run in runs]
    + [op.begin_s for run in runs for op in run.ops or ()]
  )
  rows = _Rows(begin)
  for run in runs:
    label = " ".join(filter(None, [run.sub_model, run.kind]))
    details = {"micro_batch": run.micro_batch}
    rows.add("runs", run.sub_model or run.kind, label, run, run.kind, details)
  for run in runs:
    label = " ".join(filter(None, [run.sub_model, run.kind]))
    for op in sorted(run.ops or (), key=lambda op: op.begin_s):
      details = {
        "op": op.name,
        "run": label,
        "micro_batch": run.micro_batch,
        "output_bytes": op.bytes,
      }
      rows.add(op.device, None, op.type, op, label, details)
  return rows.events


class _Rows:
  """The rows of a Chrome trace: groups are "processes", rows "threads"."""

  def __init__(self, begin_s):
    self.events = []
    self._begin_s = begin_s
    self._groups = {}  # group → its number
    self._rows = {}  # (group, row) → its number
    self._ends = collections.defaultdict(list)  # group → end of each row

  def add(self, group, row, name, span, category, details):
    """Adds a span; it gets the first free row if `row` is `None`."""
    if group not in self._groups:
      self._groups[group] = len(self._groups)
      self._describe("process_name", self._groups[group], 0, group)
    if row is None:
      ends = self._ends[group]
      free = (k for k, end in enumerate(ends) if end <= span.begin_s)
      number = next(free, len(ends))
      ends[number:] = [span.end_s, *ends[number + 1 :]]
    else:
      number = self._rows.setdefault((group, row), len(self._rows))
      self._describe("thread_name", self._groups[group], number, row)
    self.events.append(
      {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": self._groups[group],
        "tid": number,
        "ts": 1e6 * (span.begin_s - self._begin_s),
        "dur": 1e6 * (span.end_s - span.begin_s),
        "args": details,
      }
    )

  def _describe(self, kind, process, thread, text):
    self.events.append(
      {
        "ph": "M",
        "name": kind,
        "pid": process,
        "tid": thread,
        "args": {"name": text},
      }
    )


@errors.named("Trainer.profile")
def take(pipeline, sess, program, passes, given, steps):
  """Makes steps, all of them traced, and returns the profile of the last.

  Args:
    pipeline: the `Pipeline`.
    sess: the session.
    program: a `Program` of training steps.
    passes: sub-model → `Pass`, for their residuals; empty for joint graphs.
    given: sub-model → the arrays to feed, as `program.step` takes them.
    steps: the number of steps, each of which updates the variables.

  Returns:
    A `Profile`.

  Raises:
    ArgumentError: if `steps` is not a positive int.
    TaskLostError, OpError, RuntimeError: as `faults.call` and `Session.run`.
  """
  if not isinstance(steps, numbers.Integral) or steps < 1:
    raise errors.ArgumentError(f"steps must be a positive int, got {steps!r}.")
  level = tf1.RunOptions.FULL_TRACE
  if program.may_overlap:  # TensorFlow makes one full trace at a time
    level = tf1.RunOptions.SOFTWARE_TRACE
  for _ in range(steps):
    found = []
    traced = program.with_runs(functools.partial(_Recorded, found, level))
    result = faults.call(
      pipeline,
      monitored.bind(sess),
      lambda to: traced.step(to, given),  # noqa: B023
    )
  kept = {}
  for name, current in passes.items():
    if current.backward is not None:
      shapes = _shapes(found, name, current.residuals)
      kept[name] = residuals_lib.describe(
        current.residuals, shapes, stacks=_stacks(current)
      )
  return Profile(found, kept, result)


def _shapes(runs, name, tensors):
  """Returns tensor name → shape, from the forward runs of a sub-model."""
  found = {}
  for run in sorted(runs, key=lambda run: run.micro_batch):
    if run.sub_model == name and run.kind == "forward":
      for own, shape in run.fed.items():
        found.setdefault(own, shape)
      for op in run.ops or ():
        for index, shape in op.shapes.items():
          found.setdefault(f"{op.name}:{index}", shape)
  for tensor in tensors:  # TensorFlow removes ops that compute nothing
    end = tensor
    while end.name not in found and end.op.type == "Identity":
      end = end.op.inputs[0]
    if end.name in found:
      found[tensor.name] = found[end.name]
  return found


def _stacks(current):
  """Returns the number of stacks of loops that the gradients of a pass read."""
  if current.is_real is None:  # stacks cannot be kept between runs
    return 0
  puts = [put for pair in current.reads.values() for put in pair]
  puts += [current.variables and current.variables.put]
  return residuals_lib.count_stacks(put for put in puts if put is not None)


class _Recorded:
  """A run of a program that appends a `Run` to a list."""

  def __init__(self, runs, level, run, sub_model, kind, micro_batch):
    self._runs, self._level, self._run = runs, level, run
    self._label = sub_model, kind, micro_batch
    owner = getattr(run, "__self__", None)
    self._is_traced = not isinstance(owner, step_runs.RunInParts)

  def __call__(self, step, arrays=()):
    """Makes the run; see `step_runs.PreparedRun`."""
    metadata = tf1.RunMetadata()
    if self._is_traced:
      sess = _Traced(step.sess, self._level, metadata)
      step = step._replace(sess=sess, plain=False)
    fed, begin_s = getattr(step.sess, "fed", {}), time.time()
    found = self._run(step, arrays)
    end_s = time.time()
    ops = _ops(metadata.step_stats) if self._is_traced else None
    self._runs.append(Run(*self._label, begin_s, end_s, ops, fed))
    return found


class _Traced:
  """A session for one run, which is traced."""

  def __init__(self, sess, level, metadata):
    self.graph = sess.graph
    self._sess, self._metadata = sess, metadata
    self._options = tf1.RunOptions(trace_level=level)
    self.fed = {}

  def run(self, fetches, feed_dict=None):
    for tensor, value in (feed_dict or {}).items():
      self.fed[tensor.name] = np.shape(value)
    return self._sess.run(fetches, feed_dict, self._options, self._metadata)


def _ops(step_stats):
  """Returns the `Op`s of a trace, those of GPU streams left out.

  TensorFlow lists what a GPU does a second time, under each of its streams.
  """
  found = []
  for device in step_stats.dev_stats:
    if "/stream:" in device.device or "memcpy" in device.device:
      continue
    for node in device.node_stats:
      outputs = [(o.slot, o.tensor_description) for o in node.output]
      label = _LABEL.search(node.timeline_label)
      begin_s = 1e-6 * node.all_start_micros
      found.append(
        Op(
          name=node.node_name,
          type=label.group(1) if label else node.node_name,
          device=device.device,
          begin_s=begin_s,
          end_s=begin_s + 1e-6 * node.all_end_rel_micros,
          bytes=sum(
            tensor.allocation_description.requested_bytes
            for _, tensor in outputs
          ),
          shapes={
            slot: tuple(dim.size for dim in tensor.shape.dim)
            for slot, tensor in outputs
          },
        )
      )
  return found
