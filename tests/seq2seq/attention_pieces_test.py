"""Tests for `tangle.seq2seq.attention_pieces`: two sources, one decoder."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import joint
from tangle.seq2seq import attention_model, attention_pieces, vocabulary
from tests import case

SIZES = (9, 10)
LEFT_BUCKETS, RIGHT_BUCKETS, TARGET_BUCKETS = (2, 4), (2, 3), (2, 3)
PAD = {"source": 0}
TARGET_PAD = {"inputs": 0, "targets": 0, "weights": 0.0}


def make_model(layers=1, sizes=SIZES):
  return attention_model.AttentionModel(
    sizes,
    8,
    units=3,
    layers=layers,
    embedding_dim=2,
    dtype=tf1.float64,
  )


def make_pipeline(model, searches=False):
  """Returns a pipeline of two encoders and a decoder, or what searches."""
  pipeline = tangle.Pipeline()
  sides = (("left", LEFT_BUCKETS), ("right", RIGHT_BUCKETS))
  for k, (name, buckets) in enumerate(sides):
    build = attention_pieces.encoder_builder(model, k)
    pipeline.add(name, build, buckets=buckets, pad=PAD)
  reads = attention_pieces.reads_of("left", "right")
  if searches:
    builders = {
      "greedy": attention_pieces.greedy_builder(model),
      "beam": attention_pieces.beam_builder(model, 1),
    }
    for name, build in builders.items():
      pipeline.add(name, build, buckets=[6], reads=reads)
  else:
    build = attention_pieces.decoder_builder(model)
    pipeline.add(
      "decoder", build, buckets=TARGET_BUCKETS, reads=reads, pad=TARGET_PAD
    )
  return pipeline


class TwoSourcesTest(case.GraphTestCase):
  def source(self, k, batch, steps):
    """Returns the feeds of an encoder, the first as long as can be."""
    lengths = self.rng.randint(1, steps + 1, batch).astype(np.int32)
    lengths[0] = steps
    source = self.rng.randint(4, SIZES[k], (batch, steps)).astype(np.int32)
    inside = np.arange(steps) < lengths[:, np.newaxis]
    return {"source": source * inside, "lengths": lengths}

  def batch(self, left, right, steps, batch=3):
    lengths = self.rng.randint(1, steps + 1, batch)
    inputs = self.rng.randint(4, 8, (batch, steps)).astype(np.int32)
    inputs[:, 0] = vocabulary.GO_ID
    inside = np.arange(steps) < lengths[:, np.newaxis]
    return {
      "left": self.source(0, batch, left),
      "right": self.source(1, batch, right),
      "decoder": {
        "inputs": inputs,
        "targets": np.roll(inputs, -1, 1),
        "weights": inside.astype(np.float64),
      },
    }

  def enlarge(self, sess):
    """Gives the variables larger values, for varied symbols."""
    for variable in tf1.trainable_variables():
      variable.load(self.normal(*variable.shape.as_list()), sess)

  def test_split_trains_as_joint_in_every_combination_of_buckets(self):
    pipeline = make_pipeline(make_model())
    trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.05), clip_norm=0.5)
    ours = joint.JointTrainer(
      pipeline, tf1.train.AdamOptimizer(0.05), clip_norm=0.5
    )
    self.assertLen(ours.combinations, 8)
    self.assertEqual(
      [v.name for v in ours.variables], [v.name for v in trainer.variables]
    )
    split_sess, joint_sess = self.session(), self.session()
    for variable, value in zip(ours.variables, split_sess.run(ours.variables)):
      variable.load(value, joint_sess)
    grid = itertools.product(LEFT_BUCKETS, RIGHT_BUCKETS, TARGET_BUCKETS)
    clipped, order = 0, list(grid) * 2
    self.rng.shuffle(order)
    for left, right, steps in order:
      batch = self.batch(left, right, steps)
      found = trainer.step(split_sess, batch)
      wanted = ours.step(joint_sess, batch)
      buckets = {"left": left, "right": right, "decoder": steps}
      self.assertEqual(found.buckets, buckets)
      self.assertEqual(wanted.buckets, buckets)
      self.assert_close(found.loss, wanted.loss, rtol=1e-11)
      self.assert_close(found.global_norm, wanted.global_norm, rtol=1e-10)
      clipped += found.global_norm > 0.5
    self.assertGreater(clipped, 5)
    for variable in ours.variables:
      self.assert_close(
        split_sess.run(variable), joint_sess.run(variable), rtol=1e-9
      )

  def test_attention_weights_are_an_output_for_each_source(self):
    pipeline = make_pipeline(make_model())
    pipeline.build()
    sess, batch = self.session(), self.batch(4, 3, 3)
    self.enlarge(sess)
    names = ["decoder.attention_0", "decoder.attention_1"]
    found = pipeline.forward(sess, batch, names).outputs
    for name, side in zip(names, ("left", "right")):
      lengths = batch[side]["lengths"]
      steps = batch[side]["source"].shape[1]
      inside = np.arange(steps) < lengths[:, np.newaxis]
      self.assertEqual(found[name].shape, (3, 3, steps))
      self.assert_close(found[name].sum(2), np.ones([3, 3]))
      np.testing.assert_array_equal(
        found[name] > 0, np.broadcast_to(inside[:, np.newaxis], (3, 3, steps))
      )

  def test_graphs_are_as_many_as_there_are_buckets(self):
    pipeline = make_pipeline(make_model())
    pipeline.build()
    counts = pipeline.graph_counts()
    self.assertEqual(
      [(count.sub_model, count.bucket) for count in counts],
      [("left", b) for b in LEFT_BUCKETS]
      + [("right", b) for b in RIGHT_BUCKETS]
      + [("decoder", b) for b in TARGET_BUCKETS],
    )
    self.assertLen(counts, 2 + 2 + 2)
    self.assertTrue(all(count.ops for count in counts))

  @parameterized.named_parameters(("left", "left"), ("right", "right"))
  def test_the_loss_depends_on_each_source(self, side):
    pipeline = make_pipeline(make_model())
    pipeline.build()
    sess = self.session()
    self.enlarge(sess)
    batch = self.batch(4, 3, 3)
    before = pipeline.forward(sess, batch).loss
    ids = batch[side]["source"]
    batch[side]["source"] = np.where(ids > 4, ids - 1, ids)
    after = pipeline.forward(sess, batch).loss
    self.assertGreater(abs(before - after), 1e-3)

  def test_every_variable_of_both_encoders_is_trained(self):
    pipeline = make_pipeline(make_model(layers=2))
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(1.0))
    sess = self.session()
    self.assertLen(tf1.trainable_variables(), len(trainer.variables))
    before = sess.run(trainer.variables)
    trainer.step(sess, self.batch(4, 3, 3))
    for variable, old in zip(trainer.variables, before):
      moved = np.max(np.abs(sess.run(variable) - old))
      self.assertGreater(moved, 0.0, variable.name)

  @parameterized.parameters((4, 2, 2), (2, 3, 2), (2, 2, 3), (4, 3, 3))
  def test_padding_changes_no_number(self, left, right, steps):
    pipeline = make_pipeline(make_model())
    pipeline.build()
    sess = self.session()
    self.enlarge(sess)
    batch = self.batch(2, 2, 2)
    widths = {"left": left, "right": right, "decoder": steps}
    wide = {
      name: {
        feed: np.pad(a, [(0, 0), (0, widths[name] - a.shape[1])], "constant")
        if a.ndim == 2
        else a
        for feed, a in feeds.items()
      }
      for name, feeds in batch.items()
    }
    narrow_result = pipeline.forward(sess, batch)
    wide_result = pipeline.forward(sess, wide)
    self.assertEqual(wide_result.buckets, widths)
    self.assert_close(wide_result.loss, narrow_result.loss, rtol=1e-13)
    self.assert_close(
      wide_result.metrics["decoder"]["total_loss"],
      narrow_result.metrics["decoder"]["total_loss"],
      rtol=1e-13,
    )

  def search(self, pipeline, sess, batch, name):
    fetch = [f"{name}.{field}" for field in ("symbols", "scores", "lengths")]
    feeds = {"left": batch["left"], "right": batch["right"], name: {}}
    outputs = pipeline.forward(sess, feeds, fetch).outputs
    return [outputs[field] for field in fetch]

  @parameterized.parameters(False, True)
  def test_greedy_is_a_beam_of_one_and_reads_both_sources(self, v2):
    self.use_control_flow(v2)
    pipeline = make_pipeline(make_model(), searches=True)
    pipeline.build()
    sess = self.session()
    self.enlarge(sess)
    batch = self.batch(4, 3, 3, batch=30)
    symbols, scores, lengths = self.search(pipeline, sess, batch, "greedy")
    beam = self.search(pipeline, sess, batch, "beam")
    np.testing.assert_array_equal(beam[0][:, 0], symbols)
    self.assert_close(beam[1][:, 0], scores, rtol=1e-12)
    np.testing.assert_array_equal(beam[2][:, 0], lengths)
    for k, side in enumerate(("left", "right")):
      changed = dict(batch, **{side: self.source(k, 30, 3)})
      others = self.search(pipeline, sess, changed, "greedy")[0]
      self.assertTrue(np.any(others != symbols), side)

  def test_masks_of_one_seed_are_others_in_each_sub_model(self):
    model = make_model(sizes=[9, 9])
    self.assertEqual(model.sources, 2)
    ids = np.full([2, 3], 5, np.int32)
    lengths, seed = np.array([3, 3], np.int32), np.array([7, 8], np.int32)
    left, right = [
      model.encode(ids, lengths, 0.5, seed, k).summary for k in range(2)
    ]
    sess = self.session()
    for variable in tf1.trainable_variables():
      variable.load(np.full(variable.shape.as_list(), 0.5), sess)
    left_np, right_np = sess.run([left, right])
    np.testing.assert_array_equal(sess.run(left), left_np)
    self.assertTrue(np.any(left_np != right_np))


class ReadsTest(case.GraphTestCase):
  def test_reads_name_each_source(self):
    self.assertEqual(
      attention_pieces.reads_of("encoder"),
      {
        "memory": "encoder.memory",
        "lengths": "encoder.lengths",
        "summary": "encoder.summary",
      },
    )
    self.assertEqual(
      list(attention_pieces.reads_of("a", "b").items()),
      [
        ("memory_0", "a.memory"),
        ("lengths_0", "a.lengths"),
        ("summary_0", "a.summary"),
        ("memory_1", "b.memory"),
        ("lengths_1", "b.lengths"),
        ("summary_1", "b.summary"),
      ],
    )

  @parameterized.named_parameters(
    ("one_of_two", SIZES, ["left"]), ("two_of_one", 9, ["left", "right"])
  )
  def test_reads_of_another_number_of_sources_are_refused(self, sizes, names):
    model = make_model(sizes=sizes)
    pipeline = tangle.Pipeline()
    build = attention_pieces.encoder_builder(model)
    for name in ("left", "right"):
      pipeline.add(name, build, buckets=[3])
    build = attention_pieces.greedy_builder(model)
    reads = attention_pieces.reads_of(*names)
    pipeline.add("greedy", build, buckets=[3], reads=reads)
    with self.assertRaisesRegex(
      errors.ArgumentError, "sources reads .* got .* Pass reads=reads_of"
    ):
      pipeline.build()


if __name__ == "__main__":
  absltest.main()
