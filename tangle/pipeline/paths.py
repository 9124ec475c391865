"""Paths: sub-models of a pipeline as one joint graph.

The builders are called again, and their tensors connected directly, without
boundaries. So one session run can train or evaluate a path, and a path can be
exported.
"""

from __future__ import annotations

import collections
import os
from typing import Any, Mapping

from tangle import errors, hints
from tangle.compat import tf1
from tangle.pipeline import nodes as nodes_lib
from tangle.pipeline import pieces as pieces_lib
from tangle.pipeline import pipeline as pipeline_lib
from tangle.pipeline import runs


def join(pipeline, buckets):
  """Builds sub-models at certain buckets, joined, in the default graph.

  Args:
    pipeline: the `Pipeline` whose builders and connections to use; it need not
      be built.
    buckets: sub-model → bucket, of those that take part.

  Returns:
    An ordered dict: sub-model → `Piece`, in the order of `Pipeline.add`; empty
    if `buckets` is empty.

  Raises:
    ArgumentError: if a name or bucket is unknown, a read has no source or
      several or an unknown output, or a builder returns no `Piece`.
    TangleError: as `pieces.check_piece`.
  """
  built = collections.OrderedDict()
  for name, sources in runs.choose_sources(pipeline, buckets).items():
    with errors.about(f"sub-model {name!r}"):
      built[name] = _build(pipeline, name, buckets[name], sources, built)
  return built


def _build(pipeline, name, bucket, sources, built):
  node = pipeline.nodes[name]
  if bucket not in node.buckets:
    raise errors.ArgumentError(
      f"the bucket {bucket!r} is not one of {node.buckets}. Choose "
      f"one of these."
    )
  reads = {}
  for read, source in sources.items():
    outputs = built[source.sub_model].outputs
    if source.output not in outputs:
      nodes_lib.refuse_output(read, source, outputs)
    reads[read] = outputs[source.output]
  with tf1.name_scope(nodes_lib.op_name(name)):
    return pieces_lib.build(node, bucket, reads, pipeline.graph)


@errors.named("paths.export")
def export(
  pipeline: pipeline_lib.Pipeline,
  sess: hints.Session,
  folder: str,
  buckets: Mapping[str, Any],
  inputs: Mapping[str, str],
  outputs: Mapping[str, str],
  name: str = "export",
) -> None:
  """Writes sub-models as a SavedModel, to be served without tangle.

  The sub-models are built again, as one joint graph. The values that the
  weights have in `sess` become constants. The model has the signature
  `serving_default`.

  Args:
    pipeline: the `Pipeline`.
    sess: a session on its graph.
    folder: the folder to write, which must not exist yet.
    buckets: sub-model → bucket, of those that take part; `None` for a
      sub-model without buckets.
    inputs: name in the signature → `"sub_model.feed"`.
    outputs: name in the signature → `"sub_model.output"`.
    name: name scope of the new ops, which are added to the pipeline's graph.

  Raises:
    ArgumentError: if a name or bucket is unknown, a read has no source or
      several, there are no buckets or no outputs, the outputs need a feed that
      is not among the inputs, no output depends on some input, or `folder`
      exists.
    GraphError: if the graph is finalized.
    TangleError: if a builder returns no valid `Piece`, as `Pipeline.build`.
    OpError: of TensorFlow, if a variable has no value in `sess`, or the folder
      cannot be written.
  """
  if os.path.exists(folder):
    raise errors.ArgumentError(f"{folder!r} already exists. Name a new folder.")
  if pipeline.graph.finalized:
    raise errors.GraphError(
      "export adds ops to the graph, but the graph is finalized. "
      "Export before it is finalized, or build the pipeline in a new graph "
      "and restore a checkpoint there."
    )
  if not buckets:
    raise errors.ArgumentError(
      "buckets is empty. Name each sub-model of the path and its "
      "bucket, or None if it has no buckets."
    )
  if not outputs:
    raise errors.ArgumentError("outputs is empty. Name at least one.")
  with pipeline.graph.as_default(), tf1.name_scope(pipeline.scope):
    with tf1.name_scope(name):
      built = join(pipeline, buckets)
      fed = _find("inputs", inputs, built, "feeds")
      found = _find("outputs", outputs, built, "outputs")
      # A separate op for each, so that one tensor may have two names.
      found = {key: tf1.identity(tensor) for key, tensor in found.items()}
  _write(sess, folder, fed, found)


def _find(argument, named, built, part):
  """Returns name → tensor for strings such as `"sub_model.feed"`."""
  tensors = {
    f"{sub_model}.{name}": tensor
    for sub_model, piece in built.items()
    for name, tensor in getattr(piece, part).items()
  }
  for text in named.values():
    if text not in tensors:
      raise errors.ArgumentError(
        f"{argument} has {text!r}; the {part} of the sub-models are "
        f"{list(tensors)}."
        f"{errors.suggest(text, tensors) or ' Use these names.'}"
      )
  return {name: tensors[text] for name, text in named.items()}


def _write(sess, folder, fed, found):
  """Writes a frozen copy of the graph between two sets of tensors."""
  with sess.graph.as_default():
    frozen = tf1.graph_util.convert_variables_to_constants(
      sess,
      sess.graph.as_graph_def(add_shapes=True),
      [tensor.op.name for tensor in found.values()],
    )
  given = {tensor.op.name for tensor in fed.values()}
  for node in frozen.node:
    if node.op == "Placeholder" and node.name not in given:
      raise errors.ArgumentError(
        f"the outputs are computed from the placeholder "
        f"{node.name!r}, which is not among the inputs. Add the feed with this "
        f"placeholder to inputs."
      )
  there = {node.name for node in frozen.node}
  unused = [n for n, t in fed.items() if t.op.name not in there]
  if unused:
    raise errors.ArgumentError(
      f"no output depends on the inputs {unused}. Leave them out."
    )
  ends = list(fed.values()) + list(found.values())
  with tf1.Graph().as_default() as graph:
    copies = tf1.import_graph_def(
      frozen, return_elements=[tensor.name for tensor in ends], name=""
    )
    with tf1.Session(graph=graph) as own:
      tf1.saved_model.simple_save(
        own,
        folder,
        inputs=dict(zip(fed, copies)),
        outputs=dict(zip(found, copies[len(fed) :])),
      )
