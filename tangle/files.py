"""Files that are whole or not there, whenever the process is killed.

A name that appears by a rename, after what it stands for has reached the disk,
never stands for a part. POSIX systems only. What the system refuses is a
`FileError` that names the file and says what to do; what is read is a regular
file of a size that the caller has limited, or it is refused.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat

from tangle import errors

WRITING = "writing-"
"""Begins the names of what is not complete yet."""

REMOVING = "removing-"
"""Begins the names of what is not complete any more."""

_REMEDIES = {
  errno.ENOSPC: "Free space on its disk",
  errno.EDQUOT: "Free space in your quota on its disk",
  errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
  errno.EROFS: "Its disk is read-only: name a folder on another one",
  errno.EACCES: "Name a folder that you may use, or change who may",
  errno.EPERM: "Name a folder that you may use, or change who may",
  errno.ENOENT: "See whether the name is right",
  errno.ENOTDIR: "A file is in the place of a folder: move it away",
  errno.EEXIST: "A file is in the place of a folder: move it away",
  errno.EISDIR: "A folder is in the place of a file: move it away",
  errno.ENOMEM: "Free memory, or ask for less",
  errno.EMFILE: "Raise the limit on open files (ulimit -n)",
  errno.ENFILE: "Close files that other programs hold open",
  errno.ENAMETOOLONG: "Give a shorter name",
  errno.EIO: "The disk may be failing: look at the system's log",
}


def explain(path, error, doing="written"):
  """Returns an error of the system as one that names the file and the remedy.

  Args:
    path: of the file or folder.
    error: an `OSError`.
    doing: what cannot be done with it, a participle.

  Returns:
    A `FileError`, with the `errno` of `error`.
  """
  if isinstance(error, errors.FileError):
    return error
  remedy = _REMEDIES.get(error.errno, "See what is in its place")
  reason = error.strerror or str(error) or type(error).__name__
  found = errors.FileError(
    f"{path!r} cannot be {doing}: {reason}. {remedy}, and try again."
  )
  found.errno = error.errno
  return found


@contextlib.contextmanager
def explained(path, doing="written"):
  """Makes the system's errors within say which file, and what to do.

  Args:
    path: of the file or folder.
    doing: what is done with it, a participle.

  Yields:
    Nothing.

  Raises:
    FileError: for an `OSError` within.
  """
  try:
    yield
  except OSError as error:
    raise explain(path, error, doing) from error


def sync(path):
  """Waits until a file, or the names in a folder, have reached the disk.

  Args:
    path: of a file or a folder.

  Raises:
    FileError: if they cannot.
  """
  with explained(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
      os.fsync(descriptor)
    finally:
      os.close(descriptor)


def make_folder(path):
  """Makes a folder, and those that it is in, unless it is there.

  Args:
    path: of the folder.

  Raises:
    FileError: if it cannot be made.
  """
  with explained(path, "made"):
    os.makedirs(path, exist_ok=True)


def write_text(path, text):
  """Puts a text file in place of the one that is there, all of it or nothing.

  Args:
    path: of the file.
    text: a string, written as UTF-8; or bytes.

  Raises:
    FileError: if it cannot be written.
  """
  path = os.fspath(path)
  folder, name = os.path.split(os.path.abspath(path))
  temporary = os.path.join(folder, WRITING + name)
  content = text if isinstance(text, bytes) else text.encode("utf-8")
  with explained(path):
    with open(temporary, "wb") as file:
      file.write(content)
    sync(temporary)
    os.replace(temporary, path)
  sync(folder)


def publish(temporary, path):
  """Gives a complete file or folder its name; its content is on the disk.

  Args:
    temporary: its name up to now, in the same folder as `path`.
    path: its name from now on, which nothing has.

  Raises:
    FileError: if it cannot be renamed.
  """
  with explained(path):
    os.rename(temporary, path)
  sync(os.path.dirname(os.path.abspath(path)))


def remove(path):
  """Removes a file or a folder.

  Killed in between, it has a name that `clean` knows.

  Args:
    path: of the file or folder; of a link, the link is removed.

  Raises:
    FileError: if it cannot be removed.
  """
  parent, name = os.path.split(os.path.abspath(path))
  doomed = os.path.join(parent, REMOVING + name)
  with explained(path, "removed"):
    if os.path.lexists(doomed):
      _delete(doomed)
    publish(path, doomed)
    _delete(doomed)


def _delete(path):
  if os.path.isdir(path) and not os.path.islink(path):
    shutil.rmtree(path)
  else:
    os.remove(path)


def clean(folder):
  """Removes what writes and removals that were killed have left.

  Args:
    folder: where to look; not in folders below it.

  Returns:
    The names removed, a list.

  Raises:
    FileError: if one cannot be removed.
  """
  found = []
  with explained(folder, "read"):
    names = sorted(os.listdir(folder))
  for name in names:
    if name.startswith((WRITING, REMOVING)):
      path = os.path.join(folder, name)
      with explained(path, "removed"):
        _delete(path)
      found.append(name)
  return found


@contextlib.contextmanager
def reading(path):
  """Opens a regular file to read bytes; nothing else that may wait for ever.

  Args:
    path: of the file.

  Yields:
    The open file.

  Raises:
    FileError: if it cannot be read, or is no regular file.
  """
  with explained(path, "read"):
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
      if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise errors.FileError(
          f"{path!r} is no regular file. Put a copy of the file in its place."
        )
      yield file


def read_bytes(path, limit):
  """Reads a file.

  Args:
    path: of the file.
    limit: how many bytes it may have.

  Returns:
    Its content.

  Raises:
    FileError: if it cannot be read, or is no regular file.
    DataError: if it has more bytes.
  """
  with reading(path) as file:
    content = file.read(limit + 1)
  if len(content) > limit:
    raise errors.DataError(
      f"{path!r} has more than {limit:,} bytes, which no such file has. Put a "
      f"copy of the file in its place."
    )
  return content


def read_json(path, limit):
  """Reads a file of JSON.

  Args:
    path: of the file.
    limit: how many bytes it may have.

  Returns:
    What is in it.

  Raises:
    FileError: if it cannot be read, or is no regular file.
    DataError: if it is no JSON, or has more bytes.
  """
  content = read_bytes(path, limit)
  try:
    return json.loads(content.decode("utf-8"), parse_int=_parse_int)
  except (ValueError, RecursionError) as error:
    raise errors.DataError(f"{path!r} is no JSON: {error}") from None


_INT = re.compile("-?[0-9]{1,400}")


def _parse_int(text):
  """Returns an int of JSON; one of very many digits would take very long."""
  if not _INT.fullmatch(text):
    raise ValueError("an integer has too many digits")
  return int(text)


def digest(path):
  """Returns the SHA-256 of a file.

  Args:
    path: of the file.

  Returns:
    64 hexadecimal digits.

  Raises:
    FileError: if it cannot be read, or is no regular file.
  """
  found = hashlib.sha256()
  with reading(path) as file:
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
    FileError: if the folder cannot be made or locked.
  """
  make_folder(folder)
  path = os.path.join(folder, ".lock")
  with explained(path, "locked"):
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.TrainingError(
        f"{caller}: another run is writing to {folder!r}. Wait for it, end it, "
        f"or give another folder."
      ) from None
    except OSError as error:
      raise explain(path, error, "locked") from error
    yield
  finally:
    os.close(descriptor)
