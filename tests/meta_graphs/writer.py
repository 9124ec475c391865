"""Writes a `.meta` file and a checkpoint, and says how training went.

    python -m tests.meta_graphs.writer KIND PREFIX

Plain TensorFlow, nothing of tangle, as the code of others would be. The kinds:
layers, on reference variables; loop, the same with a TensorFlow 1 style loop;
rnn, such a loop with tensor arrays on resource variables; flow, a TensorFlow 2
style loop; norm, a fused batch norm in inference mode.
"""

import json
import sys

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
STEPS = 5
RATE = 0.1


def batches():
  """Yields what to feed at each step, by name of the placeholder."""
  rng = np.random.RandomState(3)
  for _ in range(STEPS):
    yield {
      "x:0": rng.standard_normal((6, 4)),
      "ids:0": rng.randint(0, 7, (6, 3)),
      "targets:0": rng.standard_normal((6, 2)),
    }


def build(kind):
  """Builds the network; its lower half ends at the tensor `hidden:0`."""
  rng = np.random.RandomState(7)

  def variable(name, *shape):
    value = 0.5 * rng.standard_normal(shape)
    return tf1.get_variable(
      name, initializer=value, use_resource=kind in ("rnn", "flow", "norm")
    )

  x = tf1.placeholder(tf1.float64, [None, 4], "x")
  ids = tf1.placeholder(tf1.int32, [None, 3], "ids")
  targets = tf1.placeholder(tf1.float64, [None, 2], "targets")
  embedded = tf1.nn.embedding_lookup(variable("table", 7, 5), ids)
  h = tf1.concat([x, tf1.reduce_mean(embedded, 1)], 1)
  h = tf1.nn.relu(tf1.matmul(h, variable("lower/kernel", 9, 8)))
  if kind in ("loop", "flow"):
    kernel = variable("loop/kernel", 8, 8)
    h = tf1.while_loop(
      lambda t, h: t < 3,
      lambda t, h: (t + 1, tf1.tanh(tf1.matmul(h, kernel))),
      [tf1.constant(0), h],
    )[1]
  if kind == "rnn":
    h = run_rnn(h)
  if kind == "norm":
    h = normalize(h)
  h = tf1.identity(h, "hidden")
  y = tf1.matmul(h, variable("upper/kernel", 8, 2), name="y")
  return tf1.reduce_mean(tf1.square(y - targets), name="loss")


def run_rnn(h):
  """Runs a plain recurrent layer over tensor arrays, on resource variables."""
  value = 0.5 * np.random.RandomState(8).standard_normal((8, 8))
  kernel = tf1.get_variable("rnn/kernel", initializer=value, use_resource=True)
  steps = tf1.stack([h, 2 * h, -h])
  source = tf1.TensorArray(tf1.float64, 3).unstack(steps)

  def body(t, h):
    return t + 1, tf1.tanh(tf1.matmul(h + source.read(t), kernel))

  return tf1.while_loop(lambda t, h: t < 3, body, [tf1.constant(0), h])[1]


def normalize(h):
  """Normalizes by given means and variances, in single precision."""
  rows = np.linspace(0.5, 1.5, 32).reshape(4, 8).astype(np.float32)
  scale, offset, mean, variance = [
    tf1.get_variable(name, initializer=row, use_resource=True)
    for name, row in zip(["scale", "offset", "mean", "variance"], rows)
  ]
  h = tf1.cast(tf1.reshape(h, [-1, 1, 1, 8]), tf1.float32)
  h = tf1.nn.fused_batch_norm(
    h, scale, offset, mean=mean, variance=variance, is_training=False
  )[0]
  return tf1.cast(tf1.reshape(h, [-1, 8]), tf1.float64)


def main(kind, prefix):
  if kind == "flow":
    tf1.enable_control_flow_v2()
  else:
    tf1.disable_control_flow_v2()
  with tf1.Graph().as_default():
    loss = build(kind)
    train_op = tf1.train.GradientDescentOptimizer(RATE).minimize(loss)
    saver = tf1.train.Saver()
    with tf1.Session() as sess:
      sess.run(tf1.global_variables_initializer())
      saver.save(sess, prefix)
      losses = []
      for batch in batches():
        losses.append(float(sess.run(loss, batch)))
        sess.run(train_op, batch)
      names = [v.name for v in tf1.trainable_variables()]
      values = sess.run(tf1.trainable_variables())
  weights = {name: value.tolist() for name, value in zip(names, values)}
  print(json.dumps({"losses": losses, "weights": weights}))


if __name__ == "__main__":
  main(*sys.argv[1:])
