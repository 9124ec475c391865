"""Sub-models that live on the tasks of a cluster train as in one process."""

import socket

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import joint
from tests import case

SERVERS = []


def target():
  """Returns the address of a cluster of three tasks in this process."""
  if not SERVERS:
    sockets = [socket.socket() for _ in range(3)]
    for each in sockets:
      each.bind(("127.0.0.1", 0))
    tasks = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
      each.close()
    for k in range(3):
      server = tf1.train.Server(
        {"worker": tasks}, job_name="worker", task_index=k
      )
      SERVERS.append(server)
  return SERVERS[0].target


TASKS = [f"/job:worker/task:{k}" for k in range(3)]


def add_parts(pipeline, devices, dtype="float64"):
  """Adds three sub-models; the first and the last share an embedding."""
  rng = np.random.RandomState(3)

  def weight(name, *shape):
    initial = rng.uniform(-1, 1, shape).astype(dtype)
    return tf1.get_variable(name, initializer=initial, use_resource=True)

  with tf1.device(devices[0]):
    embedding = weight("embedding", 7, 4)

  def encode(bucket, reads):
    del bucket, reads
    ids_ph = tf1.placeholder(tf1.int32, [None])
    h = tf1.tanh(tf1.matmul(tf1.gather(embedding, ids_ph), weight("a", 4, 4)))
    return tangle.Piece({"ids": ids_ph}, {"h": h})

  def change(bucket, reads):
    del bucket
    return tangle.Piece({}, {"h": tf1.tanh(reads["h"] @ weight("b", 4, 4))})

  def decode(bucket, reads):
    del bucket
    targets_ph = tf1.placeholder(tf1.int32, [None])
    h = tf1.matmul(reads["h"], weight("c", 4, 4)) + reads["skip"]
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=targets_ph, logits=tf1.matmul(h, embedding, transpose_b=True)
    )
    return tangle.Piece({"targets": targets_ph}, loss=tf1.reduce_mean(losses))

  pipeline.add("encoder", encode, device=devices[0])
  pipeline.add("middle", change, reads={"h": "encoder.h"}, device=devices[1])
  reads = {"h": "middle.h", "skip": "encoder.h"}
  pipeline.add("decoder", decode, reads=reads, device=devices[2])


def batch_of(rng, rows):
  """Draws a batch for the sub-models of `add_parts`."""
  ids, targets = rng.randint(0, 7, [2, rows])
  return {
    "encoder": {"ids": ids},
    "middle": {},
    "decoder": {"targets": targets},
  }


class PlacementTest(case.GraphTestCase):
  def train(self, devices, address, is_joint=False):
    """Returns losses and variables after 20 steps, and the graph."""
    with tf1.Graph().as_default() as graph:
      pipeline = tangle.Pipeline()
      add_parts(pipeline, devices)
      optimizer = tf1.train.AdamOptimizer(0.05)
      if is_joint:
        trainer = joint.JointTrainer(pipeline, optimizer, 0.5)
      else:
        trainer = pipeline.minimize(optimizer, clip_norm=0.5)
      rng = np.random.RandomState(4)
      config = tf1.ConfigProto(operation_timeout_in_ms=60000)
      with tf1.Session(address, config=config) as sess:
        sess.run(tf1.global_variables_initializer())
        losses = []
        for _ in range(20):
          losses.append(trainer.step(sess, batch_of(rng, 6)).loss)
        return losses, sess.run(tf1.global_variables()), graph

  @parameterized.parameters(2, 3)
  def test_tasks_train_bit_for_bit_as_one_process(self, count):
    devices = [TASKS[k % count] for k in range(3)]
    losses, values, _ = self.train(devices, target())
    desired, wanted, _ = self.train([None] * 3, "")
    self.assertEqual(losses, desired)
    self.assertEqual(losses, self.train([None] * 3, "", is_joint=True)[0])
    self.assertLen(set(losses), 20)
    for value, other in zip(values, wanted):
      np.testing.assert_array_equal(value, other)

  def test_everything_of_a_sub_model_is_on_its_task(self):
    _, _, graph = self.train(TASKS, target())
    names = {"encoder": 0, "middle": 1, "decoder": 2}
    for op in graph.get_operations():
      if op.type in ("MapStage", "MapUnstage", "MapPeek"):
        self.assertNotEqual(op.device, "", op.name)
      for name, task in names.items():
        inside = f"/training/{name}/" in op.name
        if inside and op.type not in ("Const", "ReadVariableOp", "NoOp"):
          if op.name.split("/")[-1].split("_")[0] in ("add", "put", "restore"):
            continue  # gradients are summed where the producer is
          self.assertEqual(op.device, TASKS[task], f"{op.name} ({op.type})")
    with graph.as_default():
      places = {v.op.name: v.device for v in tf1.global_variables()}
    for name, task in (("embedding", 0), ("a", 0), ("b", 1), ("c", 2)):
      for slot in ("", "/Adam", "/Adam_1"):
        self.assertEqual(places[name + slot], TASKS[task])

  @parameterized.parameters("", "worker 1", 3)
  def test_what_names_no_device_is_refused(self, device):
    pipeline = tangle.Pipeline()
    with self.assertRaisesRegex(errors.ArgumentError, "must name a device"):
      pipeline.add("a", lambda bucket, reads: None, device=device)


if __name__ == "__main__":
  absltest.main()
