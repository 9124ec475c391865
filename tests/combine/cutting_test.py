"""Tests of cutting a trunk out of a network that stands."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.compat import tf1
from tests.combine import support

F64 = tf1.float64


class CutTest(support.CombineTestCase):
  def build(self):
    """Builds a network of two layers; returns input, code and output."""
    x_ph = tf1.placeholder(F64, [None, 3], "x")
    code = nets.Dense(4, tf1.tanh, dtype=F64, name="lower")(x_ph)
    return x_ph, code, nets.Dense(2, dtype=F64, name="upper")(code)

  @parameterized.named_parameters(
    ("tensor", None), ("name", ":0"), ("op", ""), ("layer", "lower")
  )
  def test_ends_where_it_is_told(self, at):
    x_ph, code, _ = self.build()
    tf1.gradients(code, tf1.trainable_variables()[:2])
    if at is None:
      at = code
    elif at != "lower":
      at = code.op.name + at
    cut = combine.cut(at)
    self.assertIs(cut.output, code)
    self.assertEqual([t.name for t in cut.inputs], [x_ph.name])
    self.assertEqual(
      [v.op.name for v in cut.variables], ["lower/kernel", "lower/bias"]
    )
    before = self.count_ops()
    self.assertIs(cut(x_ph), code)
    self.assertEqual(self.count_ops(), before)

  def test_takes_a_new_head_and_equals_the_network_by_hand(self):
    x_ph, code, _ = self.build()
    model = combine.shared(combine.cut("lower"), {"new": support.affine(2)})
    found = model(x_ph)["new"]
    kernel, bias, head = model.variables
    wanted = tf1.tanh(x_ph @ kernel + bias) @ head
    self.assertEqual(
      [v.op.name for v in model.trunk.variables], ["lower/kernel", "lower/bias"]
    )
    feed = {x_ph: self.normal(4, 3)}
    self.assert_same(
      found, wanted, feed, tf1.trainable_variables()[:2] + [head]
    )

  def test_other_inputs_get_copies_that_share_the_variables(self):
    _, code, _ = self.build()
    count = len(tf1.global_variables())
    other_ph = tf1.placeholder(F64, [5, 3])
    found = combine.cut(code)(other_ph)
    self.assertLen(tf1.global_variables(), count)
    kernel, bias = tf1.trainable_variables()[:2]
    wanted = tf1.tanh(other_ph @ kernel + bias)
    self.assert_same(
      found, wanted, {other_ph: self.normal(5, 3)}, [kernel, bias]
    )

  def test_begins_where_it_is_told(self):
    x_ph, code, output = self.build()
    cut = combine.cut(output, inputs=code)
    other = tf1.constant(self.normal(5, 4))
    found = cut(other)
    self.assertLen(cut.variables, 2)
    sess = self.session()
    kernel, bias = self.fill(sess, cut.variables)
    self.assert_close(sess.run(found), sess.run(other) @ kernel + bias)

  def test_an_imported_graph_can_be_cut(self):
    folder = self.folder()
    x_ph, code, _ = self.build()
    sess = self.session()
    x = self.normal(2, 3)
    wanted = sess.run(code, {x_ph: x})
    prefix = tf1.train.Saver().save(sess, folder + "/model")
    with tf1.Graph().as_default() as graph:
      saver = tf1.train.import_meta_graph(prefix + ".meta")
      model = combine.shared(
        combine.cut("lower", graph=graph), {"new": support.affine(2)}
      )
      other_ph = tf1.placeholder(F64, [None, 3])
      outputs = [model(other_ph)["new"], model.trunk.network(other_ph)]
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        saver.restore(sess, prefix)
        found = sess.run(outputs, {other_ph: x})
    self.assert_close(found[1], wanted)
    self.assertEqual(found[0].shape, (2, 2))

  def test_ops_are_in_the_scope(self):
    cut = combine.cut(self.build()[1])
    x = tf1.zeros([1, 3], F64)
    before = self.count_ops()
    cut(x, name="here")
    self.assert_ops_under("here", before)

  def test_wrong_places(self):
    x_ph, code, output = self.build()
    with tf1.name_scope("two"):
      tf1.sin(code)
      tf1.cos(code)
    for at, message in (
      ("lowr", r"no tensor or layer 'lowr'. Similar names are \['lower'"),
      (code.op.name + ":3", r"the outputs of op .* are \[.*Name one"),
      ("two", "several tensors come out of layer 'two'.*two/Sin"),
      (3, "must hold tensors"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.cut(at)
    with self.assertRaisesRegex(errors.DisconnectedError, "no placeholder"):
      combine.cut(tf1.constant(1.0))
    with self.assertRaisesRegex(errors.DisconnectedError, "does not depend"):
      combine.cut(code, inputs=[output])
    with tf1.Graph().as_default():
      foreign = tf1.zeros([1, 3], F64)
    with self.assertRaises(errors.GraphError):
      combine.cut(code, inputs=[foreign])
    cut = combine.cut(code)
    for inputs, error, message in (
      ([x_ph, x_ph], errors.ArgumentError, "one tensor for each"),
      (tf1.zeros([1, 3]), errors.DtypeError, "float64.*float32"),
      (tf1.zeros([1, 2], F64), errors.ShapeError, r"\[1, 2\]"),
      (foreign, errors.GraphError, "another graph"),
    ):
      with self.assertRaisesRegex(error, message):
        cut(inputs)

  def test_old_loops_are_used_as_they_stand_and_not_copied(self):
    self.use_control_flow(False)
    x_ph = tf1.placeholder(F64, [2])
    output = tf1.while_loop(
      lambda k, v: k < 3, lambda k, v: (k + 1, v * 2), [0, x_ph]
    )[1]
    cut = combine.cut(output)
    self.assertIs(cut(x_ph), output)
    with self.assertRaisesRegex(errors.CutError, "enable_control_flow_v2"):
      cut(tf1.zeros([2], F64))

  def test_new_loops_are_copied(self):
    self.use_control_flow(True)
    x_ph = tf1.placeholder(F64, [2])
    output = tf1.while_loop(
      lambda k, v: k < 3, lambda k, v: (k + 1, v * 2), [0, x_ph]
    )[1]
    copied = combine.cut(output)(tf1.constant([1.0, 2.0], F64))
    found = self.session().run(copied)
    self.assertEqual(np.asarray(found).tolist(), [8.0, 16.0])


if __name__ == "__main__":
  absltest.main()
