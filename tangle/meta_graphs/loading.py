"""Imports a `.meta` file into the current graph, and restores its checkpoint.

The result has ops and variables under their original names, which is enough to
cut the graph and to continue its training.
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple, Optional, Sequence

from tangle import compat, errors, hints
from tangle.compat import tf1
from tangle.meta_graphs import files, graph_collections, ops, repairs, shapes


class Loaded(NamedTuple):
  """An imported graph.

  Attributes:
    inputs, outputs: lists of the tensors with the given names, in order.
    saver: the `tf.train.Saver` that restores its checkpoints: that of the file
      if it has one, else a new one; `None` if it has none and the graph has no
      variables.
    path: the file.
    checkpoint: path prefix of the checkpoint saved with the file, `None` if
      there is none.
    repairs: the `Repairs` made in memory.
  """

  inputs: Sequence[tf1.Tensor]
  outputs: Sequence[tf1.Tensor]
  saver: Optional[tf1.train.Saver]
  path: str
  checkpoint: Optional[str]
  repairs: repairs.Repairs

  @errors.named("meta_graphs.Loaded.restore")
  def restore(
    self, sess: hints.Session, checkpoint: Optional[str] = None
  ) -> None:
    """Sets the variables to the values of a checkpoint.

    Variables that are not in the checkpoint, such as local ones, are not set;
    run their initializers.

    Args:
      sess: a session of the graph.
      checkpoint: path prefix of a checkpoint; by default, also for "", the one
        saved with the file, whose prefix is the file's path without `.meta`.

    Raises:
      DataError: if the checkpoint does not exist or cannot be read, or does not
        fit the graph.
      GraphError: if the graph has no variables, so that `saver` is `None`.
    """
    if self.saver is None:
      raise errors.GraphError(
        f"the graph of {self.path} has no variables to "
        f"restore. Leave restore() out, or give the file of another graph."
      )
    prefix = checkpoint or self.checkpoint or files.find_checkpoint(self.path)
    if prefix is None:
      found = files.list_checkpoints(self.path)
      raise errors.DataError(
        f"there is no checkpoint of the name of {self.path}. "
        + (
          f"Its folder has {found}; pass one of them as checkpoint."
          if found
          else "Put its .index and .data files there, or pass its prefix as "
          "checkpoint."
        )
      )
    try:
      self.saver.restore(sess, prefix)
    except (ValueError, tf1.errors.OpError) as error:
      raise errors.DataError(
        f"the graph of {self.path} cannot be restored from the "
        f"checkpoint {prefix!r}: {_reason(error)}. Pass the prefix of a "
        f"checkpoint that was saved from this graph as checkpoint."
      ) from error


@errors.named("meta_graphs.load")
def load(
  path: str,
  inputs: Sequence[str] = (),
  outputs: Sequence[str] = (),
  clear_devices: bool = True,
) -> Loaded:
  """Imports a `.meta` file of TensorFlow 1.15 or 2.x into the current graph.

  Content that this TensorFlow would refuse is repaired in memory: recorded
  shapes that contradict the graph, newer attributes that change no value, and
  colocations with nodes that do not exist. Collections of objects whose class
  is unknown are dropped, with a warning. The file is not changed. No variable
  is set before `Loaded.restore`.

      with tf.Graph().as_default(), tf.Session() as sess:
        found = tangle.meta_graphs.load("model.ckpt-100.meta", ["x"], ["loss"])
        found.restore(sess)

  Args:
    path: the file, binary or text.
    inputs: names of tensors, or of ops with one output, to find in the graph.
    outputs: likewise.
    clear_devices: whether to remove the devices in the file, also in its
      functions, except for the process's first CPU, which always exists. Use
      False on the cluster that the file was written for.

  Returns:
    A `Loaded`, whose `restore` restores the checkpoint saved with the file.

  Raises:
    GraphError: if the file does not exist, is not a meta graph, or has ops or
      attributes that this TensorFlow does not know; if the current graph has
      ops of the same names; or if the collections of variables or of loops and
      conditionals cannot be restored. Only in the last case have the ops been
      added.
    ArgumentError: if eager execution is on; or if a name in `inputs` or
      `outputs` is not in the graph, or is that of an op with several outputs or
      none. The ops have then been added.
  """
  if tf1.executing_eagerly():
    raise errors.ArgumentError(
      "no graph is being built. Call it inside `with tf.Graph().as_default():`."
    )
  graph = tf1.get_default_graph()
  meta = files.read(path)
  _check_free(graph, path, meta.graph_def)
  ops.check_known(path, meta)
  attributes = ops.drop_newer_attributes(path, meta)
  colocations = repairs.drop_lost_colocations(meta.graph_def)
  devices = repairs.clear_devices(meta.graph_def) if clear_devices else {}
  in_functions = shapes.drop_stale_in_functions(meta.graph_def)
  present = set(graph.get_operations())
  at_top = _import_ops(path, meta.graph_def)
  _describe_handles(op for op in graph.get_operations() if op not in present)
  before = _saveable(graph)
  dropped = graph_collections.restore(path, meta)
  added = [v for v in _saveable(graph) if all(v is not b for b in before)]
  saver, why = _make_saver(meta, graph, added)
  return Loaded(
    _find_all("inputs", graph, inputs),
    _find_all("outputs", graph, outputs),
    saver,
    path,
    files.find_checkpoint(path),
    repairs.Repairs(
      writer=meta.meta_info_def.tensorflow_version,
      output_shapes=at_top + in_functions,
      attributes=attributes,
      devices=devices,
      colocations=colocations,
      collections=dropped,
      saver=why,
    ),
  )


@errors.named("meta_graphs.find_tensor")
def find_tensor(graph: tf1.Graph, name: str) -> tf1.Tensor:
  """Finds a tensor by its name, or by the name of its op.

  Args:
    graph: a `tf.Graph`.
    name: `"scope/op:0"` or `"scope/op"`.

  Returns:
    The tensor of that name, or the only output of the op.

  Raises:
    ArgumentError: if there is no such tensor or op, or if the name is that of
      an op that has not exactly one output.
  """
  return _find(graph, name)


def _find_all(argument, graph, names):
  with errors.about(argument):
    return [_find(graph, name) for name in names]


def _find(graph, name):
  op_name, _, index = name.partition(":")
  try:
    op = graph.get_operation_by_name(op_name)
  except KeyError:
    names = [op.name for op in graph.get_operations()]
    near = difflib.get_close_matches(op_name, names, 3)
    raise errors.ArgumentError(
      f"the graph has no op {op_name!r}. "
      + (f"Did you mean one of {near}?" if near else "Look at its op names.")
    ) from None
  if not index and len(op.outputs) == 1:
    return op.outputs[0]
  if index.isdigit() and int(index) < len(op.outputs):
    return op.outputs[int(index)]
  raise errors.ArgumentError(
    f"{name!r} is not a tensor; the op {op_name!r} "
    f"({op.type}) has the outputs {[t.name for t in op.outputs]}. "
    f"{'Name one of them' if op.outputs else 'Name another op'}."
  )


def _check_free(graph, path, graph_def):
  present = {op.name for op in graph.get_operations()}
  taken = [node.name for node in graph_def.node if node.name in present]
  if taken:
    raise errors.GraphError(
      f"the current graph has {len(taken)} ops of the same names as "
      f"{path}, such as {taken[0]!r}. Load it inside "
      f"`with tf.Graph().as_default():`."
    )


def _import_ops(path, graph_def):
  """Adds the ops; returns the names of nodes whose shapes were dropped."""
  stale = ()
  try:
    try:
      tf1.import_graph_def(graph_def, name="")  # adds all ops or none
    except Exception:
      stale = shapes.drop_stale(graph_def)
      if not stale:
        raise
      tf1.import_graph_def(graph_def, name="")
  except Exception as error:  # TensorFlow raises errors of many classes
    raise errors.GraphError(
      f"{path} cannot be imported: {files.first_line(error)}. Load "
      f"it on the TensorFlow that wrote it."
    ) from error
  return stale


def _describe_handles(added):
  """Sets the handle data of resource handles that loops pass on.

  Without it, 1.15 makes zeros of a wrong dtype for their gradients.
  """
  for op in added:
    if op.type in ("StatelessWhile", "While"):
      for source, copy in zip(op.inputs, op.outputs):
        compat.share_handle_data(source, copy)


def _saveable(graph):
  keys = (tf1.GraphKeys.GLOBAL_VARIABLES, tf1.GraphKeys.SAVEABLE_OBJECTS)
  return [value for key in keys for value in graph.get_collection(key)]


def _make_saver(meta, graph, saveable):
  """Returns a saver or `None`, and why the file's own saver is not used."""
  why = ""
  if meta.HasField("saver_def"):
    saver_def = meta.saver_def
    named = (saver_def.filename_tensor_name, saver_def.restore_op_name)
    present = {op.name for op in graph.get_operations()}
    lost = [name for name in named if name.split(":")[0] not in present]
    if not lost:
      return tf1.train.Saver(saver_def=saver_def), ""
    why = f"the graph lacks the ops {lost} of the file's saver"
  return (tf1.train.Saver(saveable), why) if saveable else (None, "")


def _reason(error):
  """Returns the line of a saver's error that has the reason."""
  found = re.search(r"([^\n]+)\n\s*\[\[", str(error))  # ends before a node name
  return found.group(1).strip(". ") if found else files.first_line(error)
