"""Tests of pipelines of many shapes: each step is the joint graph's step."""

from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests.pipeline import support


class TopologiesTest(support.PipelineTestCase):
  def x(self, batch=4):
    return self.normal(batch, 3)

  def test_two_encoders_feed_one_decoder(self):
    wiring = support.Wiring()
    wiring.add("left", support.layer(self.weight("l", 3, 2), ["x"]))
    wiring.add("right", support.layer(self.weight("r", 3, 2), ["x"]))
    decoder = support.head(self.weight("d", 4, 2))
    reads = {"a": "left.out", "b": "right.out"}
    wiring.add("decoder", decoder, reads=reads)
    batch = {"left": {"x": self.x()}, "right": {"x": self.x()}, "decoder": {}}
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["l", "r", "d"]])

  def trunk_and_heads(self):
    wiring = support.Wiring()
    wiring.add("trunk", support.layer(self.weight("t", 3, 2), ["x"]))
    for name in ("one", "two"):
      build = support.head(self.weight(name, 2, 2))
      wiring.add(name, build, reads={"x": "trunk.out"})
    return wiring

  @parameterized.named_parameters(
    ("both", ["one", "two"]), ("first", ["one"]), ("second", ["two"])
  )
  def test_heads_that_take_part_train_the_trunk(self, heads):
    batch = {"trunk": {"x": self.x()}}
    batch.update({name: {} for name in heads})
    wiring = self.trunk_and_heads()
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["t"] + heads])

  def test_heads_alternate(self):
    wiring = self.trunk_and_heads()
    batches = [
      {"trunk": {"x": self.x()}, "two": {}},
      {"trunk": {"x": self.x()}, "one": {}, "two": {}},
      {"trunk": {"x": self.x()}, "one": {}},
      {"trunk": {"x": self.x()}, "two": {}},
    ]
    _, changed = self.assert_steps_are_joint(wiring, batches)
    heads = [["two"], ["one", "two"], ["one"], ["two"]]
    self.assertEqual(changed, [["t"] + names for names in heads])

  def test_loss_weights_scale_each_loss(self):
    batch = {"trunk": {"x": self.x()}, "one": {}, "two": {}}
    weights = {"one": 0.25, "two": 3.0}
    wiring = self.trunk_and_heads()
    self.assert_steps_are_joint(wiring, [batch], loss_weights=weights)

  def chain(self, middle):
    wiring = support.Wiring()
    wiring.add("first", support.layer(self.weight("f", 3, 2), ["x"]))
    wiring.add("middle", middle, reads={"x": "first.out"})
    reads = {"x": "middle.out"}
    return wiring.add("last", support.head(self.weight("g", 2, 2)), reads=reads)

  def test_chain_of_three(self):
    wiring = self.chain(support.layer(self.weight("m", 2, 2)))
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_middle_has_a_loss_of_its_own_and_may_be_the_last(self):
    weight = self.weight("m", 2, 2)

    def middle(bucket, reads):
      piece = support.layer(weight)(bucket, reads)
      loss = tf1.reduce_sum(tf1.square(piece.outputs["out"]))
      return piece._replace(loss=loss)

    full = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    short = {"first": {"x": self.x()}, "middle": {}}
    _, changed = self.assert_steps_are_joint(
      self.chain(middle), [full, short], loss_weights={"middle": 0.5}
    )
    self.assertEqual(changed, [["m", "f", "g"], ["m", "f"]])

  def test_diamond_sums_the_gradients_of_both_sides(self):
    wiring = support.Wiring()
    wiring.add("top", support.layer(self.weight("t", 3, 2), ["x"]))
    for side in ("left", "right"):
      build = support.layer(self.weight(side, 2, 2))
      wiring.add(side, build, reads={"x": "top.out"})
    reads = {"a": "left.out", "b": "right.out"}
    wiring.add("bottom", support.head(self.weight("b", 4, 2)), reads=reads)
    batch = {"top": {"x": self.x()}, "left": {}, "right": {}, "bottom": {}}
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["t", "left", "right", "b"]])

  def test_skip_connection(self):
    wiring = support.Wiring()
    wiring.add("first", support.layer(self.weight("f", 3, 2), ["x"]))
    middle = support.layer(self.weight("m", 2, 2))
    wiring.add("middle", middle, reads={"x": "first.out"})
    reads = {"skip": "first.out", "x": "middle.out"}
    wiring.add("last", support.head(self.weight("l", 4, 2)), reads=reads)
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch])

  @parameterized.named_parameters(("forth", "ab"), ("back", "ba"))
  def test_read_comes_from_the_alternative_that_takes_part(self, order):
    wiring = support.Wiring()
    wiring.add("a", support.layer(self.weight("a", 3, 2), ["x"]))
    wiring.add("b", support.layer(self.weight("b", 6, 2), ["x", "y"]))
    sources = [f"{name}.out" for name in order]
    decoder = support.head(self.weight("c", 2, 2))
    wiring.add("c", decoder, reads={"x": sources})
    first = {"a": {"x": self.x()}, "c": {}}
    second = {"b": {"x": self.x(), "y": self.x()}, "c": {}}
    _, changed = self.assert_steps_are_joint(wiring, [first, second, first])
    self.assertEqual(changed, [["a", "c"], ["b", "c"], ["a", "c"]])

  def test_alternatives_of_one_read_may_have_readers_of_their_own(self):
    wiring = support.Wiring()
    wiring.add("a", support.layer(self.weight("a", 3, 2), ["x"]))
    own = support.head(self.weight("own", 2, 1))
    wiring.add("own", own, reads={"x": "a.out"})
    wiring.add("b", support.layer(self.weight("b", 3, 2), ["x"]))
    decoder = support.head(self.weight("c", 2, 2))
    wiring.add("c", decoder, reads={"x": ["b.out", "a.out"]})
    x = self.x()
    batches = [
      {"a": {"x": x}, "own": {}, "c": {}},
      {"a": {"x": x}, "own": {}},
      {"b": {"x": x}, "c": {}},
    ]
    _, changed = self.assert_steps_are_joint(wiring, batches)
    self.assertEqual(changed, [["a", "own", "c"], ["a", "own"], ["b", "c"]])

  def test_integer_boundary_beside_a_floating_one(self):
    weight, last = self.weight("w", 3, 2), self.weight("v", 2, 2)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 5, 3])
      lengths_ph = tf1.placeholder(tf1.int32, [None])
      memory = tf1.tanh(tf1.tensordot(x_ph, weight, 1))
      return tangle.Piece(
        feeds={"x": x_ph, "lengths": lengths_ph},
        outputs={"memory": memory, "lengths": lengths_ph + 0},
      )

    def decoder(bucket, reads):
      del bucket
      mask = tf1.sequence_mask(reads["lengths"], 5, tf1.float64)
      seen = tf1.reduce_sum(reads["memory"] * mask[..., None], 1)
      loss = tf1.reduce_mean(tf1.square(tf1.matmul(seen, last)))
      return tangle.Piece(feeds={}, loss=loss)

    wiring = support.Wiring().add("encoder", encoder)
    reads = {"memory": "encoder.memory", "lengths": "encoder.lengths"}
    wiring.add("decoder", decoder, reads=reads)
    feeds = {"x": self.normal(3, 5, 3), "lengths": [2, 5, 1]}
    batch = {"encoder": feeds, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_read_that_gets_no_gradient_leaves_its_source_alone(self):
    weight = self.weight("v", 2, 2)

    def decoder(bucket, reads):
      stopped = {name: tf1.stop_gradient(t) for name, t in reads.items()}
      return support.head(weight)(bucket, stopped)

    wiring = support.Wiring()
    wiring.add("encoder", support.layer(self.weight("w", 3, 2), ["x"]))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["v"]])

  def test_one_of_two_reads_gets_no_gradient(self):
    weight = self.weight("v", 4, 2)

    def decoder(bucket, reads):
      stopped = {"a": reads["a"], "b": tf1.stop_gradient(reads["b"])}
      return support.head(weight)(bucket, stopped)

    wiring = support.Wiring()
    encoder = support.layer(self.weight("w", 3, 2), ["x"], ["a", "b"])
    wiring.add("encoder", encoder)
    reads = {"a": "encoder.a", "b": "encoder.b"}
    wiring.add("decoder", decoder, reads=reads)
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_output_that_nobody_reads(self):
    wiring = support.Wiring()
    encoder = support.layer(self.weight("w", 3, 2), ["x"], ["idle", "out"])
    wiring.add("encoder", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_sub_model_without_variables_passes_on(self):
    def prepare(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      return tangle.Piece(feeds={"x": x_ph}, outputs={"out": x_ph * 2.0})

    def middle(bucket, reads):
      del bucket
      return tangle.Piece(feeds={}, outputs={"out": tf1.sin(reads["x"])})

    wiring = support.Wiring().add("prepare", prepare)
    encoder = support.layer(self.weight("w", 3, 2))
    wiring.add("encoder", encoder, reads={"x": "prepare.out"})
    wiring.add("middle", middle, reads={"x": "encoder.out"})
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "middle.out"})
    batch = {"prepare": {"x": self.x()}}
    batch.update({name: {} for name in ("encoder", "middle", "decoder")})
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["w", "v"]])

  def test_outputs_that_overlap(self):
    weight = self.weight("w", 2, 2)

    def middle(bucket, reads):
      del bucket
      h = tf1.tanh(tf1.matmul(reads["x"], weight))
      outputs = {"passed": reads["x"], "h": h, "same": h, "next": h * h}
      return tangle.Piece(feeds={}, outputs=outputs)

    wiring = support.Wiring()
    wiring.add("first", support.layer(self.weight("f", 3, 2), ["x"]))
    wiring.add("middle", middle, reads={"x": "first.out"})
    names = ["passed", "h", "same", "next"]
    last = support.head(self.weight("l", 8, 2))
    reads = {name: f"middle.{name}" for name in names}
    wiring.add("last", last, reads=reads)
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_weight_shared_by_three_sub_models(self):
    weight = self.weight("w", 3, 3)
    wiring = support.Wiring().add("a", support.layer(weight, ["x"]))
    wiring.add("b", support.layer(weight), reads={"x": "a.out"})
    wiring.add("c", support.head(weight), reads={"x": "b.out"})
    batch = {"a": {"x": self.x()}, "b": {}, "c": {}}
    self.assert_steps_are_joint(wiring, [batch])


if __name__ == "__main__":
  absltest.main()
