"""A batch that is divided trains as the whole batch does."""

import time

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tests.pipeline import placement_test, support


class MicroBatchesTest(support.PipelineTestCase):
  def train(self, rows=7, devices=(None, None, None), address="", **options):
    """Returns the results of some steps, and the variables after them."""
    with tf1.Graph().as_default():
      pipeline = tangle.Pipeline()
      placement_test.add_parts(pipeline, devices)
      optimizer = tf1.train.AdamOptimizer(0.05)
      trainer = pipeline.minimize(optimizer, clip_norm=0.5, **options)
      rng = np.random.RandomState(4)
      config = tf1.ConfigProto(operation_timeout_in_ms=60000)
      with tf1.Session(address, config=config) as sess:
        sess.run(tf1.global_variables_initializer())
        results = [
          trainer.step(sess, placement_test.batch_of(rng, rows))
          for _ in range(8)
        ]
        return results, sess.run(tf1.global_variables())

  def assert_same(self, found, desired):
    for a, b in zip(found[0], desired[0]):
      self.assertAlmostEqual(a.loss, b.loss, places=12)
      self.assertAlmostEqual(a.global_norm, b.global_norm, places=12)
    for a, b in zip(found[1], desired[1]):
      np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)

  @parameterized.product(count=[2, 3, 7], schedule=["1f1b", "gpipe"])
  def test_it_trains_as_the_whole_batch(self, count, schedule):
    found = self.train(micro_batches=count, schedule=schedule)
    self.assert_same(found, self.train())

  def test_one_part_is_the_whole_batch_bit_for_bit(self):
    found, desired = self.train(micro_batches=1), self.train()
    self.assertEqual(found[0], desired[0])

  def test_it_trains_so_on_several_tasks(self):
    address = placement_test.target()
    found = self.train(
      devices=placement_test.TASKS, address=address, micro_batches=4
    )
    self.assert_same(found, self.train())

  def stages(self, count, work=None):
    """Adds a chain of stages; `work` is called with a stage's number."""

    def stage(k):
      def build(bucket, reads):
        del bucket
        feeds = {}
        if k:
          h = reads["h"]
        else:
          feeds["x"] = h = tf1.placeholder(tf1.float64, [None, 3])
        h = tf1.tanh(tf1.matmul(h, self.weight(f"w{k}", 3, 3)))
        if work is not None:
          h = pause(h, k, work)
        if k < count - 1:
          return tangle.Piece(feeds, {"h": h})
        rows = tf1.reduce_sum(tf1.square(h), 1)
        mean = tf1.reduce_mean(rows)
        metrics = {"rows": rows, "mean": mean}
        return tangle.Piece(feeds, loss=mean, metrics=metrics)

      return build

    pipeline = tangle.Pipeline()
    for k in range(count):
      reads = {"h": f"stage_{k - 1}.h"} if k else None
      pipeline.add(f"stage_{k}", stage(k), reads=reads)
    return pipeline

  def chain_batch(self, count, rows=8):
    batch = {f"stage_{k}": {} for k in range(count)}
    batch["stage_0"]["x"] = self.normal(rows, 3)
    return batch

  @parameterized.parameters("1f1b", "gpipe")
  def test_metrics_are_joined_and_nothing_is_left(self, schedule):
    pipeline = self.stages(3)
    optimizer = tf1.train.GradientDescentOptimizer(0.0)
    whole = pipeline.minimize(optimizer)
    trainer = pipeline.minimize(optimizer, micro_batches=3, schedule=schedule)
    sess = self.session()
    batch = self.chain_batch(3)
    found, desired = [t.step(sess, batch) for t in (trainer, whole)]
    for name in ("rows", "mean"):
      self.assert_close(
        found.metrics["stage_2"][name], desired.metrics["stage_2"][name]
      )
    self.assertAlmostEqual(found.loss, desired.loss)
    self.assert_nothing_waits(sess)

  def test_a_step_that_fails_leaves_nothing_behind(self):
    failing = []

    def work(k):
      if failing and k == 1:
        failing.pop()
        if not failing:
          raise ValueError("no")

    pipeline = self.stages(3, work)
    trainer = pipeline.minimize(
      tf1.train.GradientDescentOptimizer(0.1), micro_batches=4
    )
    sess = self.session()
    batch = self.chain_batch(3)
    loss = trainer.step(sess, batch).loss
    before = sess.run(trainer.variables)
    failing.extend(range(3))
    with self.assertRaises(tf1.errors.OpError):
      trainer.step(sess, batch)
    self.assert_nothing_waits(sess)
    for a, b in zip(before, sess.run(trainer.variables)):
      np.testing.assert_array_equal(a, b)
    self.assertLess(trainer.step(sess, batch).loss, loss)

  def test_stages_that_wait_overlap(self):
    pipeline = self.stages(2, lambda k: time.sleep(0.05))
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    trainer = pipeline.minimize(optimizer, micro_batches=4)
    sess = self.session(cpus=4)
    batch = self.chain_batch(2)
    trainer.step(sess, batch)
    found = []
    for _ in range(5):  # other work on the machine can only make it slower
      begin = time.monotonic()
      trainer.step(sess, batch)
      found.append(time.monotonic() - begin)
    # Forward, each stage waits four times: 0.4 s in turn, 0.25 s at best.
    self.assertLess(min(found), 0.37)

  @parameterized.parameters("1f1b", "gpipe")
  def test_runs_are_recorded(self, schedule):
    pipeline = self.stages(2)
    trainer = pipeline.minimize(
      tf1.train.GradientDescentOptimizer(0.1),
      micro_batches=3,
      schedule=schedule,
    )
    sess, timeline = self.session(), []
    trainer.record(timeline)
    trainer.step(sess, self.chain_batch(2))
    expected = [
      ("stage_0", back, m) for back in (False, True) for m in range(3)
    ]
    expected += [("stage_1", False, m) for m in range(3)] + [(None, False, 0)]
    self.assertCountEqual([ran[:3] for ran in timeline], expected)
    for ran in timeline:
      self.assertLess(ran.begin_s, ran.end_s)
    own = [ran for ran in timeline if ran.sub_model == "stage_0"]
    for a, b in zip(own, own[1:]):
      self.assertLessEqual(a.end_s, b.begin_s)
    trainer.record(None)
    trainer.step(sess, self.chain_batch(2))
    self.assertLen(timeline, len(expected))
    whole = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
    with self.assertRaisesRegex(errors.ArgumentError, "Pass micro_batches=2"):
      whole.record([])

  def one(self, metrics, **options):
    """Returns a trainer of one sub-model with metrics of `[B, 3]`."""
    pipeline = tangle.Pipeline()

    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      y = x_ph @ self.weight("w", 3, 2)
      loss = tf1.reduce_mean(y**2)
      return tangle.Piece({"x": x_ph}, loss=loss, metrics=metrics(x_ph))

    pipeline.add("one", build)
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    return pipeline.minimize(optimizer, **options)

  @parameterized.parameters((6, 2), (7, 3))
  def test_static_shapes_tell_which_metrics_have_rows(self, rows, parts):
    def metrics(x):
      flat = tf1.reshape(x, [-1])
      return {
        "square": tf1.matmul(x, x, transpose_a=True),  # 3 rows, as parts have
        "flat": flat,
        "names": tf1.as_string(flat),
        "unknown": tf1.placeholder_with_default(tf1.reduce_sum(x), None),
      }

    trainer = self.one(metrics, micro_batches=parts)
    x = self.normal(rows, 3)
    found = trainer.step(self.session(), {"one": {"x": x}}).metrics["one"]
    ends = [rows * k // parts for k in range(parts + 1)]
    shares = np.diff(ends) / rows
    each = [x[a:b] for a, b in zip(ends, ends[1:])]
    square = sum(s * (part.T @ part) for s, part in zip(shares, each))
    np.testing.assert_allclose(found["square"], square)
    np.testing.assert_array_equal(found["flat"], x.ravel())
    self.assertLen(found["names"], 3 * rows)
    total = sum(s * part.sum() for s, part in zip(shares, each))
    self.assertAlmostEqual(found["unknown"], total)

  def test_a_metric_without_mean_is_refused_before_a_step(self):
    def metrics(x):
      return {"text": tf1.as_string(tf1.reduce_sum(x))}

    with self.assertRaisesRegex(errors.ArgumentError, "'text' of 'one' is a s"):
      self.one(metrics, micro_batches=2)

  def test_loops_whose_residuals_live_for_one_run_are_refused(self):
    with compat.control_flow(False):
      pipeline = tangle.Pipeline()

      def build(bucket, reads):
        del bucket, reads
        x_ph = tf1.placeholder(tf1.float64, [None, 3])
        w = self.weight("w", 3, 3)
        h = tf1.map_fn(lambda row: tf1.tanh(row * w[0]), x_ph)
        return tangle.Piece({"x": x_ph}, {"h": h})

      pipeline.add("encoder", build)
      pipeline.add(
        "head",
        lambda bucket, reads: tangle.Piece(
          {}, loss=tf1.reduce_mean(reads["h"])
        ),
        reads={"h": "encoder.h"},
      )
      with self.assertRaisesRegex(errors.ArgumentError, "one run only"):
        pipeline.minimize(
          tf1.train.GradientDescentOptimizer(0.1), micro_batches=2
        )


def pause(tensor, k, work):
  """Returns `tensor` once `work(k)` is done; its gradient passes."""

  def function(array):
    work(k)
    return array

  with tf1.control_dependencies([tensor]):
    seen = tf1.py_func(function, [tf1.stop_gradient(tensor)], tensor.dtype)
  with tf1.control_dependencies([seen]):
    return tf1.identity(tensor)


if __name__ == "__main__":
  absltest.main()
