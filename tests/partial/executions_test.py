"""Each forward op runs once a step: shown by counting executions."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.graphs import cut, walk
from tangle.partial import policies, split
from tests import case
from tests.partial import checks, zoo

MODELS = (
  zoo.mlp,
  zoo.lstm,
  zoo.attention,
  zoo.batch_norm,
  zoo.tied_embedding,
  zoo.dropout,
  zoo.several_outputs,
  zoo.inner_input,
  zoo.slope_penalty,
)


class ExecutionsTest(case.GraphTestCase):
  def traced(self):
    """Returns a session that counts executions, with variables that start."""
    tracer = executions.Tracer(self.graph)
    self.addCleanup(tracer.session.close)
    tracer.session.run(tf1.global_variables_initializer())
    return tracer

  def step(self, tracer, model, sub_model):
    """Runs one step; returns the counts of the forward and backward run."""
    call = sub_model.forward(tracer, model.feed_dict)
    forward, tracer.counts = tracer.counts, type(tracer.counts)()
    call.backward(checks.upstream_like(self, call.outputs, model.used))
    return forward, tracer.counts

  @parameterized.product(
    build=MODELS, strategy=["device", "device_all", "host"]
  )
  def test_every_forward_op_runs_once(self, build, strategy):
    model = build(self)
    working = executions.working_ops(walk.ancestors(model.outputs))
    self.assertNotEmpty(working)
    sub_model = checks.sub_model(model, strategy)
    sub_model.prepare(model.used)
    forward, backward = self.step(self.traced(), model, sub_model)
    names = [op.name for op in working]
    self.assertEqual({n: forward[n] for n in names}, dict.fromkeys(names, 1))
    self.assertEqual({n: backward[n] for n in names}, dict.fromkeys(names, 0))
    self.assertEmpty(_repeated(sub_model, names, backward))

  @parameterized.parameters(
    *[(build, "device_none") for build in MODELS],
    *[(build, "min_cut") for build in MODELS],
    *[(build, "recompute") for build in MODELS],
  )
  def test_just_the_recomputed_ops_run_again(self, build, strategy):
    model = build(self)
    names = [op.name for op in walk.ancestors(model.outputs)]
    expected = self.recomputed(
      model, "min_cut" if strategy == "min_cut" else policies.NONE
    )
    sub_model = checks.sub_model(model, strategy)
    sub_model.prepare(model.used)
    forward, backward = self.step(self.traced(), model, sub_model)
    working = executions.working_ops(walk.ancestors(model.outputs))
    for op in working:
      self.assertEqual((forward[op.name], backward[op.name]), (1, 0), op.name)
    again = _repeated(sub_model, names, backward)
    self.assertEqual(again, dict.fromkeys(expected, 1))
    for name in again:
      op = self.graph.get_operation_by_name(name)
      self.assertFalse(op.op_def.is_stateful, name)

  def recomputed(self, model, residuals):
    """Names the ops that a cut says are computed again."""
    piece = split.Split(model.inputs, model.outputs, residuals=residuals)
    upstream = [
      tf1.placeholder(t.dtype, t.shape) if use else None
      for t, use in zip(model.outputs, model.used)
    ]
    found = piece.differentiate(upstream).cut.recomputed
    return [op.name for op in found if op.type not in cut.FREE]

  def test_of_a_perceptron_the_hidden_layer_alone_runs_again(self):
    model = zoo.mlp(self)
    sub_model = checks.sub_model(model, "recompute")
    types = {op.name: op.type for op in walk.ancestors(model.outputs)}
    _, backward = self.step(self.traced(), model, sub_model)
    again = _repeated(sub_model, types, backward)
    # The product of the output layer is not needed for any gradient.
    self.assertCountEqual(
      [types[name].replace("V2", "") for name in again],
      ["MatMul", "Add", "Tanh"],
    )

  def test_a_predicate_tells_what_is_kept(self):
    model = zoo.mlp(self)
    names = [op.name for op in walk.ancestors(model.outputs)]
    sub_model = tangle.SubModel(
      model.inputs, model.outputs, residuals=lambda t: t.op.type == "Tanh"
    )
    _, backward = self.step(self.traced(), model, sub_model)
    self.assertEmpty(_repeated(sub_model, names, backward))
    self.assertIn("Tanh", [record.op_type for record in sub_model.residuals])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_moving_averages_move_once_a_step(self, strategy):
    model = zoo.batch_norm(self)
    sub_model = checks.sub_model(model, strategy)
    moving = tf1.global_variables("moving_mean")[0]
    sess = self.session()
    values = [sess.run(moving)]
    for _ in range(2):
      call = sub_model.forward(sess, model.feed_dict)
      values.append(sess.run(moving))
      call.backward(checks.upstream_like(self, call.outputs, model.used))
      np.testing.assert_array_equal(sess.run(moving), values[-1])
    self.assertGreater(np.max(np.abs(values[1])), 0)
    self.assert_close(values[2], 1.9 * values[1])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_calls_out_of_the_graph_are_made_once(self, strategy):
    calls = []

    def scale(value):
      calls.append(1)
      return 2 * value

    x = tf1.placeholder(tf1.float64, [None])
    y = tf1.tanh(x) * tf1.py_func(scale, [x], tf1.float64)
    sub_model = tangle.SubModel([x], [y], **checks.STRATEGIES[strategy])
    sess = self.session()
    for n in range(1, 4):
      call = sub_model.forward(sess, {x: [1.0, 2.0]})
      self.assertLen(calls, n)
      call.backward([np.ones(2)])
      self.assertLen(calls, n)

  @parameterized.parameters(*checks.STORES)
  def test_each_step_draws_one_batch_from_a_dataset(self, store):
    batches = tf1.data.Dataset.range(6).map(lambda k: tf1.cast(k, tf1.float64))
    x = tf1.data.make_one_shot_iterator(batches).get_next()
    sub_model = tangle.SubModel([x], [tf1.square(x)], store=store)
    sess = self.session()
    for k in range(6):
      found = sub_model.forward(sess).backward([1.0])
      self.assertEqual(found.inputs[0], 2.0 * k)

  @parameterized.parameters(*checks.STRATEGIES)
  def test_the_drawn_mask_is_that_of_the_outputs(self, strategy):
    x = tf1.placeholder(tf1.float64, [None, 50])
    y = x * tf1.round(tf1.random_uniform(tf1.shape(x), dtype=tf1.float64))
    sub_model = tangle.SubModel([x], [y], **checks.STRATEGIES[strategy])
    sess = self.session()
    masks = []
    for _ in range(2):
      call = sub_model.forward(sess, {x: np.ones([2, 50])})
      masks.append(call.outputs[0])
      found = call.backward([np.ones([2, 50])])
      np.testing.assert_array_equal(found.inputs[0], masks[-1])
    self.assertTrue(np.any(masks[0] != masks[1]))


def _repeated(sub_model, names, counts):
  """Returns forward op name → number of executions of its copies."""
  inside = f"{sub_model.name}/backward"
  found = {}
  for name in names:
    copies = [
      count
      for copy, count in counts.items()
      if copy.startswith(inside) and copy.endswith(f"/copy/{name}")
    ]
    if copies and sub_model.graph.get_operation_by_name(name).type != "Const":
      found[name] = sum(copies)
  return found


if __name__ == "__main__":
  absltest.main()
