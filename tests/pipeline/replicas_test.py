"""Replicas that divide the batch train as one with the whole batch."""

import threading
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors, nets
from tangle.compat import tf1
from tangle.pipeline import replicas
from tests import case
from tests.pipeline import placement_test


def add_parts(add, devices):
  """Adds an encoder and a decoder, which share an embedding."""
  table = nets.Embedding(7, 4, dtype=tf1.float64, name="table")
  code = nets.Dense(4, tf1.tanh, dtype=tf1.float64, name="code")
  mix = nets.Dense(4, dtype=tf1.float64, name="mix")

  def encode(bucket, reads):
    del bucket, reads
    ids_ph = tf1.placeholder(tf1.int32, [None])
    return tangle.Piece({"ids": ids_ph}, {"h": code(table(ids_ph))})

  def decode(bucket, reads):
    del bucket
    targets_ph = tf1.placeholder(tf1.int32, [None])
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=targets_ph, logits=table.project(mix(reads["h"]))
    )
    return tangle.Piece(
      {"targets": targets_ph},
      loss=tf1.reduce_mean(losses),
      metrics={"losses": losses},
    )

  add("encoder", encode, **devices)
  add("decoder", decode, reads={"h": "encoder.h"}, **devices)


class ReplicasTest(case.GraphTestCase):
  def train(self, count, devices=None, address="", rows=7, **options):
    """Returns the losses of 20 steps, the variables by name, their devices."""
    with tf1.Graph().as_default():
      pipeline = tangle.Pipeline()
      if count:
        copies = replicas.Replicas(pipeline, count)
        add_parts(copies.add, {"devices": devices})
      else:
        add_parts(pipeline.add, {})
      optimizer = tf1.train.AdamOptimizer(0.05)
      trainer = pipeline.minimize(optimizer, clip_norm=0.5, **options)
      rng = np.random.RandomState(4)
      config = tf1.ConfigProto(operation_timeout_in_ms=60000)
      with tf1.Session(address, config=config) as sess:
        sess.run(tf1.global_variables_initializer())
        for v in tf1.trainable_variables():
          initial = rng.uniform(-1, 1, v.shape.as_list())
          sess.run(v.initializer, {v.initializer.inputs[1]: initial})
        found = []
        for _ in range(20):
          ids, targets = rng.randint(0, 7, [2, rows])
          batch = {"encoder": {"ids": ids}, "decoder": {"targets": targets}}
          found.append(
            trainer.step(sess, copies.divide(batch) if count else batch)
          )
        variables = {v.op.name: v for v in tf1.global_variables()}
        places = {name: v.device for name, v in variables.items()}
        return found, sess.run(variables), places

  def assert_same(self, found, desired):
    for a, b in zip(found[0], desired[0]):
      self.assertAlmostEqual(a.loss, b.loss, places=12)
      self.assertAlmostEqual(a.global_norm, b.global_norm, places=12)
    self.assertLen({result.loss for result in desired[0]}, 20)
    self.assertEqual(set(found[1]), set(desired[1]))
    for name, value in desired[1].items():
      np.testing.assert_allclose(
        found[1][name], value, rtol=1e-11, atol=1e-11, err_msg=name
      )

  @parameterized.parameters((1, 7), (2, 7), (2, 8), (3, 7))
  def test_they_train_as_one_with_the_whole_batch(self, count, rows):
    found = self.train(count, rows=rows)
    self.assert_same(found, self.train(0, rows=rows))
    parts = [
      found[0][0].metrics[f"decoder_{k}"]["losses"] for k in range(count)
    ]
    self.assertLen(np.concatenate(parts), rows)

  @parameterized.parameters(2, 3)
  def test_they_do_so_on_several_tasks(self, count):
    tasks = placement_test.TASKS[:count]
    address = placement_test.target()
    found = self.train(count, tasks, address, overlap=True)
    self.assert_same(found, self.train(0))
    self.assertEqual(set(found[2].values()), {tasks[0]})

  def test_they_do_so_with_micro_batches(self):
    options = {"rows": 8, "micro_batches": 2}
    tasks, address = placement_test.TASKS[:2], placement_test.target()
    found = self.train(2, tasks, address, **options)
    self.assert_same(found, self.train(0, rows=8))

  def test_a_wrong_share_would_be_seen(self):
    divide = replicas.Replicas.divide

    def halve(copies, batch):
      found = divide(copies, batch)
      for k in range(2):
        found[f"decoder_{k}"]["share"] = 0.5  # of 3 rows, and of 4
      return found

    with mock.patch.object(replicas.Replicas, "divide", halve):
      found = self.train(2)
    with self.assertRaises(AssertionError):
      self.assert_same(found, self.train(0))

  @parameterized.parameters("", "grpc")
  def test_they_run_at_once(self, kind):
    address = placement_test.target() if kind else ""
    devices = placement_test.TASKS[:2] if kind else None
    meeting = threading.Barrier(2, timeout=20)

    def meet(x):
      meeting.wait()  # raises if the other replica does not come
      return x

    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None])
      with tf1.variable_scope("one", reuse=tf1.AUTO_REUSE):
        w = tf1.get_variable("w", [], tf1.float64, use_resource=True)
      seen = tf1.py_func(meet, [x_ph], tf1.float64)
      seen.set_shape([None])
      return tangle.Piece({"x": x_ph}, loss=tf1.reduce_mean(seen * w))

    pipeline = tangle.Pipeline()
    copies = replicas.Replicas(pipeline, 2)
    copies.add("one", build, devices=devices)
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    trainer = pipeline.minimize(optimizer, overlap=True)
    config = tf1.ConfigProto(inter_op_parallelism_threads=4)
    with tf1.Session(address, config=config) as sess:
      sess.run(tf1.global_variables_initializer())
      before = sess.run(trainer.variables[0])
      trainer.step(sess, copies.divide({"one": {"x": [1.0, 3.0]}}))
      after = sess.run(trainer.variables[0])
    self.assertAlmostEqual(before - after, 0.1 * 2.0)

  def test_forward_runs_a_replica_alone(self):
    pipeline = tangle.Pipeline()
    copies = replicas.Replicas(pipeline, 2)
    add_parts(copies.add, {})
    pipeline.build()
    sess = self.session()
    batch = {"encoder": {"ids": [1, 2]}, "decoder": {"targets": [3, 4]}}
    halves = pipeline.forward(sess, copies.divide(batch))
    alone = {"encoder_1": batch["encoder"], "decoder_1": batch["decoder"]}
    self.assertAlmostEqual(pipeline.forward(sess, alone).loss, halves.loss)

  def test_refuses(self):
    pipeline = tangle.Pipeline()
    for count in (0, True, "2"):
      with self.assertRaisesRegex(errors.ArgumentError, "positive int"):
        replicas.Replicas(pipeline, count)
    copies = replicas.Replicas(pipeline, 2)
    with self.assertRaisesRegex(errors.ArgumentError, "1 devices for 2"):
      add_parts(copies.add, {"devices": ["/cpu:0"]})
    add_parts(copies.add, {})
    with self.assertRaisesRegex(errors.ArgumentError, "'else.h'.* Add that"):
      copies.add("third", lambda bucket, reads: None, {"h": "else.h"})

  @parameterized.named_parameters(
    ("name", {"coder": {}}, "names 'coder'"),
    ("rows", {"encoder": {"ids": [1]}, "decoder": {"targets": [1, 2]}}, "same"),
    ("few", {"encoder": {"ids": [1]}, "decoder": {"targets": [1]}}, "at least"),
    ("none", {"encoder": {}}, "same size"),
  )
  def test_what_cannot_be_divided_is_refused(self, batch, message):
    copies = replicas.Replicas(tangle.Pipeline(), 2)
    add_parts(copies.add, {})
    with self.assertRaisesRegex(errors.ArgumentError, message):
      copies.divide(batch)

  def test_replicas_that_share_nothing_are_refused(self):
    pipeline = tangle.Pipeline()
    copies = replicas.Replicas(pipeline, 2)

    def build(bucket, reads):
      del bucket, reads
      name = f"w{len(tf1.trainable_variables())}"
      w = tf1.get_variable(name, [], use_resource=True)
      return tangle.Piece({}, loss=w * w)

    copies.add("one", build)
    message = r"^Replicas: .*\['w1:0'\] again"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      pipeline.build()

  def test_a_feed_of_that_name_is_refused(self):
    pipeline = tangle.Pipeline()
    copies = replicas.Replicas(pipeline, 2)

    def build(bucket, reads):
      del bucket, reads
      share_ph = tf1.placeholder(tf1.float32, [])
      return tangle.Piece({"share": share_ph}, loss=share_ph)

    copies.add("one", build)
    with self.assertRaisesRegex(errors.ArgumentError, "Give it another name"):
      pipeline.build()


if __name__ == "__main__":
  absltest.main()
