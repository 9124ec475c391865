"""The ops that random programs are made of, as a table.

An op takes and gives values of certain kinds and shapes. A pattern is a kind
and dimensions, with blanks between:

    "f * a"    float, any shape of one dimension or more, the last is `a`
    "i"        an integer scalar
    "f 2 b"    float, `[2, b]`

Kinds: `f` float, `i` integer, `b` bool, or a dtype. The same letter means the
same size throughout an op, `*` the same shape, `f` and `i` the same dtype. What
an op gives may compute with letters: `"f * a+b"`. `code` is Python for the op:
`{0}` its first argument, `{a}` a size, `{f}` its float dtype, `{seed}` a number
of its own, `{resource}` and `{trainable}` what kind of variable it has, drawn
as bools. `bound` tells how large the values become: `p`, `q`, `r` are those
of the arguments.
"""

from typing import NamedTuple, Tuple

KINK = "kink"  # numbers by differences are not to be had
RANDOM = "random"  # draws
FLOW = "flow"  # makes a conditional or a loop
STATE = "state"  # changes a variable
ASSIGNED = "assigned"  # changes a variable that the gradient reads


class Op(NamedTuple):
  """An op of random programs; see the module."""

  name: str
  takes: Tuple[str, ...]
  code: str
  gives: Tuple[str, ...]
  bound: str = "p"
  marks: Tuple[str, ...] = ()
  when: str = "True"


def _op(name, takes, code, gives, bound="p", marks=(), when="True"):
  marks = (marks,) if isinstance(marks, str) else tuple(marks)
  takes = tuple(t.strip() for t in takes.split(",") if t.strip())
  gives = tuple(t.strip() for t in gives.split(","))
  return Op(name, takes, code, gives, bound, marks, when)


def _unary(code, bound="p", marks=(), when="True"):
  name = code.split("(")[0].split(".")[-1]
  return _op(name, "f *", code, "f *", bound, marks, when)


ELEMENTWISE = (
  _unary("tf1.tanh({0})", "1"),
  _unary("tf1.sin({0})", "1"),
  _unary("tf1.cos({0})", "1"),
  _unary("tf1.sigmoid({0})", "1"),
  _unary("tf1.nn.softplus({0})", "p + 1"),
  _unary("tf1.nn.softsign({0})", "1"),
  _unary("tf1.exp({0})", "math.exp(p)", when="p < 3"),
  _unary("tf1.math.expm1({0})", "math.exp(p)", when="p < 3"),
  _unary("tf1.sinh({0})", "math.exp(p)", when="p < 3"),
  _unary("tf1.cosh({0})", "math.exp(p)", when="p < 3"),
  _unary("tf1.square({0})", "p * p"),
  _unary("tf1.math.log1p(tf1.square({0}))", "p"),
  _unary("tf1.log(1.5 + tf1.square({0}))", "p + 1"),
  _unary("tf1.sqrt(1.0 + tf1.square({0}))", "p + 1"),
  _unary("tf1.math.rsqrt(1.0 + tf1.square({0}))", "1"),
  _unary("tf1.math.reciprocal(1.0 + tf1.square({0}))", "1"),
  _unary("tf1.math.lgamma(1.5 + tf1.square({0}))", "p * p", when="p < 4"),
  _unary("tf1.math.digamma(1.5 + tf1.square({0}))", "p + 1"),
  _unary("tf1.erf({0})", "1"),
  _unary("tf1.atan({0})", "2"),
  _unary("tf1.asin(0.9 * tf1.tanh({0}))", "2"),
  _unary("tf1.asinh({0})"),
  _unary("tf1.nn.elu({0})", "p + 1", KINK),
  _unary("tf1.nn.selu({0})", "2 * p + 1", KINK),
  _unary("tf1.nn.relu({0})", "p", KINK),
  _unary("tf1.nn.relu6({0})", "p", KINK),
  _unary("tf1.nn.leaky_relu({0})", "p", KINK),
  _unary("tf1.abs({0})", "p", KINK),
  _unary("tf1.sign({0})", "1", KINK),
  _unary("tf1.floor({0})", "p + 1", KINK),
  _unary("tf1.round({0})", "p + 1", KINK),
  _unary("tf1.clip_by_value({0}, -1.0, 1.0)", "1", KINK),
  _unary("tf1.negative({0})"),
  _unary("tf1.identity({0})"),
  _unary("tf1.stop_gradient({0})", "p", KINK),
  _unary("tf1.check_numerics({0}, 'x')"),
  _unary("tf1.add_n([{0}, {0}])", "2 * p"),
  _unary("tf1.identity_n([{0}, 2.0 * {0}])[1]", "2 * p"),
  _op("scale", "f *", "0.5 * {0} - 0.25", "f *", "p + 1"),
  _op("divide", "f *", "1.0 / (1.0 + {0} * {0})", "f *", "1"),
  _op("power", "f *", "(1.2 + tf1.sin({0})) ** 1.5", "f *", "4"),
  _op("add", "f *, f *", "{0} + {1}", "f *", "p + q"),
  _op("subtract", "f *, f *", "{0} - {1}", "f *", "p + q"),
  _op("multiply", "f *, f *", "{0} * {1}", "f *", "p * q"),
  _op("quotient", "f *, f *", "{0} / (2.0 + tf1.sin({1}))", "f *"),
  _op("maximum", "f *, f *", "tf1.maximum({0}, {1})", "f *", "p + q", KINK),
  _op("minimum", "f *, f *", "tf1.minimum({0}, {1})", "f *", "p + q", KINK),
  _op(
    "mod", "f *, f *", "tf1.floormod({0}, 2.0 + {1} * {1})", "f *", "p", KINK
  ),
  _op(
    "squared_difference",
    "f *, f *",
    "tf1.squared_difference({0}, {1})",
    "f *",
    "(p + q) ** 2",
  ),
  _op("atan2", "f *, f *", "tf1.atan2({0}, 1.0 + {1} * {1})", "f *", "2"),
  _op("pow", "f *, f *", "tf1.pow(1.5 + tf1.sin({0}), {1})", "f *", "2.5 ** q"),
  _op(
    "div_no_nan",
    "f *, f *",
    "tf1.math.divide_no_nan({0}, 1.0 + tf1.square({1}))",
    "f *",
  ),
  _op(
    "add_n", "f *, f *, f *", "tf1.add_n([{0}, {1}, {2}])", "f *", "p + q + r"
  ),
  _op("times_scalar", "f *, f", "{0} * {1}", "f *", "p * q"),
  _op("plus_row", "f a b, f b", "{0} + {1}", "f a b", "p + q"),
  _op("times_row", "f a b, f b", "{0} * {1}", "f a b", "p * q"),
  _op("bias_add", "f a b, f b", "tf1.nn.bias_add({0}, {1})", "f a b", "p + q"),
  _op(
    "times_column",
    "f a b, f a",
    "{0} * tf1.expand_dims({1}, -1)",
    "f a b",
    "p * q",
  ),
  _op("outer", "f a, f b", "{0}[:, None] * {1}", "f a b", "p * q"),
)

REDUCTIONS = (
  _op("sum", "f * a", "tf1.reduce_sum({0}, axis=-1)", "f *", "p * a"),
  _op("sum_first", "f a b", "tf1.reduce_sum({0}, axis=0)", "f b", "p * a"),
  _op("sum_all", "f *", "tf1.reduce_sum({0})", "f", "p * 8"),
  _op("mean", "f * a", "tf1.reduce_mean({0}, axis=-1)", "f *"),
  _op("mean_all", "f *", "tf1.reduce_mean({0})", "f"),
  _op("mean_kept", "f * a", "tf1.reduce_mean({0}, -1, keepdims=True)", "f * 1"),
  _op("max", "f * a", "tf1.reduce_max({0}, axis=-1)", "f *", "p", KINK),
  _op("min", "f a b", "tf1.reduce_min({0}, axis=0)", "f b", "p", KINK),
  _op("prod", "f * a", "tf1.reduce_prod({0}, axis=-1)", "f *", "p ** a"),
  _op("logsumexp", "f * a", "tf1.reduce_logsumexp({0}, -1)", "f *", "p + 2"),
  _op("l2_loss", "f *", "tf1.nn.l2_loss({0})", "f", "4 * p * p"),
  _op(
    "norm", "f * a", "tf1.norm({0} + 3.0, axis=-1)", "f *", "2 * p + 9", KINK
  ),
  _op("moments", "f a b", "tf1.nn.moments({0}, [0])", "f b, f b", "p * p + p"),
  _op("cumsum", "f * a", "tf1.cumsum({0}, axis=-1)", "f * a", "p * a"),
  _op("cumprod", "f a b", "tf1.cumprod({0}, axis=1)", "f a b", "p ** b"),
  _op("softmax", "f a b", "tf1.nn.softmax({0})", "f a b", "1"),
  _op("log_softmax", "f a b", "tf1.nn.log_softmax({0})", "f a b", "2 * p + 2"),
  _op(
    "l2_normalize",
    "f a b",
    "tf1.nn.l2_normalize({0} + 2.0, 1)",
    "f a b",
    "1",
    KINK,
  ),
  _op(
    "cross_entropy",
    "f a b, f a b",
    "tf1.nn.softmax_cross_entropy_with_logits_v2("
    "labels=tf1.stop_gradient(tf1.nn.softmax({1})), logits={0})",
    "f a",
    "2 * p + 3",
    KINK,
  ),
  _op(
    "sparse_cross_entropy",
    "f a b, i a",
    "tf1.nn.sparse_softmax_cross_entropy_with_logits("
    "labels=tf1.floormod({1}, {b}), logits={0})",
    "f a",
    "2 * p + 3",
  ),
  _op(
    "sigmoid_cross_entropy",
    "f *, f *",
    "tf1.nn.sigmoid_cross_entropy_with_logits("
    "labels=tf1.sigmoid({1}), logits={0})",
    "f *",
    "p + 1",
  ),
)

PRODUCTS = (
  _op("matmul", "f a b, f b c", "tf1.matmul({0}, {1})", "f a c", "p * q * b"),
  _op(
    "matmul_transposed",
    "f a b, f c b",
    "tf1.matmul({0}, {1}, transpose_b=True)",
    "f a c",
    "p * q * b",
  ),
  _op(
    "batch_matmul",
    "f a b c, f a c d",
    "tf1.matmul({0}, {1})",
    "f a b d",
    "p * q * c",
  ),
  _op(
    "einsum",
    "f a b c, f c d",
    "tf1.einsum('abc,cd->abd', {0}, {1})",
    "f a b d",
    "p * q * c",
  ),
  _op(
    "tensordot",
    "f a b c, f c d",
    "tf1.tensordot({0}, {1}, 1)",
    "f a b d",
    "p * q * c",
  ),
  _op(
    "gram",
    "f a b",
    "tf1.matmul({0}, {0}, transpose_a=True)",
    "f b b",
    "p * p * a",
  ),
  _op(
    "inverse",
    "f a b",
    "tf1.linalg.inv(tf1.matmul({0}, {0}, transpose_a=True)"
    " + 2.0 * tf1.eye({b}, dtype={f}))",
    "f b b",
    "1",
  ),
  _op(
    "cholesky",
    "f a b",
    "tf1.linalg.cholesky(tf1.matmul({0}, {0}, transpose_a=True)"
    " + 2.0 * tf1.eye({b}, dtype={f}))",
    "f b b",
    "2 * p + 2",
  ),
  _op(
    "convolution",
    "f a b c",
    "pieces.convolution({0}, {c}, {seed})",
    "f a b 2",
    "3 * p",
  ),
)

MOVES = (
  _op("transpose", "f a b", "tf1.transpose({0})", "f b a"),
  _op("permute", "f a b c", "tf1.transpose({0}, [0, 2, 1])", "f a c b"),
  _op(
    "flatten", "f a b", "tf1.reshape({0}, [-1])", "f a*b", when="a * b <= 12"
  ),
  _op(
    "reshape_like",
    "f a b",
    "tf1.reshape({0} * 1.0, tf1.reverse(tf1.shape({0}), [0]))",
    "f b a",
  ),
  _op("halve", "f a 4", "tf1.reshape({0}, [-1, 2, 2])", "f a 2 2"),
  _op("merge", "f a 2 2", "tf1.reshape({0}, [-1, 4])", "f a 4"),
  _op("expand", "f a b", "tf1.expand_dims({0}, 1)", "f a 1 b"),
  _op("squeeze", "f a 1 b", "tf1.squeeze({0}, 1)", "f a b"),
  _op("tile", "f a b", "tf1.tile({0}, [1, 2])", "f a 2*b", when="b <= 4"),
  _op("stack", "f * a, f * a", "tf1.stack([{0}, {1}], -1)", "f * a 2", "p + q"),
  _op(
    "concat",
    "f * a, f * b",
    "tf1.concat([{0}, {1}], -1)",
    "f * a+b",
    "p + q",
    when="a + b <= 8",
  ),
  _op("columns", "f a b", "{0}[:, 1:]", "f a b-1", when="b > 1"),
  _op("column", "f a b", "{0}[:, {b} - 1]", "f a"),
  _op("first", "f a b", "{0}[0]", "f b"),
  _op(
    "slice", "f a b", "tf1.slice({0}, [0, 1], [-1, 1])", "f a 1", when="b > 1"
  ),
  _op("reverse", "f a b", "tf1.reverse({0}, [1])", "f a b"),
  _op("roll", "f a b", "tf1.roll({0}, 1, 1)", "f a b"),
  _op(
    "pad", "f a b", "tf1.pad({0}, [[0, 0], [0, 1]])", "f a b+1", when="b <= 6"
  ),
  _op(
    "mirror_pad",
    "f a b",
    "tf1.pad({0}, [[0, 0], [1, 0]], 'REFLECT')",
    "f a b+1",
    when="1 < b <= 6",
  ),
  _op("split", "f * 4", "tf1.split({0}, 2, -1)", "f * 2, f * 2"),
  _op("split_sizes", "f a 4", "tf1.split({0}, [1, 3], 1)", "f a 1, f a 3"),
  _op("unstack_2", "f a 2", "tf1.unstack({0}, 2, 1)", "f a, f a"),
  _op("unstack_4", "f a 4", "tf1.unstack({0}, 4, 1)", "f a, f a, f a, f a"),
  _op(
    "top_k",
    "f a b",
    "tf1.nn.top_k({0}, 2)",
    "f a 2, int32 a 2",
    "p",
    KINK,
    when="b > 1",
  ),
  _op("gather_rows", "f a b, i c", "tf1.gather({0}, {1} % {a})", "f c b"),
  _op(
    "gather_columns",
    "f a b",
    "tf1.gather({0}, [{b} - 1, 0, 0], axis=1)",
    "f a 3",
  ),
  _op(
    "gather_nd",
    "f a b",
    "tf1.gather_nd({0}, [[0, 0], [1, {b} - 1]])",
    "f 2",
    when="a > 1",
  ),
  _op(
    "scatter",
    "f a b, i a",
    "tf1.scatter_nd(tf1.expand_dims({1} % 4, -1), {0}, [4, {b}])",
    "f 4 b",
    "p * a",
  ),
  _op(
    "segment_sum",
    "f a b, i a",
    "tf1.math.unsorted_segment_sum({0}, {1} % 2, 2)",
    "f 2 b",
    "p * a",
  ),
  _op(
    "partition",
    "f a b, i a",
    "pieces.partition({0}, {1})",
    "f a b",
  ),
  _op(
    "mask",
    "f a b, f a",
    "tf1.reduce_sum(tf1.boolean_mask({0}, {1} > 0.0), 0)",
    "f b",
    "p * a",
    KINK,
  ),
  _op(
    "broadcast",
    "f b, f a b",
    "tf1.broadcast_to({0}, tf1.shape({1}))",
    "f a b",
  ),
  _op("fill", "f, f *", "tf1.fill(tf1.shape({1}), {0})", "f *"),
  _op("like", "f *", "{0} * tf1.ones_like({0}) + tf1.zeros_like({0})", "f *"),
  _op("count", "f *", "{0} / tf1.cast(tf1.size({0}), {f})", "f *"),
  _op("band", "f a b", "tf1.linalg.band_part({0}, 0, -1)", "f a b"),
  _op("diag", "f a", "tf1.linalg.diag({0})", "f a a"),
  _op("diag_part", "f a a", "tf1.linalg.diag_part({0})", "f a"),
  _op("select", "b *, f *, f *", "tf1.where({0}, {1}, {2})", "f *", "q + r"),
)

OTHERS = (
  _op(
    "to_32", "float64 *", "tf1.cast({0}, tf1.float32)", "float32 *", "p", KINK
  ),
  _op("to_64", "float32 *", "tf1.cast({0}, tf1.float64)", "float64 *"),
  _op("argmax", "f a b", "tf1.argmax({0}, 1)", "int64 a", "8"),
  _op("to_int", "f *", "tf1.cast(3.0 * {0}, tf1.int32)", "int32 *", "9"),
  _op(
    "int_to_float", "i *", "tf1.cast({0} % 5, tf1.float64)", "float64 *", "5"
  ),
  _op("int_sum", "i *, i *", "{0} + {1}", "i *", "9"),
  _op("int_64", "int32 *", "tf1.cast({0}, tf1.int64)", "int64 *", "9"),
  _op(
    "one_hot",
    "i a",
    "tf1.one_hot({0} % 4, 4, dtype=tf1.float64)",
    "float64 a 4",
    "1",
  ),
  _op("rows", "f a b", "tf1.range(tf1.shape({0})[0])", "int32 a", "9"),
  _op("greater", "f *, f *", "{0} > {1}", "b *", "1", KINK),
  _op("positive", "f *", "{0} > 0.0", "b *", "1", KINK),
  _op("and", "b *, b *", "tf1.logical_and({0}, {1})", "b *", "1"),
  _op("not", "b *", "tf1.logical_not({0})", "b *", "1"),
  _op("equal", "i *, i *", "tf1.equal({0} % 2, {1} % 2)", "b *", "1"),
  _op("bool_to_float", "b *", "tf1.cast({0}, tf1.float64)", "float64 *", "1"),
  _op("own_gradient", "f *", "pieces.own_gradient({0})", "f *", "p", KINK),
  _op(
    "own_gradient_2",
    "f *, f *",
    "pieces.own_gradient_2({0}, {1})",
    "f *, f *",
    "p * q + p + q",
    KINK,
  ),
  _op("recompute_grad", "f *", "pieces.repeated({0})", "f *", "1"),
  _op(
    "slope",
    "f *",
    "tf1.gradients(tf1.reduce_sum(tf1.sin({0}) * {0}), {0})[0]",
    "f *",
    "p + 1",
  ),
  _op(
    "after_update",
    "f *",
    "pieces.after_update({0}, state('m{seed}', {f}, [], {resource}, False))",
    "f *",
    "p",
    STATE,
  ),
  _op("called", "f *", "pieces.called({0})", "f *", "p"),
  _op("py_func", "f *", "{0} * pieces.out_of_graph({0})", "f *", "p", KINK),
  _op(
    "batch_norm",
    "f a b",
    "pieces.batch_norm({0}, state('m{seed}', {f}, [{b}], {resource}, False))",
    "f a b",
    "9",
    STATE,
  ),
)

RANDOMS = (
  _op(
    "dropout",
    "f *",
    "tf1.nn.dropout({0}, rate=0.4, seed={seed})",
    "f *",
    "2 * p",
    RANDOM,
  ),
  _op(
    "uniform",
    "f *",
    "{0} * tf1.random_uniform(tf1.shape({0}), dtype={f}, seed={seed})",
    "f *",
    "p",
    RANDOM,
  ),
  _op(
    "normal",
    "f *",
    "{0} + tf1.random_normal(tf1.shape({0}), dtype={f}, seed={seed})",
    "f *",
    "p + 3",
    RANDOM,
  ),
  _op(
    "mask_drawn",
    "f *",
    "tf1.where(tf1.random_uniform(tf1.shape({0}), seed={seed}) < 0.5,"
    " {0}, tf1.square({0}))",
    "f *",
    "p * p + p",
    RANDOM,
  ),
  _op(
    "stateless",
    "f *",
    "{0} * tf1.random.stateless_uniform("
    "tf1.shape({0}), [7, {seed}], dtype={f})",
    "f *",
  ),
)

FLOWS = (
  _op(
    "cond",
    "f *, f *",
    "pieces.cond({0}, {1})",
    "f *",
    "p + q + 1",
    (FLOW, KINK),
  ),
  _op(
    "cond_2",
    "f *, f *",
    "pieces.cond_2({0}, {1})",
    "f *, f *",
    "p + q + 1",
    (FLOW, KINK),
  ),
  _op("case", "f *, i", "pieces.case({0}, {1})", "f *", "p + 1", FLOW),
  _op("loop", "f *, f *", "pieces.loop({0}, {1})", "f *", "1", FLOW),
  _op(
    "loop_2",
    "f *, f *, i",
    "pieces.loop_2({0}, {1}, {2})",
    "f *, f *",
    "p + q + 1",
    FLOW,
  ),
  _op("nested", "f *", "pieces.nested({0})", "f *", "p + 1", (FLOW, KINK)),
  _op(
    "recurrence",
    "f a b c, f c c",
    "pieces.recurrence({0}, {1})",
    "f a c, f a b c",
    "1",
    FLOW,
  ),
  _op("map_fn", "f a b", "pieces.map_rows({0})", "f a b", "p + 1", FLOW),
  _op("scan", "f a b", "pieces.scan_rows({0})", "f a b", "1", FLOW),
  _op(
    "loop_random",
    "f *",
    "pieces.loop_random({0}, {seed})",
    "f *",
    "1",
    (FLOW, RANDOM),
  ),
)

_ROW = "state('m{seed}', {f}, [{a}], {resource}, {trainable})"
_FIXED = "state('m{seed}', {f}, [{a}], {resource}, False)"
_ASSIGNS = (STATE, ASSIGNED)

STATES = (
  _op(
    "counted",
    "f * a",
    f"pieces.counted({{0}}, {_ROW})",
    "f * a, f * a",
    "2 * p",
    _ASSIGNS,
  ),
  _op(
    "counted_product",
    "f a b",
    "pieces.counted_product("
    "{0}, state('m{seed}', {f}, [{b}, 2], {resource}, {trainable}))",
    "f a 2, f a 2",
    "3 * p * b",
    _ASSIGNS,
  ),
  _op(
    "overwritten",
    "f * a",
    f"pieces.overwritten({{0}}, {_ROW})",
    "f * a",
    "p + 1",
    _ASSIGNS,
  ),
  _op(
    "replaced",
    "f * a",
    f"pieces.replaced({{0}}, {_FIXED})",
    "f * a, f * a",
    "p + 1",
    _ASSIGNS,
  ),
  _op(
    "passed_on",
    "f * a",
    f"pieces.passed_on({{0}}, {_ROW})",
    "f * a, f * a",
    "p + 1",
    _ASSIGNS + (KINK,),
  ),
  _op(
    "carried",
    "f a b",
    "pieces.carried("
    "{0}, state('m{seed}', {f}, [{a}, {b}], {resource}, {trainable}))",
    "f a b",
    "1",
    _ASSIGNS + (FLOW,),
  ),
  _op(
    "carried_rows",
    "f a b",
    "pieces.carried_rows("
    "{0}, state('m{seed}', {f}, [{b}], {resource}, {trainable}))",
    "f b, f b",
    "1",
    _ASSIGNS + (FLOW,),
  ),
  _op(
    "read_inside",
    "f * a",
    f"pieces.read_inside({{0}}, {_ROW})",
    "f * a, f * a",
    "p + 2",
    _ASSIGNS + (FLOW,),
  ),
  _op(
    "chosen",
    "f * a",
    f"pieces.chosen({{0}}, {_ROW})",
    "f * a",
    "p + 1",
    _ASSIGNS + (FLOW, KINK),
  ),
)

PLAIN = ELEMENTWISE + REDUCTIONS + PRODUCTS + MOVES + OTHERS
