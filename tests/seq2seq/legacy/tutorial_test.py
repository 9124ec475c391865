"""Tests of tutorial."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import tutorial
from tests import case
from tests.seq2seq.legacy import support


class CountersTest(case.GraphTestCase):
  def test_are_called_as_in_the_tutorials_checkpoints(self):
    counters = tutorial.make_counters(0.5)
    self.assertEqual(
      list(support.by_name(tf1.global_variables())), ["Variable", "Variable_1"]
    )
    self.assertEmpty(tf1.trainable_variables())
    self.assertEqual(counters.global_step.dtype, tf1.int32)
    found = self.session().run(counters)
    self.assertEqual((found.learning_rate, found.global_step), (0.5, 0))

  def test_later_or_elsewhere_they_raise(self):
    with tf1.name_scope("scope"):
      with self.assertRaisesRegex(errors.ArgumentError, "scope/Variable"):
        tutorial.make_counters(0.5)
    tutorial.make_counters(0.5)
    with self.assertRaisesRegex(errors.ArgumentError, "Call it first"):
      tutorial.make_counters(0.5)


class OutputProjectionTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.outputs = self.normal(3, 4, dtype=np.float32)
    self.labels = np.int32([0, 6, 2])

  def test_variables_are_made_once_for_each_scope(self):
    projection = tutorial.OutputProjection(7, 4, num_samples=2)
    self.assertEmpty(tf1.global_variables())
    projection.pair()
    projection.logits(tf1.constant(self.outputs))
    with tf1.variable_scope("other"):
      projection.pair()
    found = support.by_name(tf1.global_variables())
    self.assertEqual(
      {name: v.shape.as_list() for name, v in found.items()},
      {
        "proj_w": [7, 4],
        "proj_b": [7],
        "other/proj_w": [7, 4],
        "other/proj_b": [7],
      },
    )

  def test_logits_and_full_loss_are_the_formula(self):
    projection = tutorial.OutputProjection(7, 4, num_samples=None)
    outputs, labels = tf1.constant(self.outputs), tf1.constant(self.labels)
    logits = projection.logits(outputs)
    loss = projection.loss(labels=labels, logits=outputs)
    weights, biases = projection.variables()
    sess = self.session()
    support.load(sess, [weights, biases])
    found = sess.run([logits, loss, weights, biases])
    desired = self.outputs @ found[2].T + found[3]
    self.assert_close(found[0], desired, 1e-6)
    shifted = desired - np.log(np.sum(np.exp(desired), 1, keepdims=True))
    self.assert_close(found[1], -shifted[np.arange(3), self.labels], 1e-6)

  def samples(self):
    """Returns sampled values: ids, expected counts of labels and of ids."""
    return (
      tf1.constant([1, 2, 5], tf1.int64),
      tf1.constant([[0.5], [0.25], [0.125]]),
      tf1.constant([0.75, 0.5, 0.25]),
    )

  def test_sampled_loss_is_the_formula(self):
    projection = tutorial.OutputProjection(7, 4, num_samples=3)
    outputs = tf1.constant(self.outputs)
    samples = self.samples()
    loss = projection.loss(tf1.constant(self.labels), outputs, samples)
    weights, biases = projection.variables()
    (gradient,) = tf1.gradients(loss, [weights])
    sess = self.session()
    support.load(sess, [weights, biases])
    found = sess.run([loss, gradient, weights, biases, samples])
    w, b, (ids, true_counts, counts) = found[2:]
    desired = []
    for output, label, count in zip(self.outputs, self.labels, true_counts):
      terms = [output @ w[label] + b[label] - np.log(count[0])]
      for k, other in zip(ids, counts):
        if k != label:  # an accidental hit does not count
          terms.append(output @ w[k] + b[k] - np.log(other))
      desired.append(np.log(np.sum(np.exp(terms))) - terms[0])
    self.assert_close(found[0], np.float32(desired), 1e-6)
    # The gradient is sparse: rows of the labels and the samples only.
    self.assertTrue(set(found[1].indices) <= {0, 6, 2, 1, 5})

  def test_sampled_loss_is_that_of_tensorflow_given_the_samples(self):
    projection = tutorial.OutputProjection(7, 4, num_samples=3)
    outputs, labels = tf1.constant(self.outputs), tf1.constant(self.labels)
    samples = self.samples()
    ours = projection.loss(labels, outputs, samples)
    weights, biases = projection.variables()
    theirs = tf1.nn.sampled_softmax_loss(
      weights, biases, labels[:, None], outputs, 3, 7, sampled_values=samples
    )
    gradients = [tf1.gradients(x, [weights, biases]) for x in (ours, theirs)]
    sess = self.session()
    support.load(sess, [weights, biases])
    found = sess.run([ours, theirs, gradients])
    self.assert_close(found[0], found[1], 1e-6)
    for gradient, other in zip(*found[2]):
      self.assert_close(gradient, other, 1e-6)

  def test_a_seed_fixes_the_samples(self):
    def losses(seed):
      projection = tutorial.OutputProjection(200, 4, 5, seed=seed)
      with tf1.Graph().as_default() as graph:
        tf1.set_random_seed(1)
        loss = projection.loss(
          tf1.constant(self.labels), tf1.constant(self.outputs)
        )
        with tf1.Session(graph=graph) as sess:
          support.load(sess, tf1.global_variables())
          return [sess.run(loss) for _ in range(2)]

    first, again, other = losses(3), losses(3), losses(4)
    np.testing.assert_array_equal(first, again)
    self.assertFalse(np.array_equal(first[0], first[1]))
    self.assertFalse(np.array_equal(first, other))

  def test_float16_is_sampled_in_float32(self):
    projection = tutorial.OutputProjection(7, 4, 3, dtype=tf1.float16)
    loss = projection.loss(
      tf1.constant(self.labels), tf1.constant(self.outputs.astype(np.float16))
    )
    self.assertEqual(loss.dtype, tf1.float16)
    self.assertTrue(np.all(np.isfinite(self.session().run(loss))))

  @parameterized.named_parameters(
    ("loss", lambda p, x, y: p.loss(y, x, name="mine")),
    ("logits", lambda p, x, y: p.logits(x, name="mine")),
  )
  def test_ops_lie_in_the_name_scope(self, call):
    projection = tutorial.OutputProjection(7, 4, 3)
    outputs, labels = tf1.constant(self.outputs), tf1.constant(self.labels)
    projection.variables()
    before = len(self.graph.get_operations())
    call(projection, outputs, labels)
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "mine/")

  def test_bad_sizes_raise(self):
    for arguments, message in (
      ((0, 4), "num_symbols"),
      ((7, 0), "size"),
      ((7, 4, 0), "num_samples"),
      ((7, 4, 7), "less than the 7 symbols.*None"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        tutorial.OutputProjection(*arguments)


if __name__ == "__main__":
  absltest.main()
