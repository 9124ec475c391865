"""The only module that imports TensorFlow and depends on its version.

Importing this module changes no global setting: eager execution, control flow
version, resource variables and logging stay as the user has them. The rest of
tangle takes `tf1`, the `tf.compat.v1` namespace, from here and nothing else.
"""

import contextlib

import tensorflow as _tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.protobuf import config_pb2 as _config_pb2
from tensorflow.python.framework import function as _function
from tensorflow.python.framework import ops as _ops

# These register the gradients of TensorFlow 2 style conditionals and loops, for
# imported graphs: 1.15 imports these modules only when it builds such an op.
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

VERSION = tuple(int(part) for part in _tf.__version__.split(".")[:2])
"""Major and minor version of the TensorFlow that is installed."""

IS_TF1 = VERSION[0] == 1
"""Whether this is TensorFlow 1.15 rather than 2.x."""

Variable = _tf.Variable
"""The class of all variables; on 2.x not all of them are a `tf1.Variable`."""

V1_CONTROL_FLOW = frozenset(
  prefix + kind
  for prefix in ("", "Ref")
  for kind in ("Enter", "Exit", "Switch", "Merge", "NextIteration")
) | {"LoopCond"}
"""Types of the ops that TensorFlow 1 style control flow is made of."""


def onednn_is_on():
  """Whether TensorFlow uses oneDNN's kernels where oneDNN has one.

  TensorFlow decides when it is imported, by the variable TF_ENABLE_ONEDNN_OPTS
  or else by the processor.

  Returns:
    A bool; false for TensorFlow 1.15 from PyPI, which is built without oneDNN.
  """
  return bool(_port.IsMklEnabled())


def in_v1_control_flow(op):
  """Whether `op` lies inside a TensorFlow 1 style `while` or `cond`.

  Such an op runs any number of times, or not at all, within one run of a
  session, so that its outputs have no single value to keep. The control flow
  contexts of XLA and of TPUs, in which a `tf.function(jit_compile=True)` is
  called, only mark ops; they are ignored.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  # There is no public API; the accessor is the same in 1.15 and 2.x.
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
  """Copies the handle data of a resource or variant; else does nothing.

  These are shapes and dtypes of the lists or variables that a handle refers to.
  Gradients of loops read them to make zeros. A GraphDef of 1.15 lacks them.

  Args:
    tensor: a tensor of any shape.
    copy: its copy, in the same graph.
  """
  if tensor.dtype in (tf1.resource, tf1.variant):
    _copy_handle_data(tensor, copy)


@contextlib.contextmanager
def control_flow(v2):
  """Within this context, loops and conditionals are built in one style.

  This changes a setting of the process and restores it at the end.

  Args:
    v2: whether to use the style of TensorFlow 2; else that of TensorFlow 1.
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
  """Within this context, control flow has the style in which `ops` were made.

  The gradient of a TensorFlow 1 style tensor array, such as one of
  `dynamic_rnn`, cannot be made while TensorFlow 2 style control flow is
  enabled. That is the default on 2.x, so a graph from a file could not be
  differentiated there.

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
  """Stores the function graphs of loops and conditionals on their ops.

  TensorFlow 2 stores these function graphs on ops that Python has built. For
  imported ops it makes them again at each gradient, and a second gradient of
  the op then adds outputs to it once more, so that a session that has run the
  op refuses the graph. On 1.15 this is a no-op, as it needs none of this.

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
  """Whether `tensor` has a reference dtype, as reference variables have.

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
  """Replaces an input of a new op.

  There is no public API for this. The method is the same in 1.15 and 2.x.

  Args:
    op: a `tf.Operation` that was added to the graph after its last run; a
      session ignores the change for an older op.
    index: which of its inputs.
    tensor: a tensor of the same graph and dtype.
  """
  op._update_input(index, tensor)


def is_plain(sess):
  """Whether `sess` is an open local `tf.Session` that nothing wraps.

  Args:
    sess: a session, or an object with the same methods.

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
  which takes several times as long as the runtime needs to start a small step.
  No public API does that only once: `Session.make_callable` calls `run` if
  there are feeds.

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
    # Like `run`, this adds to an error message where the op was made.
    return sess._do_call(prepared, *arrays)

  return call


def group_by_window(dataset, key, reduce, size):
  """Gathers elements by key, and passes each full window to `reduce`.

  When the dataset ends, windows that are not full are passed too. 1.15 has this
  only as a transformation, for which 2.x gives a deprecation warning.

  Args:
    dataset: a `tf.data.Dataset`.
    key: a function from an element to a scalar int64.
    reduce: a function from a key and a dataset of the window to a dataset.
    size: a function from a key to the number of elements of a full window, a
      scalar int64.

  Returns:
    A `tf.data.Dataset`: the datasets that `reduce` returns, concatenated.
  """
  if IS_TF1:
    group = tf1.data.experimental.group_by_window
    return dataset.apply(group(key, reduce, window_size_func=size))
  return dataset.group_by_window(key, reduce, window_size_func=size)


def dataset_from_generator(function, dtypes, shapes):
  """Makes a dataset of the elements that a generator function yields.

  For the arguments that 1.15 takes, 2.x gives a deprecation warning.

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
  """Returns the decorator `Defun`, which defines functions; it is not public.

  Args:
    *types: dtypes of the arguments.
    **options: as `Defun` takes them.

  Returns:
    A decorator.
  """
  return _function.Defun(*types, **options)


def is_call(op):
  """Whether `op` calls a function, a `Defun` or a `tf.function`.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  # There is no public API; the accessor is the same in 1.15 and 2.x.
  kinds = ("PartitionedCall", "StatefulPartitionedCall")
  return op.type in kinds or op.graph._is_function(op.type)


def flops_of(graph, node):
  """Returns how many floating-point operations the profiler counts of a node.

  Args:
    graph: a `tf.Graph`, or an object with its `get_tensor_by_name`, which is
      called for shapes.
    node: a `NodeDef`.

  Returns:
    A number, 0 if the shapes do not fit; `None` if this type is not counted.
  """
  with _deprecation.silence():  # TensorFlow warns of its own call in here
    try:
      return _ops.get_stats_for_node_def(graph, node, "flops").value
    except (AssertionError, IndexError, TypeError, ValueError):
      return 0  # the shapes do not fit


def op_def(kind):
  """Returns the definition of a registered type of ops.

  Args:
    kind: the type, a string.

  Returns:
    An `OpDef`, `None` if no op of this type is registered.
  """
  graph = tf1.Graph()
  find = graph._get_op_def if IS_TF1 else graph.op_def_for_type  # not public
  try:
    return find(kind)
  except (RuntimeError, tf1.errors.NotFoundError):
    return None
