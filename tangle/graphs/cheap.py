"""Lists the op types that are cheap to recompute, and estimates run times.

An op is cheap here if it is deterministic and its work is linear in the size
of its inputs and outputs: an element-wise op, a reduction, a normalization, or
a move of data. Matrix products, convolutions, sorts, loops and calls are not
cheap, and unknown op types are not.
"""

import numpy as np

_ELEMENTWISE = """
Abs Acos Acosh Add AddN AddV2 ApproximateEqual Asin Asinh Atan Atan2 Atanh
BesselI0e BesselI1e BiasAdd BiasAddV1 BitwiseAnd BitwiseOr BitwiseXor Bitcast
Cast Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Digamma Div DivNoNan Elu
Equal Erf Erfc Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Imag Angle
Inv Invert IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual Lgamma Log
Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Neg
NextAfter NotEqual Polygamma Pow Real RealDiv Reciprocal Relu Relu6 RightShift
Rint Round Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Sinh Softplus Softsign
Sqrt Square SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy
Xlog1py Zeta
EluGrad LeakyReluGrad Relu6Grad ReluGrad RsqrtGrad SeluGrad SigmoidGrad
SoftplusGrad SoftsignGrad SqrtGrad TanhGrad InvGrad ReciprocalGrad
"""

_MOVES = """
BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo
Concat ConcatOffset ConcatV2 DepthToSpace Diag DiagPart EnsureShape ExpandDims
ExtractImagePatches Fill Gather GatherNd GatherV2 Identity IdentityN
InvertPermutation LinSpace MatrixBandPart MatrixDiag MatrixDiagPart
MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag
MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad OneHot OnesLike Pack Pad PadV2
ParallelConcat PreventGradient Range Rank Reshape Reverse ReverseSequence
ReverseV2 Roll Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth
Split SplitV Squeeze StopGradient StridedSlice Tile Transpose Unpack ZerosLike
"""

_LINEAR = """
All Any ArgMax ArgMin EuclideanNorm FusedBatchNorm FusedBatchNormV2
FusedBatchNormV3 L2Loss LogSoftmax Max Mean Min Prod Softmax Sum
"""

TYPES = frozenset((_ELEMENTWISE + _MOVES + _LINEAR).split())
"""Types of the ops that are cheap."""

_PRODUCTS = frozenset(
  ["MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"]
)
_CONVOLUTIONS = frozenset(["Conv2D", "Conv3D", "DepthwiseConv2dNative"])
_SLOW_TYPES = """
Elu Erf Erfc Exp Expm1 FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Log
Log1p LogSoftmax Pow Selu Sigmoid Sin Cos Softmax Softplus Tanh
"""
_SLOW = frozenset(_SLOW_TYPES.split())
_VIEWS = frozenset(
  ["ExpandDims", "Identity", "Reshape", "Squeeze", "StopGradient"]
)

# For a present-day core; only the ratios matter.
_OP_NS = 2000.0
_BYTES_A_NS = 4.0
_SLOW_BYTES_A_NS = 1.5
_FLOPS_A_NS = 40.0


def is_cheap(op):
  """Whether rerunning `op` costs about as much as reading its inputs.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool: whether its type is one of `TYPES`.
  """
  return op.type in TYPES


def cost(op, bytes_of):
  """Estimates how long a run of `op` takes, to compare ops.

  Args:
    op: a `tf.Operation`.
    bytes_of: a function from tensor to its size in bytes.

  Returns:
    A float, in nanoseconds of one core.
  """
  if op.type in _VIEWS:
    return _OP_NS
  reads = [float(bytes_of(tensor)) for tensor in op.inputs]
  gives = sum(float(bytes_of(tensor)) for tensor in op.outputs)
  if op.type in _PRODUCTS and len(reads) == 2:
    width = op.outputs[0].dtype.size
    shape = op.outputs[0].shape
    known = shape.as_list()[:-2] if shape.ndims else []
    batch = np.prod([size or 1 for size in known], initial=1.0)
    # (m k) (k n) (m n) = (m k n)^2
    elements = reads[0] * reads[1] * gives / width**3
    return _OP_NS + 2 * np.sqrt(elements / max(batch, 1.0)) / _FLOPS_A_NS
  if op.type in _CONVOLUTIONS and len(reads) == 2:
    shape = op.inputs[1].shape
    per = shape.num_elements() or 1
    if op.type != "DepthwiseConv2dNative":
      per /= (shape.as_list()[-1] if shape.ndims else 1) or 1
    elements = gives / op.outputs[0].dtype.size
    return _OP_NS + 2 * per * elements / _FLOPS_A_NS
  rate = _SLOW_BYTES_A_NS if op.type in _SLOW else _BYTES_A_NS
  return _OP_NS + max(sum(reads), gives) / rate
