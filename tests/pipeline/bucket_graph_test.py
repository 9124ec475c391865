"""Tests of bucket_graph; what is in a pass is tested in `passes_test`."""

from absl.testing import absltest

from tangle import errors
from tangle.pipeline import passes
from tests.pipeline import support

SCOPE = "passes/"


class TrainingPassTest(support.PipelineTestCase):
  def built(self):
    """Returns the `BucketGraph` of an encoder that a decoder reads."""
    wiring = support.Wiring()
    build = support.layer(self.weight("w", 3, 2), ["x"], ["a", "b"])
    wiring.add("encoder", build)
    decoder = support.head(self.weight("v", 4, 2))
    reads = {"a": "encoder.a", "b": "encoder.b"}
    wiring.add("decoder", decoder, reads=reads)
    self.pipeline = wiring.pipeline()
    self.pipeline.build()
    return self.pipeline.nodes["encoder"].graphs[None]

  def make(self, graph, outputs, weight=None, **options):
    pattern = passes.Pattern(frozenset(outputs), weight, **options)
    return graph.training_pass(pattern, SCOPE)

  def test_pass_is_made_once_for_a_pattern(self):
    graph = self.built()
    first = self.make(graph, ["a", "b"])
    size, counted = self.count_ops(), graph.op_count
    self.assertIs(self.make(graph, ["b", "a"]), first)
    self.assertEqual(self.count_ops(), size)
    other = self.make(graph, ["a"])
    self.assertIsNot(other, first)
    self.assertGreater(self.count_ops(), size)
    self.assertEqual(graph.op_count - counted, self.count_ops() - size)

  def test_loss_weights_make_passes_of_their_own(self):
    self.built()
    graph = self.pipeline.nodes["decoder"].graphs[None]
    found = [self.make(graph, [], weight) for weight in (1.0, 2.0, 1.0)]
    self.assertIs(found[0], found[2])
    self.assertIsNot(found[0], found[1])

  def test_a_promise_makes_a_pass_of_its_own(self):
    graph = self.built()
    first = self.make(graph, ["a"])
    other = self.make(graph, ["a"], weights_unchanged=True)
    self.assertIsNot(first, other)
    self.assertIs(self.make(graph, ["a"], weights_unchanged=False), first)

  def test_a_graph_owns_the_passes_that_it_made(self):
    graph = self.built()
    decoder = self.pipeline.nodes["decoder"].graphs[None]
    own, other = self.make(graph, ["a"]), self.make(decoder, [], 1.0)
    self.assertTrue(graph.owns(own))
    self.assertFalse(graph.owns(other))
    self.assertFalse(graph.owns(own._replace(drops=[])))

  def test_ops_land_in_the_scope(self):
    graph = self.built()
    before = self.count_ops()
    self.make(graph, ["a", "b"])
    names = [op.name for op in self.graph.get_operations()[before:]]
    self.assertEqual([n for n in names if not n.startswith(SCOPE)], [])

  def test_finalized_graph_takes_no_new_pass(self):
    graph = self.built()
    found = self.make(graph, ["a", "b"])
    self.graph.finalize()
    self.assertIs(self.make(graph, ["a", "b"]), found)
    message = (
      r"'encoder'.*: the graph is finalized.*\['a'\]. .* call prepare\(\)"
    )
    with self.assertRaisesRegex(errors.GraphError, message):
      self.make(graph, ["a"])


if __name__ == "__main__":
  absltest.main()
