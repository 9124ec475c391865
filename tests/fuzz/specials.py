"""Ops of random programs: special functions, losses, numbers of other types.

Also slopes, which put ops of gradients into the forward pass, and draws.
"""

from tangle import compat
from tangle.compat import tf1
from tests.fuzz import tables
from tests.fuzz.tables import FLOW, KINK, RANDOM, op, unary


def slope(x, function):
  """Gives the gradient of a function's sum, scaled by what depends on `x`."""
  y = function(x)
  return tf1.gradients(tf1.reduce_sum(y * tf1.sin(y)), x)[0]


def bits(x):
  """Takes a float apart into its bits and puts it together again."""
  x = tf1.convert_to_tensor(x)
  kind = tf1.int64 if x.dtype == tf1.float64 else tf1.int32
  ones = tf1.bitwise.invert(tf1.zeros_like(x, kind))
  found = tf1.bitwise.bitwise_and(tf1.bitcast(x, kind), ones)
  return x * 0.5 + 0.5 * tf1.bitcast(found, x.dtype)


def text(x):
  """Writes integers as text and reads them again."""
  words = tf1.strings.join([tf1.as_string(x), "5"], ".")
  return tf1.strings.to_number(words, tf1.float64)


def hashed(x):
  """Gives bins of hashes of integers."""
  return tf1.strings.to_hash_bucket_fast(tf1.as_string(x), 7)


def fake_quant(x, way):
  """Rounds to 8 bits with a gradient that passes; these ops are float32."""
  narrow = tf1.cast(x, tf1.float32)
  low, high = tf1.constant(-3.0), tf1.reduce_max(tf1.abs(narrow)) + 3.0
  if way == "fixed":
    found = tf1.quantization.fake_quant_with_min_max_args(narrow, -5.0, 5.0)
  elif way == "given":
    found = tf1.quantization.fake_quant_with_min_max_vars(narrow, low, high)
  else:
    found = tf1.quantization.fake_quant_with_min_max_vars_per_channel(
      narrow, low + tf1.zeros_like(narrow[0]), high + tf1.square(narrow[0])
    )
  return tf1.cast(found, x.dtype)


def quantized(x, version):
  """Rounds to 8 bits and back."""
  low, high = tf1.cast(-4.0, x.dtype), tf1.cast(6.0, x.dtype)
  if version == 2:
    return tf1.raw_ops.QuantizeAndDequantizeV2(
      input=x, input_min=low, input_max=high, range_given=True
    )
  name = f"QuantizeAndDequantizeV{version}"
  settings = {"num_bits": 8} if version == 3 else {}
  return getattr(tf1.raw_ops, name)(
    input=x, input_min=low, input_max=high, range_given=True, **settings
  )


def stored_as_bytes(x):
  """Scales by what is stored in 8 bits."""
  found, low, high = tf1.quantization.quantize(
    tf1.cast(x, tf1.float32), -4.0, 4.0, tf1.quint8
  )
  found = tf1.quantization.dequantize(found, low, high)
  return x * tf1.stop_gradient(tf1.cast(found, x.dtype))


def ctc(x, classes):
  """Gives the CTC loss of `[B, T, C]` for one label a row."""
  rows = tf1.shape(x)[0]
  places = tf1.stack([tf1.range(rows), tf1.zeros_like(tf1.range(rows))], 1)
  labels = tf1.SparseTensor(
    tf1.cast(places, tf1.int64),
    tf1.zeros_like(tf1.range(rows)),
    tf1.cast(tf1.stack([rows, 1]), tf1.int64),
  )
  del classes
  # The op is float32 on 1.15.
  logits = tf1.cast(tf1.transpose(x, [1, 0, 2]), tf1.float32)
  lengths = tf1.fill([rows], tf1.shape(x)[1])
  return tf1.cast(tf1.nn.ctc_loss(labels, logits, lengths), x.dtype)


def decoded(x, beam):
  """Scales `[B, T, C]` by how likely its best labels are."""
  inputs = tf1.cast(tf1.transpose(x, [1, 0, 2]), tf1.float32)
  lengths = tf1.fill([tf1.shape(x)[0]], tf1.shape(x)[1])
  if beam:
    _, score = tf1.nn.ctc_beam_search_decoder(inputs, lengths, 2)
  else:
    _, score = tf1.nn.ctc_greedy_decoder(inputs, lengths)
  return x * tf1.tanh(0.1 * tf1.cast(score, x.dtype))[:, :, None]


def loss(name, x, y, **settings):
  """Gives a loss of `tf.losses`, in float32, that no collection has."""
  function = getattr(tf1.losses, name)
  reduction = tf1.losses.Reduction.NONE
  found = function(
    tf1.stop_gradient(y),
    x,
    loss_collection=None,
    reduction=reduction,
    **settings,
  )
  return tf1.cast(found, x.dtype)


def waits(x):
  """Gives `x` after an assertion, with a default in between."""
  given = tf1.placeholder_with_default(x, x.shape)
  check = tf1.Assert(tf1.reduce_all(tf1.is_finite(given)), [given])
  with tf1.control_dependencies([check]):
    return tf1.ensure_shape(tf1.identity(given), x.shape)


def block_lstm(x, units):
  """An LSTM step, and a GRU step, by their fused ops of float32."""
  narrow = tf1.cast(x, tf1.float32)
  zeros = tf1.zeros([tf1.shape(x)[0], units])
  weights = 0.1 * tf1.ones([2 * units, 4 * units])
  found = tf1.raw_ops.BlockLSTM(
    seq_len_max=tf1.cast(tf1.shape(x)[1], tf1.int64),
    x=tf1.transpose(narrow, [1, 0, 2]),
    cs_prev=zeros,
    h_prev=zeros,
    w=weights,
    wci=zeros[0],
    wcf=zeros[0],
    wco=zeros[0],
    b=tf1.zeros([4 * units]),
    forget_bias=1.0,
    cell_clip=-1.0,
    use_peephole=False,
  )
  return tf1.cast(tf1.transpose(found.h, [1, 0, 2]), x.dtype)


def draws(x, name, seed):
  """Draws as many numbers as `x` has, by an op that keeps no state."""
  x = tf1.convert_to_tensor(x)
  shape, key = tf1.shape(x), [3, seed]
  random = tf1.random
  if name == "poisson":
    found = random.stateless_poisson(shape, key, 2.0, x.dtype)
  elif name == "gamma":
    found = random.stateless_gamma(
      shape, key, 1.0 + tf1.square(x), dtype=x.dtype
    )
  elif name == "binomial":
    found = random.stateless_binomial(
      shape, key, tf1.cast(4.0, x.dtype), tf1.cast(0.5, x.dtype), x.dtype
    )
  elif name == "ints":
    found = random.stateless_uniform(shape, key, 0, 4, tf1.int32)
  else:
    found = getattr(random, f"stateless_{name}")(shape, key, dtype=x.dtype)
  return x * (1.0 + tf1.tanh(tf1.cast(found, x.dtype)))


def sampled(x, way, seed):
  """Scales `[B, C]` by counts of classes that are drawn."""
  if way == "multinomial":
    found = tf1.random.categorical(x, 3, seed=seed)
  elif way == "stateless":
    found = tf1.random.stateless_categorical(x, 3, [seed, 1])
  else:
    labels = tf1.zeros([tf1.shape(x)[0], 1], tf1.int64)
    draw = getattr(tf1.nn, f"{way}_candidate_sampler")
    found = draw(labels, 1, 3, True, 8, seed=seed).sampled_candidates[None]
  rate = tf1.reduce_mean(tf1.cast(found, x.dtype), -1, keepdims=True)
  return x * tf1.tanh(rate)


FUNCTIONS = (
  unary("tf1.tan(0.5 * tf1.tanh({0}))", "1"),
  unary("tf1.acos(0.9 * tf1.tanh({0}))", "4"),
  unary("tf1.acosh(1.5 + tf1.square({0}))", "p + 2"),
  unary("tf1.atanh(0.7 * tf1.tanh({0}))", "1"),
  unary("tf1.erfc({0})", "2"),
  unary("tf1.ceil({0}) + 0.5 * {0}", "p + 1", KINK),
  unary("tf1.rint({0}) + 0.5 * {0}", "p + 1", KINK),
  unary("tf1.math.bessel_i0e({0})", "1"),
  unary("tf1.math.bessel_i1e({0})", "1"),
  unary("tf1.raw_ops.Inv(x=1.5 + tf1.square({0}))", "1"),
  unary("tf1.raw_ops.ZerosLike(x={0}) + tf1.raw_ops.OnesLike(x={0}) * {0}"),
  unary("tf1.stop_gradient(tf1.raw_ops.Snapshot(input={0})) + {0}", "2 * p",
    KINK),
  unary("tf1.stop_gradient(tf1.raw_ops.DeepCopy(x={0})) + {0}", "2 * p", KINK),
  unary("tf1.where_v2(tf1.is_nan({0}) | tf1.is_inf({0}), {0}, 2.0 * {0})",
    "2 * p"),
  op("igamma", "f *, f *",
    "tf1.math.igamma(1.0 + tf1.square({0}), 0.5 + tf1.square({1}))", "f *",
    "1", KINK),
  op("igammac", "f *, f *",
    "tf1.math.igammac(1.0 + tf1.square({0}), 0.5 + tf1.square({1}))", "f *",
    "1", KINK),
  op("betainc", "f *, f *",
    "tf1.math.betainc(tf1.stop_gradient(1.0 + tf1.square({0})),"
    " tf1.ones_like({0}) * 2.0, tf1.sigmoid({1}))", "f *", "1", KINK),
  op("zeta", "f *", "tf1.math.zeta(tf1.fill(tf1.shape({0}),"
    " tf1.cast(2.5, {f})), 1.0 + tf1.square({0}))", "f *", "2", KINK),
  op("polygamma", "f *", "tf1.math.polygamma(tf1.ones_like({0}),"
    " 1.0 + tf1.square({0}))", "f *", "2", KINK),
  op("xlogy", "f *, f *", "tf1.math.xlogy({0}, 1.5 + tf1.square({1}))", "f *",
    "p * (q + 1)"),
  op("xdivy", "f *, f *", "tf1.math.xdivy({0}, 1.5 + tf1.square({1}))", "f *"),
  op("truncatemod", "f *, f *", "{0} + tf1.stop_gradient("
    "tf1.truncatemod({0}, 2.0 + {1} * {1}))", "f *", "2 * p",
    KINK),
  op("floordiv", "f *, f *", "tf1.floordiv({0}, 2.0 + {1} * {1}) + {0}", "f *",
    "2 * p + 1", KINK),
  op("raw_div", "f *, f *", "tf1.raw_ops.Div(x={0}, y=1.5 + tf1.square({1}))",
    "f *"),
  op("raw_add", "f *, f *", "tf1.raw_ops.Add(x={0}, y={1})", "f *", "p + q"),
  op("mul_no_nan", "f *, f *", "tf1.math.multiply_no_nan({0}, {1})", "f *",
    "p * q", KINK),
  op("clip_norm", "f a b", "tf1.clip_by_norm({0}, 1.0)", "f a b", "1", KINK),
  op("l2_norm", "f * a",
    "tf1.reduce_sum({0}, -1) + tf1.norm({0} + 3.0, ord=1, axis=-1)", "f *",
    "2 * p * a + 12", KINK),
  op("euclidean", "f a b", "{0} * tf1.math.reduce_euclidean_norm("
    "3.0 + tf1.stop_gradient({0}), -1, keepdims=True)", "f a b",
    "p * (p + 3) * b", KINK),
)  # fmt: skip

SLOPES = tuple(
  op("slope_of_" + name.replace(".", "_"), "f *",
    f"specials.slope({{0}}, tf1.{name})", "f *", "2 * p + 4", KINK)
  for name in ("tanh", "sigmoid", "nn.softplus", "nn.elu",
    "nn.selu", "nn.relu", "nn.relu6", "nn.leaky_relu")
) + (
  op("slope_of_sqrt", "f *", "specials.slope(1.5 + tf1.square({0}), tf1.sqrt)",
    "f *", "p + 2", KINK),
  op("slope_of_rsqrt", "f *",
    "specials.slope(1.5 + tf1.square({0}), tf1.math.rsqrt)", "f *", "2", KINK),
  op("slope_of_reciprocal", "f *",
    "specials.slope(1.5 + tf1.square({0}), tf1.math.reciprocal)", "f *", "2",
    KINK),
  op("slope_of_bias", "f a b", "{0} * specials.slope(tf1.stop_gradient({0}[0]),"
    " lambda b: tf1.nn.bias_add({0}, b))", "f a b", "9 * p * p + 1", KINK,
    "p < 3"),
)  # fmt: skip

COMPARISONS = (
  op("less_equal", "f *, f *", "{0} <= {1}", "b *", "1", KINK),
  op("not_equal", "i *, i *", "tf1.not_equal({0}, {1})", "b *", "1"),
  op("near", "f *, f *", "tf1.raw_ops.ApproximateEqual(x={0}, y={1},"
    " tolerance=0.5)", "b *",
    "1", KINK),
  op("or", "b *, b *", "tf1.logical_or({0}, {1})", "b *", "1"),
  op("any", "b * a", "tf1.reduce_any({0}, -1)", "b *", "1"),
  op("all", "b * a", "tf1.reduce_all({0}, -1)", "b *", "1"),
)  # fmt: skip

NUMBERS = (
  op("bits", "f *", "specials.bits({0})", "f *", "p", KINK),
  op("text", "int32 *", "specials.text({0})", "float64 *", "10"),
  op("hashed", "i *", "specials.hashed({0})", "int64 *", "7"),
  op("or_bits", "i *, i *", "tf1.bitwise.bitwise_or({0}, {1}) % 8", "i *", "8"),
  op("xor_bits", "i *, i *", "tf1.bitwise.bitwise_xor({0}, {1}) % 8", "i *",
    "8"),
  op("left", "i *", "tf1.bitwise.left_shift({0}, tf1.ones_like({0})) % 9",
    "i *", "9"),
  op("right", "i *", "tf1.bitwise.right_shift({0}, tf1.ones_like({0}))", "i *",
    "9"),
  op("population", "i *", "tf1.raw_ops.PopulationCount(x={0})", "uint8 *",
    "9"),
  op("from_byte", "uint8 *", "tf1.cast({0}, tf1.float64)", "float64 *", "30"),
  op("int_divide", "i *, i *",
    "tf1.truncatediv({0}, 1 + tf1.abs({1}) % 4)", "i *", "9"),
  op("fake_quant", "f *", "specials.fake_quant({0}, 'fixed')", "f *", "5",
    (KINK, tables.NARROW)),
  op("fake_quant_given", "f *", "specials.fake_quant({0}, 'given')", "f *",
    "p + 3", (KINK, tables.NARROW)),
  op("fake_quant_channels", "f a b", "specials.fake_quant({0}, 'channels')",
    "f a b", "p + 3", (KINK, tables.NARROW)),
  op("quantized_2", "f *", "specials.quantized({0}, 2)", "f *", "6", KINK),
  op("quantized_3", "f *", "specials.quantized({0}, 3)", "f *", "6", KINK),
  op("stored_as_bytes", "f *", "specials.stored_as_bytes({0})", "f *", "4 * p",
    (KINK, tables.NARROW)),
  op("linspace", "f a", "{0} * tf1.linspace(tf1.cast(0.0, {f}), 1.0, {a})",
    "f a", "p", when="a > 1"),
  op("next_after", "f *", "{0} + tf1.cast(tf1.math.nextafter("
    "tf1.zeros([], tf1.float64), 1.0), {f})", "f *")
  if hasattr(tf1.math, "nextafter")
  else op("plus", "f *", "{0} + 0.5", "f *", "p + 1"),
)  # fmt: skip

LOSSES = (
  op("ctc", "f a b c", "specials.ctc({0}, {c})", "f a", "b * (2 * p + 3)",
    (KINK, tables.NARROW), "b > 1 and c > 1"),
  op("ctc_greedy", "f a b c", "specials.decoded({0}, False)", "f a b c", "p",
    (KINK, tables.NARROW), "c > 1"),
  op("ctc_beam", "f a b c", "specials.decoded({0}, True)", "f a b c", "p",
    (KINK, tables.NARROW), "c > 1"),
  op("huber", "f *, f *", "specials.loss('huber_loss', {0}, {1})", "f *",
    "p + q", (KINK, tables.NARROW)),
  op("hinge", "f *, f *",
    "specials.loss('hinge_loss', {0}, tf1.cast({1} > 0.0, {f}))", "f *",
    "p + 1", (KINK, tables.NARROW)),
  op("log_loss", "f *, f *",
    "specials.loss('log_loss', tf1.sigmoid({0}), tf1.sigmoid({1}))", "f *",
    "p + 2", (KINK, tables.NARROW)),
  op("absolute", "f *, f *", "specials.loss('absolute_difference', {0}, {1})",
    "f *", "p + q", (KINK, tables.NARROW)),
  op("poisson", "f *, f *",
    "tf1.nn.log_poisson_loss(tf1.square({1}), {0}, True)", "f *",
    "30 if p > 3 else math.exp(p) + q * q * (p + 4)", KINK),
  op("weighted", "f *, f *", "tf1.nn.weighted_cross_entropy_with_logits("
    "tf1.sigmoid({1}), {0}, 2.0)", "f *", "2 * p + 3"),
  op("in_top_k", "f a b", "tf1.raw_ops.InTopKV2(predictions=tf1.cast({0},"
    " tf1.float32), targets=tf1.zeros_like(tf1.argmax({0}, 1)), k=1)", "b a",
    "1", KINK),
  op("moments_merged", "f a b", "tf1.nn.weighted_moments({0}, [0],"
    " tf1.sigmoid({0}))", "f b, f b", "p * p + p", KINK),
  op("waits", "f *", "specials.waits({0})", "f *", "p", FLOW),
  op("print", "f *", "tf1.Print({0}, [], first_n=0)", "f *"),
  op("lstm_block", "f a b c", "specials.block_lstm({0}, {c})", "f a b c", "1",
    (KINK, tables.NARROW)),
)  # fmt: skip

DRAWS = (
  op("truncated", "f *",
    "{0} * tf1.truncated_normal(tf1.shape({0}), dtype={f}, seed={seed})", "f *",
    "2 * p", RANDOM),
  op("gamma", "f *", "tf1.tanh(tf1.random_gamma([], 1.0 + tf1.square({0}),"
    " dtype={f}, seed={seed}))", "f *", "1", (RANDOM, KINK)),
  op("poisson_drawn", "f *", "{0} * tf1.tanh(tf1.random_poisson(2.0,"
    " tf1.shape({0}), dtype={f}, seed={seed}))", "f *", "p", RANDOM),
  op("ints_drawn", "f *", "{0} * tf1.cast(tf1.random_uniform(tf1.shape({0}),"
    " 0, 3, tf1.int32, seed={seed}), {f})", "f *", "3 * p", RANDOM),
  op("shuffled", "f a b", "tf1.gather({0}, tf1.random_shuffle("
    "tf1.range(tf1.shape({0})[0]), seed={seed}))", "f a b", "p", RANDOM),
  op("multinomial", "f a b", "specials.sampled({0}, 'multinomial', {seed})",
    "f a b", "p", (RANDOM, KINK)),
  op("candidates", "f a b", "specials.sampled({0}, 'uniform', {seed})", "f a b",
    "p", (RANDOM, KINK)),
  op("log_candidates", "f a b", "specials.sampled({0}, 'log_uniform', {seed})",
    "f a b", "p", (RANDOM, KINK)),
  op("stateless_class", "f a b", "specials.sampled({0}, 'stateless', {seed})",
    "f a b", "p", KINK),
  op("stateless_normal", "f *", "specials.draws({0}, 'normal', {seed})", "f *",
    "2 * p"),
  op("stateless_truncated", "f *",
    "specials.draws({0}, 'truncated_normal', {seed})", "f *", "2 * p"),
  op("stateless_ints", "f *", "specials.draws({0}, 'ints', {seed})", "f *",
    "2 * p"),
)  # fmt: skip

# What TensorFlow 1.15 does not have, or has no gradient for.
_MODERN = (
  tuple(
    unary(f"tf1.math.special.{name}({{0}})", "1")
    for name in ("bessel_i0e", "dawsn", "fresnel_cos", "fresnel_sin",
      "bessel_j0", "bessel_j1")
  )
  + tuple(
    unary(f"tf1.math.special.{name}(1.5 + tf1.square({{0}}))", "30")
    for name in ("bessel_k0", "bessel_k0e", "bessel_k1", "bessel_k1e",
      "bessel_y0", "bessel_y1", "spence")
  )
  + (
    unary("tf1.math.special.expint(1.0 + tf1.square(tf1.tanh({0})))", "6"),
    unary("tf1.math.special.bessel_i0(tf1.tanh({0}))", "2"),
    unary("tf1.math.special.bessel_i1(tf1.tanh({0}))", "1"),
    unary("tf1.math.erfinv(0.7 * tf1.tanh({0}))", "1"),
    unary("tf1.math.ndtri(tf1.sigmoid({0}))", "p + 1"),
    op("xlog1py", "f *, f *", "tf1.math.xlog1py({0}, tf1.square({1}))", "f *",
      "p * (q + 1)"),
    op("cumulative", "f * a", "tf1.math.cumulative_logsumexp({0}, -1)",
      "f * a", "p + 3"),
  op("clip_op", "f *, f *",
    "tf1.raw_ops.ClipByValue(t={0}, clip_value_min=tf1.cast(-1.0, {f}),"
    " clip_value_max=1.0 + tf1.reduce_max(tf1.square({1})))",
    "f *", "p", KINK),
    op("quantized_4", "f *", "specials.quantized({0}, 4)", "f *", "6", KINK),
    op("stateless_poisson", "f *", "specials.draws({0}, 'poisson', {seed})",
      "f *", "2 * p", KINK),
    op("stateless_gamma", "f *", "specials.draws({0}, 'gamma', {seed})", "f *",
      "2 * p", KINK),
    op("stateless_binomial", "f *", "specials.draws({0}, 'binomial', {seed})",
      "f *", "2 * p", KINK),
  )
)  # fmt: skip

OPS = FUNCTIONS + SLOPES + COMPARISONS + NUMBERS + LOSSES
if not compat.IS_TF1:
  OPS += _MODERN
