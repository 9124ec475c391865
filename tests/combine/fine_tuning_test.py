"""Tests of freezing, learning rates and gradual unfreezing."""

import functools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.combine import variables as variables_lib
from tangle.compat import tf1
from tangle.graphs import strategies
from tests.combine import support
from tests.graphs import strategies_test

F64 = tf1.float64
Group = combine.Group


class Decayed(tf1.train.GradientDescentOptimizer):
  """Gradient descent that also shrinks weights, whatever their gradient."""

  def apply_gradients(self, pairs, *args, **kwargs):
    pairs = list(pairs)
    op = super().apply_gradients(pairs, *args, **kwargs)
    with tf1.control_dependencies([op]):
      return tf1.group(*[v.assign(0.9 * v) for _, v in pairs])


OPTIMIZERS = {
  "adam": tf1.train.AdamOptimizer,
  "momentum": functools.partial(tf1.train.MomentumOptimizer, momentum=0.9),
  "decay": Decayed,
}


def normalized(x):
  """A network with moving averages, as batch normalization has them."""
  mean = tf1.get_variable(
    "mean", [x.shape[-1]], F64, trainable=False, use_resource=True
  )
  scale = tf1.get_variable("scale", [x.shape[-1]], F64, use_resource=True)
  batch = tf1.reduce_mean(x, 0)
  update = mean.assign_sub(0.1 * (mean - batch), read_value=False)
  tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, update)
  return (x - batch) * scale


class TuningTestCase(support.CombineTestCase):
  def build(self):
    """Builds three parts in a row, and a loss with decay of all weights."""
    self.model = combine.sequential(
      ("low", support.affine(3)),
      ("norm", normalized),
      ("top", support.affine(2)),
    )
    self.x_ph = tf1.placeholder(F64, [None, 2])
    loss = tf1.reduce_mean((self.model(self.x_ph) - 1.0) ** 2)
    decay = tf1.add_n(
      [tf1.reduce_sum(v**2) for v in self.model.trainable_variables]
    )
    self.step = tf1.train.get_or_create_global_step()
    return loss + 0.01 * decay

  def run_steps(self, sess, train_op, steps):
    """Runs steps; yields for each the names of the variables that moved."""
    variables = tf1.global_variables()
    before = sess.run(variables)
    for _ in range(steps):
      sess.run(train_op, {self.x_ph: self.normal(4, 2)})
      after = sess.run(variables)
      yield {
        v.op.name
        for v, a, b in zip(variables, before, after)
        if a.tobytes() != b.tobytes()
      }
      before = after

  def names(self, part):
    return {v.op.name for v in self.model.part(part).variables}


class FreezingTest(TuningTestCase):
  @parameterized.named_parameters(*OPTIMIZERS.items())
  def test_frozen_parts_do_not_move_in_100_steps(self, optimizer):
    loss = self.build()
    tuning = combine.minimize(
      loss,
      [Group(self.model.part("top"), 0.1)],
      frozen=[self.model.part("low"), self.model.part("norm")],
      optimizer_at_rate=optimizer,
    )
    sess = self.session()
    moved = set().union(*self.run_steps(sess, tuning.train_op, 100))
    still = self.names("low") | self.names("norm")
    self.assertLen(still, 3)
    self.assertEmpty(moved & still)
    self.assertContainsSubset(self.names("top"), moved)

  def test_moving_averages_move_with_their_group(self):
    loss = self.build()
    groups = [Group([self.model.part("norm"), self.model.part("top")], 0.1)]
    tuning = combine.minimize(loss, groups, frozen=[self.model.part("low")])
    sess = self.session()
    moved = next(self.run_steps(sess, tuning.train_op, 1))
    self.assertContainsSubset(self.names("norm"), moved)

  def test_no_backward_op_stands_for_what_is_frozen(self):
    loss = self.build()
    counts = []
    for trained in (["top"], ["low", "norm", "top"]):
      before = self.count_ops()
      combine.minimize(
        loss,
        [Group([self.model.part(name) for name in trained], 0.1)],
        [p for name, p in self.model.parts.items() if name not in trained],
        optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      )
      made = self.graph.get_operations()[before:]
      counts.append(len([op for op in made if op.type == "MatMul"]))
    self.assertEqual(counts, [2, 4])  # two for each product

  def test_updates_of_other_calls_are_left_alone(self):
    loss = self.build()
    other_ph = tf1.placeholder(F64, [None, 2])
    self.model(other_ph)
    tuning = combine.minimize(loss, [Group(self.model, 0.1)])
    sess = self.session()
    moved = next(self.run_steps(sess, tuning.train_op, 1))  # other_ph not fed
    self.assertContainsSubset(self.names("norm"), moved)


class RatesTest(TuningTestCase):
  def test_each_group_has_its_rate(self):
    loss = self.build()
    rate = tf1.placeholder_with_default(np.float64(0.25), [])
    low, norm, top = (self.model.part(n) for n in ("low", "norm", "top"))
    groups = [Group(low, 0.0625), Group([norm, top], rate)]
    tuning = combine.minimize(
      loss,
      groups,
      optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      global_step=self.step,
    )
    variables = tuning.variables[0] + tuning.variables[1]
    rates = [0.0625] * len(tuning.variables[0]) + [0.25] * 2
    gradients = tf1.gradients(loss, variables)
    sess = self.session()
    feed = {self.x_ph: self.normal(4, 2)}
    before, slopes = sess.run([variables, gradients], feed)
    sess.run(tuning.train_op, feed)
    after = sess.run(variables)
    for one, slope, eta, other in zip(before, slopes, rates, after):
      self.assert_close(other, one - eta * slope)
    self.assertEqual(sess.run(self.step), 1)

  def test_clips_by_the_norm_of_what_learns_now(self):
    loss = self.build()
    low, norm, top = (self.model.part(n) for n in ("low", "norm", "top"))
    tuning = combine.minimize(
      loss,
      [Group([low, norm], 1.0, 1), Group(top, 1.0)],
      optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      global_step=self.step,
      clip_norm=0.01,
    )
    sess = self.session()
    variables = self.model.trainable_variables
    feed = {self.x_ph: self.normal(4, 2)}
    for _ in range(2):
      before = sess.run(variables)
      sess.run(tuning.train_op, feed)
      after = sess.run(variables)
      moved = [np.sum((b - a) ** 2) for a, b in zip(before, after)]
      self.assertAlmostEqual(np.sqrt(np.sum(moved)), 0.01, places=12)

  def test_gradients_may_be_given(self):
    loss = self.build()
    variables = self.model.trainable_variables
    given = [(tf1.ones_like(v), v) for v in variables]
    tuning = combine.minimize(
      loss,
      [Group(self.model, 0.5)],
      optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      gradients=given,
    )
    sess = self.session()
    before = sess.run(variables)
    sess.run(tuning.train_op, {self.x_ph: self.normal(4, 2)})
    for one, other in zip(before, sess.run(variables)):
      self.assert_close(other, one - 0.5)

  def test_ops_are_in_the_scope(self):
    loss = self.build()
    before = self.count_ops()
    combine.minimize(
      loss,
      [Group(self.model, 0.5)],
      optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      name="here",
    )
    self.assert_ops_under("here", before)


class UnfreezingTest(TuningTestCase):
  @parameterized.named_parameters(
    *(
      (f"{name}_v{1 + v2}", optimizer, v2)
      for name, optimizer in OPTIMIZERS.items()
      for v2 in (False, True)
    )
  )
  def test_groups_begin_at_their_steps(self, optimizer, v2):
    self.use_control_flow(v2)
    loss = self.build()
    low, norm, top = (self.model.part(n) for n in ("low", "norm", "top"))
    groups = combine.gradual([low, norm, top], 0.1, steps=3)
    self.assertEqual([group.unfreeze_step for group in groups], [6, 3, 0])
    self.assertAlmostEqual(groups[0].learning_rate, 0.1 / 2.6**2)
    tuning = combine.minimize(
      loss, groups, optimizer_at_rate=optimizer, global_step=self.step
    )
    sess = self.session()
    mine = [set(tuning_names(tuning, k)) for k in range(3)]
    mine[1] |= self.names("norm")
    for step, moved in enumerate(self.run_steps(sess, tuning.train_op, 8)):
      for names, group in zip(mine, groups):
        if step < group.unfreeze_step:
          self.assertEmpty(moved & names)
        else:
          self.assertContainsSubset(names, moved)

  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_adam_begins_as_if_training_did(self, v2):
    self.use_control_flow(v2)
    slope = self.normal(3)
    early, late = (self.variable(name, np.zeros(3)) for name in "ab")
    loss = tf1.reduce_sum((early + late) * slope)
    step = tf1.train.get_or_create_global_step()
    tuning = combine.minimize(
      loss, [Group([early], 0.1), Group([late], 0.1, 2)], global_step=step
    )
    sess = self.session()
    path = []
    for _ in range(5):
      sess.run(tuning.train_op)
      path.append(sess.run([early, late]))
    for k in range(3):
      self.assert_close(path[k + 2][1], path[k][0])
    self.assertEqual(np.abs(path[1][1]).max(), 0)

  @parameterized.named_parameters(
    ("resource_v1", True, False),
    ("resource_v2", True, True),
    ("reference_v1", False, False),
  )
  def test_sparse_gradients_stay_sparse(self, use_resource, v2):
    self.use_control_flow(v2)
    table = self.variable("table", self.normal(4, 2), use_resource=use_resource)
    loss = tf1.reduce_sum(tf1.gather(table, [1, 3, 1]) ** 2)
    step = tf1.train.get_or_create_global_step()
    tuning = combine.minimize(
      loss,
      [Group([table], 0.25, 1)],
      optimizer_at_rate=tf1.train.GradientDescentOptimizer,
      global_step=step,
    )
    sess = self.session()
    before = sess.run(table)
    sess.run(tuning.train_op)
    self.assertEqual(sess.run(table).tobytes(), before.tobytes())
    sess.run(tuning.train_op)
    factors = 1 - 0.25 * 2 * np.array([0, 2, 0, 1])[:, None]
    self.assert_close(sess.run(table), before * factors)

  def test_reference_variables_are_refused_in_new_conditionals(self):
    self.use_control_flow(True)
    v = self.variable("v", np.zeros(3), use_resource=False)
    step = tf1.train.get_or_create_global_step()
    with self.assertRaisesRegex(errors.ArgumentError, "reference variable"):
      combine.minimize(
        tf1.reduce_sum(v), [Group([v], 0.1, 1)], global_step=step
      )

  def test_active_tells_who_learns(self):
    loss = self.build()
    tuning = combine.minimize(
      loss,
      [
        Group([self.model.part("low"), self.model.part("norm")], 0.1, 1),
        Group(self.model.part("top"), 0.1),
      ],
      global_step=self.step,
    )
    sess = self.session()
    self.assertEqual(sess.run(tuning.active), [False, True])
    sess.run(tuning.train_op, {self.x_ph: self.normal(4, 2)})
    self.assertEqual(sess.run(tuning.active), [True, True])


class StrategiesTest(TuningTestCase):
  @parameterized.named_parameters(("outside", False), ("in_the_scope", True))
  def test_trains_what_a_strategy_keeps(self, inside):
    strategy = strategies_test.mirrored()
    with strategy.scope():
      one, two = (self.variable(name, self.normal(2)) for name in "ab")
      loss = tf1.reduce_sum(one * two)
    groups = [combine.Group(one, 0.5)]
    with strategy.scope() if inside else self.graph.as_default():
      step = combine.minimize(loss, groups, frozen=[two])
    (trained,), (still,) = map(strategies.components, (one, two))
    self.assertEqual(len(step.variables[0]), 1)
    self.assertIs(step.variables[0][0], trained)
    sess = self.session()
    before = sess.run([trained, still])
    sess.run(step.train_op)
    after = sess.run([trained, still])
    np.testing.assert_allclose(
      after[0], before[0] - 0.5 * np.sign(before[1]), rtol=1e-5
    )
    np.testing.assert_array_equal(after[1], before[1])

  def test_what_cannot_be_kept_in_step_is_refused(self):
    global_step = tf1.train.get_or_create_global_step()
    for cpus, begin, message in ((2, 0, "2 devices"), (1, 3, "at step 0")):
      with strategies_test.mirrored(cpus).scope():
        v = self.variable(f"v{cpus}", self.normal(2))
        loss = tf1.reduce_sum(v * v)
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.minimize(
          loss, [combine.Group(v, 0.5, begin)], global_step=global_step
        )


class RefusalsTest(TuningTestCase):
  def test_wrong_groups_raise_before_there_are_ops(self):
    loss = self.build()
    model, top = self.model, self.model.part("top")
    before = self.count_ops()
    new = nets.Dense(2, name="new")
    for groups, settings, message in (
      ([], {}, "one group"),
      ([Group(model, 0.0)], {}, "rate of group 0 must be positive"),
      ([Group(model, -1.0)], {}, "rate of group 0"),
      ([Group(model, float("nan"))], {}, "rate of group 0"),
      ([Group(model, 0.1, -1)], {}, "unfreeze_step of group 0"),
      ([Group(model, 0.1, 1.5)], {}, "unfreeze_step of group 0"),
      ([Group(model, 0.1, 1)], {}, "Pass global_step"),
      ([Group(new, 0.1)], {}, "group 0 has no trainable variable"),
      ([Group(model, 0.1), Group(top, 0.1)], {}, "in group 1 and in group 0"),
      ([Group(model, 0.1)], {"frozen": [top]}, "in group 0 and in frozen"),
      ([Group(top, 0.1)], {}, r"reaches \['sequential/low.*in no group"),
      ([Group(model, 0.1)], {"clip_norm": 0}, "clip_norm must be positive"),
      ([Group(model, 0.1)], {"global_step": 0}, "global_step must be a var"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.minimize(loss, groups, **settings)
    self.assertEqual(self.count_ops(), before)

  def test_a_loss_that_does_not_reach_a_group_raises(self):
    loss = self.build()
    other = self.variable("other", np.zeros(2))
    with self.assertRaisesRegex(errors.DisconnectedError, "group 1: .'other'"):
      combine.minimize(loss, [Group(self.model, 0.1), Group([other], 0.1)])

  def test_a_loss_that_is_no_scalar_raises(self):
    with self.assertRaisesRegex(errors.ShapeError, "must be a scalar"):
      combine.minimize(tf1.zeros([2]), [Group([], 0.1)])

  def test_an_update_that_runs_with_the_loss_cannot_be_frozen(self):
    self.build()
    norm = self.model.part("norm")
    loss = tf1.reduce_sum(self.model(self.x_ph))
    with tf1.control_dependencies(norm.updates):
      loss = tf1.identity(loss)
    rest = [self.model.part("low"), self.model.part("top")]
    for groups, frozen in (
      ([Group(rest, 0.1)], [norm]),
      ([Group(rest, 0.1), Group(norm, 0.1, 3)], []),
    ):
      with self.assertRaisesRegex(errors.CutError, "runs with the loss"):
        combine.minimize(loss, groups, frozen, global_step=self.step)

  def test_an_update_that_cannot_be_put_off_is_refused(self):
    v = self.variable("v", np.zeros(3))

    class Network:
      variables = [v]
      updates = [tf1.group(v.assign_add(np.ones(3), read_value=False))]

    step = tf1.train.get_or_create_global_step()
    loss = tf1.reduce_sum(v)
    with self.assertRaisesRegex(errors.ArgumentError, "cannot be put off"):
      combine.minimize(loss, [Group(Network(), 0.1, 1)], global_step=step)
    combine.minimize(loss, [Group(Network(), 0.1)], global_step=step)

  def test_wrong_schedules(self):
    for steps, decay, message in (
      (1.5, 2, "steps"),
      (-1, 2, "steps"),
      (1, 0, "decay"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.gradual([[]], 0.1, steps, decay)


def tuning_names(tuning, k):
  """Returns the names of a group's weights and of its optimizer's slots."""
  optimizer = tuning.optimizers[k]
  found = list(tuning.variables[k])
  for name in optimizer.get_slot_names():
    found += [optimizer.get_slot(v, name) for v in tuning.variables[k]]
  if hasattr(optimizer, "_get_beta_accumulators"):
    found += optimizer._get_beta_accumulators()
  return [
    v.op.name for v in variables_lib.listed(type("", (), {"variables": found}))
  ]


if __name__ == "__main__":
  absltest.main()
