import os
import re
import shutil
import subprocess
import tempfile
import unittest

from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import diagrams
from tests.pipeline import networks, support


class DrawTest(support.PipelineTestCase):
  def path(self, name):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    return os.path.join(folder.name, name)

  def text(self, pipeline):
    """Returns the picture as text."""
    path = self.path("pipeline.dot")
    pipeline.draw(path)
    with open(path, encoding="utf-8") as file:
      return file.read()

  def boxes(self, text):
    """Returns the name of each box → its lines, and its style."""
    found = {}
    for label, style in re.findall(r"\[label=<(.*)>, (.*)\];", text):
      lines = re.sub(r"</?B>", "", label).split("<BR")
      lines = [re.sub(r"^[^>]*/>", "", line) for line in lines]
      found[lines[0]] = lines[1:-1], style
    return found

  def edges(self, text):
    """Returns (tail, head) → the label and the style of each edge."""
    names = dict(re.findall(r"^  (n\d+) \[label=<<B>(.*?)</B>", text, re.M))
    pattern = r'^  (n\d+) -> (n\d+) \[label="(.*?)"(.*)\];'
    return {
      (names[tail], names[head]): (label, style)
      for tail, head, label, style in re.findall(pattern, text, re.M)
    }

  def encoder_and_decoder(self):
    weights = networks.Weights(self.rng)
    pipeline = tangle.Pipeline("translator")
    pipeline.add("encoder", networks.encoder_builder(weights), buckets=[3, 4])
    pipeline.add(
      "decoder",
      networks.decoder_builder(weights),
      buckets=[2],
      reads={"memory": "encoder.memory", "state": "encoder.state"},
      device="/cpu:0",
    )
    return pipeline, weights

  def test_shows_what_each_sub_model_has(self):
    pipeline, weights = self.encoder_and_decoder()
    boxes = self.boxes(self.text(pipeline))
    table, recurrent = weights.table, weights.recurrent
    count = sum(v.shape.num_elements() for v in (table, recurrent))
    depth = networks.DEPTH
    lines, style = boxes["encoder"]
    self.assertEqual(
      lines,
      [
        "feeds source",
        "buckets 3, 4",
        f"variables 2, parameters {count}",
        f"memory: float64 [?, ?, {depth}], {3 * depth * 8} to {4 * depth * 8} "
        f"bytes per example",
        f"state: float64 [?, {depth}], {depth * 8} bytes per example",
      ],
    )
    self.assertIn("peripheries=1", style)
    lines, style = boxes["decoder"]
    self.assertContainsSubset(["has a loss", "on /cpu:0", "buckets 2"], lines)
    self.assertIn("peripheries=2", style)

  def test_counts_shared_parameters_once_in_the_title(self):
    pipeline, _ = self.encoder_and_decoder()
    pipeline.build()
    count = sum(v.shape.num_elements() for v in tf1.trainable_variables())
    title = f"translator: sub-models 2, parameters {count:,}"
    self.assertIn(title, self.text(pipeline))

  def test_edges_have_the_names_of_what_crosses(self):
    pipeline, _ = self.encoder_and_decoder()
    self.assertEqual(
      self.edges(self.text(pipeline)),
      {("encoder", "decoder"): ("memory\\nstate", "")},
    )

  def test_what_a_batch_chooses_is_dashed(self):
    weight = self.weight("w", 3, 3)
    pipeline = tangle.Pipeline()
    for name in "ab":
      pipeline.add(name, support.layer(weight, feeds=["x"]))
    pipeline.add("head", support.head(weight), reads={"y": ["a.out", "b.out"]})
    found = self.edges(self.text(pipeline))
    self.assertEqual(
      found,
      {(name, "head"): ("out as y", ", style=dashed") for name in "ab"},
    )

  def test_a_sub_model_without_variables_is_white(self):
    def build(bucket, reads):
      x_ph = tf1.placeholder(tf1.float32, [2, 3])
      return tangle.Piece(feeds={"x": x_ph}, outputs={"<y>": x_ph * 2.0})

    def read(bucket, reads):
      return tangle.Piece(feeds={}, outputs={"z": reads["x"]})

    pipeline = tangle.Pipeline()
    pipeline.add("plain & <simple>", build)
    pipeline.add("reader", read, reads={"x": "plain & <simple>.<y>"})
    lines, style = self.boxes(self.text(pipeline))["plain &amp; &lt;simple&gt;"]
    self.assertIn("no variables", lines)
    self.assertIn("&lt;y&gt;: float32 [2, 3], 24 bytes per batch", lines)
    self.assertIn('fillcolor="#ffffff"', style)

  @parameterized.parameters(
    ([None, 4], tf1.float32, "float32 [?, 4], 16 bytes per example"),
    ([2, 4], tf1.int64, "int64 [2, 4], 64 bytes per batch"),
    ([], tf1.float32, "float32 [], 4 bytes per batch"),
    ([2, None], tf1.float32, "float32 [2, ?], bytes unknown before a run"),
    (None, tf1.float32, "float32 unknown rank, bytes unknown before a run"),
    ([None], tf1.string, "string [?], bytes unknown before a run"),
  )
  def test_describes_a_boundary(self, shape, dtype, expected):
    tensor = tf1.placeholder(dtype, shape)
    self.assertEqual(diagrams.describe([tensor]), expected)

  def test_residuals_are_listed_by_static_shapes(self):
    weight = self.weight("w", 3, 3)
    pipeline = tangle.Pipeline()
    pipeline.add("lower", support.layer(weight, ["x"]))
    pipeline.add("upper", support.head(weight), reads={"x": "lower.out"})
    pipeline.build()
    self.assertEqual(diagrams.list_residuals(pipeline), [])
    pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
    expected = {
      "sub-model": "lower",
      "bucket": None,
      "residuals": 2,  # x and tanh(x w)
      "bytes per example": 2 * 3 * 8,
      "bytes per batch": 0,
      "unknown": 0,
    }
    self.assertEqual(diagrams.list_residuals(pipeline), [expected])

  def test_other_endings_are_refused(self):
    pipeline, _ = self.encoder_and_decoder()
    with self.assertRaises(errors.ArgumentError) as caught:
      pipeline.draw("pipeline.pdf")
    self.assert_message(caught.exception, "translator", "draw", ".svg", ".pdf")

  def test_a_path_that_cannot_be_written_is_named(self):
    pipeline, _ = self.encoder_and_decoder()
    with self.assertRaisesRegex(errors.FileError, "no/a.dot' .*See whether"):
      pipeline.draw(self.path("no/a.dot"))

  @unittest.skipUnless(shutil.which("dot"), "graphviz is not installed")
  def test_graphviz_accepts_the_text(self):
    pipeline, _ = self.encoder_and_decoder()
    path = self.path("pipeline.dot")
    pipeline.draw(path)
    made = subprocess.run(
      ["dot", "-Tsvg", path], stdout=subprocess.PIPE, check=True
    )
    self.assertIn(b"encoder", made.stdout)


if __name__ == "__main__":
  absltest.main()
