"""Reads a `.meta` file, and finds the checkpoint that was written with it."""

from __future__ import annotations

import os
from typing import Optional

from google.protobuf import message, text_format

from tangle import errors
from tangle.compat import tf1

SUFFIX = ".meta"


@errors.named("meta_graphs.read")
def read(path: str) -> tf1.MetaGraphDef:
  """Reads a `.meta` file, without importing or changing it.

  Skips fields that this TensorFlow does not know, also in text files, which
  TensorFlow itself would then refuse.

  Args:
    path: the file, binary or text.

  Returns:
    A `MetaGraphDef`.

  Raises:
    GraphError: if the file cannot be read, or holds no meta graph.
  """
  try:
    with tf1.gfile.GFile(path, "rb") as file:
      content = file.read()
  except (OSError, tf1.errors.OpError) as error:
    raise errors.GraphError(
      f"{path} cannot be read: {first_line(error)}. Name the file "
      f"that ends in {SUFFIX}{_suggest(path)}."
    ) from error
  for parse in (_parse_binary, _parse_text):
    found = parse(content)
    # TensorFlow 1.15 parses many a text as an empty message.
    if found is not None and found.graph_def.node:
      return found
  raise errors.GraphError(
    f"{path} cannot be a meta graph: no ops can be read from it, as "
    f"binary or as text. Name the file that ends in {SUFFIX}{_suggest(path)}."
  )


def _parse_binary(content):
  found = tf1.MetaGraphDef()
  try:
    found.ParseFromString(content)
  except message.DecodeError:
    return None
  return found


def _parse_text(content):
  found = tf1.MetaGraphDef()
  try:
    text_format.Parse(content.decode("utf-8"), found, allow_unknown_field=True)
  except (UnicodeDecodeError, text_format.ParseError):
    return None
  return found


def _suggest(path):
  """Lists similar existing files, for a message."""
  found = _beside(path, SUFFIX)
  found = [name for name in found if name != os.path.basename(path)]
  return f"; its folder has {found}" if found else ""


def find_checkpoint(path: str) -> Optional[str]:
  """Finds the checkpoint that was saved with a `.meta` file.

  Args:
    path: the `.meta` file.

  Returns:
    Its path prefix, as for `tf.train.Saver.restore`: the path without `.meta`;
    `None` if no checkpoint has this prefix.
  """
  prefix = path[: -len(SUFFIX)] if path.endswith(SUFFIX) else path
  if tf1.gfile.Exists(prefix + ".index"):
    return prefix
  # Before TensorFlow 0.12, a checkpoint was a single file.
  is_file = prefix != path and tf1.gfile.Exists(prefix)
  return prefix if is_file and not tf1.gfile.IsDirectory(prefix) else None


def list_checkpoints(path):
  """Lists the checkpoints in the folder of a file.

  Args:
    path: the path of the file, which need not exist.

  Returns:
    A list of path prefixes, each with the folder, sorted; empty if there are
    none, or the folder cannot be read.
  """
  folder = os.path.dirname(path)
  return [
    os.path.join(folder, name[: -len(".index")])
    for name in _beside(path, ".index")
  ]


def _beside(path, suffix):
  folder = path if tf1.gfile.IsDirectory(path) else os.path.dirname(path)
  try:
    names = tf1.gfile.ListDirectory(folder or ".")
  except tf1.errors.OpError:
    return []
  return sorted(name for name in names if name.endswith(suffix))


def first_line(error):
  """Returns the first line of a long error message of TensorFlow.

  Args:
    error: an exception.

  Returns:
    A string without a period at the end; the name of the error's class if it
    has no message.
  """
  lines = (str(getattr(error, "message", "")) or str(error)).strip()
  return (lines.splitlines() or [type(error).__name__])[0].rstrip(". ")
