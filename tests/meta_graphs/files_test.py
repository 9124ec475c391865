"""Tests that `.meta` files are read, binary and text, and checkpoints found."""

import os
import sys

from absl.testing import absltest, parameterized
from google.protobuf import text_format

from tangle import errors, meta_graphs
from tangle.meta_graphs import files
from tests.meta_graphs import support


def save_text(text, name="graph.meta"):
  path = os.path.join(support.new_folder(), name)
  with open(path, "w") as file:
    file.write(text)
  return path


class FilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.prefix, _ = support.write(sys.executable, "layers")
    self.path = self.prefix + ".meta"

  def test_a_text_file_is_read_as_a_binary_file_is(self):
    binary = meta_graphs.read(self.path)
    path = save_text(text_format.MessageToString(binary))
    self.assertEqual(meta_graphs.read(path), binary)

  def test_fields_that_are_not_known_are_skipped_in_text(self):
    path = save_text(
      'graph_def { node { name: "a" op: "NoOp" news { of: 2040 } } }'
    )
    (node,) = meta_graphs.read(path).graph_def.node
    self.assertEqual((node.name, node.op), ("a", "NoOp"))

  def test_a_file_that_is_not_there(self):
    with self.assertRaises(errors.GraphError) as caught:
      meta_graphs.read(self.prefix)
    self.assertIn(f"{self.prefix} cannot be read", str(caught.exception))
    self.assertIn("['model.meta']", str(caught.exception))

  def test_a_folder(self):
    with self.assertRaisesRegex(
      errors.GraphError, "cannot be read.*model.meta"
    ):
      meta_graphs.read(os.path.dirname(self.path))

  @parameterized.parameters("\x00 this is text", "", "hello", "graph_def {}")
  def test_a_file_that_is_no_meta_graph(self, text):
    with self.assertRaisesRegex(errors.GraphError, "cannot be a meta graph"):
      meta_graphs.read(save_text(text))

  def test_the_checkpoint_of_a_file_has_its_name(self):
    self.assertEqual(meta_graphs.find_checkpoint(self.path), self.prefix)
    self.assertEqual(files.list_checkpoints(self.path), [self.prefix])
    other = save_text("", "other.meta")
    self.assertIsNone(meta_graphs.find_checkpoint(other))
    self.assertEqual(files.list_checkpoints(other), [])

  def test_a_checkpoint_before_version_2_is_one_file(self):
    path = save_text("", "old.ckpt.meta")
    with open(path[: -len(".meta")], "w"):
      self.assertEqual(meta_graphs.find_checkpoint(path), path[: -len(".meta")])


if __name__ == "__main__":
  absltest.main()
