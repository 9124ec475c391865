"""The record of repairs to a meta graph, and the repairs of single nodes.

They change the `MetaGraphDef` in memory, before it is imported.
"""

import collections
import re
from typing import Dict, NamedTuple, Tuple

_LISTED = 8
_ALWAYS_THERE = re.compile(r"/?(device:)?cpu:[0*]", re.IGNORECASE)


class Repairs(NamedTuple):
  """The repairs made in memory so that a meta graph could be imported.

  It is false if nothing was repaired, and printed as one line per repair.

  Attributes:
    writer: the version of TensorFlow that wrote the file, `""` if unknown.
    output_shapes: names of the nodes whose recorded shapes were dropped because
      they contradict those that this TensorFlow infers; `"function/node"` for a
      node of a function.
    attributes: `"op.attribute"` → number of nodes from which an attribute was
      dropped. It is newer than this TensorFlow, and had its default or does not
      affect values.
    devices: cleared device → how many nodes were placed on it.
    colocations: names of nodes that were colocated with nodes that do not
      exist, and no longer are.
    collections: name of a dropped collection → reason, a string.
    saver: why the file's own saver is not used; `""` if it is used, or if the
      file has none.
  """

  writer: str
  output_shapes: Tuple[str, ...]
  attributes: Dict[str, int]
  devices: Dict[str, int]
  colocations: Tuple[str, ...]
  collections: Dict[str, str]
  saver: str

  def __bool__(self):
    """Whether anything was repaired, also if only devices were cleared."""
    return any(self[1:])

  def __str__(self):
    """Lists the repairs, one per line; "nothing to repair" without any."""
    lines = []
    if self.output_shapes:
      lines.append(
        f"recorded shapes dropped that contradict the graph, of "
        f"{_list(self.output_shapes)}"
      )
    if self.attributes:
      lines.append(
        f"attributes dropped that are newer than this TensorFlow: "
        f"{_list(self.attributes)}"
      )
    if self.devices:
      lines.append(f"devices cleared: {_list(self.devices)}")
    if self.colocations:
      lines.append(
        f"no longer bound to nodes that are not there: "
        f"{_list(self.colocations)}"
      )
    for name, why in self.collections.items():
      lines.append(f"collection {name!r} dropped: {why}")
    if self.saver:
      lines.append(f"another saver made: {self.saver}")
    return "\n".join(lines) or "nothing to repair"


def _list(names):
  names = list(names)
  more = len(names) - _LISTED
  return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def nodes_of(graph_def):
  """Yields all nodes, including those of functions.

  Args:
    graph_def: a `GraphDef`.

  Yields:
    Pairs of a node and its name, which is `"function/node"` in a function.
  """
  for node in graph_def.node:
    yield node, node.name
  for function in graph_def.library.function:
    for node in function.node_def:
      yield node, f"{function.signature.name}/{node.name}"


def clear_devices(graph_def):
  """Clears the devices of all nodes, also in functions, as they may not exist.

  `tf.train.import_meta_graph` leaves the devices of nodes in functions. The
  process's first CPU is kept: a saver has its ops there.

  Args:
    graph_def: a `GraphDef`; it is changed.

  Returns:
    A dict: device → how many nodes were placed on it.
  """
  found = collections.Counter()
  for node, _ in nodes_of(graph_def):
    if node.device and not _ALWAYS_THERE.fullmatch(node.device):
      found[node.device] += 1
      node.device = ""
  return dict(found)


def drop_lost_colocations(graph_def):
  """Removes colocations with nodes that do not exist, except in functions.

  Args:
    graph_def: a `GraphDef`; it is changed.

  Returns:
    A tuple of the names of the changed nodes.
  """
  present = {b"loc:@" + node.name.encode() for node in graph_def.node}
  found = []
  for node in graph_def.node:
    if "_class" not in node.attr:
      continue
    places = node.attr["_class"].list
    kept = [s for s in places.s if s in present or s[:5] != b"loc:@"]
    if len(kept) < len(places.s):
      found.append(node.name)
      places.s[:] = kept
      if not kept:
        del node.attr["_class"]
  return tuple(found)
