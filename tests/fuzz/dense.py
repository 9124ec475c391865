"""Ops of random programs that compute with and move dense tensors."""

from tests.fuzz import tables

ELEMENTWISE = (
  tables.unary("tf1.tanh({0})", "1"),
  tables.unary("tf1.sin({0})", "1"),
  tables.unary("tf1.cos({0})", "1"),
  tables.unary("tf1.sigmoid({0})", "1"),
  tables.unary("tf1.nn.softplus({0})", "p + 1"),
  tables.unary("tf1.nn.softsign({0})", "1"),
  tables.unary("tf1.exp({0})", "math.exp(p)", when="p < 3"),
  tables.unary("tf1.math.expm1({0})", "math.exp(p)", when="p < 3"),
  tables.unary("tf1.sinh({0})", "math.exp(p)", when="p < 3"),
  tables.unary("tf1.cosh({0})", "math.exp(p)", when="p < 3"),
  tables.unary("tf1.square({0})", "p * p"),
  tables.unary("tf1.math.log1p(tf1.square({0}))", "p"),
  tables.unary("tf1.log(1.5 + tf1.square({0}))", "p + 1"),
  tables.unary("tf1.sqrt(1.0 + tf1.square({0}))", "p + 1"),
  tables.unary("tf1.math.rsqrt(1.0 + tf1.square({0}))", "1"),
  tables.unary("tf1.math.reciprocal(1.0 + tf1.square({0}))", "1"),
  tables.unary("tf1.math.lgamma(1.5 + tf1.square({0}))", "p * p", when="p < 4"),
  tables.unary("tf1.math.digamma(1.5 + tf1.square({0}))", "p + 1"),
  tables.unary("tf1.erf({0})", "1"),
  tables.unary("tf1.atan({0})", "2"),
  tables.unary("tf1.asin(0.9 * tf1.tanh({0}))", "2"),
  tables.unary("tf1.asinh({0})"),
  tables.unary("tf1.nn.elu({0})", "p + 1", tables.KINK),
  tables.unary("tf1.nn.selu({0})", "2 * p + 1", tables.KINK),
  tables.unary("tf1.nn.relu({0})", "p", tables.KINK),
  tables.unary("tf1.nn.relu6({0})", "p", tables.KINK),
  tables.unary("tf1.nn.leaky_relu({0})", "p", tables.KINK),
  tables.unary("tf1.abs({0})", "p", tables.KINK),
  tables.unary("tf1.sign({0})", "1", tables.KINK),
  tables.unary("tf1.floor({0})", "p + 1", tables.KINK),
  tables.unary("tf1.round({0})", "p + 1", tables.KINK),
  tables.unary("tf1.clip_by_value({0}, -1.0, 1.0)", "1", tables.KINK),
  tables.unary("tf1.negative({0})"),
  tables.unary("tf1.identity({0})"),
  tables.unary("tf1.stop_gradient({0})", "p", tables.KINK),
  tables.unary("tf1.check_numerics({0}, 'x')"),
  tables.unary("tf1.add_n([{0}, {0}])", "2 * p"),
  tables.unary("tf1.identity_n([{0}, 2.0 * {0}])[1]", "2 * p"),
  tables.op("scale", "f *", "0.5 * {0} - 0.25", "f *", "p + 1"),
  tables.op("divide", "f *", "1.0 / (1.0 + {0} * {0})", "f *", "1"),
  tables.op("power", "f *", "(1.2 + tf1.sin({0})) ** 1.5", "f *", "4"),
  tables.op("add", "f *, f *", "{0} + {1}", "f *", "p + q"),
  tables.op("subtract", "f *, f *", "{0} - {1}", "f *", "p + q"),
  tables.op("multiply", "f *, f *", "{0} * {1}", "f *", "p * q"),
  tables.op("quotient", "f *, f *", "{0} / (2.0 + tf1.sin({1}))", "f *"),
  tables.op(
    "maximum", "f *, f *", "tf1.maximum({0}, {1})", "f *", "p + q", tables.KINK
  ),
  tables.op(
    "minimum", "f *, f *", "tf1.minimum({0}, {1})", "f *", "p + q", tables.KINK
  ),
  tables.op(
    "mod",
    "f *, f *",
    "tf1.floormod({0}, 2.0 + {1} * {1})",
    "f *",
    "p",
    tables.KINK,
  ),
  tables.op(
    "squared_difference",
    "f *, f *",
    "tf1.squared_difference({0}, {1})",
    "f *",
    "(p + q) ** 2",
  ),
  tables.op("atan2", "f *, f *", "tf1.atan2({0}, 1.0 + {1} * {1})", "f *", "2"),
  tables.op(
    "pow", "f *, f *", "tf1.pow(1.5 + tf1.sin({0}), {1})", "f *", "2.5 ** q"
  ),
  tables.op(
    "div_no_nan",
    "f *, f *",
    "tf1.math.divide_no_nan({0}, 1.0 + tf1.square({1}))",
    "f *",
  ),
  tables.op(
    "add_n", "f *, f *, f *", "tf1.add_n([{0}, {1}, {2}])", "f *", "p + q + r"
  ),
  tables.op("times_scalar", "f *, f", "{0} * {1}", "f *", "p * q"),
  tables.op("plus_row", "f a b, f b", "{0} + {1}", "f a b", "p + q"),
  tables.op("times_row", "f a b, f b", "{0} * {1}", "f a b", "p * q"),
  tables.op(
    "bias_add", "f a b, f b", "tf1.nn.bias_add({0}, {1})", "f a b", "p + q"
  ),
  tables.op(
    "times_column",
    "f a b, f a",
    "{0} * tf1.expand_dims({1}, -1)",
    "f a b",
    "p * q",
  ),
  tables.op("outer", "f a, f b", "{0}[:, None] * {1}", "f a b", "p * q"),
)

REDUCTIONS = (
  tables.op("sum", "f * a", "tf1.reduce_sum({0}, axis=-1)", "f *", "p * a"),
  tables.op(
    "sum_first", "f a b", "tf1.reduce_sum({0}, axis=0)", "f b", "p * a"
  ),
  tables.op("sum_all", "f *", "tf1.reduce_sum({0})", "f", "p * 8"),
  tables.op("mean", "f * a", "tf1.reduce_mean({0}, axis=-1)", "f *"),
  tables.op("mean_all", "f *", "tf1.reduce_mean({0})", "f"),
  tables.op(
    "mean_kept", "f * a", "tf1.reduce_mean({0}, -1, keepdims=True)", "f * 1"
  ),
  tables.op(
    "max", "f * a", "tf1.reduce_max({0}, axis=-1)", "f *", "p", tables.KINK
  ),
  tables.op(
    "min", "f a b", "tf1.reduce_min({0}, axis=0)", "f b", "p", tables.KINK
  ),
  tables.op("prod", "f * a", "tf1.reduce_prod({0}, axis=-1)", "f *", "p ** a"),
  tables.op(
    "logsumexp", "f * a", "tf1.reduce_logsumexp({0}, -1)", "f *", "p + 2"
  ),
  tables.op("l2_loss", "f *", "tf1.nn.l2_loss({0})", "f", "4 * p * p"),
  tables.op(
    "norm",
    "f * a",
    "tf1.norm({0} + 3.0, axis=-1)",
    "f *",
    "2 * p + 9",
    tables.KINK,
  ),
  tables.op(
    "moments", "f a b", "tf1.nn.moments({0}, [0])", "f b, f b", "p * p + p"
  ),
  tables.op("cumsum", "f * a", "tf1.cumsum({0}, axis=-1)", "f * a", "p * a"),
  tables.op("cumprod", "f a b", "tf1.cumprod({0}, axis=1)", "f a b", "p ** b"),
  tables.op("softmax", "f a b", "tf1.nn.softmax({0})", "f a b", "1"),
  tables.op(
    "log_softmax", "f a b", "tf1.nn.log_softmax({0})", "f a b", "2 * p + 2"
  ),
  tables.op(
    "l2_normalize",
    "f a b",
    "tf1.nn.l2_normalize({0} + 2.0, 1)",
    "f a b",
    "1",
    tables.KINK,
  ),
  tables.op(
    "cross_entropy",
    "f a b, f a b",
    "tf1.nn.softmax_cross_entropy_with_logits_v2("
    "labels=tf1.stop_gradient(tf1.nn.softmax({1})), logits={0})",
    "f a",
    "2 * p + 3",
    tables.KINK,
  ),
  tables.op(
    "sparse_cross_entropy",
    "f a b, i a",
    "tf1.nn.sparse_softmax_cross_entropy_with_logits("
    "labels=tf1.floormod({1}, {b}), logits={0})",
    "f a",
    "2 * p + 3",
  ),
  tables.op(
    "sigmoid_cross_entropy",
    "f *, f *",
    "tf1.nn.sigmoid_cross_entropy_with_logits("
    "labels=tf1.sigmoid({1}), logits={0})",
    "f *",
    "p + 1",
  ),
)

PRODUCTS = (
  tables.op(
    "matmul", "f a b, f b c", "tf1.matmul({0}, {1})", "f a c", "p * q * b"
  ),
  tables.op(
    "matmul_transposed",
    "f a b, f c b",
    "tf1.matmul({0}, {1}, transpose_b=True)",
    "f a c",
    "p * q * b",
  ),
  tables.op(
    "batch_matmul",
    "f a b c, f a c d",
    "tf1.matmul({0}, {1})",
    "f a b d",
    "p * q * c",
  ),
  tables.op(
    "einsum",
    "f a b c, f c d",
    "tf1.einsum('abc,cd->abd', {0}, {1})",
    "f a b d",
    "p * q * c",
  ),
  tables.op(
    "tensordot",
    "f a b c, f c d",
    "tf1.tensordot({0}, {1}, 1)",
    "f a b d",
    "p * q * c",
  ),
  tables.op(
    "gram",
    "f a b",
    "tf1.matmul({0}, {0}, transpose_a=True)",
    "f b b",
    "p * p * a",
  ),
  tables.op(
    "inverse",
    "f a b",
    "tf1.linalg.inv(tf1.matmul({0}, {0}, transpose_a=True)"
    " + 2.0 * tf1.eye({b}, dtype={f}))",
    "f b b",
    "1",
  ),
  tables.op(
    "cholesky",
    "f a b",
    "tf1.linalg.cholesky(tf1.matmul({0}, {0}, transpose_a=True)"
    " + 2.0 * tf1.eye({b}, dtype={f}))",
    "f b b",
    "2 * p + 2",
  ),
  tables.op(
    "convolution",
    "f a b c",
    "pieces.convolution({0}, {c}, {seed})",
    "f a b 2",
    "3 * p",
  ),
)

MOVES = (
  tables.op("transpose", "f a b", "tf1.transpose({0})", "f b a"),
  tables.op("permute", "f a b c", "tf1.transpose({0}, [0, 2, 1])", "f a c b"),
  tables.op(
    "flatten", "f a b", "tf1.reshape({0}, [-1])", "f a*b", when="a * b <= 12"
  ),
  tables.op(
    "reshape_like",
    "f a b",
    "tf1.reshape({0} * 1.0, tf1.reverse(tf1.shape({0}), [0]))",
    "f b a",
  ),
  tables.op("halve", "f a 4", "tf1.reshape({0}, [-1, 2, 2])", "f a 2 2"),
  tables.op("merge", "f a 2 2", "tf1.reshape({0}, [-1, 4])", "f a 4"),
  tables.op("expand", "f a b", "tf1.expand_dims({0}, 1)", "f a 1 b"),
  tables.op("squeeze", "f a b", "tf1.squeeze({0}[:, None], 1)", "f a b"),
  tables.op("tile", "f a b", "tf1.tile({0}, [1, 2])", "f a 2*b", when="b <= 4"),
  tables.op(
    "stack", "f * a, f * a", "tf1.stack([{0}, {1}], -1)", "f * a 2", "p + q"
  ),
  tables.op(
    "concat",
    "f * a, f * b",
    "tf1.concat([{0}, {1}], -1)",
    "f * a+b",
    "p + q",
    when="a + b <= 8",
  ),
  tables.op("columns", "f a b", "{0}[:, 1:]", "f a b-1", when="b > 1"),
  tables.op("column", "f a b", "{0}[:, {b} - 1]", "f a"),
  tables.op("first", "f a b", "{0}[0]", "f b"),
  tables.op(
    "slice", "f a b", "tf1.slice({0}, [0, 1], [-1, 1])", "f a 1", when="b > 1"
  ),
  tables.op("reverse", "f a b", "tf1.reverse({0}, [1])", "f a b"),
  tables.op("roll", "f a b", "tf1.roll({0}, 1, 1)", "f a b"),
  tables.op(
    "pad", "f a b", "tf1.pad({0}, [[0, 0], [0, 1]])", "f a b+1", when="b <= 6"
  ),
  tables.op(
    "mirror_pad",
    "f a b",
    "tf1.pad({0}, [[0, 0], [1, 0]], 'REFLECT')",
    "f a b+1",
    when="1 < b <= 6",
  ),
  tables.op("split", "f * 4", "tf1.split({0}, 2, -1)", "f * 2, f * 2"),
  tables.op(
    "split_sizes", "f a 4", "tf1.split({0}, [1, 3], 1)", "f a 1, f a 3"
  ),
  tables.op("unstack_2", "f a 2", "tf1.unstack({0}, 2, 1)", "f a, f a"),
  tables.op(
    "unstack_4", "f a 4", "tf1.unstack({0}, 4, 1)", "f a, f a, f a, f a"
  ),
  tables.op(
    "top_k",
    "f a b",
    "tf1.nn.top_k({0}, 2)",
    "f a 2, int32 a 2",
    "p",
    tables.KINK,
    when="b > 1",
  ),
  tables.op("gather_rows", "f a b, i c", "tf1.gather({0}, {1} % {a})", "f c b"),
  tables.op(
    "gather_columns",
    "f a b",
    "tf1.gather({0}, [{b} - 1, 0, 0], axis=1)",
    "f a 3",
  ),
  tables.op(
    "gather_nd",
    "f a b",
    "tf1.gather_nd({0}, [[0, 0], [1, {b} - 1]])",
    "f 2",
    when="a > 1",
  ),
  tables.op(
    "scatter",
    "f a b, i a",
    "tf1.scatter_nd(tf1.expand_dims({1} % 4, -1), {0}, [4, {b}])",
    "f 4 b",
    "p * a",
  ),
  tables.op(
    "segment_sum",
    "f a b, i a",
    "tf1.math.unsorted_segment_sum({0}, {1} % 2, 2)",
    "f 2 b",
    "p * a",
  ),
  tables.op(
    "partition",
    "f a b, i a",
    "pieces.partition({0}, {1})",
    "f a b",
  ),
  tables.op(
    "mask",
    "f a b, f a",
    "tf1.reduce_sum(tf1.boolean_mask({0}, {1} > 0.0), 0)",
    "f b",
    "p * a",
    tables.KINK,
  ),
  tables.op(
    "broadcast",
    "f b, f a b",
    "tf1.broadcast_to({0}, tf1.shape({1}))",
    "f a b",
  ),
  tables.op("fill", "f, f *", "tf1.fill(tf1.shape({1}), {0})", "f *"),
  tables.op(
    "like", "f *", "{0} * tf1.ones_like({0}) + tf1.zeros_like({0})", "f *"
  ),
  tables.op("count", "f *", "{0} / tf1.cast(tf1.size({0}), {f})", "f *"),
  tables.op("band", "f a b", "tf1.linalg.band_part({0}, 0, -1)", "f a b"),
  tables.op("diag", "f a", "tf1.linalg.diag({0})", "f a a"),
  tables.op("diag_part", "f a a", "tf1.linalg.diag_part({0})", "f a"),
  tables.op(
    "select", "b *, f *, f *", "tf1.where({0}, {1}, {2})", "f *", "q + r"
  ),
)

OPS = ELEMENTWISE + REDUCTIONS + PRODUCTS + MOVES
