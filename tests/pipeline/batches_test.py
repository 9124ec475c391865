"""Tests of what a pipeline says about a batch that it cannot use."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import run_errors
from tangle.pipeline import batches, nodes
from tests import case

CLASSES = 5


def builders(test):
  """Returns an encoder of ids and a classifier of its states."""
  table = test.variable("table", test.normal(10, 3))
  kernel = test.variable("kernel", test.normal(3, CLASSES))

  def encode(bucket, reads):
    ids = tf1.placeholder(tf1.int32, [None, bucket])
    states = tf1.reduce_mean(tf1.gather(table, ids), axis=1)
    return tangle.Piece({"source": ids}, {"h": states})

  def classify(bucket, reads):
    labels = tf1.placeholder(tf1.int32, [None])
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=labels, logits=tf1.matmul(reads["h"], kernel)
    )
    return tangle.Piece({"y": labels}, loss=tf1.reduce_mean(losses))

  return encode, classify


class BatchesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    encode, classify = builders(self)
    self.pipeline = tangle.Pipeline("p")
    self.pipeline.add("encoder", encode, buckets=[2, 4], pad={"source": 0})
    self.pipeline.add("decoder", classify, reads={"h": "encoder.h"})

  def trainer(self, kind):
    optimizer = tf1.train.AdamOptimizer()
    if kind == "joint":
      return tangle.JointTrainer(self.pipeline, optimizer)
    return self.pipeline.minimize(
      optimizer, micro_batches=2 if kind == "parts" else 1
    )

  def batch(self, source=((1, 2), (3, 4)), y=(0, 1)):
    return {"encoder": {"source": source}, "decoder": {"y": y}}

  def refusal(self, error, function, *arguments, cause=False):
    with self.assertRaises(error) as caught:
      function(*arguments)
    text = str(caught.exception)
    self.assertNotIn("\n", text)
    self.assertRegex(text, r"^[^:]+: .*\.$")
    self.assertEqual(caught.exception.__cause__ is not None, cause)
    return text

  @parameterized.parameters("pipeline", "joint", "parts")
  def test_variables_without_values(self, kind):
    trainer = self.trainer(kind)
    sess = self.session(initialize=False)
    args = trainer.step, sess, self.batch()
    text = self.refusal(errors.SessionError, *args, cause=True)
    self.assertRegex(text, "'table', 'kernel', '.*' and . more have no values")
    sess.run(tf1.global_variables_initializer())
    self.assertGreater(trainer.step(sess, self.batch()).loss, 0)

  @parameterized.parameters("pipeline", "joint", "parts")
  def test_an_id_out_of_range(self, kind):
    trainer, sess = self.trainer(kind), None
    sess = self.session()
    batch = self.batch([[1, 2], [3, 77]])
    text = self.refusal(
      errors.ArgumentError, trainer.step, sess, batch, cause=1
    )
    who = "the feed 'source' of the sub-model 'encoder'"
    self.assertIn(f"{who} has the id 77 at [1, 1]", text)
    self.assertIn("ids must be from 0 to 9", text)
    text = self.refusal(
      errors.ArgumentError,
      trainer.step,
      sess,
      self.batch(y=[CLASSES, 0]),
      cause=True,
    )
    who = "the feed 'y' of the sub-model 'decoder'"
    self.assertIn(f"{who} has the id {CLASSES} at [0]", text)
    self.assertGreater(trainer.step(sess, self.batch()).loss, 0)

  @parameterized.parameters("pipeline", "joint")
  def test_batch_sizes_that_differ(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    args = trainer.step, sess, self.batch(y=[0, 1, 2])
    text = self.refusal(errors.ShapeError, *args, cause=True)
    self.assertIn(
      "the batch sizes differ: the feed 'source' of the sub-model 'encoder' "
      "(2, 2), the feed 'y' of the sub-model 'decoder' (3,)",
      text,
    )
    self.assertGreater(trainer.step(sess, self.batch()).loss, 0)

  @parameterized.parameters("pipeline", "joint", "parts")
  def test_a_closed_session(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    sess.close()
    for run in (trainer.step, getattr(trainer, "forward", None)):
      if run is not None:
        args = run, sess, self.batch()
        text = self.refusal(errors.SessionError, *args, cause=True)
        self.assertIn("the session is closed. Open a new session", text)
    args = self.pipeline.forward, sess, self.batch()
    text = self.refusal(errors.SessionError, *args, cause=True)
    self.assertIn("Pipeline 'p': forward: the session is closed", text)

  @parameterized.parameters("pipeline", "joint")
  def test_swapped_arguments(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    args = trainer.step, self.batch(), sess
    text = self.refusal(errors.ArgumentError, *args)
    self.assertIn("step: sess must be a session, got dict", text)
    self.assertIn("Call step(sess, batch)", text)
    args = self.pipeline.forward, self.batch(), sess
    text = self.refusal(errors.ArgumentError, *args)
    self.assertIn("Call forward(sess, batch)", text)

  @parameterized.parameters("pipeline", "joint")
  def test_a_generator_is_refused_and_loses_no_batch(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    source = (self.batch() for _ in range(2))
    text = self.refusal(errors.ArgumentError, trainer.step, sess, source)
    self.assertIn("got generator. Call step(sess, batch) for each batch", text)
    self.assertLen(list(source), 2)
    for batch in ([self.batch()], None, 3):
      text = self.refusal(errors.ArgumentError, trainer.step, sess, batch)
      self.assertIn("batch must be a dict from sub-model to its feeds", text)
    text = self.refusal(errors.ArgumentError, trainer.step, sess, {})
    self.assertIn("the batch is empty. Name the sub-models", text)

  @parameterized.parameters("pipeline", "joint")
  def test_names_that_are_no_sub_models(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    self.pipeline.build()
    for batch, remedy in (
      ({"encodre": {}}, "Perhaps 'encoder' is meant."),
      ({"source": [[1]]}, "Nest it: {'encoder': {'source': array}}."),
      ({"xyz": {}}, "Use the names of the sub-models to run as keys."),
    ):
      text = self.refusal(errors.ArgumentError, trainer.step, sess, batch)
      self.assertIn("not one of the sub-models ['encoder', 'decoder']", text)
      self.assertTrue(text.endswith(remedy), text)

  @parameterized.parameters("pipeline", "joint")
  def test_values_that_are_no_arrays(self, kind):
    trainer = self.trainer(kind)
    sess = self.session()
    for value, part in (
      (None, "got None. Feed an array"),
      (tf1.zeros([2, 2], tf1.int32, name="zeros"), "got the tensor 'zeros:0'"),
      ([["a", "b"]], "which has strings. Convert them"),
    ):
      args = trainer.step, sess, self.batch(value)
      with self.assertRaises(errors.DtypeError) as caught:
        trainer.step(sess, self.batch(value))
      self.assert_message(caught.exception, "'source' must be an array", part)
      self.assertNotIn("\n", str(caught.exception))
    args = trainer.step, sess, self.batch([1, 2])
    text = self.refusal(errors.ShapeError, *args)
    self.assertIn("Add axes: rank 2 is expected and rank 1 is given", text)
    self.assertNotIn("larger bucket", text)
    args = trainer.step, sess, self.batch(np.ones([2, 5], int))
    text = self.refusal(errors.BucketError, *args)
    self.assertIn("larger", text)
    self.assertEqual(
      trainer.step(sess, self.batch([[1, 2, 3], [4]])).buckets["encoder"], 4
    )

  def test_outputs_that_do_not_exist(self):
    trainer = self.trainer("joint")
    sess = self.session()
    for run in (trainer.forward, self.pipeline.forward):
      args = run, sess, self.batch(), ["encodr.h"]
      text = self.refusal(errors.ArgumentError, *args)
      self.assertIn("fetch has 'encodr.h'", text)
      self.assertIn("Perhaps 'encoder.h' is meant", text)
      args = run, sess, self.batch(), "encoder.h"
      text = self.refusal(errors.ArgumentError, *args)
      self.assertIn("Put it into a list", text)
      text = self.refusal(errors.ArgumentError, run, sess, self.batch(), None)
      self.assertIn("must be a list of names, got None. Leave it out", text)

  @parameterized.parameters("pipeline", "joint")
  def test_an_optimizer_that_is_none(self, kind):
    v = self.variable("v", np.float64(1))
    op = tf1.train.AdamOptimizer().minimize(v * v, name="train")
    make = self.pipeline.minimize
    if kind == "joint":
      make = lambda given: tangle.JointTrainer(self.pipeline, given)  # noqa: E731
    size = len(self.graph.get_operations())
    for given, part in (
      (op, "got the op 'train'"),
      (tf1.train.AdamOptimizer, "Make an instance: AdamOptimizer()"),
      (0.1, "got 0.1"),
    ):
      text = self.refusal(errors.ArgumentError, make, given)
      self.assertIn(part, text)
    self.assertLen(self.graph.get_operations(), size)

  def test_a_pipeline_outside_of_a_graph(self):
    with mock.patch.object(tf1, "executing_eagerly", lambda: True):
      text = self.refusal(errors.GraphError, tangle.Pipeline, "q")
    self.assertIn("`with tf.Graph().as_default():`", text)

  def test_nothing_is_explained_while_nothing_fails(self):
    sess_batch = None
    trainers = self.trainer("joint"), self.trainer("pipeline")
    sess = self.session()
    with mock.patch.object(batches, "explain") as explain:
      with mock.patch.object(run_errors, "Fed") as fed:
        for trainer in trainers:
          sess_batch = trainer.step(sess, self.batch())
    self.assertGreater(sess_batch.loss, 0)
    explain.assert_not_called()
    fed.assert_not_called()


class RefuseSourcesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("alone", "a", "", "from 'a.h', but the batch does not name 'a'. Add 'a':"),
    ("none", "ab", "", "one of ['a.h', 'b.h'], but the batch names none. Add"),
    ("both", "ab", "ab", "and the batch names ['a', 'b']. Name only one"),
  )
  def test_the_sub_model_to_name_is_named(self, names, present, part):
    sources = [nodes.Source(name, "h") for name in names]
    given = [source for source in sources if source.sub_model in present]
    with self.assertRaises(errors.ArgumentError) as caught:
      batches.refuse_sources("c", "x", sources, given)
    message = str(caught.exception)
    self.assertStartsWith(message, "the sub-model 'c' reads 'x' from ")
    self.assertIn(part, message)


class RefuseShapeTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("rank", (4,), False, errors.ShapeError, "Add axes"),
    ("fixed", (4, 2, 9), True, errors.ShapeError, "Axis 2 must have size 8."),
    (
      "fixed_short",
      (4, 2, 7),
      False,
      errors.ShapeError,
      "Axis 2 must have size 8, or pad it: give Pipeline.add pad={",
    ),
    ("long", (4, 5, 8), True, errors.BucketError, "Add a larger bucket"),
    ("short", (4, 1, 8), False, errors.BucketError, "Give Pipeline.add pad="),
  )
  def test_the_remedy_is_one_that_helps(self, shape, may_pad, error, part):
    wanted = [tf1.TensorShape([None, size, 8]) for size in (2, 4)]
    with self.assertRaises(error) as caught:
      batches.refuse_shape("x", shape, [2, 4], wanted, may_pad)
    self.assertIn(part, str(caught.exception))
    self.assertIn("the feed 'x' of shape", str(caught.exception))

  @parameterized.named_parameters(
    ("feature", (4, 3, 9), [4], "Axis 2 must have size 8, unless"),
    ("short_feature", (4, 4, 7), [4], "or feed arrays of exactly that shape"),
    (
      "one_more",
      (4, 5, 8),
      [3],
      "Axis 1 must have size 4, unless",
    ),
    ("both", (4, 5, 9), [(4, 2)], "Axis 2 must have size 8, unless"),
    ("time", (4, 5, 8), [4], ". Add a larger bucket, or remove"),
    ("time_of_two", (4, 5, 8), [(2, 4)], ". Add a larger bucket, or remove"),
    ("short_time", (4, 3, 8), [4], ". Give Pipeline.add pad="),
  )
  def test_with_one_bucket_only_its_own_size_asks_for_a_larger_one(
    self, shape, buckets, part
  ):
    wanted = [tf1.TensorShape([None, 4, 8])]
    with self.assertRaises(errors.BucketError) as caught:
      batches.refuse_shape("x", shape, buckets, wanted, False)
    self.assertIn(part, str(caught.exception))


if __name__ == "__main__":
  absltest.main()
