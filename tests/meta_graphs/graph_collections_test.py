"""Tests that collections are restored, or dropped with a warning."""

import numpy as np
from absl.testing import absltest

from tangle import errors, meta_graphs
from tangle.compat import tf1
from tests import case
from tests.meta_graphs import support

LOGGER = "tangle.meta_graphs.graph_collections"


def build():
  v = tf1.get_variable("v", initializer=np.ones(3), use_resource=True)
  tf1.add_to_collection("ends", tf1.identity(2 * v, "y"))
  tf1.add_to_collection("words", "a tangle\nof knots")
  tf1.add_to_collection("sizes", 7)
  tf1.add_to_collection(tf1.GraphKeys.MODEL_VARIABLES, v)


class CollectionsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.meta = support.export(build)

  def load(self):
    return meta_graphs.load(support.save(self.meta))

  def drop(self, key, *parts):
    """Fails unless just this collection is dropped, with one warning."""
    with self.assertLogs(LOGGER, "WARNING") as logged:
      found = self.load()
    self.assertEqual(list(found.repairs.collections), [key])
    self.assertLen(logged.output, 1)
    for part in (repr(key), "graph.meta") + parts:
      self.assertIn(part, logged.output[0])
    self.assertEqual(tf1.get_collection(key), [])
    self.assertLen(tf1.trainable_variables(), 1)
    self.assertEqual(tf1.get_collection("sizes"), [7])

  def test_they_are_restored(self):
    self.assertFalse(self.load().repairs)
    (trainable,) = tf1.trainable_variables()
    (listed,) = tf1.get_collection(tf1.GraphKeys.MODEL_VARIABLES)
    self.assertIs(trainable, listed)
    (end,) = tf1.get_collection("ends")
    self.assertEqual(end.name, "y:0")
    (words,) = tf1.get_collection("words")
    self.assertEqual(words, b"a tangle\nof knots")

  def test_objects_of_a_class_that_is_not_known_are_dropped(self):
    values = self.meta.collection_def["hparams_of_others"].bytes_list.value
    values.append(self.meta.meta_info_def.SerializeToString())
    self.drop("hparams_of_others", "class", "import")

  def test_objects_that_cannot_be_read_are_dropped(self):
    key = tf1.GraphKeys.QUEUE_RUNNERS
    self.meta.collection_def[key].bytes_list.value.append(b"\xff\xff")
    self.drop(key)

  def test_objects_whose_ops_are_not_there_are_dropped(self):
    self.meta.collection_def["ends"].node_list.value.append("nowhere:0")
    self.drop("ends", "nowhere")

  def test_a_kind_that_is_not_known_is_dropped(self):
    self.meta.collection_def["empty"].Clear()
    self.drop("empty", "kind")

  def test_what_was_in_a_collection_before_stays(self):
    tf1.add_to_collection("ends", "mine")
    self.meta.collection_def["ends"].node_list.value.append("nowhere:0")
    self.load()
    self.assertEqual(tf1.get_collection("ends"), ["mine"])

  def test_variables_are_not_dropped(self):
    key = tf1.GraphKeys.TRAINABLE_VARIABLES
    self.meta.collection_def[key].bytes_list.value.append(b"\xff\xff")
    with self.assertRaisesRegex(errors.GraphError, "trainable_variables"):
      self.load()

  def test_the_version_of_the_graph_is_that_of_the_file(self):
    self.load()
    self.assertEqual(
      self.graph.graph_def_versions.producer,
      self.meta.graph_def.versions.producer,
    )


if __name__ == "__main__":
  absltest.main()
