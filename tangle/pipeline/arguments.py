"""Checks the kinds of the arguments of `Pipeline` and `Pipeline.add`."""

import collections.abc
import inspect

from tangle import errors


def check(name, build, buckets, reads, pad, bucket_of):
  """Refuses arguments of `Pipeline.add` that are of another kind.

  Args:
    name: the name of the sub-model.
    build: its builder.
    buckets: its buckets, or `None`.
    reads: read name → source or sources, or `None`.
    pad: feed name → value, or `None`.
    bucket_of: a function, or `None`.

  Raises:
    ArgumentError: if `name` is no string, `build` cannot be called with two
      arguments, `buckets` is no list of hashable values, `reads` or `pad` is no
      dict, a source in `reads` is neither a string nor a list, or `bucket_of`
      cannot be called. What strings and values say is not checked.
  """
  if not isinstance(name, str):
    _refuse("name", "a string", name, "Give a name, such as 'encoder'")
  if not callable(build):
    remedy = "Give the function itself, without calling it"
    _refuse("build", "a function build(bucket, reads)", build, remedy)
  _check_parameters(build)
  is_text = isinstance(buckets, (str, bytes))
  if buckets is not None and (is_text or not hasattr(buckets, "__iter__")):
    remedy = "Give a list, such as [10, 20]"
    if is_text or isinstance(buckets, (int, float)):
      remedy = f"Give a list, such as [{buckets!r}]"
    _refuse("buckets", "a list", buckets, remedy)
  for bucket in () if buckets is None else buckets:
    if not isinstance(bucket, collections.abc.Hashable):
      kind = "a list of numbers, names or tuples"
      remedy = "Give a tuple for a bucket of several sizes, such as (10, 20)"
      _refuse("buckets", kind, buckets, remedy)
  if reads is not None and not hasattr(reads, "items"):
    remedy = "Give a dict, such as {'h': 'encoder.h'}"
    _refuse("reads", "a dict from read name to source", reads, remedy)
  for read, sources in (reads or {}).items():
    if not hasattr(sources, "__iter__"):
      kind = "'sub_model.output', or a list of these"
      remedy = "Give the name of an output, such as 'encoder.h'"
      _refuse(f"reads[{read!r}]", kind, sources, remedy)
  if pad is not None and not hasattr(pad, "items"):
    remedy = "Give a dict, such as {'ids': 0}"
    _refuse("pad", "a dict from feed name to value", pad, remedy)
  if bucket_of is not None and not callable(bucket_of):
    kind = "a function from the feeds to a bucket"
    remedy = "Leave it out to take the first bucket that the feeds fit"
    _refuse("bucket_of", kind, bucket_of, remedy)


def _check_parameters(build):
  try:
    signature = inspect.signature(build)
  except (TypeError, ValueError):  # some callables have none
    return
  try:
    signature.bind(None, None)
  except TypeError as error:
    raise errors.ArgumentError(
      f"the builder is called as build(bucket, reads), which its "
      f"parameters {signature} do not allow. Give it these two."
    ) from error


def _refuse(argument, expected, given, remedy):
  raise errors.ArgumentError(
    f"{argument} must be {expected}, got {errors.show(given)}. {remedy}."
  )
