"""Resident memory of this process."""

from tangle import errors


def meter(caller):
  """Returns a function that tells the resident memory, in bytes.

  Args:
    caller: who asks, for the message.

  Returns:
    A function without arguments that returns an int.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  try:
    import psutil
  except ImportError as error:
    raise errors.MissingPackageError(
      f"{caller}: psutil is not installed. Install it with: "
      "pip install tangle-graph[benchmark]"
    ) from error
  process = psutil.Process()
  return lambda: process.memory_info().rss
