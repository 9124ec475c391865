"""How a training run starts in a folder, and how it is resumed there.

`run.json` records everything that the result depends on: settings, digests of
the data and of the vocabularies saved beside it, and versions. A resumed run is
compared with it before anything is written. Different settings, data or
vocabularies are refused, because the run would mix both. Different versions of
tangle, TensorFlow or numpy are reported in one line: the run is valid, but not
bit-identical to a run with one version.

Data that is used only after training, such as test data, is not compared and
may change.
"""

import contextlib
import hashlib
import json
import os
import sys

import numpy as np

from tangle import compat, errors, files
from tangle.compat import tf1
from tangle.training import records

FILE = "run.json"

CHECKPOINTS = "checkpoints"
"""The name of the folder of checkpoints, within the run's folder."""

_LIMIT = 1 << 26  # bytes, of `run.json`
_TEXT_LIMIT = 1 << 30  # bytes, of a vocabulary
_PARTS = ("settings", "data", "texts", "versions")


@contextlib.contextmanager
def started(out_dir, settings, data=None, texts=None, report=None):
  """Starts a run in a folder, or resumes the one that is there.

  Takes the lock of the folder before anything is read or written, so pass
  `locked=True` to the `Loop` in the context. A run that has written neither a
  checkpoint nor a record does not count: the run is started from step 0.

  Args:
    out_dir: the folder; created if missing.
    settings: group → name → JSON value: all settings that the result depends
      on.
    data: name → digest of the training and validation data.
    texts: file name → text, such as vocabularies. They are written into the
      folder when the run is started, and compared when it is resumed.
    report: called with a line of text if versions differ; by default it is
      printed on standard output.

  Yields:
    Whether a run in the folder is resumed.

  Raises:
    DataError: if the folder has a run with other settings, data or texts, or if
      one of its files is missing or has changed. Nothing is written then.
    TrainingError: if another run is writing to the folder.
    FileError: if a file cannot be read or written.
    TypeError: if `settings` or `data` has anything but JSON values.
  """
  with contextlib.ExitStack() as stack:
    yield _start(stack, out_dir, settings, data, dict(texts or {}), report)


@errors.named("runs.started")
def _start(stack, out_dir, settings, data, texts, report):
  """Locks the folder, and returns whether the run in it is resumed."""
  new = {
    "settings": json.loads(json.dumps(settings)),
    "data": json.loads(json.dumps(data or {})),
    "texts": {
      name: hashlib.sha256(text.encode("utf-8")).hexdigest()
      for name, text in texts.items()
    },
    "versions": versions(),
  }
  stack.enter_context(files.lock(out_dir))
  resumed = _is_there(out_dir)
  if resumed:
    _compare(out_dir, read(out_dir), new, report or print)
  else:
    for name, text in texts.items():
      files.write_text(os.path.join(out_dir, name), text)
    write(out_dir, new)
  return resumed


@contextlib.contextmanager
def repeatable(out_dir, settings, report=None):
  """Starts a run without checkpoints, which resumes from its beginning.

  The records of an earlier run are replaced if its settings are the same, and
  so are its figures. A run with other settings is refused.

  Args:
    out_dir: as for `started`.
    settings: as for `started`.
    report: as for `started`.

  Yields:
    An empty `records.Records` in the folder.

  Raises:
    DataError, TrainingError, FileError, TypeError: as `started`.
  """
  with started(out_dir, settings, report=report):
    yield records.Records(out_dir)


def versions():
  """Returns name → version, a string, of software that numbers depend on."""
  return {
    "tangle": sys.modules["tangle"].__version__,
    "TensorFlow": tf1.version.VERSION,
    "oneDNN": "on" if compat.onednn_is_on() else "off",
    "numpy": np.__version__,
  }


def _is_there(out_dir):
  """Whether a folder has a run that trained; refuses one without settings."""
  checkpoints = os.path.join(out_dir, CHECKPOINTS)
  found = [records.NAME] * records.is_begun(out_dir)
  if os.path.lexists(checkpoints):
    with files.explained(checkpoints, "read"):
      names = os.listdir(checkpoints)
    found += [CHECKPOINTS] * any(name.startswith("step-") for name in names)
  if found and not os.path.lexists(os.path.join(out_dir, FILE)):
    raise errors.DataError(
      f"{out_dir!r} has {' and '.join(found)} of a run, but its "
      f"{FILE} is missing. Put a copy of the file back, or give another folder."
    )
  return bool(found)


def _compare(out_dir, old, new, report):
  """Refuses to resume a different run; reports different versions."""
  for group in sorted({*old["settings"], *new["settings"]}):
    pair = [whole["settings"].get(group) for whole in (old, new)]
    _compare_group(out_dir, f"the {group}", *pair)
  for what, part in (("vocabularies", "texts"), ("data", "data")):
    _compare_group(out_dir, what, old[part], new[part])
  before, now = (
    {name: whole["versions"].get(name) for name in new["versions"]}
    for whole in (old, new)
  )
  odd = [name for name in now if before[name] != now[name]]
  if odd:
    was, is_now = (
      ", ".join(f"{name} {found[name]}" for name in odd)
      for found in (before, now)
    )
    report(
      f"This run was begun with {was} and is resumed with {is_now}: its "
      f"figures may differ from those of a run with one of them alone."
    )


def _compare_group(out_dir, what, before, after):
  if before == after:
    return
  if isinstance(before, dict) and isinstance(after, dict):
    names = sorted(set(before) | set(after))
    odd = [n for n in names if before.get(n) != after.get(n)]
    before = {name: before.get(name) for name in odd}
    after = {name: after.get(name) for name in odd}
  if what in ("data", "vocabularies"):
    raise errors.DataError(
      f"{out_dir!r} has a run with other {what}: "
      f"{', '.join(before)}. Give the {what} of that run, or another folder."
    )
  raise errors.DataError(
    f"{out_dir!r} has a run with {what} {before}, not {after}. "
    f"Resume with the settings of that run, or give another folder."
  )


def write(out_dir, content):
  """Writes `run.json`.

  Args:
    out_dir: the folder.
    content: the dict that `read` will return, of JSON values.

  Raises:
    FileError: if the file cannot be written.
  """
  whole = dict(content, sha256=files.digest_json(content))
  text = json.dumps(whole, indent=2)
  files.write_text(os.path.join(out_dir, FILE), text + "\n")


@errors.named("runs.read")
def read(run_dir):
  """Reads `run.json`; checks that it and the files it lists are unchanged.

  Args:
    run_dir: the folder of a run.

  Returns:
    A dict: `settings`, `data`, `texts` and `versions`, all dicts. `texts` has
    the SHA-256 of each file that was written with `run.json`.

  Raises:
    DataError: if `run.json` or a file that it lists is missing, or has changed
      since it was written.
    FileError: if a file cannot be read.
  """
  path = os.path.join(run_dir, FILE)
  if not os.path.lexists(path):
    raise errors.DataError(
      f"{path!r} is missing. Give the folder of a training."
    )
  remedy = "Put a copy of it back, or remove the folder and train again."
  try:
    whole = files.read_json(path, _LIMIT)
    content = {name: whole[name] for name in _PARTS}
    sound = whole["sha256"] == files.digest_json(content)
    sound = sound and all(isinstance(p, dict) for p in content.values())
    why = "it has changed since it was written"
  except (errors.DataError, KeyError, TypeError, RecursionError) as error:
    sound, why = False, f"it is not the record of a run: {error}"
  if not sound:
    raise errors.DataError(f"{path!r} is damaged: {why}. {remedy}")
  for name, sha256 in content["texts"].items():
    path = os.path.join(run_dir, name)
    if not files.is_plain_name(name):
      raise errors.DataError(
        f"{os.path.join(run_dir, FILE)!r} names {name!r}, which is "
        f"not the name of a file in its folder. {remedy}"
      )
    if not os.path.lexists(path):
      raise errors.DataError(f"{path!r} is missing. {remedy}")
    found = hashlib.sha256(files.read_bytes(path, _TEXT_LIMIT)).hexdigest()
    if found != sha256:
      raise errors.DataError(
        f"{path!r} has changed since the training began. {remedy}"
      )
  return content


def digest(values):
  """Returns the SHA-256 of values, for the argument `data` of `started`.

  Args:
    values: an iterable of JSON values, such as the lines of a text. Their order
      counts.

  Returns:
    64 hexadecimal digits.

  Raises:
    TypeError: if a value is no JSON value.
  """
  found = hashlib.sha256()
  for value in values:
    found.update(json.dumps(value).encode("ascii") + b"\n")
  return found.hexdigest()


@contextlib.contextmanager
def built_from(run_dir):
  """A context that explains errors in building from the settings of a run.

  Args:
    run_dir: the folder of a run.

  Yields:
    Nothing.

  Raises:
    DataError: for an AttributeError, LookupError, TypeError or ValueError in
      the context that is no `TangleError`; it names the file.
  """
  try:
    yield
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    if isinstance(error, errors.TangleError):
      raise
    raise errors.DataError(
      f"The settings in {os.path.join(run_dir, FILE)!r} are not those of a "
      f"known kind of training ({type(error).__name__}: {error}). Use the "
      f"version of tangle that it was made with, or train again."
    ) from error
