"""Tests of cut points: that all are found, and that cuts there are exact."""

import time

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import cut_points
from tests import case
from tests.programs import checks, common, listing

GROWTH = 8.0
"""How much longer a graph of four times the ops may take; 16 is quadratic."""


class NetworkTestCase(case.GraphTestCase):
  """Builds small networks in float64."""

  def weight(self, name, *shape):
    return self.variable(name, self.normal(*shape) / np.sqrt(shape[0]))

  def dense(self, x, units, name):
    depth = x.shape.as_list()[-1]
    product = tf1.matmul(x, self.weight(f"{name}_w", depth, units))
    return tf1.nn.bias_add(product, self.weight(f"{name}_b", units))

  def norm(self, x, name):
    mean, variance = tf1.nn.moments(x, [-1], keep_dims=True)
    x = (x - mean) * tf1.rsqrt(variance + 1e-6)
    depth = x.shape.as_list()[-1]
    return x * self.weight(f"{name}_g", depth) + self.weight(f"{name}_o", depth)

  def placeholder(self, *shape, dtype=tf1.float64, name=None):
    return tf1.placeholder(dtype, shape, name)

  def transformer(self, layers=12, steps=4, depth=6, heads=2, pre_norm=True):
    """Returns ids, loss, streams and what to feed; the embedding is tied."""
    ids = self.placeholder(None, steps, dtype=tf1.int32)
    mask = self.placeholder(None, steps)
    labels = self.placeholder(None, steps, dtype=tf1.int32)
    table = self.weight("table", 9, depth)
    if not compat.is_resource_variable(table):
      table = tf1.identity(table)
    h = tf1.reshape(tf1.gather(table, ids), [-1, depth])
    adder = (1.0 - mask)[:, None, None, :] * -1e9

    def split(x):
      x = tf1.reshape(x, [-1, steps, heads, depth // heads])
      return tf1.transpose(x, [0, 2, 1, 3])

    def attend(x, name):
      q, k, v = [split(self.dense(x, depth, name + part)) for part in "qkv"]
      weights = tf1.nn.softmax(tf1.matmul(q, k, transpose_b=True) + adder)
      x = tf1.transpose(tf1.matmul(weights, v), [0, 2, 1, 3])
      return self.dense(tf1.reshape(x, [-1, depth]), depth, name + "o")

    def feed_forward(x, name):
      x = tf1.nn.relu(self.dense(x, 2 * depth, name + "1"))
      return self.dense(x, depth, name + "2")

    streams = []
    for layer in range(layers):
      for part in (attend, feed_forward):
        name = f"l{layer}_{part.__name__}"
        if pre_norm:
          h = h + part(self.norm(h, name), name)
        else:
          h = self.norm(h + part(h, name), name)
      streams.append(h)
      tf1.reshape(h, [-1, steps, depth])  # as a getter has it
    logits = tf1.matmul(h, table, transpose_b=True)
    loss = tf1.reduce_mean(
      tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf1.reshape(labels, [-1]), logits=logits
      )
    )
    draw = lambda: self.rng.randint(9, size=[2, steps])  # noqa: E731
    self.feeds = {ids: draw(), labels: draw(), mask: np.ones([2, steps])}
    return ids, loss, streams, logits

  def lstm_step(self, x, c, h, name, units=4):
    """Returns the next state; variables are shared by name."""
    with tf1.variable_scope("steps", reuse=tf1.AUTO_REUSE):
      depth = x.shape.as_list()[-1] + units
      kernel = tf1.get_variable(
        f"{name}_kernel",
        [depth, 4 * units],
        tf1.float64,
        tf1.random_uniform_initializer(-0.5, 0.5, seed=1),
      )
    gates = tf1.matmul(tf1.concat([x, h], 1), kernel)
    i, j, f, o = tf1.split(gates, 4, 1)
    c = c * tf1.sigmoid(f) + tf1.sigmoid(i) * tf1.tanh(j)
    return c, tf1.tanh(c) * tf1.sigmoid(o)

  def assert_exact(self, inputs, output, point):
    """Fails unless two sub-models give the gradients of the joint graph."""
    variables = tf1.trainable_variables()
    floats = [t for t in inputs if compat.is_differentiable(t.dtype)]
    joint = tf1.gradients(output, variables + floats)
    lower = tangle.SubModel(point.inputs_below, point.tensors, name="lower")
    given = point.tensors + point.inputs_above
    upper = tangle.SubModel(given, [output], name="upper")
    names = [v.name for v in lower.variables]
    self.assertEqual(names, [v.name for v in point.variables_below])
    names = [v.name for v in upper.variables]
    self.assertEqual(names, [v.name for v in point.variables_above])
    sess = self.session()
    expected = sess.run([output] + joint, self.feeds)
    below = lower.forward(sess, self.feeds)
    feeds = dict(self.feeds)
    feeds.update(zip(point.tensors, below.outputs))
    above = upper.forward(sess, feeds)
    self.assert_close(above.outputs[0], expected[0])
    top = above.backward([np.ones_like(expected[0])])
    count = len(point.tensors)
    bottom = below.backward(top.inputs[:count])
    total = {}
    for sources, found in (
      (lower.variables, bottom.variables),
      (upper.variables, top.variables),
      (point.inputs_below, bottom.inputs),
      (point.inputs_above, top.inputs[count:]),
    ):
      for source, gradient in zip(sources, found):
        if gradient is not None:
          gradient = case.dense(gradient)
          total[source.name] = total.get(source.name, 0.0) + gradient
    desired = [case.dense(gradient) for gradient in expected[1:]]
    # Some gradients are nothing but rounding errors, as of a bias of keys.
    scale = max(np.max(np.abs(gradient)) for gradient in desired)
    for source, gradient in zip(variables + floats, desired):
      found = total[source.name]
      np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-12 * scale)


def singles(points):
  """Lists the names of the points that are one tensor."""
  return [point.names[0] for point in points if len(point.tensors) == 1]


class TransformerTest(NetworkTestCase):
  @parameterized.parameters(True, False)
  def test_each_layers_stream_is_found(self, pre_norm):
    ids, loss, streams, logits = self.transformer(pre_norm=pre_norm)
    points = tangle.cut_points([ids], [loss])
    found = singles(points)
    self.assertLen(found, len(points))
    wanted = [stream.name for stream in streams] + [logits.name]
    self.assertEqual([name for name in found if name in wanted], wanted)
    self.assertLess(len(found), 30)
    self.assertTrue(all(not point.drawn_twice for point in points))

  def test_cuts_are_exact_with_a_tied_embedding(self):
    ids, loss, streams, logits = self.transformer(layers=2)
    points = {p.names[0]: p for p in tangle.cut_points([ids], [loss])}
    point = points[streams[0].name]
    table = tf1.trainable_variables()[0]
    self.assertIs(point.variables_below[0], table)
    self.assertIn(table.name, [v.name for v in point.variables_above])
    self.assert_exact([ids], loss, point)

  def test_a_cut_above_the_last_layer_is_exact(self):
    ids, loss, _, logits = self.transformer(layers=1)
    points = {p.names[0]: p for p in tangle.cut_points([ids], [loss])}
    self.assertEmpty(points[logits.name].variables_above)
    self.assertEqual(
      points[logits.name].share, max(point.share for point in points.values())
    )
    self.assert_exact([ids], loss, points[logits.name])

  def test_numbers_grow_from_inputs_to_outputs(self):
    ids, loss, streams, _ = self.transformer(layers=4)
    points = tangle.cut_points([ids], [loss])
    for get in (lambda p: p.share, lambda p: len(p.variables_below)):
      values = [get(point) for point in points]
      self.assertEqual(values, sorted(values))
    by_name = {point.names[0]: point for point in points}
    # 4 steps of 6 doubles an example, though the batch is folded into them
    self.assertEqual(by_name[streams[1].name].bytes, 4 * 6 * 8)
    shares = [by_name[stream.name].share for stream in streams]
    np.testing.assert_allclose(np.diff(shares), shares[0], rtol=0.05)


class ConvolutionTest(NetworkTestCase):
  def build(self, blocks=3):
    x = self.placeholder(None, 6, 6, 3)
    h = self.convolve(x, 4, "stem")
    streams = []
    for k in range(blocks):
      inner = tf1.nn.relu(self.convolve(h, 4, f"b{k}_1"))
      h = tf1.nn.relu(h + self.convolve(inner, 4, f"b{k}_2"))
      streams.append(h)
    pooled = tf1.reduce_mean(h, [1, 2])
    y = self.dense(pooled, 2, "top")
    target = self.placeholder(None, 2)
    loss = tf1.reduce_sum(tf1.square(y - target))
    self.feeds = {x: self.normal(2, 6, 6, 3), target: self.normal(2, 2)}
    return x, loss, streams, pooled, y

  def convolve(self, x, depth, name):
    kernel = self.weight(f"{name}_k", 3, 3, x.shape.as_list()[-1], depth)
    x = tf1.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME")
    return x + self.weight(f"{name}_b", depth)

  def test_each_block_is_found(self):
    x, loss, streams, pooled, y = self.build()
    points = tangle.cut_points([x], [loss])
    wanted = [t.name for t in streams + [pooled, y]]
    found = singles(points)
    self.assertEqual([name for name in found if name in wanted], wanted)
    self.assertIn("[?, 6, 6, 4]", str(points))

  def test_cuts_are_exact(self):
    x, loss, streams, pooled, _ = self.build()
    points = {p.names: p for p in tangle.cut_points([x], [loss])}
    self.assert_exact([x], loss, points[(streams[1].name,)])

  def test_the_loss_is_no_cut_point(self):
    x, loss, _, _, y = self.build()
    found = singles(tangle.cut_points([x], [loss]))
    self.assertNotIn(loss.name, found)
    self.assertEqual(found[-1], y.name)


class RecurrentTest(NetworkTestCase):
  def build(self, steps=5, units=4):
    xs = [self.placeholder(None, 3, name=f"x{t}") for t in range(steps)]
    c = h = tf1.zeros([tf1.shape(xs[0])[0], units], tf1.float64)
    states = []
    for x in xs:
      c, h = self.lstm_step(x, c, h, "cell", units)
      states.append((c, h))
    loss = tf1.reduce_sum(tf1.square(self.dense(h, 2, "top")))
    self.feeds = {x: self.normal(2, 3) for x in xs}
    return xs, loss, states

  def test_the_state_between_steps_is_found(self):
    xs, loss, states = self.build()
    points = tangle.cut_points(xs, [loss])
    pairs = [set(p.names) for p in points if len(p.tensors) == 2]
    self.assertEqual(pairs, [{c.name, h.name} for c, h in states[:-1]])
    self.assertEqual(singles(points)[-2], states[-1][1].name)

  def test_a_cut_between_steps_is_exact(self):
    xs, loss, states = self.build()
    point = next(
      p for p in tangle.cut_points(xs, [loss]) if states[1][0].name in p.names
    )
    kernel = tf1.trainable_variables()[0]
    self.assertIn(kernel, list(point.variables_below))
    self.assertIn(kernel, list(point.variables_above))
    self.assertEqual(point.inputs_below, tuple(xs[:2]))
    self.assertEqual(point.inputs_above, tuple(xs[2:]))
    self.assert_exact(xs, loss, point)

  def test_slices_of_an_input_are_one_tensor(self):
    x = self.placeholder(None, 6, 3, name="x")
    c = h = tf1.zeros([tf1.shape(x)[0], 4], tf1.float64)
    states = []
    for step in tf1.unstack(tf1.transpose(x, [1, 0, 2])):
      c, h = self.lstm_step(step, c, h, "cell")
      states.append((c, h))
    loss = tf1.reduce_sum(h)
    self.feeds = {x: self.normal(2, 6, 3)}
    points = tangle.cut_points([x], [loss])
    wanted = {states[2][0].name, states[2][1].name}
    point = next(p for p in points if set(p.names) == wanted)
    self.assertEqual(point.inputs_above, (x,))
    self.assert_exact([x], loss, point)

  def test_fewer_tensors_can_be_asked_for(self):
    xs, loss, states = self.build()
    points = tangle.cut_points(xs, [loss], most=1)
    self.assertEqual([len(p.tensors) for p in points], [1] * len(points))
    self.assertIn(states[-1][1].name, singles(points))


class TwoPartsTest(NetworkTestCase):
  def build(self, steps=6):
    source = self.placeholder(None, steps, dtype=tf1.int32)
    target = self.placeholder(None, steps, dtype=tf1.int32)
    below = self.weight("source_table", 7, 3)
    above = self.weight("target_table", 7, 3)
    decoded = tf1.unstack(tf1.gather(above, target), axis=1)  # made first
    c = h = tf1.zeros([tf1.shape(source)[0], 4], tf1.float64)
    hs = []
    for x in tf1.unstack(tf1.gather(below, source), axis=1):
      c, h = self.lstm_step(x, c, h, "encoder")
      hs.append(h)
    memory = tf1.stack(hs, 1)
    state = c, h
    for x in decoded:
      scores = tf1.reduce_sum(memory * h[:, None, :], -1, keepdims=True)
      context = tf1.reduce_sum(tf1.nn.softmax(scores, 1) * memory, 1)
      c, h = self.lstm_step(tf1.concat([x, context], 1), c, h, "decoder")
    loss = tf1.reduce_sum(tf1.square(self.dense(h, 2, "top")))
    draw = lambda: self.rng.randint(7, size=[2, steps])  # noqa: E731
    self.feeds = {source: draw(), target: draw()}
    return source, target, loss, memory, state

  def test_what_a_decoder_reads_of_an_encoder_is_found(self):
    source, target, loss, memory, state = self.build()
    points = tangle.cut_points([source, target], [loss])
    wanted = {memory.name, state[0].name}
    point = next(p for p in points if wanted <= set(p.names))
    # The state's h is the last of the memory, and read besides.
    self.assertEqual(set(point.names), wanted | {state[1].name})
    names = [v.name for v in point.variables_below]
    self.assertNotIn("target_table:0", names)
    self.assertIn("steps/encoder_kernel:0", names)
    self.assertEqual(point.inputs_below, (source,))
    self.assertEqual(point.inputs_above, (target,))
    self.assert_exact([source, target], loss, point)


class ControlFlowTest(NetworkTestCase):
  def build(self, v2, dynamic=False):
    self.use_control_flow(v2)
    x = self.placeholder(None, 3)
    h = tf1.tanh(self.dense(x, 3, "before"), name="h")
    kernel = self.weight("kernel", 3, 3)
    _, looped = tf1.while_loop(
      lambda k, h: k < 3,
      lambda k, h: [k + 1, tf1.tanh(tf1.matmul(h, kernel)) + 0.1 * h],
      [0, h],
    )
    y = tf1.tanh(self.dense(looped, 3, "after"), name="y")
    loss = tf1.reduce_sum(self.dense(y, 1, "top"))
    self.feeds = {x: self.normal(2, 3)}
    return x, h, looped, y, loss

  @parameterized.parameters(False, True)
  def test_a_loop_counts_as_one_op(self, v2):
    x, h, looped, y, loss = self.build(v2)
    points = tangle.cut_points([x], [loss])
    found = singles(points)
    self.assertEqual(found[:3], [h.name, looped.name, y.name])
    for point in points:
      for tensor in point.tensors:
        self.assertFalse(compat.in_v1_control_flow(tensor.op))
    below = [v.name for v in points[1].variables_below]
    self.assertIn("kernel:0", below)
    self.assertNotIn("kernel:0", [v.name for v in points[0].variables_below])

  @parameterized.product(v2=[False, True], index=[0, 1])
  def test_cuts_around_a_loop_are_exact(self, v2, index):
    x, _, _, _, loss = self.build(v2)
    self.assert_exact([x], loss, tangle.cut_points([x], [loss])[index])

  @parameterized.parameters(False, True)
  def test_a_conditional_is_not_cut_inside(self, v2):
    self.use_control_flow(v2)
    x = self.placeholder(None, 3)
    h = tf1.tanh(self.dense(x, 3, "before"))
    kernel = self.weight("kernel", 3, 3)
    y = tf1.cond(
      tf1.reduce_sum(h) > 0.0,
      lambda: tf1.tanh(tf1.matmul(h, kernel)),
      lambda: tf1.matmul(tf1.sigmoid(h), kernel),
    )
    loss = tf1.reduce_sum(self.dense(y, 1, "top"))
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    found = singles(points)
    self.assertEqual(found[:2], [h.name, y.name])
    for point in points:
      for tensor in point.tensors:
        self.assertFalse(compat.in_v1_control_flow(tensor.op))
    self.assert_exact([x], loss, points[1])

  @parameterized.parameters(False, True)
  def test_the_flow_of_a_tensor_array_is_no_cut_point(self, v2):
    self.use_control_flow(v2)
    x = self.placeholder(4, 2, 3)
    kernel = self.weight("kernel", 3, 3)
    first = tf1.tanh(tf1.tensordot(x, kernel, 1))
    given = tf1.TensorArray(tf1.float64, 4).unstack(first)
    made = tf1.TensorArray(tf1.float64, 4)

    def body(k, h, made):
      h = tf1.matmul(h + given.read(k), kernel)
      return k + 1, h, made.write(k, h)

    start = tf1.zeros([2, 3], tf1.float64)
    _, _, made = tf1.while_loop(lambda k, *_: k < 4, body, [0, start, made])
    hs = tf1.tanh(made.stack())
    loss = tf1.reduce_sum(self.dense(hs[-1], 1, "top"))
    self.feeds = {x: self.normal(4, 2, 3)}
    points = tangle.cut_points([x], [loss])
    found = singles(points)
    self.assertIn(first.name, found)
    for point in points:
      for tensor in point.tensors:
        self.assertEqual(tensor.dtype, tf1.float64)
        self.assertGreater(tensor.shape.ndims, 0)
    self.assert_exact([x], loss, points[found.index(first.name)])
    self.assert_exact([x], loss, points[found.index(first.name) + 1])


class BesidesTest(NetworkTestCase):
  def test_what_gradients_do_not_flow_through_may_cross(self):
    x = self.placeholder(None, 3, name="x")
    a = tf1.tanh(self.dense(x, 3, "a"))
    gate = tf1.stop_gradient(tf1.sigmoid(a))
    length = tf1.cast(tf1.reduce_sum(tf1.cast(x > 0.0, tf1.int32)), tf1.float64)
    b = tf1.tanh(self.dense(a, 3, "b"))
    y = tf1.tanh(self.dense(b, 3, "c")) * gate * length
    loss = tf1.reduce_sum(y)
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    self.assertEqual(singles(points)[:2], [a.name, b.name])
    self.assertEmpty(points[1].drawn_twice)
    names = [v.name for v in points[1].variables_above]
    self.assertEqual(names, ["c_w:0", "c_b:0"])
    self.assertEqual(points[1].inputs_above, (x,))  # for what is cut off

  def test_a_skip_is_part_of_every_set_that_it_crosses(self):
    x = self.placeholder(None, 3, name="x")
    a = tf1.tanh(self.dense(x, 3, "a"))
    b = tf1.tanh(self.dense(a, 3, "b"))
    c = tf1.tanh(self.dense(b, 3, "c"))
    d = tf1.tanh(self.dense(c, 3, "d"))
    loss = tf1.reduce_sum(self.dense(tf1.concat([d, a], 1), 2, "top"))
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    sets = [set(p.names) for p in points if len(p.tensors) == 2]
    wanted = [{a.name, t.name} for t in (b, c)]
    self.assertEqual(sets[:2], wanted)
    point = next(p for p in points if set(p.names) == wanted[1])
    self.assert_exact([x], loss, point)

  def test_an_input_that_both_sides_read_is_told(self):
    x = self.placeholder(None, 3, name="x")
    h = x
    for k in range(3):
      h = tf1.tanh(self.dense(tf1.concat([h, x], 1), 3, f"l{k}"), name=f"h{k}")
    loss = tf1.reduce_sum(self.dense(h, 1, "top"))
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    self.assertEqual(singles(points)[:3], ["h0:0", "h1:0", "h2:0"])
    above = [point.inputs_above for point in points[:3]]
    self.assertEqual(above, [(x,), (x,), ()])
    self.assert_exact([x], loss, points[1])

  def test_weights_made_of_variables_do_not_cross(self):
    x = self.placeholder(None, 3, name="x")
    v, g = self.weight("v", 3, 3), self.weight("g", 3)
    kernel = g * v / tf1.norm(v, axis=0)
    h = x
    for k in range(3):
      h = tf1.tanh(tf1.matmul(h, kernel), name=f"h{k}")
    loss = tf1.reduce_sum(tf1.square(h)) + tf1.nn.l2_loss(v)
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    self.assertEqual(singles(points), ["h0:0", "h1:0", "h2:0", "Sum:0"])
    self.assert_exact([x], loss, points[1])

  def test_a_mask_that_both_sides_draw_is_told(self):
    x = self.placeholder(None, 3, name="x")
    mask = tf1.random_uniform([3], dtype=tf1.float64, name="mask")
    h = x
    for k in range(3):
      masked = tf1.multiply(h, mask, name=f"m{k}")
      h = tf1.tanh(self.dense(masked, 3, f"l{k}"))
    own = tf1.random_uniform([3], dtype=tf1.float64)
    loss = tf1.reduce_sum(self.dense(h * own, 1, "top"))
    points = {p.names[0]: p for p in tangle.cut_points([x], [loss])}
    self.assertEqual(points["m1:0"].drawn_twice, ("mask/RandomUniform",))
    self.assertEmpty(points["m2:0"].drawn_twice)
    self.assertIn("mask/RandomUniform", str(tangle.cut_points([x], [loss])))

  def test_what_an_input_is_drawn_with_is_told(self):
    queue = tf1.FIFOQueue(4, [tf1.float64] * 2, [[2, 3], [2, 1]])
    x, target = queue.dequeue(name="batch")
    h = tf1.tanh(self.dense(x, 3, "a"))
    loss = tf1.reduce_sum(tf1.square(self.dense(h, 1, "b") - target))
    for inputs in ([x], [x, target]):
      points = tangle.cut_points(inputs, [loss])
      self.assertEqual(points[0].drawn_twice, ("batch",))
    fed = tf1.placeholder(tf1.float64, [2, 1])
    loss = tf1.reduce_sum(tf1.square(self.dense(h, 1, "c") - fed))
    self.assertEmpty(tangle.cut_points([x], [loss])[0].drawn_twice)

  def test_what_is_drawn_below_for_a_stopped_gradient_is_told(self):
    x = self.placeholder(None, 3, name="x")
    noise = tf1.random_uniform([3], dtype=tf1.float64, name="noise")
    a = tf1.tanh(self.dense(x * noise, 3, "a"), name="h0")
    b = tf1.tanh(self.dense(a, 3, "b"), name="h1")
    c = tf1.tanh(self.dense(b, 3, "c"), name="h2")
    loss = tf1.reduce_sum(self.dense(c * tf1.stop_gradient(a), 1, "top"))
    points = {p.names[0]: p for p in tangle.cut_points([x], [loss])}
    self.assertEmpty(points["h0:0"].drawn_twice)
    self.assertEqual(points["h1:0"].drawn_twice, ("noise/RandomUniform",))

  def test_reference_variables_are_read_on_both_sides(self):
    x = self.placeholder(None, 3, name="x")
    w = self.variable("w", self.normal(3, 3), use_resource=False)
    h = tf1.tanh(tf1.matmul(x, w), name="h0")
    h = tf1.tanh(tf1.matmul(h, w), name="h1")
    loss = tf1.reduce_sum(tf1.tanh(tf1.matmul(h, w)))
    self.feeds = {x: self.normal(2, 3)}
    points = tangle.cut_points([x], [loss])
    self.assertEqual(singles(points)[:2], ["h0:0", "h1:0"])
    self.assert_exact([x], loss, points[0])

  def test_copies_of_one_tensor_are_one_point(self):
    x = self.placeholder(None, 4, name="x")
    h = tf1.tanh(self.dense(x, 4, "a"))
    for _ in range(3):
      h = tf1.identity(tf1.reshape(h, [-1, 4]))
    read = tf1.reshape(h, [-1, 2, 2], name="read")
    y = self.dense(tf1.reshape(read, [-1, 4], name="last"), 3, "b")
    loss = tf1.reduce_sum(tf1.square(y))
    points = tangle.cut_points([x], [loss])
    self.assertEqual(singles(points), ["last:0", y.name])


class FormTest(NetworkTestCase):
  def build(self):
    x = self.placeholder(None, 3, name="x")
    h = tf1.tanh(self.dense(x, 4, "a"), name="h")
    return x, h, tf1.reduce_sum(tf1.square(self.dense(h, 2, "b")))

  def test_the_table_has_a_row_for_each_tensor(self):
    x, h, loss = self.build()
    points = tangle.cut_points([x], [loss])
    self.assertIsInstance(points, cut_points.CutPoints)
    lines = str(points).splitlines()
    self.assertLen(lines, len(points) + 2)
    for part in ("h:0", "float64", "[?, 4]", "32", "2"):
      self.assertIn(part, lines[1].split("  ") + lines[1].split())
    self.assertIn("2 cut points", lines[-1])

  def test_the_share_is_that_of_the_flops(self):
    x, h, loss = self.build()
    share = tangle.cut_points([x], [loss])[0].share
    # products, biases; above also two squares and a sum
    below, above = 2 * 3 * 4 + 4, 2 * 4 * 2 + 2 + 2 + 1
    self.assertAlmostEqual(share, below / (below + above), delta=0.03)

  def test_it_can_be_written_as_json(self):
    x, h, loss = self.build()
    found = tangle.cut_points([x], [loss]).to_dicts()
    self.assertEqual(found[0]["tensors"], {"h:0": "float64 [?, 4]"})
    self.assertEqual(found[0]["bytes"], 32)
    self.assertEqual(found[0]["variables_below"], ["a_w:0", "a_b:0"])
    self.assertEqual(found[0]["variables_above"], ["b_w:0", "b_b:0"])

  def test_nothing_is_added_to_the_graph(self):
    x, _, loss = self.build()
    before = self.count_ops()
    tangle.cut_points([x], [loss])
    self.assertEqual(self.count_ops(), before)

  def test_refuses_what_it_cannot_take(self):
    x, _, loss = self.build()
    for inputs, outputs, most in (
      ([], [loss], 4),
      ((), [loss], 4),
      ([x], [], 4),
      (x, [loss], 4),
      ([x], [loss], 0),
      ([x], [loss], 1.5),
    ):
      with self.assertRaises(errors.ArgumentError):
        tangle.cut_points(inputs, outputs, most)
    with tf1.Graph().as_default():
      other = tf1.placeholder(tf1.float64, [2])
    with self.assertRaises(errors.GraphError):
      tangle.cut_points([other], [loss])
    with self.assertRaisesRegex(errors.DisconnectedError, "Give the loss"):
      tangle.cut_points([x], [tf1.cast(loss, tf1.int32)])


class ProgramsTest(NetworkTestCase):
  @parameterized.parameters("vae", "unet", "seq2seq", "raw_rnn_decoder")
  def test_cuts_of_published_programs_are_exact(self, name):
    build = listing.ALL[name]
    with tf1.Graph().as_default():
      built = checks.build(build, use_resource=True)
      inputs = built.cuts["whole"][0].inputs
      points = tangle.cut_points(inputs, [built.goals[0].loss])
      found = [
        [[t.name for t in part] for part in (p.inputs_below, p.tensors)]
        + [[t.name for t in p.tensors + p.inputs_above]]
        for p in (points[0], points[len(points) // 2])
      ]
    sessions = case.plain_sessions()
    sessions.__enter__()
    self.addCleanup(sessions.__exit__, None, None, None)
    truth = checks.run_joint(build, use_resource=True)
    for below, between, above in found:

      def cut(below=below, between=between, above=above):
        made, get = build(), tf1.get_default_graph().get_tensor_by_name
        lower = common.Part(list(map(get, below)), list(map(get, between)))
        upper = common.Part(list(map(get, above)), [made.goals[0].loss])
        return made._replace(cuts={"at": [lower, upper]})

      outcome, text = checks.outcome(cut, "at", True, "auto", truth)
      self.assertEqual(outcome, checks.RIGHT, text)


class SpeedTest(NetworkTestCase):
  """Time is compared in one process: other work slows both graphs alike."""

  def assert_near_linear(self, build, length):
    """Returns the points of the graph of `build(length)`."""

    def measure(length):
      with tf1.Graph().as_default() as graph:
        inputs, outputs = build(length)
        ops = len(graph.get_operations())
        begin = time.process_time()
        points = tangle.cut_points(inputs, outputs)
        return time.process_time() - begin, ops, points

    found = []
    for _ in range(3):
      short_s, *_ = measure(length // 4)
      long_s, ops, points = measure(length)
      self.assertGreater(ops, 10_000)
      found.append(long_s / short_s)
      if found[-1] < GROWTH:
        return points
    raise AssertionError(f"Four times the ops took {found} times as long.")

  def test_on_a_deep_network(self):
    def build(layers):
      x = h = self.placeholder(None, 4, name="x")
      w = self.weight("w", 4, 4)
      for _ in range(layers):
        h = h + tf1.tanh(tf1.matmul(tf1.square(h) - 0.5 * h, w))
      return [x], [tf1.reduce_sum(h)]

    self.assertGreater(len(self.assert_near_linear(build, 1500)), 1400)

  def test_on_a_long_sequence(self):
    def build(steps):
      x = self.placeholder(None, steps, 3, name="x")
      c = h = tf1.zeros([tf1.shape(x)[0], 4], tf1.float64)
      for step in tf1.unstack(x, axis=1):
        c, h = self.lstm_step(step, c, h, "cell")
      return [x], [tf1.reduce_sum(h)]

    self.assertGreater(len(self.assert_near_linear(build, 700)), 650)


if __name__ == "__main__":
  absltest.main()
