"""Tests of what building and first steps cost."""

from absl.testing import absltest

from tangle.benchmarks import builds
from tangle.compat import tf1
from tangle.pipeline import pieces, pipeline
from tests import case


def build():
  found = pipeline.Pipeline()
  w = tf1.get_variable("w", [2], use_resource=True)
  loss = tf1.reduce_sum(w * w)
  found.add("all", lambda bucket, reads: pieces.Piece({}, loss=loss))
  trainer = found.minimize(tf1.train.GradientDescentOptimizer(0.1))
  return trainer, [{"all": {}}] * 3


class BuildsTest(case.GraphTestCase):
  def test_figures_are_of_the_graph_and_its_steps(self):
    graph, found = builds.measure_build(build, timed=2, rounds=2)
    self.assertEqual(found["ops"], len(graph.get_operations()))
    self.assertLen(found["losses"], 3)
    self.assertLess(found["losses"][-1], found["losses"][0])
    self.assertBetween(found["step_s"], 0, found["all_pairs_s"])
    self.assertGreater(found["step_cpu_s"], 0)
    self.assertGreater(found["all_pairs_s"], found["build_s"])
    self.assertGreater(found["all_pairs_cpu_s"], found["first_cpu_s"])
    self.assertGreater(found["rss_bytes"], found["above_import_bytes"])

  def test_weights_are_the_same_in_every_graph(self):
    first, again = (builds.measure_build(build)[1] for _ in range(2))
    self.assertEqual(first["losses"], again["losses"])


if __name__ == "__main__":
  absltest.main()
