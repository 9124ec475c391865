"""Ops of random programs: segments, scatters, sorting, sparse and ragged."""

from tangle import compat
from tangle.compat import tf1
from tests.fuzz.tables import KINK, op


def segments(x, name):
  """Reduces `[A, B]` to `[2, B]` over sorted segments."""
  rows = tf1.shape(x)[0]
  ids = tf1.cast(tf1.range(rows) > 0, tf1.int32)
  return getattr(tf1.math, f"segment_{name}")(x, ids)


def unsorted_segments(x, ids, name):
  """Reduces rows to `[2, B]`; what no row has is bounded."""
  reduce = getattr(tf1.math, f"unsorted_segment_{name}")
  return tf1.clip_by_value(reduce(x, ids % 2, 2), -30.0, 30.0)


def sparse_segments(x, name, counted):
  """Reduces chosen rows over sorted segments."""
  last = tf1.shape(x)[0] - 1
  rows, ids = tf1.stack([0, last, last]), [0, 0, 1]
  reduce = getattr(tf1.sparse, f"segment_{name}")
  if counted:
    return reduce(x, rows, ids, num_segments=2)
  return reduce(x, rows, ids)


def sparse(x):
  """Gives the sparse tensor of two diagonals of `[A, B]`, both over 1."""
  rows, columns = [tf1.cast(tf1.shape(x)[k], tf1.int64) for k in (0, 1)]
  places = tf1.stack(
    [
      tf1.stack([tf1.zeros_like(rows), tf1.zeros_like(rows)]),
      tf1.stack([tf1.zeros_like(rows), columns - 1]),
      tf1.stack([rows - 1, columns - 1]),
    ]
  )
  values = tf1.gather_nd(x, places)
  return tf1.SparseTensor(places, values, tf1.stack([rows, columns]))


def sparse_product(x, y):
  """Multiplies a sparse matrix and a dense one."""
  return tf1.sparse.sparse_dense_matmul(sparse(x), y)


def dense(found, x):
  """Gives a sparse tensor as a dense one of the shape of `x`."""
  y = tf1.sparse.to_dense(found, validate_indices=False)
  return tf1.reshape(y, tf1.shape(x))


def sparse_way(x, way):
  """Takes `[A, B]` through an op of sparse tensors and makes it dense."""
  found = sparse(x)
  if way == "softmax":
    found = tf1.sparse.softmax(found)
  elif way == "reorder":
    found = tf1.sparse.reorder(found)
  elif way == "add":
    found = tf1.sparse.add(found, found)
  elif way == "add_dense":
    return tf1.sparse.add(found, tf1.square(x))
  elif way == "reshape":
    rows, columns = tf1.unstack(found.dense_shape)
    found = tf1.sparse.reshape(found, tf1.stack([columns, rows]))
    found = tf1.sparse.transpose(found)
  elif way == "fill":
    value = tf1.reduce_mean(x)
    found = tf1.sparse.fill_empty_rows(found, value)[0]
  elif way == "multiply":
    found = found * tf1.cos(x)
  elif way == "divide":
    found = found / (2.0 + tf1.sin(x))
  elif way == "maximum":
    found = tf1.sparse.maximum(found, found * tf1.sin(x))
    return x * tf1.stop_gradient(tf1.cos(dense(found, x)))
  elif way == "slice":
    found = tf1.sparse.slice(found, [0, 0], found.dense_shape)
  elif way == "concat":
    both = tf1.sparse.concat(1, [found, found])
    y = tf1.sparse.to_dense(both, validate_indices=False)
    return x * tf1.stop_gradient(tf1.cos(y[:, : tf1.shape(x)[1]]))
  return dense(found, x)


def sparse_sum(x):
  """Sums the rows of a sparse tensor."""
  y = tf1.sparse.reduce_sum(sparse(x), 1)
  return tf1.reshape(y, tf1.shape(x)[:1])


def from_places(x):
  """Gives `[A, A]` with values on the diagonal, by the old op for that.

  A placeholder of the values would get no gradient by default.
  """
  x, size = 1.0 * x, tf1.size(x)
  places = tf1.stack([tf1.range(size)] * 2, 1)
  return tf1.sparse_to_dense(places, tf1.stack([size, size]), x)


def updated(x, y, name):
  """Writes rows into a tensor."""
  update = getattr(tf1, f"tensor_scatter_nd_{name}")
  return update(x, [[0]], y[:1])


def ragged(x):
  """Takes rows apart into ragged ones and puts them together."""
  rows = tf1.RaggedTensor.from_tensor(x)
  return (rows * 2.0).to_tensor()


def unique_sum(x, ids):
  """Adds up rows of the same id, and gives each row that sum."""
  _, places, counts = tf1.unique_with_counts(ids)
  total = tf1.math.unsorted_segment_sum(x, places, tf1.size(counts))
  return tf1.gather(total, places)


def counted(ids, x, way):
  """Scales `x` by how often ids come."""
  if way == "bincount":
    found = tf1.math.bincount(tf1.cast(ids % 4, tf1.int32), minlength=4)
  else:
    found = tf1.histogram_fixed_width(tf1.cast(ids, x.dtype), [0.0, 8.0], 4)
  return x * (1.0 + tf1.reduce_max(tf1.cast(found, x.dtype)))


def searched(x, side):
  """Gives places of values among sorted ones."""
  return tf1.searchsorted([-1.0, 0.0, 0.5, 1.0], tf1.cast(x, tf1.float32), side)


def reversed_rows(x):
  """Reverses the beginning of each row of `[B, T, D]`."""
  lengths = tf1.minimum(tf1.range(tf1.shape(x)[0]) + 1, tf1.shape(x)[1])
  return tf1.reverse_sequence(x, lengths, 1, 0)


def permuted(x):
  """Sorts rows by the first column, and gives the ranks of them."""
  order = tf1.argsort(x[:, 0])
  ranks = tf1.cast(tf1.invert_permutation(order), x.dtype)
  return tf1.gather(x, order) * (1.0 + 0.1 * ranks[:, None])


def slice_slope(x):
  """Gives the gradient of a slice, by an op of its own."""
  y = tf1.identity(x)
  return tf1.gradients(y[:, 1:], y, grad_ys=tf1.sin(y[:, 1:]))[0]


def left_out(x):
  """Gathers the rows that a list leaves out, by `setdiff1d`."""
  rows = tf1.range(tf1.shape(x)[0])
  return tf1.gather(x, tf1.setdiff1d(rows, [1]).out)


def largest(x):
  """Gives the largest entry, by `unravel_index`."""
  place = tf1.argmax(tf1.reshape(x, [-1]), output_type=tf1.int32)
  found = tf1.unravel_index([place], tf1.shape(x))
  return tf1.gather_nd(x, tf1.transpose(found))[0]


def _each(prefix, names, takes, code, gives, bound="p", marks=(), when="True"):
  return tuple(
    op(f"{prefix}_{name}", takes, code.replace("NAME", repr(name)), gives,
      bound, marks, when)
    for name in names
  )  # fmt: skip


SEGMENTS = (
  _each("segment", ("sum", "mean"), "f a b", "indices.segments({0}, NAME)",
    "f 2 b", "p * a", (), "a > 1")
  + _each("segment", ("max", "min"), "f a b", "indices.segments({0}, NAME)",
    "f 2 b", "p", KINK, "a > 1")
  + _each("unsorted", ("mean", "sqrt_n"), "f a b, i a",
    "indices.unsorted_segments({0}, {1}, NAME)", "f 2 b", "p * a", KINK)
  + _each("unsorted", ("max", "min", "prod"), "f a b, i a",
    "indices.unsorted_segments({0}, {1}, NAME)", "f 2 b", "30", KINK)
  + _each("sparse_segment", ("sum", "mean", "sqrt_n"), "f a b",
    "indices.sparse_segments({0}, NAME, False)", "f 2 b", "2 * p")
  + _each("counted_segment", ("sum", "mean", "sqrt_n"), "f a b",
    "indices.sparse_segments({0}, NAME, True)", "f 2 b", "2 * p")
)  # fmt: skip

SPARSE = (
  op("sparse_dense", "f a b, f b c", "indices.sparse_product({0}, {1})",
    "f a c", "2 * p * q", when="a > 1 and b > 1"),
  op("sparse_sum", "f a b", "indices.sparse_sum({0})", "f a", "2 * p",
    when="a > 1 and b > 1"),
  op("sparse_to_dense", "f a", "indices.from_places({0})", "f a a"),
) + _each("sparse", ("softmax", "reorder", "add", "add_dense", "reshape",
    "fill", "multiply", "divide", "maximum", "slice", "concat"),
  "f a b", "indices.sparse_way({0}, NAME)", "f a b", "p * p + 2 * p", KINK,
  "a > 1 and b > 1")  # fmt: skip

PLACES = (
  op("updated", "f a b, f c b", "indices.updated({0}, {1}, 'update')", "f a b",
    "p + q"),
  op("added", "f a b, f c b", "indices.updated({0}, {1}, 'add')", "f a b",
    "p + q"),
  op("subtracted", "f a b, f c b", "indices.updated({0}, {1}, 'sub')", "f a b",
    "p + q"),
  op("scattered_on", "f a b, f c b",
    "tf1.raw_ops.ScatterNdNonAliasingAdd(input={0}, indices=[[0]],"
    " updates={1}[:1])", "f a b", "p + q"),
  op("ragged", "f a b", "indices.ragged({0})", "f a b", "2 * p"),
  op("unique_sum", "f a b, i a", "indices.unique_sum({0}, {1})", "f a b",
    "p * a"),
  op("bincount", "i a, f *", "indices.counted({0}, {1}, 'bincount')", "f *",
    "q * (a + 1)"),
  op("histogram", "i a, f *", "indices.counted({0}, {1}, 'histogram')", "f *",
    "q * (a + 1)", "narrow"),
  op("searched_left", "f a b", "tf1.searchsorted(tf1.sort({0}, 1), {0})",
    "int32 a b", "9", KINK),
  op("searched_right", "f a b",
    "tf1.searchsorted(tf1.sort({0}, 1), {0}, 'right')", "int32 a b", "9", KINK),
  op("bucketized", "f *", "tf1.raw_ops.Bucketize(input={0},"
    " boundaries=[-1.0, 0.0, 1.0])", "int32 *", "3", KINK),
  op("sort", "f a b", "tf1.sort({0}, 1)", "f a b", "p", KINK),
  op("argsort", "f a b", "tf1.argsort({0}, 1, 'DESCENDING')", "int32 a b", "9",
    KINK),
  op("argmin", "f a b", "tf1.argmin({0}, 1)", "int64 a", "9", KINK),
  op("nth", "f a b", "tf1.nn.nth_element({0}, 0)"
    if hasattr(tf1.nn, "nth_element")
    else "tf1.raw_ops.NthElement(input={0}, n=0)", "f a", "p", KINK),
  op("reversed_rows", "f a b c", "indices.reversed_rows({0})", "f a b c"),
  op("permuted", "f a b", "indices.permuted({0})", "f a b", "2 * p", KINK),
  op("slice_slope", "f a b", "indices.slice_slope({0})", "f a b", "1", KINK,
    "b > 1"),
  op("left_out", "f a b", "indices.left_out({0})", "f a-1 b", when="a > 1"),
  op("largest", "f a b", "indices.largest({0})", "f", "p", KINK),
  op("raw_gather", "f a b, i c",
    "tf1.raw_ops.Gather(params={0}, indices={1} % {a})", "f c b"),
  op("gather_batch", "f a b c, i a",
    "tf1.gather({0}, tf1.expand_dims({1} % {b}, 1), batch_dims=1)", "f a 1 c"),
  op("pad_value", "f a b",
    "tf1.pad({0}, [[0, 0], [1, 0]], constant_values=0.5)", "f a b+1", "p + 1",
    when="b <= 6"),
  op("mirror_slope", "f a b", "{0} * tf1.gradients(tf1.pad({0}, [[0, 0],"
    " [1, 0]], 'SYMMETRIC'), {0})[0]", "f a b", "2 * p", KINK),
  op("sequence_mask", "f a b, i a",
    "{0} * tf1.cast(tf1.sequence_mask({1} % 3, {b}), {f})", "f a b"),
  op("shape_n", "f *, f *", "{0} * tf1.cast(tf1.size(tf1.shape_n([{0},"
    " {1}])[1]), {f})", "f *", "3 * p"),
  op("parallel_stitch", "f a b", "tf1.raw_ops.ParallelDynamicStitch("
    "indices=[tf1.range(tf1.shape({0})[0])], data=[{0}])", "f a b"),
  op("meshgrid", "f a, f b", "tf1.meshgrid({0}, {1})[0]", "f b a"),
  op("cumsum_back", "f a b", "tf1.math.cumsum({0}, 0, exclusive=True,"
    " reverse=True)", "f a b", "p * a"),
)  # fmt: skip

# What TensorFlow 1.15 does not have, or has no gradient for.
_MODERN = (
  op("maximized", "f a b, f c b", "indices.updated({0}, {1}, 'max')", "f a b",
    "p + q", KINK),
  op("minimized", "f a b, f c b", "indices.updated({0}, {1}, 'min')", "f a b",
    "p + q", KINK),
  op("segment_prod", "f a b", "indices.segments({0}, 'prod')", "f 2 b",
    "p ** a", KINK, "a > 1"),
  op("slice_updated", "f a b", "tf1.raw_ops.TensorStridedSliceUpdate("
    "input={0}, begin=[0], end=[1], strides=[1], value=tf1.sin({0}[:1]))",
    "f a b", "p + 1"),
)  # fmt: skip

OPS = SEGMENTS + SPARSE + PLACES
if not compat.IS_TF1:
  OPS += _MODERN
