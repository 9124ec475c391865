"""Sums of float16 and bfloat16 numbers, computed in float32.

TensorFlow's CPU kernels add half-precision numbers one by one, in half
precision. A sum then stops growing: at 2,048 terms in float16 and at 256 in
bfloat16, if the terms are equal. Which kernels do so differs between versions,
see `docs/surprises.md`. The gradients of broadcast tensors, of biases and of
embedding tables are such sums.

For float32 and float64, each function here is TensorFlow's own.
"""

from tangle import compat
from tangle.compat import tf1


def is_half(dtype):
  """Whether a type is float16 or bfloat16.

  Args:
    dtype: a `tf.DType`.

  Returns:
    A bool.
  """
  return dtype.base_dtype in (tf1.float16, tf1.bfloat16)


def widen(x):
  """Casts half precision to float32.

  Args:
    x: a tensor or an `IndexedSlices` of a float type.

  Returns:
    The tensor or slices in float32; `x` itself if it is not half precision.
  """
  return tf1.cast(x, tf1.float32) if is_half(x.dtype) else x


def in_float32(function, *tensors):
  """Applies a function, in float32 if the tensors are in half precision.

  The gradients of the tensors are also summed in float32, and rounded at the
  end.

  Args:
    function: from tensors to a tensor.
    *tensors: all of one float type.

  Returns:
    A tensor of their type.
  """
  dtype = tensors[0].dtype
  if not is_half(dtype):
    return function(*tensors)
  return tf1.cast(function(*map(widen, tensors)), dtype.base_dtype)


def reduce_sum(x, axis=None):
  """Sums a tensor, as `tf.reduce_sum` does.

  Args:
    x: a float tensor.
    axis: the dimension or dimensions to sum over, an int or a list; None for
      all.

  Returns:
    A tensor of the type of `x`.
  """
  return in_float32(lambda x: tf1.reduce_sum(x, axis), x)


def add_bias(x, bias):
  """Adds a bias to the last dimension.

  Args:
    x: `[..., U]`.
    bias: `[U]`.

  Returns:
    `[..., U]`.
  """
  # For float16, the gradient of `BiasAdd` is already a sum in float32.
  if x.dtype == tf1.bfloat16:
    return in_float32(tf1.nn.bias_add, x, bias)
  return tf1.nn.bias_add(x, bias)


def look_up(table, ids, function=tf1.gather):
  """Looks up rows of a table.

  Args:
    table: `[V, D]`, a tensor or a variable.
    ids: a tensor `[...]`, int32 or int64. They are not checked: what an id out
      of range gives is up to `function`.
    function: from table and ids to rows, such as `tf.nn.embedding_lookup`. In
      half precision it is called with the distinct ids, a vector.

  Returns:
    `[..., D]`, of the dtype of `table`.

  Gradients:
    The gradient of the table is a `tf.IndexedSlices`, with one slice per id; in
    half precision one per distinct id, since optimizers sum slices in half
    precision.
  """
  if not is_half(table.dtype):
    return function(table, ids)
  rows, places = tf1.unique(tf1.reshape(ids, [-1]))
  vectors = tf1.cast(function(table, rows), tf1.float32)
  # The gradient of a reshape is dense; that of a gather may be sparse.
  vectors = tf1.reshape(vectors, tf1.shape(vectors))
  found = tf1.gather(vectors, tf1.reshape(places, tf1.shape(ids)))
  found.set_shape(ids.shape.concatenate(table.shape[1:]))
  return tf1.cast(found, table.dtype.base_dtype)


def densify(gradient):
  """Makes a gradient dense; slices of the same row are summed.

  Args:
    gradient: a tensor or an `IndexedSlices`.

  Returns:
    A tensor.
  """
  if not compat.is_indexed_slices(gradient):
    return gradient
  return in_float32(tf1.convert_to_tensor, gradient)


def global_norm(gradients):
  """Returns the norm of all gradients taken together.

  Args:
    gradients: tensors, `IndexedSlices` or `None`, which is left out.

  Returns:
    A scalar; float32 if gradients are in half precision.
  """
  return tf1.global_norm([g if g is None else widen(g) for g in gradients])


def clip_by_global_norm(gradients, clip_norm, use_norm=None):
  """Scales gradients down to a global norm, as TensorFlow's function does.

  Args:
    gradients: tensors, `IndexedSlices` or `None`.
    clip_norm: the largest norm, a number or a scalar tensor.
    use_norm: the result of `global_norm`; None to compute it.

  Returns:
    A list of gradients in the order given, each of its type and `None` where
    `None` was given, and the norm before clipping, float32 if gradients are in
    half precision.
  """
  wide = [g if g is None else widen(g) for g in gradients]
  clipped, norm = tf1.clip_by_global_norm(wide, clip_norm, use_norm)
  clipped = [
    new if old is None or new.dtype == old.dtype else tf1.cast(new, old.dtype)
    for old, new in zip(gradients, clipped)
  ]
  return clipped, norm
