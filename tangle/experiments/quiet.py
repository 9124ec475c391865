"""Keeps what TensorFlow logs though nothing is wrong off the terminal."""

import contextlib
import io
import os
import re
import signal
import sys
import time
import warnings

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""The variable of the least severe level that TensorFlow logs."""

_NOTE = re.compile(
  r"WARNING: All log messages before absl::InitializeLog|"
  r"[IW]\d{4} \d\d:\d\d:\d\d|[IW]0000 00:00:\d+|"  # 2.x
  r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*: [IW] "  # 1.15, and early 2.x
)
# TensorFlow logs these as errors, and does without a GPU or oneDNN's kernel.
_HARMLESS = re.compile(
  r"failed call to cuInit.*(\(303\)|NO_DEVICE|NO_DRIVER)|"
  r"oneDNN supports DT_\w+ only on platforms with"
)
_WAIT_S = 2.0


def is_note(line):
  """Whether TensorFlow logs a line though nothing is wrong, or for no GPU."""
  return bool(_NOTE.match(line) or _HARMLESS.search(line))


@contextlib.contextmanager
def running():
  """A context in which TensorFlow is imported and used, and logs errors only.

  TensorFlow 2 logs while it is imported, before it reads the level. In this
  context, another process reads what is written to file descriptor 2, and
  passes on all lines but notes, so that no line is lost if TensorFlow crashes.
  `sys.stderr` is not affected. If the user has set the level, nothing is
  changed.

  Yields:
    Whether notes are kept away.
  """
  if LEVEL in os.environ:
    yield False
    return
  os.environ[LEVEL] = "2"
  sys.stderr.flush()
  reader, writer = os.pipe()
  child = os.fork()
  if not child:
    os.close(writer)
    _pass_on(reader)
  ours, stderr = os.dup(2), sys.stderr
  os.dup2(writer, 2)
  os.close(reader)
  os.close(writer)
  if stderr is sys.__stderr__:
    sys.stderr = io.TextIOWrapper(
      io.BufferedWriter(io.FileIO(ours, "w", closefd=False)),
      stderr.encoding,
      stderr.errors,
      line_buffering=True,
    )
  try:
    yield True
  finally:
    sys.stderr.flush()
    sys.stderr = stderr
    os.dup2(ours, 2)
    os.close(ours)
    end = time.monotonic() + _WAIT_S  # a process that we started may hold on
    while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < end:
      time.sleep(0.01)


def _pass_on(reader):
  """Is the other process: copies lines to standard error, then exits."""
  try:
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, signal.SIG_IGN)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
      for line in lines:
        if not is_note(line):
          os.write(2, line.encode("utf-8"))
  finally:
    os._exit(0)


@contextlib.contextmanager
def importing():
  """A context in which TensorFlow is imported, without warnings of numpy."""
  with warnings.catch_warnings():
    if not sys.warnoptions:
      warnings.simplefilter("ignore", FutureWarning)
    yield


def is_worth_telling(record):
  """Whether a `LogRecord` of TensorFlow tells of more than deprecation."""
  return record.filename != "deprecation.py"
