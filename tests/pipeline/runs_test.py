"""Tests of runs."""

import threading
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import staging
from tangle.pipeline import runs
from tests.pipeline import support


class RunsTestCase(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.count = self.variable("count", np.int64(0), trainable=False)
    self.w, self.v = self.weight("w", 3, 2), self.weight("v", 2, 2)

  def wiring(self):
    layer = support.layer(self.w, ["x"], ["out", "idle"])
    head = support.head(self.v)

    def encoder(bucket, reads):
      counted = {"count": tf1.identity(self.count.assign_add(1))}
      return layer(bucket, reads)._replace(metrics=counted)

    def decoder(bucket, reads):
      piece = head(bucket, reads)
      return piece._replace(outputs={"twice": 2.0 * reads["x"]})

    wiring = support.Wiring().add("encoder", encoder)
    return wiring.add("decoder", decoder, reads={"x": "encoder.out"})

  def batch(self, x=None):
    x = self.normal(4, 3) if x is None else x
    return {"encoder": {"x": x}, "decoder": {}}

  def expected(self, sess, x):
    """Returns the loss by numpy."""
    w, v = sess.run([self.w, self.v])
    return np.mean(np.tanh(np.tanh(x @ w) @ v) ** 2)


class PlanErrorsTest(RunsTestCase):
  """A batch that cannot be planned runs nothing and leaves nothing."""

  def setUp(self):
    super().setUp()
    wiring = self.wiring()
    wiring.add("other", support.layer(self.w, ["x"]))
    choosy = support.head(self.v)
    reads = {"x": ["other.out", "encoder.idle"]}
    wiring.add("choosy", choosy, reads=reads)
    self.pipeline = wiring.pipeline()
    self.trainer = self.pipeline.minimize(support.Recorder())
    self.sess = self.session()

  @parameterized.named_parameters(
    (
      "unknown_sub_model",
      {"coder": {}},
      errors.ArgumentError,
      "the batch names 'coder', .*'encoder', 'decoder'.*Perhaps 'encoder' is",
    ),
    (
      "no_source",
      {"decoder": {}},
      errors.ArgumentError,
      "'decoder' reads 'x' from 'encoder.out', but .* does not name 'encoder'",
    ),
    (
      "no_source_of_several",
      {"choosy": {}},
      errors.ArgumentError,
      r"'choosy' reads 'x' from one of \['other.out', .*names none. Add one",
    ),
    (
      "two_sources",
      {"encoder": {"x": 0}, "other": {"x": 0}, "choosy": {}},
      errors.ArgumentError,
      r"'choosy' reads 'x' .* names \['other', 'encoder'\]. Name only one",
    ),
    (
      "missing_feed",
      {"encoder": {}, "decoder": {}},
      errors.ArgumentError,
      r"'encoder': the batch has no feed 'x'; the sub-model takes \['x'\]",
    ),
    (
      "unknown_feed",
      {"encoder": {"x": np.ones([4, 3]), "y": 0}},
      errors.ArgumentError,
      r"'encoder': the batch has a feed 'y'.*\['x'\]",
    ),
    (
      "too_long",
      {"encoder": {"x": np.ones([4, 5])}},
      errors.ShapeError,
      r"'encoder': the feed 'x' of shape \(4, 5\).*Axis 1 must have size 3",
    ),
    (
      "wrong_rank",
      {"encoder": {"x": np.ones(3)}, "decoder": {}},
      errors.ShapeError,
      r"'encoder': the feed 'x' of shape \(3,\).*rank 2 is expected and rank 1",
    ),
    (
      "late_sub_model",
      {"encoder": {"x": np.ones([4, 3])}, "decoder": {"y": 0}},
      errors.ArgumentError,
      r"'decoder': the batch has a feed 'y'.*takes \[\]",
    ),
  )
  def test_bad_batch_runs_nothing(self, batch, error, message):
    size = self.count_ops()
    for run in (self.trainer.step, self.pipeline.forward):
      with self.assertRaisesRegex(error, message):
        run(self.sess, batch)
    self.assertEqual(self.count_ops(), size)
    self.assertEqual(self.sess.run(self.count), 0)
    self.assert_nothing_waits(self.sess)

  def test_session_of_another_graph(self):
    with tf1.Graph().as_default(), tf1.Session() as other:
      for run in (self.trainer.step, self.pipeline.forward):
        message = r"the session runs another graph.*Session\(graph=pipeline"
        with self.assertRaisesRegex(errors.GraphError, message):
          run(other, self.batch())

  @parameterized.parameters("encoder.outt", "coder.out", "out", "choosy.x")
  def test_fetch_that_names_no_output(self, text):
    message = f"fetch has '{text}'; the outputs .*'encoder.out'"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.pipeline.forward(self.sess, self.batch(), fetch=[text])
    self.assertEqual(self.sess.run(self.count), 0)

  def test_fetch_that_is_no_list(self):
    message = "must be a list of names, got 'encoder.out'. Put it"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.pipeline.forward(self.sess, self.batch(), fetch="encoder.out")


class ForwardTest(RunsTestCase):
  def test_forward_returns_what_is_asked_for_and_changes_nothing(self):
    pipeline = self.wiring().pipeline()
    sess = self.session()
    before = sess.run([self.w, self.v])
    x = self.normal(4, 3)
    fetch = ["encoder.idle", "decoder.twice"]
    result = pipeline.forward(sess, self.batch(x), fetch=fetch)
    w, v = before
    self.assert_close(result.outputs["encoder.idle"], np.tanh(2.0 * (x @ w)))
    self.assert_close(result.outputs["decoder.twice"], 2.0 * np.tanh(x @ w))
    self.assertLen(result.outputs, 2)
    np.testing.assert_allclose(result.loss, self.expected(sess, x), rtol=1e-14)
    self.assertIsInstance(result.loss, float)
    self.assertEqual(list(result.losses), ["decoder"])
    largest = np.tanh(np.tanh(x @ w) @ v).max()
    self.assert_close(result.metrics["decoder"]["largest"], largest)
    self.assertEqual(result.metrics["encoder"]["count"], 1)
    self.assertEqual(result.buckets, {"encoder": None, "decoder": None})
    self.assertIsNone(result.global_norm)
    for value, now in zip(before, sess.run([self.w, self.v])):
      np.testing.assert_array_equal(value, now)
    self.assert_nothing_waits(sess)

  def test_forward_of_a_part_of_the_pipeline(self):
    pipeline = self.wiring().pipeline()
    sess = self.session()
    x = self.normal(4, 3)
    result = pipeline.forward(sess, {"encoder": {"x": x}}, ["encoder.out"])
    self.assertIsNone(result.loss)
    self.assertEqual(list(result.metrics), ["encoder"])
    expected = np.tanh(x @ sess.run(self.w))
    self.assert_close(result.outputs["encoder.out"], expected)
    self.assert_nothing_waits(sess)

  def test_several_threads_at_once(self):
    pipeline = self.wiring().pipeline()
    sess = self.session()
    found, start = {}, threading.Barrier(4)

    def work(turn):
      rng = np.random.RandomState(turn)
      start.wait()  # so that the first builds while the others wait for it
      for k in range(15):
        x = rng.standard_normal([1 + (turn + k) % 3, 3])
        found[turn, k] = (x, pipeline.forward(sess, self.batch(x)).loss)

    self.run_threads(work, 4)
    self.assertLen(found, 60)
    for x, loss in found.values():
      np.testing.assert_allclose(loss, self.expected(sess, x), rtol=1e-12)
    counts = pipeline.graph_counts()
    self.assertEqual([c.sub_model for c in counts], ["encoder", "decoder"])
    self.assert_nothing_waits(sess)

  def test_several_threads_train_at_once(self):
    """With a rate of 0, so that all see the same weights."""
    pipeline = self.wiring().pipeline()
    optimizer = tf1.train.GradientDescentOptimizer(0.0)
    trainer = pipeline.minimize(optimizer, clip_norm=1.0)
    sess = self.session()
    batches = [self.batch() for _ in range(6)]
    expected = [trainer.step(sess, batch).global_norm for batch in batches]
    found = {}

    def work(turn):
      for k, batch in enumerate(batches):
        found[turn, k] = trainer.step(sess, batch).global_norm

    self.run_threads(work, 3)
    self.assertLen(found, 18)
    for (_, k), norm in found.items():
      np.testing.assert_allclose(norm, expected[k], rtol=1e-12)
    self.assert_nothing_waits(sess)

  def run_threads(self, work, count):
    failed = []

    def guarded(turn):
      try:
        work(turn)
      except BaseException as error:
        failed.append(error)

    threads = [
      threading.Thread(target=guarded, args=(turn,)) for turn in range(count)
    ]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(failed, [])


class Between:
  """A session that does something else between its runs."""

  def __init__(self, sess, do):
    self.graph = sess.graph
    self._sess = sess
    self._do = do

  def run(self, fetches, feed_dict):
    found = self._sess.run(fetches, feed_dict)
    self._do()
    return found


class ApartTest(RunsTestCase):
  """Steps that overlap under the very same key do not mix."""

  def setUp(self):
    super().setUp()
    patch = mock.patch.object(staging, "new_key", return_value=5)
    patch.start()
    self.addCleanup(patch.stop)

  def test_two_sessions_on_one_graph(self):
    optimizer = tf1.train.GradientDescentOptimizer(0.0)
    trainer = self.wiring().pipeline().minimize(optimizer, clip_norm=1.0)
    first, second = self.session(), self.session()
    self.v.load(2.0 * first.run(self.v), second)
    one, two = self.batch(), self.batch()
    alone = [trainer.step(first, one), trainer.step(second, two)]
    inner = []
    outer = Between(first, lambda: inner.append(trainer.step(second, two)))
    mixed = [trainer.step(outer, one), inner[-1]]
    self.assertLen(inner, 3)
    self.assertNotEqual(alone[0].global_norm, alone[1].global_norm)
    for before, after in zip(alone, mixed):
      self.assertEqual(before.loss, after.loss)
      self.assertEqual(before.global_norm, after.global_norm)
    for sess in (first, second):
      self.assert_nothing_waits(sess)

  def test_two_pipelines_in_one_graph(self):
    optimizer = tf1.train.GradientDescentOptimizer(0.0)
    trainers = [
      self.wiring().pipeline().minimize(optimizer, clip_norm=1.0)
      for _ in range(2)
    ]
    scopes = {trainer.pipeline.scope for trainer in trainers}
    self.assertLen(scopes, 2)
    sess = self.session()
    one, two = self.batch(), self.batch()
    alone = [trainers[0].step(sess, one), trainers[1].step(sess, two)]
    inner = []
    outer = Between(sess, lambda: inner.append(trainers[1].step(sess, two)))
    mixed = [trainers[0].step(outer, one), inner[-1]]
    for before, after in zip(alone, mixed):
      self.assertEqual(before.loss, after.loss)
      self.assertEqual(before.global_norm, after.global_norm)
    self.assert_nothing_waits(sess)


class ChooseSourcesTest(support.PipelineTestCase):
  def test_sources_come_in_the_order_of_the_pipeline(self):
    pipeline = tangle.Pipeline()
    for name in "ab":
      pipeline.add(name, self.fail)
    pipeline.add("c", self.fail, reads={"x": ["b.h", "a.h"], "y": "b.g"})
    for names in (["c", "b"], {"b": 1, "c": 2}):
      found = runs.choose_sources(pipeline, names)
      self.assertEqual(list(found), ["b", "c"])
      texts = {read: str(source) for read, source in found["c"].items()}
      self.assertEqual(texts, {"x": "b.h", "y": "b.g"})


if __name__ == "__main__":
  absltest.main()
