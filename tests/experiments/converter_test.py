"""Tests of converter."""

from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import cmudict_data, converter
from tests.experiments import spelling


class ConverterTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.data = cmudict_data.load(spelling.entries(200))

  def test_words_come_back_in_order(self):
    with tf1.Graph().as_default():
      task = converter.make_task(self.data, 2)
      optimizer = tf1.train.GradientDescentOptimizer(0.0)
      found = converter.Converter(task, 8, 1, 8, optimizer, 1.0)
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        words = ["abcd", "a", "bd", "ccccc", "a"]
        together = found.convert(sess, words, batch_size=2)
        alone = [found.convert(sess, [word])[0] for word in words]
    self.assertEqual(together, alone)

  def test_words_of_every_split_fit_the_largest_bucket(self):
    longer = self.data.test + [("abcdabcdabcd", ("AA",))]
    task = converter.make_task(self.data._replace(test=longer), 2)
    self.assertEqual(task.source_buckets[-1], 12)
    self.assertLen(task.source_buckets, 2)

  def test_a_word_that_cannot_be_converted_is_named(self):
    with tf1.Graph().as_default():
      task = converter.make_task(self.data, 2)
      optimizer = tf1.train.GradientDescentOptimizer(0.0)
      found = converter.Converter(task, 4, 1, 4, optimizer, 1.0)
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        with self.assertRaisesRegex(errors.DataError, "'x'"):
          found.convert(sess, ["ax"])
        with self.assertRaisesRegex(errors.BucketError, "aaaaaaaa"):
          found.convert(sess, ["aaaaaaaa"])
        self.assertLen(found.convert(sess, ["ax"], unknown="unk"), 1)
        rates = found.error_rates(sess, [("ab", ("AA", "B"))])
    self.assertEqual(rates.words, 1)
    summary = converter.graph_summary(found.pipeline, task)
    self.assertEqual(summary["graphs"], 4)
    self.assertEqual(summary["joint_graphs"], 4)


if __name__ == "__main__":
  absltest.main()
