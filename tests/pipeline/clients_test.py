"""Clients of one cluster are apart, and what a dead one leaves can go."""

import json
import signal

import numpy as np
from absl.testing import absltest

import tangle
from tangle.compat import tf1
from tangle.pipeline import clusters
from tests import case, forks
from tests.pipeline import placement_test

CLIENT = """
import json, os, signal, sys
from unittest import mock
import numpy as np
import tangle
from tangle.compat import tf1
from tangle.pipeline import faults
from tests.pipeline import clients_test
run, count = faults.Limited.run, []

def dying(limited, *args):
  found = run(limited, *args)
  count.append(1)
  if len(count) == 3:  # all have gone forward, none backward
    os.kill(os.getpid(), signal.SIGKILL)
  return found

with tf1.Graph().as_default() as graph:
  trainer = clients_test.build("dead")
  areas = [
    [
      op.get_attr("shared_name").decode(),
      [dtype.name for dtype in op.get_attr("dtypes")],
      op.device,
    ]
    for op in graph.get_operations() if op.type == "MapStage"
  ]
  print(json.dumps(areas), flush=True)
  with tf1.Session(sys.argv[1]) as sess:
    sess.run(tf1.global_variables_initializer())
    with mock.patch.object(faults.Limited, "run", dying):
      trainer.step(sess, clients_test.batch())
"""


def build(scope):
  """Returns the trainer of a pipeline on three tasks."""
  pipeline = tangle.Pipeline()
  with tf1.variable_scope(scope):
    placement_test.add_parts(pipeline, placement_test.TASKS)
    return pipeline.minimize(tf1.train.AdamOptimizer(0.05), micro_batches=1)


def batch():
  """Returns a batch."""
  return placement_test.batch_of(np.random.RandomState(0), 6)


class ClientsTest(case.GraphTestCase):
  def losses(self, target, scope, steps=4):
    """Trains as a client; returns the losses."""
    with tf1.Graph().as_default():
      trainer = build(scope)
      with tf1.Session(target) as sess:
        sess.run(tf1.global_variables_initializer())
        return [trainer.step(sess, batch()).loss for _ in range(steps)]

  def waiting(self, target, areas):
    """Returns how many lists of tensors are staged, seen by a new session."""
    sizes = []
    for name, dtypes, device in {json.dumps(s): s for s in areas}.values():
      with tf1.device(device):
        dtypes = [tf1.as_dtype(dtype) for dtype in dtypes]
        sizes.append(tf1.raw_ops.MapSize(dtypes=dtypes, shared_name=name))
    with tf1.Session(target, graph=self.graph) as sess:
      return int(sum(sess.run(sizes)))

  def test_what_a_dead_client_leaves_disturbs_nobody_and_can_be_removed(self):
    alone = self.losses(placement_test.target(), "alone")
    with clusters.LocalCluster(3, threads=1) as cluster:
      target = cluster.target
      done = forks.run_code(CLIENT, target)
      self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr[-2000:])
      areas = json.loads(done.stdout.splitlines()[-1])
      self.assertGreater(self.waiting(target, areas), 0)
      self.assertEqual(self.losses(target, "next"), alone)
      self.assertGreater(self.waiting(target, areas), 0)
      tf1.Session.reset(target)
      self.assertEqual(self.waiting(target, areas), 0)
      self.assertEqual(self.losses(target, "next"), alone)

  def test_two_clients_at_once_are_apart(self):
    target, steps = placement_test.target(), 4
    wanted = self.losses(target, "wanted", steps)
    # Else variables of one name are one variable.
    config = tf1.ConfigProto(isolate_session_state=True)
    graphs = [tf1.Graph(), tf1.Graph()]
    sessions, trainers = [], []
    for graph in graphs:
      with graph.as_default():
        trainers.append(build("same"))
        sessions.append(tf1.Session(target, graph=graph, config=config))
        self.addCleanup(sessions[-1].close)
        sessions[-1].run(tf1.global_variables_initializer())
    for step in range(steps):  # one after another, in turn
      for trainer, sess in zip(trainers, sessions):
        self.assertEqual(trainer.step(sess, batch()).loss, wanted[step])


if __name__ == "__main__":
  absltest.main()
