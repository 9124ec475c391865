import itertools

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import cut, handles, walk
from tangle.partial import split, staging
from tests import case
from tests.partial import checks, zoo


def _upstream(tensors, used=None):
  used = used or [True] * len(tensors)
  return [
    tf1.placeholder(t.dtype, t.shape) if use else None
    for t, use in zip(tensors, used)
  ]


class PieceTest(case.GraphTestCase):
  def test_finds_the_ops_that_depend_on_inputs_or_variables(self):
    x = tf1.placeholder(tf1.float64, [None, 2])
    w = self.variable("w", self.normal(2, 2))
    h = tf1.matmul(x, w, name="h")
    noise = tf1.exp(tf1.placeholder(tf1.float64, []), name="noise")
    y = tf1.multiply(h, noise, name="y")
    tf1.square(y, name="above")
    piece = split.Split([x], [y])
    types = [op.type for op in piece.ops]
    self.assertEqual(types, ["ReadVariableOp", "MatMul", "Mul"])
    self.assertEqual([op.name for op in piece.between], ["h", "y"])
    self.assertIn(noise.op, piece.all_ops)
    self.assertEqual(piece.variables, [w])

  def test_needs_no_inputs_where_none_are_asked_for(self):
    w = self.variable("w", self.normal(2))
    piece = split.Split([], [tf1.square(w)], connected=False)
    self.assertEqual(piece.variables, [w])
    with self.assertRaises(errors.ArgumentError):
      split.Split([], [tf1.square(w)])

  def test_a_gradient_flows_through_differentiable_ops_alone(self):
    x = tf1.placeholder(tf1.float64, [None])
    stopped = tf1.stop_gradient(tf1.square(x, name="square"), name="stopped")
    whole = tf1.cast(tf1.cast(x, tf1.int32), tf1.float64)
    y = tf1.multiply(tf1.sin(x, name="sine"), stopped + whole, name="y")
    piece = split.Split([x], [y])
    names = [op.name for op in piece.differentiable_ops()]
    self.assertCountEqual(names, ["sine", "y"])

  def test_the_reference_of_a_variable(self):
    for use_resource, kind in ((True, "VarHandleOp"), (False, "VariableV2")):
      name = f"w{use_resource}"
      w = self.variable(name, np.ones(2), use_resource=use_resource)
      self.assertEqual(handles.of(w).op.type, kind)


class WantedTest(case.GraphTestCase):
  def test_no_gradient_is_made_of_an_input_that_is_not_wanted(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    h = tf1.placeholder(tf1.float64, [2], name="h")
    piece = split.Split([x, h], [tf1.sin(x) * h], wanted=[h])
    self.assertEqual(piece.wanted, [False, True])
    self.assertEqual([t.name for t in piece.float_sources()], ["h:0"])
    found = piece.differentiate(_upstream(piece.outputs))
    self.assertIsNone(found.gradients.inputs[0])
    self.assertIsNotNone(found.gradients.inputs[1])
    made = [op.type for op in found.cut.copied]
    self.assertNotIn("Cos", made)
    self.assertEqual([t.op.type for t in found.cut.kept], ["Sin"])

  @parameterized.parameters("device", "host", "session", "recompute")
  def test_gradients_of_the_values_of_a_sparse_tensor(self, store):
    places = tf1.placeholder(tf1.int64, [None, 2])
    values = tf1.placeholder(tf1.float64, [None])
    w = self.variable("w", self.normal(4, 2))
    matrix = tf1.SparseTensor(places, values, [3, 4])
    y = tf1.sparse.sparse_dense_matmul(matrix, w)
    sess = self.session()
    feed_dict = {places: [[0, 1], [2, 3]], values: [1.0, 2.0]}
    for wanted in (None, [values]):
      sub_model = tangle.SubModel(
        [places, values], [y], store=store, input_gradients=wanted
      )
      call = sub_model.forward(sess, feed_dict)
      upstream = self.normal(3, 2)
      found = call.backward([upstream])
      self.assert_close(found.variables[0][1], upstream[0])
      if wanted is None:
        self.assertIsNone(found.inputs[1])
      else:
        weight = sess.run(w)
        self.assert_close(
          found.inputs[1],
          np.array([upstream[0] @ weight[1], upstream[2] @ weight[3]]),
        )

  def test_what_ties_a_piece_to_one_run(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [2])
    y = tf1.while_loop(lambda y: y[0] < 3, lambda y: 2 * y, [x])[0]
    array = tf1.TensorArray(tf1.float64, 2).unstack(x)
    fed = tf1.placeholder(tf1.float64, [])
    beside = tf1.while_loop(lambda k: k < 3, lambda k: 2 * k, [fed])
    ties = [
      split.Split([x], [output]).ties_to_one_run()
      for output in (y, tf1.square(array.stack()), x * beside)
    ]
    self.assertTrue(compat.in_v1_control_flow(ties[0]))
    self.assertTrue(ties[1].type.startswith("TensorArray"))
    self.assertIsNone(ties[2])


class ConnectTest(case.GraphTestCase):
  @parameterized.product(
    build=[model for model in zoo.MODELS if model is not zoo.dataset],
    residuals=["frontier", "none"],
  )
  def test_the_copy_reads_no_forward_op(self, build, residuals):
    model = build(self)
    forward = set(walk.ancestors(model.outputs))
    piece = split.Split(model.inputs, model.outputs, None, residuals)
    upstream = _upstream(model.outputs, model.used)
    backward = piece.differentiate(upstream)
    restored = {
      t.name: tf1.placeholder(t.dtype.base_dtype, t.shape)
      for t in backward.cut.kept
    }
    gradients = piece.connect(backward, restored, "backward")
    flat = split.flatten(gradients)[0]
    self.assertNotEmpty(flat)
    read = forward.intersection(walk.ancestors(flat, control=True))
    self.assertContainsSubset([op.type for op in read], cut.FREE)

  @parameterized.parameters("device", "host")
  def test_ops_of_a_custom_gradient_stand_once(self, store):
    @tf1.custom_gradient
    def bend(x):
      y = tf1.tanh(x)
      return y, lambda upstream: tf1.raw_ops.TanhGrad(y=y, dy=upstream)

    x = tf1.placeholder(tf1.float64, [None, 2])
    y = bend(bend(bend(x)))
    sub_model = tangle.SubModel([x], [y], store=store)
    sub_model.prepare([True])
    types = [op.type for op in self.graph.get_operations()]
    self.assertEqual(types.count("TanhGrad"), 3)
    value = self.normal(3, 2)
    call = sub_model.forward(self.session(), {x: value})
    found = call.backward([np.ones([3, 2])]).inputs[0]
    expected = tf1.gradients(y, x)[0]
    np.testing.assert_array_equal(
      found, self.session().run(expected, {x: value})
    )

  def test_static_shapes_are_those_of_the_originals(self):
    model = zoo.tied_embedding(self)
    piece = split.Split(model.inputs, model.outputs)
    backward = piece.differentiate(_upstream(model.outputs))
    restored = {t.name: t for t in backward.cut.kept}
    copies = piece.connect(backward, restored, "backward")
    for old, new in zip(
      split.flatten(backward.gradients)[0], split.flatten(copies)[0]
    ):
      self.assertEqual(old.shape.as_list(), new.shape.as_list())

  def test_the_cut_is_left_out_on_demand(self):
    model = zoo.mlp(self)
    piece = split.Split(model.inputs, model.outputs)
    backward = piece.differentiate(_upstream(model.outputs), find_cut=False)
    self.assertIsNone(backward.cut)
    self.assertNotIn(None, backward.gradients.variables)

  def test_all_keeps_what_the_frontier_keeps_and_more(self):
    model = zoo.lstm(self)
    kept = {}
    for residuals in ("none", "frontier", "all"):
      piece = split.Split(model.inputs, model.outputs, residuals=residuals)
      found = piece.differentiate(_upstream(model.outputs)).cut.kept
      self.assertLen(walk.names(found), len(found))
      kept[residuals] = {
        t.name for t in found if not t.name.startswith("shape_of")
      }
    self.assertContainsSubset(kept["frontier"], kept["all"])
    self.assertLess(len(kept["none"]), len(kept["frontier"]))
    between = walk.between(model.inputs, model.outputs)
    everything = {t.name for op in between for t in op.outputs}
    everything = {n for n in everything if not n.startswith("shape_of")}
    self.assertContainsSubset(everything, kept["all"])


class PartialUseTest(case.GraphTestCase):
  @parameterized.parameters("device", "host", "session", "recompute")
  def test_every_set_of_outputs(self, store):
    x = tf1.placeholder(tf1.float64, [None, None])
    rows = tf1.reshape(x, [-1, 6])
    a, b, _ = tf1.split(rows, 3, axis=1)
    c, _ = tf1.unstack(tf1.tanh(tf1.reshape(rows, [2, -1])))
    feed_dict = {x: self.normal(4, 6)}
    patterns = [p for p in itertools.product([True, False], repeat=3) if any(p)]
    model = zoo.Model([x], [a, b, c], feed_dict, (True,) * 3)
    sub_model = checks.sub_model(model, store)
    joints = [checks.Joint(model._replace(used=used)) for used in patterns]
    sess = self.session()
    for used, joint in zip(patterns, joints):
      with self.subTest(str(used)):
        options = {"used": used} if store == "session" else {}
        call = sub_model.forward(sess, feed_dict, **options)
        upstream = checks.upstream_like(self, call.outputs, used)
        desired = joint.run(sess, feed_dict, upstream)
        checks.assert_same(self, call.backward(upstream), desired)

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_shape_is_taken_from_what_is_kept(self, strategy):
    # All outputs together keep x itself, and the reshape alone its shape.
    x = tf1.placeholder(tf1.float64, [None, None])
    flat = tf1.reshape(tf1.transpose(x), [-1])
    square = tf1.square(x)
    sub_model = tangle.SubModel(
      [x], [square, flat], **checks.STRATEGIES[strategy]
    )
    kept = sub_model.residuals
    sess = self.session()
    used = [False, True] if strategy == "session" else None
    call = sub_model.forward(sess, {x: np.ones([3, 2])}, used=used)
    found = call.backward([None, np.arange(6.0)])
    np.testing.assert_array_equal(
      found.inputs[0], np.arange(6.0).reshape(2, 3).T
    )
    self.assertLen(sub_model.residuals, len(kept))

  def test_shapes_for_partial_use_are_found_before(self):
    x = tf1.placeholder(tf1.float64, [None, 4])
    a, b = tf1.split(x, 2, axis=1)
    c = tf1.square(x)
    piece = split.Split([x], [a, b, c])
    before = self.count_ops()
    shapes = piece.prepare_partial_use()
    self.assertLen(shapes, 2)  # of the two halves, and of nothing else
    self.assertEqual(self.count_ops(), before + 2)
    kept = piece.differentiate(_upstream([a, b, c], [True, False, False])).cut
    self.assertContainsSubset(walk.names(kept.kept), walk.names(shapes))

  def test_static_shapes_and_single_outputs_need_none(self):
    x = tf1.placeholder(tf1.float64, [2, 4])
    a, b = tf1.split(x, 2, axis=1)
    for outputs in ([a, b], [a]):
      piece = split.Split([x], outputs)
      self.assertEqual(piece.prepare_partial_use(), [])

  def test_what_is_left_out_cannot_turn_zero_into_nan(self):
    model = zoo.infinite_slope(self)
    sub_model = checks.sub_model(model, "device")
    sess = self.session()
    call = sub_model.forward(sess, model.feed_dict)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    found = call.backward(upstream)
    self.assertTrue(np.all(np.isfinite(found.inputs[0])))
    # As opposed to an upstream gradient of zero.
    call = sub_model.forward(sess, model.feed_dict)
    found = call.backward([np.zeros([3, 4]), upstream[1]])
    self.assertTrue(np.any(np.isnan(found.inputs[0])))


class FlattenTest(case.GraphTestCase):
  def test_rebuilds_the_same_structure_of_other_tensors(self):
    ids, values = tf1.constant([1, 2]), tf1.constant([1.0, 2.0])
    shape = tf1.constant([5])
    gradients = split.Gradients(
      [None, values],
      [
        tf1.IndexedSlices(values, ids, shape),
        None,
        tf1.IndexedSlices(values, ids),
      ],
    )
    flat, rebuild = split.flatten(gradients)
    self.assertEqual(
      [t.name for t in flat],
      [t.name for t in (values, values, ids, shape, values, ids)],
    )
    other = [tf1.identity(t) for t in flat]
    found = rebuild(other)
    self.assertIsNone(found.inputs[0])
    self.assertIs(found.inputs[1], other[0])
    self.assertIs(found.variables[0].values, other[1])
    self.assertIs(found.variables[0].indices, other[2])
    self.assertIs(found.variables[0].dense_shape, other[3])
    self.assertIsNone(found.variables[1])
    self.assertIsNone(found.variables[2].dense_shape)
    self.assertEqual(len(split.flatten(found)[0]), 6)


class HandlesTest(case.GraphTestCase):
  def test_a_variable_that_a_loop_reads_is_not_kept_as_a_handle(self):
    model = zoo.loop(self)
    piece = split.Split(model.inputs, model.outputs)
    found = piece.differentiate(_upstream(model.outputs)).cut
    self.assertNotIn(tf1.resource, [t.dtype.base_dtype for t in found.kept])
    self.assertNotEmpty(found.handles)
    for name, tensor in found.handles.items():
      self.assertNotEqual(name, tensor.name)
      self.assertEqual(tensor.op.type, "VarHandleOp")
    self.assertEqual(staging.own_values(found.kept), found.kept)


if __name__ == "__main__":
  absltest.main()
