"""Tests of programs: how many runs a step is, and that none is prepared twice.

That steps are right and leave nothing is tested in `trainer_test`,
`topologies_test` and `failures_test`.
"""

import threading
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat
from tangle.compat import tf1
from tangle.pipeline import programs, step_runs
from tests.pipeline import support


class ProgramTest(support.PipelineTestCase):
  def wiring(self, kind):
    """Returns the wiring of a kind, and a batch."""
    wiring = support.Wiring()
    first = support.layer(self.weight("a", 3, 2), ["x"])
    x = {"x": self.normal(4, 3)}
    if kind == "alone":
      wiring.add("a", self.with_loss(first))
      return wiring, {"a": x}
    if kind == "unweighted":
      wiring.add("a", self.unweighted())
      wiring.add("b", support.layer(self.weight("b", 3, 2)), {"x": "a.out"})
    else:
      wiring.add("a", first)
      wiring.add("b", support.layer(self.weight("b", 2, 2)), {"x": "a.out"})
    wiring.add("c", support.head(self.weight("c", 2, 2)), {"x": "b.out"})
    batch = {"a": x, "b": {}, "c": {}}
    if kind == "heads":
      wiring.add("d", support.head(self.weight("d", 2, 2)), {"x": "a.out"})
      batch["d"] = {}
    return wiring, batch

  def with_loss(self, build):
    def built(bucket, reads):
      piece = build(bucket, reads)
      loss = tf1.reduce_sum(tf1.square(piece.outputs["out"]))
      return tangle.Piece(piece.feeds, loss=loss)

    return built

  def unweighted(self):
    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      return tangle.Piece({"x": x_ph}, {"out": tf1.tanh(x_ph)})

    return build

  @parameterized.named_parameters(
    ("alone", "alone", 2),
    ("chain", "chain", 5),
    ("heads", "heads", 6),
    ("unweighted", "unweighted", 4),
  )
  def test_number_of_runs(self, kind, count):
    wiring, batch = self.wiring(kind)
    trainer = wiring.pipeline().minimize(support.Recorder())
    counted = support.Interrupted(self.session(), at=0, before=False)
    trainer.step(counted, batch)
    self.assertEqual(counted.count, count)
    self.assert_steps_are_joint(wiring, [batch])

  def test_a_program_serves_all_batches_of_the_same_buckets(self):
    wiring, batch = self.wiring("chain")
    trainer = wiring.pipeline().minimize(support.Recorder())
    sess = self.session()
    with mock.patch.object(
      programs, "TrainingProgram", wraps=programs.TrainingProgram
    ) as made:
      for size in (4, 2, 4):
        trainer.step(sess, dict(batch, a={"x": self.normal(size, 3)}))
    self.assertEqual(made.call_count, 1)

  def test_pairs_of_buckets_share_their_runs(self):
    w, v = self.weight("w", 3, 2), self.weight("v", 2, 2)

    def encoder(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [bucket, 3])
      out = tf1.reduce_sum(tf1.tanh(tf1.matmul(x_ph, w)), 0, keepdims=True)
      return tangle.Piece({"x": x_ph}, {"out": out})

    def decoder(bucket, reads):
      y_ph = tf1.placeholder(tf1.float64, [bucket, 2])
      loss = tf1.reduce_sum(tf1.square(tf1.matmul(reads["out"], v) - y_ph))
      return tangle.Piece({"y": y_ph}, loss=loss)

    wiring = support.Wiring().add("encoder", encoder, buckets=[1, 2, 3])
    reads = {"out": "encoder.out"}
    wiring.add("decoder", decoder, reads=reads, buckets=[1, 2, 3, 4])
    trainer = wiring.pipeline().minimize(
      tf1.train.GradientDescentOptimizer(0.1)
    )
    sess = self.session()
    made = []
    make = compat.make_callable

    def count(*args):
      made.append(args)
      return make(*args)

    self.enter_context(mock.patch.object(compat, "make_callable", count))
    for n in (1, 2, 3):
      for m in (1, 2, 3, 4):
        batch = {"x": self.normal(n, 3)}, {"y": self.normal(m, 2)}
        trainer.step(sess, dict(zip(("encoder", "decoder"), batch)))
    # Forward and backward of three encoders, and four decoders.
    self.assertLen(made, 3 + 3 + 4)

  def test_steps_that_take_turns_are_right(self):
    wiring, batch = self.wiring("chain")
    # Other placeholders are fed, and another order of names is the same step.
    more = {name: batch[name] for name in ("c", "a", "b")}
    self.assert_steps_are_joint(wiring, [batch, more, batch] * 5)

  def test_a_refused_batch_leaves_no_program(self):
    wiring, batch = self.wiring("chain")
    trainer = wiring.pipeline().minimize(support.Recorder())
    sess = self.session()
    for _ in range(2):
      with self.assertRaisesRegex(
        ValueError, r"\['a', 'b'\] has .*such as 'c'"
      ):
        trainer.step(sess, {"a": batch["a"], "b": {}})
    found = trainer.step(sess, batch)
    self.assertTrue(np.isfinite(found.loss))


class OverlapTest(support.PipelineTestCase):
  """Two encoders, a trunk that reads both, and two heads with losses."""

  def setUp(self):
    super().setUp()
    self.names = ("left", "right", "trunk", "one", "two")
    weights = {
      name: self.weight(name, *shape)
      for name, shape in zip(
        self.names, [(3, 2), (3, 2), (4, 2), (2, 2), (2, 2)]
      )
    }
    self.wiring = support.Wiring()
    for name in self.names[:2]:
      self.wiring.add(name, self.guarded(weights[name]))
    reads = {"x": "left.out", "y": "right.out"}
    self.wiring.add("trunk", support.layer(weights["trunk"]), reads)
    for name in self.names[3:]:
      self.wiring.add(name, support.head(weights[name]), {"x": "trunk.out"})

  def guarded(self, weight):
    """Returns the builder of a layer whose feed must be finite."""
    layer = support.layer(weight, ["x"])

    def build(bucket, reads):
      piece = layer(bucket, reads)
      out = tf1.debugging.check_numerics(piece.outputs["out"], "bad feed")
      return piece._replace(outputs={"out": out})

    return build

  def batch(self):
    batch = {name: {} for name in self.names}
    for name in self.names[:2]:
      batch[name]["x"] = self.normal(4, 3)
    return batch

  def test_steps_are_joint(self):
    batches = [self.batch() for _ in range(8)]
    self.assert_steps_are_joint(self.wiring, batches, overlap=True)

  def test_both_encoders_run_at_once(self):
    trainer = self.wiring.pipeline().minimize(support.Recorder(), overlap=True)
    sess = self.session()
    trainer.step(sess, self.batch())
    meeting = threading.Barrier(2, timeout=30)  # breaks where one is alone
    make_run, met = step_runs.PreparedRun.__call__, []

    def call(run, step, arrays=()):
      if arrays:
        met.append(meeting.wait())
      return make_run(run, step, arrays)

    with mock.patch.object(step_runs.PreparedRun, "__call__", call):
      trainer.step(sess, self.batch())
    self.assertCountEqual(met, [0, 1])

  @parameterized.parameters("left", "right")
  def test_a_failure_leaves_nothing(self, name):
    recorder = support.Recorder()
    trainer = self.wiring.pipeline().minimize(recorder, overlap=True)
    sess = self.session()
    recorder.forget(sess)
    broken = self.batch()
    broken[name]["x"][0, 0] = np.nan
    for _ in range(5):
      with self.assertRaisesRegex(tf1.errors.OpError, "bad feed"):
        trainer.step(sess, broken)
      self.assert_nothing_waits(sess)
    for variable in trainer.variables:
      self.assertIsNone(recorder.gradient(sess, variable))

  def test_a_wrapped_session_makes_its_runs_in_turn(self):
    trainer = self.wiring.pipeline().minimize(support.Recorder(), overlap=True)
    sess = self.session()
    threads = []

    class Wrapped:
      graph = sess.graph

      def run(self, fetches, feed_dict):
        threads.append(threading.get_ident())
        return sess.run(fetches, feed_dict)

    trainer.step(Wrapped(), self.batch())
    self.assertLen(threads, 8)
    self.assertEqual(set(threads), {threading.get_ident()})


if __name__ == "__main__":
  absltest.main()
