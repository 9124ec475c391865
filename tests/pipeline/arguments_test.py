"""Tests of arguments."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case


def build(bucket, reads):
  raise AssertionError(f"{bucket} is built with {reads}")


class ArgumentsTest(case.GraphTestCase):
  def add(self, name="decoder", build=build, **arguments):
    pipeline = tangle.Pipeline()
    pipeline.add("encoder", lambda bucket, reads: None)
    pipeline.add(name, build, **arguments)

  def test_a_name_of_a_pipeline_that_is_no_string(self):
    self.assertEqual(tangle.Pipeline(name="a").name, "a")
    for name in (np.ones(2), tf1.zeros([2]), 3, "a b", None):
      with self.assertRaises(errors.ArgumentError) as caught:
        tangle.Pipeline(name=name)
      self.assert_message(
        caught.exception,
        "Pipeline: name must be a string that can name a scope",
        errors.show(name),
      )

  def test_good_arguments_pass(self):
    self.add(
      buckets=(3, 6),
      reads={"h": ["encoder.h"]},
      pad={"ids": 0},
      bucket_of=lambda feeds: 3,
    )
    self.add(buckets=np.array([3, 6]), reads={"h": "encoder.h"})

  @parameterized.named_parameters(
    ("name", {"name": 3}, "name must be a string, got 3. Give a name"),
    ("build", {"build": tangle.Piece({})}, "build must be", "without calling"),
    ("no_reads", {"build": lambda bucket: 0}, "parameters (bucket) do not"),
    ("bucket", {"buckets": 6}, "buckets must be a list, got 6. ", "as [6]."),
    ("lists", {"buckets": [[3, 6]]}, "got [[3, 6]]. Give a tuple for a bucket"),
    ("rows", {"buckets": np.ones([2, 3])}, "an array of float64, shape (2, 3)"),
    ("text", {"buckets": "6"}, "buckets must be a list, got '6'", "as ['6']."),
    ("reads", {"reads": ["encoder.h"]}, "reads must be a dict", "{'h': 'enc"),
    ("a_read", {"reads": "encoder.h"}, "reads must be a dict", "got 'encoder."),
    ("source", {"reads": {"h": 3}}, "reads['h'] must be 'sub_model.output'"),
    ("pad", {"pad": ["ids"]}, "pad must be a dict", "such as {'ids': 0}."),
    ("a_pad", {"pad": 0}, "pad must be a dict", "got 0."),
    ("bucket_of", {"bucket_of": 3}, "bucket_of must be a function", "got 3."),
  )
  def test_another_kind_is_refused(self, arguments, *parts):
    before = len(self.graph.get_operations())
    with self.assertRaises(errors.ArgumentError) as caught:
      self.add(**arguments)
    self.assert_message(caught.exception, "Pipeline.add(", *parts)
    # The pipeline has a placeholder for the encoder; nothing else was added.
    kinds = [op.type for op in self.graph.get_operations()[before:]]
    self.assertEqual(kinds, ["Placeholder"])
    self.assertEmpty(self.graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES))


if __name__ == "__main__":
  absltest.main()
