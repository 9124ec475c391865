"""Checks the arguments of `Pipeline.add`."""

import collections

from tangle import errors
from tangle.partial import choice
from tangle.pipeline import nodes


def complete(node, known, recompute, keep, sizes):
  """Checks and parses the arguments of `Pipeline.add`.

  Args:
    node: a `Node` with the arguments as they were given.
    known: name → `Node` of the sub-models added before.
    recompute, keep, sizes: the arguments of these names.

  Returns:
    The `Node`, complete but for its key.

  Raises:
    ArgumentError: if an argument is invalid.
  """
  _check_kinds(*node[:6])
  buckets = nodes.check_new(node.name, node.buckets, known)
  nodes.check_device(node.device)
  return node._replace(
    buckets=buckets,
    residuals=choice.make(node.residuals, recompute, keep, sizes),
    reads=nodes.parse_reads(node.reads, known),
    pad=dict(node.pad or {}),
    graphs=collections.OrderedDict(),
  )


def _check_kinds(name, build, buckets, reads, pad, bucket_of):
  if not isinstance(name, str):
    _refuse("name", "a string", name, "Give a name, such as 'encoder'")
  if not callable(build):
    remedy = "Give the function itself, without calling it"
    _refuse("build", "a function build(bucket, reads)", build, remedy)
  is_text = isinstance(buckets, (str, bytes))
  if buckets is not None and (is_text or not hasattr(buckets, "__iter__")):
    remedy = f"Give a list, such as [{buckets!r}]"
    _refuse("buckets", "a list", buckets, remedy)
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


def _refuse(argument, expected, given, remedy):
  raise errors.ArgumentError(
    f"{errors.caller()}: {argument} must be {expected}, got {given!r}. "
    f"{remedy}."
  )
