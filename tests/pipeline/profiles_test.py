import json
import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters, profiles
from tests.pipeline import support

ROWS = 4


class ProfileTest(support.PipelineTestCase):
  """Two layers below one head: y = head(right(left(x)), left(x))."""

  def wire(self, device=None):
    self.weights = {name: self.weight(name, 3, 3) for name in ("left", "right")}
    self.weights["head"] = self.weight("head", 6, 3)
    pipeline = tangle.Pipeline("three")
    pipeline.add("left", support.layer(self.weights["left"], ["x"]))
    pipeline.add(
      "right",
      support.layer(self.weights["right"]),
      reads={"x": "left.out"},
      device=device,
    )
    pipeline.add(
      "head",
      support.head(self.weights["head"]),
      reads={"x": "left.out", "y": "right.out"},
    )
    return pipeline

  def batch(self):
    return {"left": {"x": self.normal(ROWS, 3)}, "right": {}, "head": {}}

  def labels(self, profile):
    return [(run.sub_model, run.kind, run.micro_batch) for run in profile.runs]

  def write(self, profile):
    """Returns the events of the Chrome trace."""
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    path = os.path.join(folder.name, "step.json")
    profile.write(path)
    with open(path, encoding="utf-8") as file:
      return json.load(file)["traceEvents"]

  def test_lists_the_runs_of_a_step(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(), self.batch())
    self.assertEqual(
      self.labels(profile),
      [
        ("left", "forward", 0),
        ("right", "forward", 0),
        ("head", "forward and backward", 0),
        ("right", "backward", 0),
        ("left", "backward and update", 0),
      ],
    )

  def test_each_run_has_its_own_ops(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(optimize=False), self.batch())
    found = [{op.type for op in run.ops} for run in profile.runs]
    self.assertEqual(
      ["Tanh" in types for types in found], [True, True, True, False, False]
    )
    self.assertEqual(
      ["TanhGrad" in types for types in found], [False, False, True, True, True]
    )
    self.assertEqual(
      ["ResourceApplyGradientDescent" in types for types in found],
      [False] * 4 + [True],
    )

  def test_bytes_are_those_of_the_formula(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(optimize=False), self.batch())
    (tanh,) = [op for op in profile.runs[0].ops if op.type == "Tanh"]
    self.assertEqual(tanh.shapes, {0: (ROWS, 3)})
    self.assertEqual(tanh.bytes, ROWS * 3 * 8)
    # The backward passes of both layers read x and tanh(x w).
    for name in ("left", "right"):
      self.assertEqual(profile.residuals[name].bytes, 2 * ROWS * 3 * 8)
    self.assertNotIn("head", profile.residuals)

  def test_residuals_behind_removed_ops_have_a_size(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(), self.batch())
    for name in ("left", "right"):
      self.assertEqual(profile.residuals[name].bytes, 2 * ROWS * 3 * 8)

  @parameterized.parameters({}, {"overlap": True}, {"micro_batches": 2})
  def test_profiled_steps_are_steps(self, **settings):
    optimizer = tf1.train.AdamOptimizer(0.1)
    trainer = self.wire().minimize(optimizer, clip_norm=0.1, **settings)
    sess, batch = self.session(), self.batch()
    results = [trainer.step(sess, batch) for _ in range(3)]
    expected = sess.run(self.weights)
    sess.run(tf1.global_variables_initializer())
    profile = trainer.profile(sess, batch, steps=2)
    last = trainer.profile(sess, batch, steps=1).result
    self.assertEqual(profile.result.loss, results[1].loss)
    self.assertEqual(last.global_norm, results[2].global_norm)
    for name, value in sess.run(self.weights).items():
      np.testing.assert_array_equal(value, expected[name])
    self.assert_nothing_waits(sess)

  def test_steps_are_not_traced_afterwards(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    sess, batch = self.session(), self.batch()
    trainer.profile(sess, batch, steps=1)
    traced = support.Traced(sess)
    trainer.step(traced, batch)
    self.assertLen(traced.runs, 5)

  def test_micro_batches_have_runs_of_their_own(self):
    trainer = self.wire().minimize(
      tf1.train.GradientDescentOptimizer(0.1), micro_batches=2
    )
    profile = trainer.profile(self.session(), self.batch())
    expected = {(None, "update", 0)}
    for m in range(2):
      expected |= {
        ("left", "forward", m),
        ("right", "forward", m),
        ("head", "forward and backward", m),
        ("right", "backward", m),
        ("left", "backward", m),
      }
    self.assertCountEqual(self.labels(profile), expected)
    self.assertEqual(profile.residuals["left"].bytes, 2 * (ROWS // 2) * 3 * 8)

  def test_the_timeline_is_recorded_as_well(self):
    trainer = self.wire().minimize(
      tf1.train.GradientDescentOptimizer(0.1), micro_batches=2
    )
    timeline = []
    trainer.record(timeline)
    trainer.profile(self.session(), self.batch(), steps=1)
    self.assertLen(timeline, 11)

  def test_prints_a_table(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(), self.batch())
    lines = str(profile).splitlines()
    self.assertLen(lines, 7)
    self.assertStartsWith(lines[0], "sub-model ")
    self.assertEndsWith(lines[0], " residual bytes")
    first = lines[1].split()
    self.assertEqual(first[:3] + first[-1:], ["left", "forward", "1", "192"])
    ops = sum(len(run.ops) for run in profile.runs)
    self.assertRegex(lines[-1], rf"^whole step +5 .* {ops:,} ")

  def test_the_trace_has_all_ops_on_one_axis(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    profile = trainer.profile(self.session(), self.batch())
    events = self.write(profile)
    spans = [event for event in events if event["ph"] == "X"]
    groups = {
      event["pid"]: event["args"]["name"]
      for event in events
      if event["name"] == "process_name"
    }
    runs = [e for e in spans if groups[e["pid"]] == "runs"]
    self.assertEqual(
      [event["name"] for event in runs],
      [f"{name} {kind}" for name, kind, _ in self.labels(profile)],
    )
    self.assertEqual(min(event["ts"] for event in spans), 0)
    self.assertLen(spans, 5 + sum(len(run.ops) for run in profile.runs))
    whole = {event["name"]: event for event in runs}
    slack = 1000  # microseconds, of two clocks
    for event in spans:
      if event not in runs:
        run = whole[event["args"]["run"]]
        self.assertGreater(event["ts"], run["ts"] - slack)
        end = run["ts"] + run["dur"] + slack
        self.assertLess(event["ts"] + event["dur"], end)

  def test_ops_at_the_same_time_have_different_rows(self):
    ops = [
      profiles.Op("x", "X", "cpu", begin, end, 0, {})
      for begin, end in ((0, 2), (1, 3), (2, 4), (3, 5))
    ]
    run = profiles.Run("a", "forward", 0, 0, 5, ops, {})
    spans = [e for e in profiles._events([run]) if e["ph"] == "X"]
    rows = [event["tid"] for event in spans if event["name"] == "X"]
    self.assertEqual(rows, [0, 1, 0, 1])

  def test_what_streams_repeat_is_left_out(self):
    metadata = tf1.RunMetadata()
    for device in (
      "/device:GPU:0",
      "/device:GPU:0/stream:all",
      "/gpu:0/memcpy",
    ):
      stats = metadata.step_stats.dev_stats.add(device=device)
      stats.node_stats.add(node_name="x", timeline_label="x = Relu(y)")
    (op,) = profiles._ops(metadata.step_stats)
    self.assertEqual((op.name, op.type), ("x", "Relu"))

  def test_partial_runs_have_only_a_time(self):
    self.use_control_flow(v2=False)
    weight = self.weight("w", 3, 3)

    def build(bucket, reads):
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      _, y = tf1.while_loop(
        lambda k, y: k < 3,
        lambda k, y: (k + 1, tf1.tanh(tf1.matmul(y, weight))),
        [0, x_ph],
      )
      return tangle.Piece(feeds={"x": x_ph}, outputs={"out": y})

    pipeline = tangle.Pipeline()
    pipeline.add("loop", build)
    pipeline.add(
      "head", support.head(self.weight("v", 3, 3)), reads={"x": "loop.out"}
    )
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
    batch = {"loop": {"x": self.normal(ROWS, 3)}, "head": {}}
    profile = trainer.profile(self.session(), batch)
    self.assertEqual(
      [(run.sub_model, run.kind, run.ops is None) for run in profile.runs],
      [
        ("loop", "forward", True),
        ("head", "forward and backward", False),
        ("loop", "backward", True),
        (None, "update", False),
      ],
    )
    text = str(profile)
    self.assertIn("-: TensorFlow does not trace partial runs.", text)
    self.assertIn("+: besides what has no known size; see residuals.", text)
    stacks = [op for op in self.graph.get_operations() if op.type == "StackV2"]
    self.assertNotEmpty(stacks)
    self.assertEqual(profile.residuals["loop"].stacks, len(stacks))
    self.assertNotEmpty(self.write(profile))

  def test_a_monitored_session_can_be_profiled(self):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    with tf1.train.MonitoredTrainingSession() as sess:
      profile = trainer.profile(sess, self.batch())
    self.assertLen(profile.runs, 5)
    self.assertTrue(all(run.ops for run in profile.runs))

  def test_a_cluster_can_be_profiled(self):
    with clusters.LocalCluster(2) as cluster:
      pipeline = self.wire(clusters.device(1))
      trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
      with tf1.Session(cluster.target) as sess:
        sess.run(tf1.global_variables_initializer())
        profile = trainer.profile(sess, self.batch())
    places = [
      {op.device.partition("/device")[0][-6:] for op in run.ops if op.bytes}
      for run in profile.runs
    ]
    self.assertEqual(places[0], {"task:0"})
    self.assertIn("task:1", places[1])

  @parameterized.parameters(0, -1, 1.5)
  def test_bad_numbers_of_steps_are_refused(self, steps):
    trainer = self.wire().minimize(tf1.train.GradientDescentOptimizer(0.1))
    with self.assertRaises(errors.ArgumentError) as caught:
      trainer.profile(self.session(), self.batch(), steps=steps)
    self.assert_message(caught.exception, "profile", "steps", str(steps))


if __name__ == "__main__":
  absltest.main()
