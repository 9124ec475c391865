"""Gradient functions that read a variable again get the forward run's value."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.partial import sub_model
from tests import case

X = np.arange(6.0).reshape([2, 3]) / 6
STORES = (sub_model.AUTO, *sub_model.STORES)


def build():
  """Returns `tanh(x w)`, whose gradient function reads `w` anew, and waits."""
  w = tf1.get_variable("w", initializer=np.eye(3) * 0.3, use_resource=True)

  @tf1.custom_gradient
  def again(x, w_read):
    def grad(dy):
      with tf1.control_dependencies([dy]):
        x_late, w_late = tf1.identity(x), w.read_value()
        y = tf1.tanh(tf1.matmul(x_late, w_late))
      return tf1.gradients(y, [x_late, w_late], dy)

    return tf1.tanh(tf1.matmul(x, w_read)), grad

  x_ph = tf1.placeholder(tf1.float64, [None, 3])
  return x_ph, again(x_ph, w.read_value()), w


class RereadsTest(case.GraphTestCase):
  @parameterized.parameters(*STORES)
  def test_the_value_is_that_of_the_forward_run(self, store):
    x_ph, y, w = build()
    desired = tf1.gradients(y, [x_ph, w], tf1.ones_like(y))
    part = tangle.SubModel([x_ph], [y], store=store)
    sess = self.session()
    dx, dw = sess.run(desired, {x_ph: X})
    call = part.forward(sess, {x_ph: X})
    sess.run(w.assign(tf1.ones_like(w)))
    found = call.backward([np.ones([2, 3])])
    np.testing.assert_allclose(found.inputs[0], dx, 1e-12)
    np.testing.assert_allclose(found.variables[0], dw, 1e-12)

  def test_a_pipeline_trains_as_the_joint_graph(self):
    def losses(joint):
      with tf1.Graph().as_default():
        kept = []

        def build_encoder(bucket, reads):
          del bucket, reads
          x_ph, y, _ = build()
          kept.append(x_ph)
          return tangle.Piece({"x": x_ph}, {"y": y})

        def build_head(bucket, reads):
          del bucket
          return tangle.Piece({}, loss=tf1.reduce_mean((reads["y"] - 1) ** 2))

        optimizer = tf1.train.GradientDescentOptimizer(0.5)
        if joint:
          y = build_encoder(None, {}).outputs["y"]
          loss = tf1.reduce_mean((y - 1) ** 2)
          train_op = optimizer.minimize(loss)
        else:
          pipeline = tangle.Pipeline()
          pipeline.add("encoder", build_encoder)
          pipeline.add("head", build_head, reads={"y": "encoder.y"})
          trainer = pipeline.minimize(optimizer)
        with tf1.Session() as sess:
          sess.run(tf1.global_variables_initializer())
          if joint:
            feed = {kept[0]: X}
            return [sess.run([loss, train_op], feed)[0] for _ in range(4)]
          batch = {"encoder": {"x": X}, "head": {}}
          return [trainer.step(sess, batch).loss for _ in range(4)]

    found = losses(joint=False)
    np.testing.assert_allclose(found, losses(joint=True), 1e-12)
    self.assertLess(found[-1], found[0])


if __name__ == "__main__":
  absltest.main()
