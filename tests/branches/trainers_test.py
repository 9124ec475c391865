"""Tests of what all ways to train branches promise."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors, nets
from tangle.compat import tf1
from tests import case
from tests.branches import support

WAYS = [(way, way) for way in support.WAYS]
OPTIMIZERS = (
  ("adam", lambda: tf1.train.AdamOptimizer(0.05)),
  ("momentum", lambda: tf1.train.MomentumOptimizer(0.05, 0.9)),
  ("one_adam", None),
)
TURNS = ("image", "token", "token", "image", "token", "image")


class TrainersTest(case.GraphTestCase):
  def batches(self, schema, names=TURNS, seed=1):
    rng = np.random.RandomState(seed)
    return [
      schema.batch([support.record(rng, name) for _ in range(1 + i % 4)])
      for i, name in enumerate(names)
    ]

  def mix(self, schema, *names, **settings):
    rng = np.random.RandomState(7)
    records = [support.record(rng, name, **settings) for name in names]
    return schema.batch(records)

  def train(self, way, optimizer, make_batches, **settings):
    """Trains a new model; returns all its variables, and the results."""
    with tf1.Graph().as_default():
      model = support.make()
      trainer = support.minimize(model, optimizer, way, **settings)
      draw = support.weights(np.random.RandomState(3))
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        sess.run(draw)
        results = [trainer.step(sess, b) for b in make_batches(model.schema)]
        return support.state(sess), results

  @parameterized.named_parameters(
    *[
      (f"{name}_{clip}", make, clip)
      for (name, make), clip in itertools.product(OPTIMIZERS, (None, 0.5))
    ]
  )
  def test_the_same_order_of_examples_gives_the_same_weights(self, make, clip):
    def run(way):
      optimizer = make or tf1.train.AdamOptimizer(0.05)
      return self.train(way, optimizer, self.batches, clip_norm=clip)

    state, results = run("alternate")
    for way in ("mixed", "partial"):
      other, found = run(way)
      self.assertEqual(set(other), set(state))  # slots have the same names
      for name, value in state.items():
        self.assert_close(other[name], value, 1e-11)
      for one, two in zip(results, found):
        self.assertAlmostEqual(one.loss, two.loss, places=11)
        self.assertEqual(one.types, two.types)
        if clip is not None:
          self.assertAlmostEqual(one.global_norm, two.global_norm, places=11)

  def test_equal_to_1e_6_in_float32(self):
    states = []
    for one in ("alternate", "mixed", "partial"):
      with tf1.Graph().as_default():
        model = support.make(dtype=tf1.float32)
        trainer = support.minimize(model, tf1.train.AdamOptimizer, one)
        draw = support.weights(np.random.RandomState(3))
        rng = np.random.RandomState(1)
        with tf1.Session() as sess:
          sess.run(tf1.global_variables_initializer())
          sess.run(draw)
          for name in TURNS:
            records = [support.record(rng, name, np.float32) for _ in range(4)]
            trainer.step(sess, model.schema.batch(records))
          states.append(sess.run(tf1.trainable_variables()))
    for other in states[1:]:
      for a, b in zip(states[0], other):
        self.assertLessEqual(np.max(np.abs(a - b)), 1e-6)

  @parameterized.named_parameters(*WAYS)
  def test_inactive_variables_and_slots_stay_bit_identical(self, way):
    model = support.make()
    trainer = support.minimize(model, tf1.train.AdamOptimizer, way)
    draw = support.weights(self.rng)
    sess = self.session()
    sess.run(draw)
    parts = {"image": "dense", "token": "table"}
    for batch in self.batches(model.schema):
      before = support.state(sess)
      trainer.step(sess, batch)
      (kind,) = batch.inputs
      changed = support.changed(before, support.state(sess))
      wanted = {
        name
        for name in before
        if name.split("/")[0] in (parts[kind], "end")
        or name.split("/")[-2] in (kind, "_head")
      }
      self.assertEqual(changed, wanted)  # with Adam's moments and powers
      self.assertTrue(any("beta1_power" in name for name in wanted))

  @parameterized.named_parameters(*WAYS[1:])
  def test_a_mixed_batch_takes_the_mean_over_its_records(self, way):
    def make_batches(schema):
      return [self.mix(schema, "token", "image", "token", "image", "image")]

    rate = tf1.train.GradientDescentOptimizer
    after, (result,) = self.train(way, lambda: rate(0.5), make_batches)
    with tf1.Graph().as_default():
      model = support.make()
      (batch,) = make_batches(model.schema)
      draw = support.weights(np.random.RandomState(3))
      sums = [
        tf1.reduce_sum(path.head.losses) / 5 for path in model.paths.values()
      ]
      variables = tf1.trainable_variables()
      found = tf1.gradients(tf1.add_n(sums), variables)
      found = [tf1.convert_to_tensor(g) for g in found]
      with tf1.Session() as sess:
        sess.run(draw)
        feed_dict = {}
        for k, path in model.paths.items():
          feed_dict[path.input_ph] = batch.inputs[k]
          feed_dict[path.targets_ph] = batch.targets[batch.places[k]]
        loss, values, grads = sess.run([sums, variables, found], feed_dict)
      for v, value, grad in zip(variables, values, grads):
        self.assert_close(after[v.op.name], value - 0.5 * grad)
    self.assertAlmostEqual(result.loss, sum(loss), places=12)
    by_type = {"image": 3, "token": 2}
    for (k, count), own in zip(by_type.items(), loss):
      self.assertAlmostEqual(result.losses[k], own * 5 / count, places=12)

  def test_mixed_and_partial_agree_on_mixed_batches(self):
    def make_batches(schema):
      return self.batches(schema) + [
        self.mix(schema, *names)
        for names in (("image", "token"), ("token", "image", "token"))
      ]

    make = OPTIMIZERS[0][1]
    mixed, _ = self.train("mixed", make, make_batches, clip_norm=0.5)
    partial, _ = self.train("partial", make, make_batches, clip_norm=0.5)
    for name, value in mixed.items():
      self.assert_close(partial[name], value, 1e-11)

  @parameterized.named_parameters(*WAYS)
  def test_three_types_and_a_variable_that_two_share(self, way):
    table = nets.Embedding(6, 3, dtype=tf1.float64, name="table")
    end = nets.Dense(4, dtype=tf1.float64, name="end")
    see = nets.Dense(3, dtype=tf1.float64, name="see")
    model = branches.Model(
      {
        "one": branches.Branch(table, tf1.int32),
        "two": branches.Branch(
          lambda ids: tf1.reduce_sum(table(ids), 1), tf1.int32, [2]
        ),
        "image": branches.Branch(see, tf1.float64, [2]),
      },
      end,
      support.softmax_loss,
      branches.Field(tf1.int32),
    )
    trainer = model.minimize(make_optimizer=tf1.train.AdamOptimizer, mode=way)
    sess = self.session()
    for name, value, part in (
      ("one", 1, "table"),
      ("two", [1, 2], "table"),
      ("image", [1.0, 2.0], "see"),
    ):
      before = support.state(sess)
      record = branches.Record(name, value, 1)
      trainer.step(sess, model.schema.batch([record]))
      changed = support.changed(before, support.state(sess))
      found = {n.split("/")[0] for n in changed} - {"branches"}
      self.assertEqual(found, {part, "end"})

  @parameterized.named_parameters(*WAYS)
  def test_rows_of_a_batch_may_come_in_any_order(self, way):
    model = support.make()
    trainer = support.minimize(model, tf1.train.AdamOptimizer, way)
    sess = self.session()
    batch = self.mix(model.schema, "token", "token", "token")
    turned = branches.Batch(
      {"token": batch.inputs["token"][::-1]},
      {"token": batch.places["token"][::-1]},
      batch.targets,
    )
    before = sess.run(tf1.trainable_variables())
    one = trainer.step(sess, batch)
    draws = [v.initializer for v in tf1.global_variables()]
    sess.run(draws)
    for variable, value in zip(tf1.trainable_variables(), before):
      variable.load(value, sess)
    two = trainer.step(sess, turned)
    self.assertAlmostEqual(one.loss, two.loss, places=12)

  @parameterized.named_parameters(*WAYS)
  def test_steps_are_counted_once(self, way):
    model = support.make()
    step = tf1.train.get_or_create_global_step()
    trainer = support.minimize(
      model, tf1.train.AdamOptimizer, way, global_step=step
    )
    sess = self.session()
    for batch in self.batches(model.schema):
      trainer.step(sess, batch)
    self.assertEqual(sess.run(step), len(TURNS))

  @parameterized.named_parameters(*WAYS)
  def test_reference_variables_are_trained_alike(self, way):
    def dense(name, inputs, units):
      with tf1.variable_scope(name, reuse=tf1.AUTO_REUSE, use_resource=False):
        depth = inputs.shape.as_list()[-1]
        kernel = tf1.get_variable(
          "kernel",
          [depth, units],
          tf1.float64,
          initializer=tf1.constant_initializer(0.1),
        )
        return tf1.tanh(tf1.matmul(inputs, kernel))

    model = branches.Model(
      {
        name: branches.Branch(
          lambda x, name=name: dense(name, x, 3), tf1.float64, [2]
        )
        for name in "ab"
      },
      lambda code: dense("end", code, 4) * [1.0, 2.0, 3.0, 4.0],
      support.softmax_loss,
      branches.Field(tf1.int32),
    )
    trainer = model.minimize(
      make_optimizer=lambda: tf1.train.GradientDescentOptimizer(0.5), mode=way
    )
    sess = self.session()
    batch = model.schema.batch([branches.Record("b", [1.0, -2.0], 2)])
    result = trainer.step(sess, batch)
    code = np.tanh(np.array([[1.0, -2.0]]) @ np.full([2, 3], 0.1))
    logits = np.tanh(code @ np.full([3, 4], 0.1)) * [1.0, 2.0, 3.0, 4.0]
    loss = np.log(np.exp(logits).sum()) - logits[0, 2]
    self.assertAlmostEqual(result.loss, loss, places=12)
    found = dict(zip("ab", sess.run([model.variables[k][0] for k in "ab"])))
    self.assertTrue(np.all(found["a"] == 0.1))
    self.assertTrue(np.all(found["b"] != 0.1))

  @parameterized.named_parameters(*WAYS)
  def test_a_finalized_graph_trains_what_is_prepared(self, way):
    model = support.make()
    trainer = support.minimize(model, tf1.train.AdamOptimizer, way)
    for name in TURNS[:2]:
      trainer.prepare(iter([name]))
    sess = self.session()
    self.graph.finalize()
    for batch in self.batches(model.schema):
      trainer.step(sess, batch)

  def test_a_finalized_graph_takes_nothing_else(self):
    model = support.make(("image", "token", "pair"))
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="mixed"
    )
    sess = self.session()
    self.graph.finalize()
    with self.assertRaisesRegex(errors.GraphError, "prepare"):
      trainer.step(sess, self.mix(model.schema, "image", "token"))

  @parameterized.named_parameters(*WAYS)
  def test_what_cannot_be_trained_on_is_refused(self, way):
    model = support.make()
    trainer = support.minimize(model, tf1.train.AdamOptimizer, way)
    sess = self.session()
    batch = self.mix(model.schema, "image")
    with self.assertRaisesRegex(errors.ArgumentError, "empty"):
      trainer.step(sess, branches.Batch({}, {}, np.zeros([0], np.int32)))
    with self.assertRaisesRegex(errors.ArgumentError, "'sound'"):
      trainer.step(sess, batch._replace(inputs={"sound": np.zeros([1])}))
    with self.assertRaisesRegex(errors.ArgumentError, "'sound'"):
      trainer.prepare(iter(["sound"]))
    with self.assertRaisesRegex(errors.ArgumentError, "prepare has no types"):
      trainer.prepare([])
    wrong = {"image": np.zeros([1, 2], np.float32)}
    with self.assertRaisesRegex(errors.DtypeError, "float64, got float32"):
      trainer.step(sess, batch._replace(inputs=wrong))
    wrong = {"image": np.zeros([1, 3])}
    with self.assertRaisesRegex(errors.ShapeError, "inputs"):
      trainer.step(sess, batch._replace(inputs=wrong))
    with tf1.Graph().as_default(), tf1.Session() as other:
      with self.assertRaisesRegex(errors.GraphError, "another graph"):
        trainer.step(other, batch)


if __name__ == "__main__":
  absltest.main()
