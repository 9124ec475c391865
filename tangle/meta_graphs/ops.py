"""Finds ops and attributes that the installed TensorFlow lacks.

Unknown ops are reported, all at once, with the module that registers them.
Newer attributes are dropped if that changes no value.
"""

import collections

from tangle import compat, errors
from tangle.meta_graphs import repairs

CONTRIB = {
  "bigtable": """BigtableClient BigtableLookupDataset BigtablePrefixKeyDataset
    BigtableRangeKeyDataset BigtableSampleKeyPairsDataset
    BigtableSampleKeysDataset BigtableScanDataset BigtableTable
    DatasetToBigtable""",
  "boosted_trees.python.ops.boosted_trees_ops_loader": """
    BucketizeWithInputBoundaries BuildCategoricalEqualitySplits
    BuildDenseInequalitySplits BuildSparseInequalitySplits
    CenterTreeEnsembleBias CreateQuantileAccumulator
    CreateStatsAccumulatorScalar CreateStatsAccumulatorTensor
    CreateTreeEnsembleVariable DecisionTreeEnsembleResourceHandleOp
    GradientTreesPartitionExamples GradientTreesPrediction
    GradientTreesPredictionVerbose GrowTreeEnsemble MakeQuantileSummaries
    QuantileAccumulatorAddSummaries QuantileAccumulatorDeserialize
    QuantileAccumulatorFlush QuantileAccumulatorFlushSummary
    QuantileAccumulatorGetBuckets QuantileAccumulatorIsInitialized
    QuantileAccumulatorSerialize QuantileBuckets QuantileStreamResourceHandleOp
    Quantiles StatsAccumulatorScalarAdd StatsAccumulatorScalarDeserialize
    StatsAccumulatorScalarFlush StatsAccumulatorScalarIsInitialized
    StatsAccumulatorScalarMakeSummary StatsAccumulatorScalarResourceHandleOp
    StatsAccumulatorScalarSerialize StatsAccumulatorTensorAdd
    StatsAccumulatorTensorDeserialize StatsAccumulatorTensorFlush
    StatsAccumulatorTensorIsInitialized StatsAccumulatorTensorMakeSummary
    StatsAccumulatorTensorResourceHandleOp StatsAccumulatorTensorSerialize
    TreeEnsembleDeserialize TreeEnsembleIsInitializedOp TreeEnsembleSerialize
    TreeEnsembleStampToken TreeEnsembleStats TreeEnsembleUsedHandlers""",
  "factorization": "MaskedMatmul WALSComputePartialLhsAndRhs",
  "ffmpeg": "DecodeAudio DecodeAudioV2 DecodeVideo EncodeAudio EncodeAudioV2",
  "framework": "ZeroInitializer ZeroVarInitializer",
  "fused_conv": "FusedConv2DBiasActivation",
  "hadoop": "SequenceFileDataset",
  "ignite": "IgniteDataset",
  "image": """AdjustHsvInYiq BipartiteMatch ImageConnectedComponents
    ImageProjectiveTransform ImageProjectiveTransformV2
    SingleImageRandomDotStereograms""",
  "input_pipeline": "ObtainNext",
  "kafka": "KafkaDataset",
  "kinesis": "KinesisDataset",
  "layers": "SparseFeatureCross SparseFeatureCrossV2",
  "libsvm": "DecodeLibsvm",
  "memory_stats": "BytesInUse BytesLimit MaxBytesInUse",
  "nearest_neighbor": "HyperplaneLSHProbes",
  "periodic_resample": "PeriodicResample PeriodicResampleOpGrad",
  "reduce_slice_ops.python.ops.reduce_slice_ops": """ReduceSliceMax
    ReduceSliceMin ReduceSliceProd ReduceSliceSum""",
  "resampler": "Resampler ResamplerGrad",
  "seq2seq": "GatherTree",
  "tensor_forest": """CreateFertileStatsVariable CreateTreeVariable
    DecisionTreeResourceHandleOp FeatureUsageCounts FertileStatsDeserialize
    FertileStatsIsInitializedOp FertileStatsResourceHandleOp
    FertileStatsSerialize FinalizeTree GrowTreeV4 ProcessInputV4
    ReinterpretStringToFloat ScatterAddNdim TraverseTreeV4 TreeDeserialize
    TreeIsInitializedOp TreePredictionsV4 TreeSerialize TreeSize
    UpdateModelV4""",
  "text": "SkipGramGenerateCandidates",
}
"""Module of `tf.contrib` → the ops that its libraries register in 1.15.5. The
ops of `framework` are registered by its library only, not by an import."""

_REMOVED = """BigQueryReader GcsConfigureBlockCache GcsConfigureCredentials
  GenerateBigQueryReaderPartitions RemoteFusedGraphExecute Rpc
  TensorForestCreateTreeVariable TensorForestTreeDeserialize
  TensorForestTreeIsInitializedOp TensorForestTreePredict
  TensorForestTreeResourceHandleOp TensorForestTreeSerialize
  TensorForestTreeSize TryRpc"""
"""Ops in the core of 1.15 that 2.x has removed."""

_PACKAGES = (
  ("Addons>", "tensorflow_addons"),
  ("Horovod", "horovod.tensorflow"),
)
"""Prefixes of the names of a package's ops, and the module to import."""

_WITHOUT_EFFECT = {
  # For debuggers.
  ("VarHandleOp", "debug_name"),
  # Whether the product is part of a gradient: a hint for number formats only.
  ("MatMul", "grad_a"),
  ("MatMul", "grad_b"),
  ("BatchMatMul", "grad_x"),
  ("BatchMatMul", "grad_y"),
  ("BatchMatMulV2", "grad_x"),
  ("BatchMatMulV2", "grad_y"),
  # A check of the assigned shape; 1.15 makes it when the graph is built.
  ("AssignVariableOp", "validate_shape"),
}
"""Newer attributes that change no value, whatever they are set to."""

_INT32, _FLOAT, _COMPLEX64 = 3, 1, 8  # DataType
_DEFAULTS = {
  "Tcomplex": {"type": _COMPLEX64},
  "Treal": {"type": _FLOAT},
  "Tsegmentids": {"type": _INT32},
  "Tshape": {"type": _INT32},
  "Tk": {"type": _INT32},
  "index_type": {"type": _INT32},
  "shape_type": {"type": _INT32},
  "axis": {"i": -1},
  "blank_index": {"i": -1},
  "exponential_avg_factor": {"f": 1.0},
  "drop_remainder": {"b": True},
  "reshuffle_each_iteration": {"b": True},
  "use_default_device": {"b": True},
}
"""Defaults of attributes that 2.x has added to ops of 1.15, except for defaults
that are false, 0 or empty. A file lists the defaults of its ops, but not of ops
that occur only in the functions of loops and conditionals."""


def check_known(path, meta):
  """Raises unless all ops of a meta graph, also in functions, are known.

  Args:
    path: the file with the meta graph, for messages.
    meta: a `MetaGraphDef`.

  Raises:
    GraphError: if some are unknown; it names all of them, and the modules that
      register them.
  """
  functions = {f.signature.name for f in meta.graph_def.library.function}
  found = collections.OrderedDict()
  for node, name in repairs.nodes_of(meta.graph_def):
    if node.op not in functions:
      found.setdefault(node.op, []).append(name)
  unknown = [
    (op, names) for op, names in found.items() if compat.op_def(op) is None
  ]
  if not unknown:
    return
  writer = meta.meta_info_def.tensorflow_version
  lines = [
    f"  {op} ({names[0]!r}"
    + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    + f"): {_explain(op, writer)}"
    for op, names in unknown
  ]
  raise errors.GraphError(
    f"{path}{_written_by(writer)} has {len(unknown)} "
    f"{'kind' if len(unknown) == 1 else 'kinds'} of ops that {_installed()} "
    f"does not know:\n" + "\n".join(lines)
  )


def _explain(op, writer):
  """Says how to make an unknown op available."""
  for module, ops in CONTRIB.items():
    if op in ops.split():
      first = f"`{statement(module)}`"
      if compat.IS_TF1:
        return f"of tf.contrib; run {first} before."
      return (
        f"of tf.contrib, which TensorFlow 2 does not have; load the file on "
        f"TensorFlow 1.15 after {first}."
      )
  if op in _REMOVED.split() and not compat.IS_TF1:
    return "TensorFlow 2 has removed it; load the file on TensorFlow 1.15."
  for beginning, module in _PACKAGES:
    if op.startswith(beginning):
      return f"run `import {module}` before."
  own = "of a custom op library: run `tf.load_op_library(path)` before"
  if _version(writer) > compat.VERSION:
    return (
      f"of TensorFlow {writer}, so load the file there or build the graph "
      f"without it; or {own}."
    )
  return f"{own}, with the path of its .so file."


def statement(module):
  """Returns the line of Python that registers the ops of a contrib module.

  Args:
    module: a key of `CONTRIB`.

  Returns:
    A string such as `import tensorflow.contrib.ffmpeg`. That for `framework`
    needs TensorFlow as `tf`.
  """
  if module == "framework":
    return (
      "tf.load_op_library(tf.contrib.framework.__path__[0] + "
      "'/python/ops/_variable_ops.so')"
    )
  return f"import tensorflow.contrib.{module}"


def drop_newer_attributes(path, meta):
  """Drops attributes that this TensorFlow neither knows nor needs.

  Such an attribute has its default in the TensorFlow that wrote it, or changes
  no value. `tf.train.import_meta_graph` drops the former, except in functions.

  Args:
    path: the file with the meta graph, for messages.
    meta: a `MetaGraphDef` whose ops are known; it is changed.

  Returns:
    A dict: `"op.attribute"` → how many nodes it was dropped from; empty if none
    was dropped.

  Raises:
    GraphError: if there are unknown attributes that may not be dropped; it
      names all of them.
  """
  written = {op.name: op for op in meta.meta_info_def.stripped_op_list.op}
  known, dropped, needed = {}, collections.Counter(), collections.OrderedDict()
  for node, name in repairs.nodes_of(meta.graph_def):
    if node.op not in known:
      op_def = compat.op_def(node.op)
      known[node.op] = op_def and {attr.name for attr in op_def.attr}
    if known[node.op] is None:
      continue  # a call of a function
    for key in sorted(node.attr):
      if key[0] == "_" or key in known[node.op]:
        continue
      label = f"{node.op}.{key}"
      if (node.op, key) in _WITHOUT_EFFECT or _is_default(
        node.attr[key], key, written.get(node.op)
      ):
        dropped[label] += 1
        del node.attr[key]
      else:
        needed.setdefault(label, name)
  if needed:
    listed = ", ".join(f"{key} (node {name!r})" for key, name in needed.items())
    raise errors.GraphError(
      f"{path}{_written_by(meta.meta_info_def.tensorflow_version)} "
      f"needs attributes of ops that {_installed()} does not know: {listed}. "
      f"Load it on the TensorFlow that wrote it, or build the graph there "
      f"without what these attributes ask for."
    )
  return dict(dropped)


def _is_default(value, key, op_def):
  """Whether an attribute has the default of the writer's op definition."""
  if op_def is not None:
    for attr in op_def.attr:
      if attr.name == key:
        return attr.HasField("default_value") and attr.default_value == value
  kind = value.WhichOneof("value")
  if kind is None:
    return True
  found = getattr(value, kind)
  if key in _DEFAULTS:
    return _DEFAULTS[key] == {kind: found}
  if kind == "list":
    return not found.ByteSize()
  return kind in ("b", "i", "f", "s") and not found


def _installed():
  return f"TensorFlow {compat.VERSION[0]}.{compat.VERSION[1]}"


def _written_by(writer):
  return f", written by TensorFlow {writer}," if writer else ""


def _version(text):
  """Returns major and minor version, (0, 0) if the text has none."""
  parts = text.split(".")[:2]
  if len(parts) < 2 or not all(part.isdigit() for part in parts):
    return (0, 0)
  return tuple(int(part) for part in parts)
