"""Tests of what is said of graphs that come from `.meta` files."""

import sys
import tempfile

from absl.testing import absltest, parameterized

from tangle import errors, meta_graphs
from tangle.compat import tf1
from tangle.experiments import meta_graphs as reports
from tangle.partial import sub_model
from tests.meta_graphs import support, writer


class ReportTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = support.write(sys.executable, "layers")[0] + ".meta"

  def test_says_what_a_cut_would_be(self):
    found = reports.report(self.path, ["x"], ["hidden"], unknown=6)
    self.assertEqual(found["store"], "device")
    self.assertEqual(found["inputs"], {"x:0": "float64 [None, 4]"})
    self.assertEqual(found["feeds"], {"ids:0": "int32 [None, 3]"})
    self.assertEqual(
      found["variables"],
      {"table:0": "float64 [7, 5]", "lower/kernel:0": "float64 [9, 8]"},
    )
    sizes = {row["name"]: row["bytes"] for row in found["residuals"]}
    self.assertEqual(sizes["Relu:0"], 6 * 8 * 8)
    self.assertEqual(sizes["ids:0"], 6 * 3 * 4)
    self.assertEqual(found["residual_bytes"], sum(sizes.values()))
    self.assertGreater(found["backward_ops"], 0)
    text = reports.format_report(found, limit=1)
    self.assertIn("lower/kernel", text)  # the largest
    self.assertIn(f"and {len(sizes) - 1} smaller ones", text)

  def test_predicted_bytes_are_those_of_a_run(self):
    prefix = self.path[: -len(".meta")]
    found = reports.report(self.path, ["x"], ["hidden"], unknown=6)
    with tf1.Graph().as_default():
      imported = meta_graphs.load(self.path, ["x"], ["hidden"])
      cut = sub_model.SubModel(imported.inputs, imported.outputs)
      batch = next(writer.batches())
      del batch["targets:0"]
      with tf1.Session() as sess:
        imported.saver.restore(sess, prefix)
        cut.forward(sess, batch).discard()
      measured = {r.name: r.bytes for r in cut.residuals}
    predicted = {row["name"]: row["bytes"] for row in found["residuals"]}
    self.assertEqual(predicted, measured)

  def test_a_loop_of_tensorflow_1_can_be_split(self):
    path = support.write(sys.executable, "loop")[0] + ".meta"
    found = reports.report(path, ["x"], ["hidden"])
    self.assertIn("TensorFlow 1 style loop", found["stores"]["device"])
    self.assertEqual(found["store"], "session")

  def test_a_graph_that_no_store_can_carry(self):
    found = reports.report(self.path, ["x"], ["hidden"])
    found = dict(found, store=None, stores={"device": "why not"})
    text = reports.format_report(found)
    self.assertIn("store 'device': no. why not", text)
    self.assertIn("cannot be split", text)

  def test_repairs_are_told(self):
    meta = meta_graphs.read(self.path)
    meta.graph_def.node[0].device = "/job:ps/task:3"
    path = support.save(meta)
    found = reports.report(path, ["x"], ["hidden"])
    self.assertEqual(found["repairs"]["devices"], {"/job:ps/task:3": 1})
    self.assertIn("repaired: devices cleared", reports.format_report(found))
    found = reports.survey(path)
    self.assertIn("repaired: devices cleared", reports.format_survey(found))

  def test_cut_points_are_those_of_the_graph(self):
    found = reports.list_cut_points(self.path, ["x"], ["loss"])
    self.assertIn("hidden:0", [name for point in found for name in point.names])

  def test_other_policies_keep_less(self):
    least = reports.report(self.path, ["x"], ["hidden"], "none")
    most = reports.report(self.path, ["x"], ["hidden"], "frontier")
    self.assertLess(least["residual_bytes"], most["residual_bytes"])

  def test_a_survey_lists_where_it_could_be_cut(self):
    found = reports.survey(self.path)
    self.assertEqual(list(found["placeholders"]), ["x:0", "ids:0", "targets:0"])
    self.assertEqual(list(found["ends"]), ["loss:0"])
    self.assertLen(found["variables"], 3)
    self.assertIn("loss:0", reports.format_survey(found))
    self.assertLen(reports.survey(self.path, limit=1)["placeholders"], 1)


class ErrorsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = support.write(sys.executable, "layers")[0] + ".meta"

  def test_a_file_that_is_not_there(self):
    with self.assertRaisesRegex(errors.GraphError, "nothing.meta cannot be"):
      reports.survey("nothing.meta")

  def test_a_file_that_is_no_meta_graph(self):
    with tempfile.NamedTemporaryFile(suffix=".meta") as file:
      file.write(b"\x00 this is text")
      file.flush()
      with self.assertRaisesRegex(errors.GraphError, "cannot be"):
        reports.survey(file.name)

  def test_a_name_that_is_not_there(self):
    with self.assertRaisesRegex(errors.ArgumentError, "no op 'hiden'"):
      reports.report(self.path, ["x"], ["hiden"])

  def test_outputs_that_hang_on_no_input(self):
    with self.assertRaises(errors.DisconnectedError):
      reports.report(self.path, ["targets"], ["hidden"])


if __name__ == "__main__":
  absltest.main()
