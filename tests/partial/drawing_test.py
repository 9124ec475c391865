import os
import re
import sys
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import drawing
from tests import case
from tests.partial import checks, zoo


class DrawTest(case.GraphTestCase):
  def path(self, name):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    return os.path.join(folder.name, name)

  def text(self, sub_model):
    """Returns the picture as text."""
    path = self.path("cut.dot")
    sub_model.draw(path)
    with open(path, encoding="utf-8") as file:
      return file.read()

  def boxes(self, text):
    """Returns the labels of the boxes, each with its color."""
    pattern = r'^  n\d+ \[label="(.*?)", .*?fillcolor="(.*?)"'
    return dict(re.findall(pattern, text, re.MULTILINE))

  def test_shows_what_becomes_of_each_op(self):
    model = zoo.dropout(self)
    sub_model = checks.sub_model(model, "min_cut")
    sub_model.forward(self.session(), model.feed_dict).discard()
    text = self.text(sub_model)
    boxes = self.boxes(text)
    colors = {kind: color for kind, (color, _) in drawing._KINDS.items()}
    kept = {r.name: r for r in sub_model.residuals}
    less = "Less\\nLess\\n18 bytes"  # of 3 x 6 bools
    self.assertEqual(boxes[less], colors["kept"])
    self.assertEqual(boxes["Cast\\nCast"], colors["again"])
    self.assertEqual(
      boxes["ReadVariableOp\\nMatMul/ReadVariableOp"], colors["variable"]
    )
    product = [label for label in boxes if label.startswith("MatMul\\n")]
    self.assertLen(product, 2)
    self.assertIn(colors["once"], [boxes[label] for label in product])
    self.assertEqual(
      sum("bytes" in label for label in boxes),
      sum(not record.is_variable for record in kept.values()),
    )
    self.assertIn(f"{sub_model.residuals.bytes:,} bytes besides 2", text)

  def test_arrows_are_the_edges_of_the_graph(self):
    x = tf1.placeholder(tf1.float64, [3], name="x")
    y = tf1.sin(tf1.tanh(x, name="h"), name="y")
    text = self.text(tangle.SubModel([x], [y]))
    names = dict(re.findall(r'^  (n\d+) \[label="\w+\\n(\w+)', text, re.M))
    edges = re.findall(r"^  (n\d+) -> (n\d+)(.*);", text, re.M)
    found = {(names[a], names[b]): "color" in style for a, b, style in edges}
    # What is read from a kept tensor is marked.
    self.assertEqual(found, {("x", "h"): False, ("h", "y"): True})

  def test_places_to_cut_have_a_double_border(self):
    x = tf1.placeholder(tf1.float64, [None, 3], name="x")
    for k in range(3):
      w = self.variable(f"w{k}", self.normal(3, 3))
      h = tf1.tanh(tf1.matmul(x if k == 0 else h, w), name=f"h{k}")  # noqa: F821
    text = self.text(tangle.SubModel([x], [tf1.reduce_sum(h)]))
    marked = re.findall(r'label="\w+\\n(\w+)".*peripheries=2', text)
    points = tangle.cut_points([x], [h])
    self.assertContainsSubset({"h0", "h1"}, set(marked))
    self.assertContainsSubset(
      set(marked),
      {name.split(":")[0] for p in points for name in p.names} | {"h2"},
    )

  def test_steps_are_joined_where_there_are_many(self):
    x = y = tf1.placeholder(tf1.float64, [3], name="x")
    for k in range(50):
      with tf1.name_scope(f"step_{k}"):
        y = tf1.sin(tf1.tanh(y, name="h"), name="y")
    text = self.text(tangle.SubModel([x], [y], residuals="min_cut"))
    boxes = self.boxes(text)
    self.assertLen(boxes, 3)
    self.assertIn(
      "step*/h (50 ops)\\n1 kept\\n49 computed again\\n24 bytes", boxes
    )

  def test_scopes_are_joined_where_that_is_not_enough(self):
    names = [f"{a}/{b}" for a in "abc" for b in "uvwxyz"]
    for most, expected in ((18, 18), (17, 3), (3, 3), (1, 3)):
      group = drawing._grouping(names, most)
      self.assertLen({group(name) for name in names}, expected)
    self.assertEqual(drawing._grouping(["a/b_1", "a/b_2"], 1)("a/b_2"), "a/b*")

  def test_names_are_quoted(self):
    self.assertEqual(drawing.quote('a"b\n\\'), '"a\\"b\\n\\\\"')

  @parameterized.parameters(
    "device", "device_none", "host", "session", "min_cut"
  )
  def test_every_strategy_can_be_drawn(self, strategy):
    sub_model = checks.sub_model(zoo.lstm(self), strategy)
    self.assertIn("digraph", self.text(sub_model))

  def test_other_endings_are_refused(self):
    sub_model = checks.sub_model(zoo.mlp(self), "device")
    with self.assertRaises(errors.ArgumentError) as caught:
      sub_model.draw("cut.pdf")
    self.assert_message(caught.exception, "draw", ".svg", "cut.pdf")

  def test_a_path_that_cannot_be_written_is_named(self):
    sub_model = checks.sub_model(zoo.mlp(self), "device")
    with self.assertRaisesRegex(errors.FileError, "no/a.dot' .*See whether"):
      sub_model.draw("/no/a.dot")

  @parameterized.parameters("svg", "png")
  def test_a_picture_comes_from_graphviz(self, kind):
    sub_model = checks.sub_model(zoo.mlp(self), "device")
    path = self.path(f"cut.{kind}")

    class Source:
      def __init__(self, text):
        self.text = text

      def pipe(self, kind):
        return f"<{kind}>{self.text}".encode()

    package = mock.Mock(Source=Source, ExecutableNotFound=OSError)
    with mock.patch.dict(sys.modules, {"graphviz": package}):
      sub_model.draw(path)
    with open(path, encoding="utf-8") as file:
      self.assertStartsWith(file.read(), f"<{kind}>digraph")

  def test_names_what_is_missing(self):
    sub_model = checks.sub_model(zoo.mlp(self), "device")
    path = self.path("cut.svg")
    with mock.patch.dict(sys.modules, {"graphviz": None}):
      with self.assertRaises(errors.MissingPackageError) as caught:
        sub_model.draw(path)
    self.assert_message(caught.exception, "graphviz", "[draw]", ".dot")
    package = mock.Mock(ExecutableNotFound=OSError)
    package.Source.side_effect = OSError()
    with mock.patch.dict(sys.modules, {"graphviz": package}):
      with self.assertRaises(errors.MissingPackageError) as caught:
        sub_model.draw(path)
    self.assert_message(caught.exception, "dot", "apt-get", ".dot")


if __name__ == "__main__":
  absltest.main()
