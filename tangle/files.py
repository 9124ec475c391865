"""Writes files that are complete or absent, whenever the process is killed.

A file is written under a temporary name, and renamed once its content has
reached the disk. This works on POSIX systems only. Errors of the system become
a `FileError` that names the file and the remedy. Only regular files are read,
and only up to a size that the caller sets.
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
"""Prefix of the names of files and folders that are not yet complete."""

REMOVING = "removing-"
"""Prefix of the names of files and folders that are being removed."""

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
  """Converts an `OSError` to an error that names the file and the remedy.

  Args:
    path: of the file or folder.
    error: an `OSError`.
    doing: what could not be done with the file, a participle.

  Returns:
    A `FileError`, with the `errno` of `error`; a `FileError` is returned as it
    is.
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
  """Within this context, converts each `OSError` by `explain`.

  Args:
    path: of the file or folder.
    doing: what is done with the file, a participle.

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
    FileError: if that fails.
  """
  with explained(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
      os.fsync(descriptor)
    finally:
      os.close(descriptor)


def make_folder(path):
  """Makes a folder and its parents, unless they exist.

  Args:
    path: of the folder.

  Raises:
    FileError: if it cannot be made.
  """
  with explained(path, "made"):
    os.makedirs(path, exist_ok=True)


def write_text(path, text):
  """Writes or replaces a text file, completely or not at all.

  Its folder must exist. What could not be written completely is removed.

  Args:
    path: of the file.
    text: a string, written as UTF-8; or bytes.

  Raises:
    FileError: if it cannot be written; an earlier file is then unchanged.
  """
  path = os.fspath(path)
  folder, name = os.path.split(os.path.abspath(path))
  temporary = os.path.join(folder, WRITING + name)
  content = text if isinstance(text, bytes) else text.encode("utf-8")
  with explained(path):
    try:
      with open(temporary, "wb") as file:
        file.write(content)
      sync(temporary)
      os.replace(temporary, path)
    except OSError:
      with contextlib.suppress(OSError):
        os.remove(temporary)
      raise
  sync(folder)


def publish(temporary, path):
  """Renames a complete file or folder whose content is on the disk.

  Args:
    temporary: its present name, in the same folder as `path`.
    path: its new name, which must not exist.

  Raises:
    FileError: if it cannot be renamed, such as if `temporary` does not exist.
  """
  with explained(path):
    os.rename(temporary, path)
  sync(os.path.dirname(os.path.abspath(path)))


def remove(path):
  """Removes a file or a folder.

  If the process is killed meanwhile, `clean` recognizes the name of the rest.

  Args:
    path: of the file or folder; if it is a link, the link is removed.

  Raises:
    FileError: if it does not exist, or cannot be removed.
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
  """Removes the remains of writes and removals that were killed.

  Args:
    folder: where to look; not in folders below it.

  Returns:
    The names removed, a sorted list; empty if there was nothing to remove.

  Raises:
    FileError: if `folder` cannot be read, or a file or folder in it cannot be
      removed.
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


def is_plain_name(name):
  """Whether a string can name something directly in a folder.

  Args:
    name: a string.

  Returns:
    A bool; `False` for a path to elsewhere, and for what no name can contain.
  """
  try:
    encoded = os.fsencode(name)
  except UnicodeEncodeError:  # a lone surrogate
    return False
  return b"\0" not in encoded and (
    name == os.path.basename(name) and name not in ("", ".", "..")
  )


@contextlib.contextmanager
def reading(path):
  """Opens a regular file to read bytes; refuses pipes, which may block.

  Args:
    path: of the file.

  Yields:
    The open file.

  Raises:
    FileError: if it cannot be read, or is not a regular file.
  """
  with explained(path, "read"):
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
      if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise errors.FileError(
          f"{path!r} is not a regular file. Put a copy of the file in its "
          f"place."
        )
      yield file


def read_bytes(path, limit):
  """Reads a file.

  Args:
    path: of the file.
    limit: the largest size that it may have, in bytes.

  Returns:
    Its whole content, as bytes.

  Raises:
    FileError: if it cannot be read, or is not a regular file.
    DataError: if it has more than `limit` bytes.
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
    limit: the largest size that it may have, in bytes.

  Returns:
    The parsed content.

  Raises:
    FileError: if it cannot be read, or is not a regular file.
    DataError: if it has more bytes, is not JSON in UTF-8, or has an int of more
      than 400 digits.
  """
  content = read_bytes(path, limit)
  try:
    return json.loads(content.decode("utf-8"), parse_int=_parse_int)
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"{path!r} is not JSON: {error}. Restore the file, or name another."
    ) from None


_INT = re.compile("-?[0-9]{1,400}")


def _parse_int(text):
  """Parses an int of JSON; refuses very many digits, which take very long."""
  if not _INT.fullmatch(text):
    raise ValueError("an integer has too many digits")
  return int(text)


def digest(path):
  """Returns the SHA-256 of a file.

  Args:
    path: of the file.

  Returns:
    A string of 64 hexadecimal digits.

  Raises:
    FileError: if it cannot be read, or is not a regular file.
  """
  found = hashlib.sha256()
  with reading(path) as file:
    for block in iter(lambda: file.read(1 << 20), b""):
      found.update(block)
  return found.hexdigest()


def digest_json(value):
  """Returns the SHA-256 of a JSON value; the order of keys does not count.

  Args:
    value: what `json.dumps` takes.

  Returns:
    64 hexadecimal digits.
  """
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode("utf-8")).hexdigest()


@contextlib.contextmanager
def lock(folder):
  """Locks a folder against other processes and other callers.

  The lock is released at the end of the context; the system releases that of a
  process that is killed. The file `.lock` stays in the folder.

  Args:
    folder: the folder, which is made if it does not exist.

  Yields:
    Nothing.

  Raises:
    TrainingError: if another process or caller holds the lock; this does not
      wait for it.
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
        f"another run is writing to {folder!r}. Wait for it, end it, "
        f"or give another folder."
      ) from None
    except OSError as error:
      raise explain(path, error, "locked") from error
    yield
  finally:
    os.close(descriptor)
