"""The ops that random programs are made of, by tables; see `tables`."""

from tests.fuzz import dense, images, indices, matrices, specials, tables

OTHERS = (
  tables.op(
    "to_32",
    "float64 *",
    "tf1.cast({0}, tf1.float32)",
    "float32 *",
    "p",
    tables.KINK,
  ),
  tables.op("to_64", "float32 *", "tf1.cast({0}, tf1.float64)", "float64 *"),
  tables.op("argmax", "f a b", "tf1.argmax({0}, 1)", "int64 a", "8"),
  tables.op("to_int", "f *", "tf1.cast(3.0 * {0}, tf1.int32)", "int32 *", "9"),
  tables.op(
    "int_to_float", "i *", "tf1.cast({0} % 5, tf1.float64)", "float64 *", "5"
  ),
  tables.op("int_sum", "i *, i *", "{0} + {1}", "i *", "9"),
  tables.op("int_64", "int32 *", "tf1.cast({0}, tf1.int64)", "int64 *", "9"),
  tables.op(
    "one_hot",
    "i a",
    "tf1.one_hot({0} % 4, 4, dtype=tf1.float64)",
    "float64 a 4",
    "1",
  ),
  tables.op("rows", "f a b", "tf1.range(tf1.shape({0})[0])", "int32 a", "9"),
  tables.op("greater", "f *, f *", "{0} > {1}", "b *", "1", tables.KINK),
  tables.op("positive", "f *", "{0} > 0.0", "b *", "1", tables.KINK),
  tables.op("and", "b *, b *", "tf1.logical_and({0}, {1})", "b *", "1"),
  tables.op("not", "b *", "tf1.logical_not({0})", "b *", "1"),
  tables.op("equal", "i *, i *", "tf1.equal({0} % 2, {1} % 2)", "b *", "1"),
  tables.op(
    "bool_to_float", "b *", "tf1.cast({0}, tf1.float64)", "float64 *", "1"
  ),
  tables.op(
    "own_gradient", "f *", "pieces.own_gradient({0})", "f *", "p", tables.KINK
  ),
  tables.op(
    "own_gradient_2",
    "f *, f *",
    "pieces.own_gradient_2({0}, {1})",
    "f *, f *",
    "p * q + p + q",
    tables.KINK,
  ),
  tables.op("recompute_grad", "f *", "pieces.repeated({0})", "f *", "1"),
  tables.op(
    "slope",
    "f *",
    "tf1.gradients(tf1.reduce_sum(tf1.sin({0}) * {0}), {0})[0]",
    "f *",
    "p + 1",
  ),
  tables.op(
    "after_update",
    "f *",
    "pieces.after_update({0}, state('m{seed}', {f}, [], {resource}, False))",
    "f *",
    "p",
    tables.STATE,
  ),
  tables.op("called", "f *", "pieces.called({0})", "f *", "p"),
  tables.op(
    "py_func", "f *", "{0} * pieces.out_of_graph({0})", "f *", "p", tables.KINK
  ),
  tables.op(
    "batch_norm",
    "f a b",
    "pieces.batch_norm({0}, state('m{seed}', {f}, [{b}], {resource}, False))",
    "f a b",
    "9",
    tables.STATE,
  ),
)

RANDOMS = (
  tables.op(
    "dropout",
    "f *",
    "tf1.nn.dropout({0}, rate=0.4, seed={seed})",
    "f *",
    "2 * p",
    tables.RANDOM,
  ),
  tables.op(
    "uniform",
    "f *",
    "{0} * tf1.random_uniform(tf1.shape({0}), dtype={f}, seed={seed})",
    "f *",
    "p",
    tables.RANDOM,
  ),
  tables.op(
    "normal",
    "f *",
    "{0} + tf1.random_normal(tf1.shape({0}), dtype={f}, seed={seed})",
    "f *",
    "p + 3",
    tables.RANDOM,
  ),
  tables.op(
    "mask_drawn",
    "f *",
    "tf1.where(tf1.random_uniform(tf1.shape({0}), seed={seed}) < 0.5,"
    " {0}, tf1.square({0}))",
    "f *",
    "p * p + p",
    tables.RANDOM,
  ),
  tables.op(
    "stateless",
    "f *",
    "{0} * tf1.random.stateless_uniform("
    "tf1.shape({0}), [7, {seed}], dtype={f})",
    "f *",
  ),
) + specials.DRAWS

FLOWS = (
  tables.op(
    "cond",
    "f *, f *",
    "pieces.cond({0}, {1})",
    "f *",
    "p + q + 1",
    (tables.FLOW, tables.KINK),
  ),
  tables.op(
    "cond_2",
    "f *, f *",
    "pieces.cond_2({0}, {1})",
    "f *, f *",
    "p + q + 1",
    (tables.FLOW, tables.KINK),
  ),
  tables.op(
    "case", "f *, i", "pieces.case({0}, {1})", "f *", "p + 1", tables.FLOW
  ),
  tables.op(
    "loop", "f *, f *", "pieces.loop({0}, {1})", "f *", "1", tables.FLOW
  ),
  tables.op(
    "loop_2",
    "f *, f *, i",
    "pieces.loop_2({0}, {1}, {2})",
    "f *, f *",
    "p + q + 1",
    tables.FLOW,
  ),
  tables.op(
    "nested",
    "f *",
    "pieces.nested({0})",
    "f *",
    "p + 1",
    (tables.FLOW, tables.KINK),
  ),
  tables.op(
    "recurrence",
    "f a b c, f c c",
    "pieces.recurrence({0}, {1})",
    "f a c, f a b c",
    "1",
    tables.FLOW,
  ),
  tables.op(
    "map_fn", "f a b", "pieces.map_rows({0})", "f a b", "p + 1", tables.FLOW
  ),
  tables.op(
    "scan", "f a b", "pieces.scan_rows({0})", "f a b", "1", tables.FLOW
  ),
  tables.op(
    "loop_random",
    "f *",
    "pieces.loop_random({0}, {seed})",
    "f *",
    "1",
    (tables.FLOW, tables.RANDOM),
  ),
)

_ROW = "state('m{seed}', {f}, [{a}], {resource}, {trainable})"
_FIXED = "state('m{seed}', {f}, [{a}], {resource}, False)"
_ASSIGNS = (tables.STATE, tables.ASSIGNED)

STATES = (
  tables.op(
    "counted",
    "f * a",
    f"pieces.counted({{0}}, {_ROW})",
    "f * a, f * a",
    "2 * p",
    _ASSIGNS,
  ),
  tables.op(
    "counted_product",
    "f a b",
    "pieces.counted_product("
    "{0}, state('m{seed}', {f}, [{b}, 2], {resource}, {trainable}))",
    "f a 2, f a 2",
    "3 * p * b",
    _ASSIGNS,
  ),
  tables.op(
    "overwritten",
    "f * a",
    f"pieces.overwritten({{0}}, {_ROW})",
    "f * a",
    "p + 1",
    _ASSIGNS,
  ),
  tables.op(
    "replaced",
    "f * a",
    f"pieces.replaced({{0}}, {_FIXED})",
    "f * a, f * a",
    "p + 1",
    _ASSIGNS,
  ),
  tables.op(
    "passed_on",
    "f * a",
    f"pieces.passed_on({{0}}, {_ROW})",
    "f * a, f * a",
    "p + 1",
    _ASSIGNS + (tables.KINK,),
  ),
  tables.op(
    "carried",
    "f a b",
    "pieces.carried("
    "{0}, state('m{seed}', {f}, [{a}, {b}], {resource}, {trainable}))",
    "f a b",
    "1",
    _ASSIGNS + (tables.FLOW,),
  ),
  tables.op(
    "carried_rows",
    "f a b",
    "pieces.carried_rows("
    "{0}, state('m{seed}', {f}, [{b}], {resource}, {trainable}))",
    "f b, f b",
    "1",
    _ASSIGNS + (tables.FLOW,),
  ),
  tables.op(
    "read_inside",
    "f * a",
    f"pieces.read_inside({{0}}, {_ROW})",
    "f * a, f * a",
    "p + 2",
    _ASSIGNS + (tables.FLOW,),
  ),
  tables.op(
    "chosen",
    "f * a",
    f"pieces.chosen({{0}}, {_ROW})",
    "f * a",
    "p + 1",
    _ASSIGNS + (tables.FLOW, tables.KINK),
  ),
)

PLAIN = dense.OPS + OTHERS + specials.OPS + matrices.OPS + images.OPS
PLAIN += indices.OPS
COMPLEX = matrices.COMPLEX
