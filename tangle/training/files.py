"""Files that are whole or not there, whenever the process is killed.

A name that appears by a rename, after what it stands for has reached the disk,
never stands for a part. POSIX systems only.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil

from tangle import errors

WRITING = "writing-"
"""Begins the names of what is not complete yet."""

REMOVING = "removing-"
"""Begins the names of what is not complete any more."""


def sync(path):
  """Waits until a file, or the names in a folder, have reached the disk.

  Args:
    path: of a file or a folder.
  """
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def write_text(path, text):
  """Puts a text file in place of the one that is there, all of it or nothing.

  Args:
    path: of the file.
    text: a string, written as UTF-8.
  """
  folder, name = os.path.split(os.path.abspath(path))
  temporary = os.path.join(folder, WRITING + name)
  with open(temporary, "w", encoding="utf-8", newline="\n") as file:
    file.write(text)
  sync(temporary)
  os.replace(temporary, path)
  sync(folder)


def publish(temporary, path):
  """Gives a complete file or folder its name; its content is on the disk.

  Args:
    temporary: its name up to now, in the same folder as `path`.
    path: its name from now on, which nothing has.
  """
  os.rename(temporary, path)
  sync(os.path.dirname(os.path.abspath(path)))


def remove(path):
  """Removes a folder; killed in between, it has a name that `clean` knows.

  Args:
    path: of the folder.
  """
  parent, name = os.path.split(os.path.abspath(path))
  doomed = os.path.join(parent, REMOVING + name)
  shutil.rmtree(doomed, ignore_errors=True)
  publish(path, doomed)
  shutil.rmtree(doomed)


def clean(folder):
  """Removes what writes and removals that were killed have left.

  Args:
    folder: where to look; not in folders below it.

  Returns:
    The names removed, a list.
  """
  found = []
  for name in sorted(os.listdir(folder)):
    if name.startswith((WRITING, REMOVING)):
      path = os.path.join(folder, name)
      if os.path.isdir(path):
        shutil.rmtree(path)
      else:
        os.remove(path)
      found.append(name)
  return found


def digest(path):
  """Returns the SHA-256 of a file.

  Args:
    path: of the file.

  Returns:
    64 hexadecimal digits.
  """
  found = hashlib.sha256()
  with open(path, "rb") as file:
    for block in iter(lambda: file.read(1 << 20), b""):
      found.update(block)
  return found.hexdigest()


@contextlib.contextmanager
def lock(folder, caller):
  """Keeps other processes, and other callers, out of a folder.

  The system takes the lock back from a process that is killed.

  Args:
    folder: the folder, which is made if need be.
    caller: what the message names.

  Yields:
    Nothing.

  Raises:
    TrainingError: if another holds the lock.
  """
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, ".lock")
  with open(path, "a") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      raise errors.TrainingError(
        f"{caller}: another run is writing to {folder!r}. Wait for it, end it, "
        f"or give another folder."
      ) from None
    yield
