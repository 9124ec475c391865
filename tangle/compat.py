"""The only place that imports TensorFlow, and knows which version it is.

Importing this module changes no global setting: eager execution, control flow
version, resource variables and logging stay as the user has them. The rest of
tangle takes `tf1`, the `tf.compat.v1` namespace, from here and nothing else.
"""

import contextlib

import tensorflow as _tf
from tensorflow.core.protobuf import config_pb2 as _config_pb2
from tensorflow.python.framework import function as _function
from tensorflow.python.framework import ops as _ops

# They register the gradients of TensorFlow 2 style conditionals and loops. 1.15
# imports them only when it builds one, though an imported graph may have some.
from tensorflow.python.ops import cond_v2 as _cond_v2
from tensorflow.python.ops import while_v2 as _while_v2
from tensorflow.python.profiler.internal import (
  flops_registry as _flops_registry,  # noqa: F401  (importing it registers)
)
from tensorflow.python.util import deprecation as _deprecation

try:
  from tensorflow.python.ops.handle_data_util import (
    copy_handle_data as _copy_handle_data,
  )
except ImportError:  # 1.15 and early 2.x
  from tensorflow.python.ops.custom_gradient import (
    copy_handle_data as _copy_handle_data,
  )

try:
  from tensorflow.python.util import _pywrap_util_port as _port
except ImportError:  # 1.15
  from tensorflow.python import pywrap_tensorflow as _port

tf1 = _tf.compat.v1

VERSION = tuple(int(part) for part in _tf.__version__.split(".")[:2])
"""Major and minor version of the TensorFlow that is installed."""

IS_TF1 = VERSION[0] == 1
"""Whether this is TensorFlow 1.15 rather than 2.x."""

V1_CONTROL_FLOW = frozenset(
  prefix + kind
  for prefix in ("", "Ref")
  for kind in ("Enter", "Exit", "Switch", "Merge", "NextIteration")
) | {"LoopCond"}
"""Types of the ops that TensorFlow 1 style control flow is made of."""


def onednn_is_on():
  """Whether TensorFlow computes by oneDNN's kernels where it has them.

  It decides at its import, by TF_ENABLE_ONEDNN_OPTS or else by the processor.

  Returns:
    A bool; false for TensorFlow 1.15 from PyPI, which has none.
  """
  return bool(_port.IsMklEnabled())


def in_v1_control_flow(op):
  """Whether `op` lies inside a TensorFlow 1 style `while` or `cond`.

  Such an op runs any number of times, or not at all, within one run of a
  session, so that its outputs have no single value to keep. The contexts of
  XLA and of TPUs, in which a `tf.function(jit_compile=True)` is called, only
  mark ops; they do not count.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  # No public API tells this; the accessor is the same in 1.15 and 2.x.
  context = _loop_or_branch(op._get_control_flow_context())
  if context is not None and op.type in ("Exit", "RefExit"):
    # Its output is outside.
    context = _loop_or_branch(context.outer_context)
  return context is not None


def _loop_or_branch(context):
  """Returns the innermost loop or conditional that `context` is or lies in."""
  while context is not None:
    if context.IsWhileContext() or context.IsCondContext():
      return context
    context = context.outer_context
  return None


def share_handle_data(tensor, copy):
  """Tells what lists or variables the copy of a tensor is a handle of.

  Gradients of loops make zeros for it. No GraphDef knows it on 1.15.

  Args:
    tensor: a tensor of any shape.
    copy: its copy, in the same graph.
  """
  if tensor.dtype in (tf1.resource, tf1.variant):
    _copy_handle_data(tensor, copy)


@contextlib.contextmanager
def control_flow(v2):
  """Builds loops and conditionals in one style while it is open.

  It is a setting of the process, and put back at the end.

  Args:
    v2: whether in that of TensorFlow 2.
  """
  before = tf1.control_flow_v2_enabled()
  if before == v2:
    yield
    return
  use = {True: tf1.enable_control_flow_v2, False: tf1.disable_control_flow_v2}
  use[v2]()
  try:
    yield
  finally:
    use[before]()


def control_flow_of(ops):
  """Uses the style of control flow that `ops` were made in, while it is open.

  The gradient of a TensorFlow 1 style tensor array, of `dynamic_rnn` for one,
  cannot be made while TensorFlow 2 style control flow is enabled, as it is by
  default on 2.x: a graph from a file would have none.

  Args:
    ops: a sequence of ops.

  Returns:
    A context manager.
  """
  has_array = any(
    op.type.startswith("TensorArray") and op.type.endswith("V3") for op in ops
  )
  return control_flow(tf1.control_flow_v2_enabled() and not has_array)


def keep_function_graphs(ops):
  """Lets a second gradient of a loop find what the first has added to it.

  TensorFlow 2 keeps the functions of loops and conditionals that Python has
  built with their ops. Those of imported ops it makes anew for each gradient,
  which gives the op still more outputs, so that a session that knows the op
  refuses the graph. 1.15 keeps none, and needs none.

  Args:
    ops: a sequence of ops, of which loops and conditionals matter.
  """
  for op in [] if IS_TF1 else ops:
    if op.type in ("While", "StatelessWhile"):
      found = {
        f"_{name}_graph": _while_v2._get_graph(op, name, f"_{name}_graph")
        for name in ("cond", "body")
      }
    elif op.type in ("If", "StatelessIf"):
      names = "_true_graph", "_false_graph"
      found = dict(zip(names, _cond_v2.get_func_graphs(op)))
    elif op.type in ("Case", "StatelessCase"):
      graphs = _cond_v2.get_func_graphs(op)
      found = {f"_branch_graph_{k}": graph for k, graph in enumerate(graphs)}
    else:
      continue
    for name, graph in found.items():
      if not hasattr(op, name):
        setattr(op, name, graph)
        keep_function_graphs(graph.get_operations())


def is_ref(tensor):
  """Whether `tensor` is a reference, as reference variables give.

  Args:
    tensor: a `tf.Tensor` of any shape.

  Returns:
    A bool.
  """
  return tensor.dtype != tensor.dtype.base_dtype


def is_differentiable(dtype):
  """Whether a tensor of `dtype` can have a gradient.

  Args:
    dtype: a `tf.DType`.

  Returns:
    A bool: true for floating and complex types.
  """
  base = dtype.base_dtype
  return base.is_floating or base.is_complex


def is_resource_variable(variable):
  """Whether `variable` is a resource variable, not a reference variable.

  Args:
    variable: a `tf.Variable`.

  Returns:
    A bool.
  """
  return variable.op.type != "VariableV2" and variable.op.type != "Variable"


def is_indexed_slices(value):
  """Whether `value` is a sparse gradient, a `tf.IndexedSlices`.

  Args:
    value: anything.

  Returns:
    A bool.
  """
  return isinstance(value, tf1.IndexedSlices)


def update_input(op, index, tensor):
  """Lets an op that has not run yet read another tensor.

  No public API does that. The method is the same in 1.15 and 2.x.

  Args:
    op: a `tf.Operation`.
    index: which of its inputs.
    tensor: a tensor of the same graph and dtype.
  """
  op._update_input(index, tensor)


def is_plain(sess):
  """Whether `sess` is an open local session, in nobody's wrapping.

  Args:
    sess: a session, or what has its methods.

  Returns:
    A bool: false for a monitored session, one whose `run` a debugger or a test
    has replaced, one of a cluster, and one that is closed.
  """
  return (
    isinstance(sess, tf1.Session)
    and type(sess).run is tf1.Session.run
    and "run" not in vars(sess)
    and not sess.sess_str
    and not sess._closed
  )


def make_callable(sess, feeds, fetches, targets):
  """Prepares a run of a session, so that it needs no Python work per tensor.

  `Session.run` looks up, checks and converts every feed and fetch each time,
  which costs several times what the runtime needs to start a small step. No
  public API does that once: `Session.make_callable` goes through `run` as soon
  as something is fed.

  Args:
    sess: a session that `is_plain`.
    feeds: tensors of any shapes, to be fed in this order.
    fetches: tensors of any shapes.
    targets: ops that are run for their effect.

  Returns:
    A function from arrays, of the dtypes of `feeds`, to a list of arrays.
  """
  options = _config_pb2.CallableOptions(
    feed=[tensor.name for tensor in feeds],
    fetch=[tensor.name for tensor in fetches],
    target=[op.name for op in targets],
  )
  prepared = sess._make_callable_from_options(options)

  def call(*arrays):
    # Adds to an error's message where its op was made, as `run` does.
    return sess._do_call(prepared, *arrays)

  return call


def group_by_window(dataset, key, reduce, size):
  """Gathers elements by key, and gives each full window to `reduce`.

  Windows that are not full are given, too, when the dataset ends. 1.15 has
  this as a transformation only, which 2.x warns of.

  Args:
    dataset: a `tf.data.Dataset`.
    key: a function from an element to a scalar int64.
    reduce: a function from a key and a dataset of the window to a dataset.
    size: a function from a key to how many elements a full window has, a
      scalar int64.

  Returns:
    A `tf.data.Dataset`: the datasets that `reduce` gives, one after another.
  """
  if IS_TF1:
    group = tf1.data.experimental.group_by_window
    return dataset.apply(group(key, reduce, window_size_func=size))
  return dataset.group_by_window(key, reduce, window_size_func=size)


def dataset_from_generator(function, dtypes, shapes):
  """Makes a dataset of what a generator function yields.

  2.x warns of the arguments that 1.15 takes.

  Args:
    function: a function without arguments that returns an iterable of nests.
    dtypes: nest of `tf.DType`s.
    shapes: nest of `tf.TensorShape`s, one for each dtype.

  Returns:
    A `tf.data.Dataset`.
  """
  if IS_TF1:
    return tf1.data.Dataset.from_generator(function, dtypes, shapes)
  signature = tf1.nest.map_structure(
    lambda dtype, shape: _tf.TensorSpec(shape, dtype), dtypes, shapes
  )
  return tf1.data.Dataset.from_generator(function, output_signature=signature)


def defun(*types, **options):
  """Returns the decorator by which TensorFlow 1 graphs define functions.

  Args:
    *types: dtypes of the arguments.
    **options: as `Defun` takes them.

  Returns:
    A decorator. It has no public name, and is the same in 1.15 and 2.x.
  """
  return _function.Defun(*types, **options)


def is_call(op):
  """Whether `op` is a call of a function, of a `Defun` or a `tf.function`.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  # No public API tells this; the accessor is the same in 1.15 and 2.x.
  kinds = ("PartitionedCall", "StatefulPartitionedCall")
  return op.type in kinds or op.graph._is_function(op.type)


def flops_of(graph, node):
  """Returns how many floating-point operations the profiler counts of a node.

  Args:
    graph: a `tf.Graph`, or what has its `get_tensor_by_name` for shapes.
    node: a `NodeDef`.

  Returns:
    A number; `None` if TensorFlow counts no ops of this type.
  """
  with _deprecation.silence():  # it warns of a function that it calls itself
    try:
      return _ops.get_stats_for_node_def(graph, node, "flops").value
    except (AssertionError, IndexError, TypeError, ValueError):
      return 0  # the shapes do not fit


def op_def(kind):
  """Returns the definition of the ops of a type that TensorFlow knows.

  Args:
    kind: the type, a string.

  Returns:
    An `OpDef`, `None` if no op of this type is registered.
  """
  graph = tf1.Graph()
  # No public API tells this.
  find = graph._get_op_def if IS_TF1 else graph.op_def_for_type
  try:
    return find(kind)
  except (RuntimeError, tf1.errors.NotFoundError):
    return None
