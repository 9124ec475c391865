"""The check of random programs finds what is planted."""

import contextlib
import io
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.graphs import feeding
from tangle.partial import calls, split
from tests.fuzz import checks, programs, reasons, run, tables

SOURCE = """\
x1 = feed('float64', [3, 4], [None, 4])
w2 = weight('w2', 'float64', [4, 2], True)
v3 = tf1.sin(x1)
v4 = tf1.matmul(v3, w2)
v5 = tf1.tanh(v4)
inputs = [x1]
outputs = [v5]
used = [True]
"""
DROPOUT = SOURCE.replace("tf1.tanh(v4)", "tf1.nn.dropout(v4, rate=0.5, seed=1)")


@contextlib.contextmanager
def changed(change):
  """Changes what a backward run returns."""
  original = calls.Call.backward

  def backward(self, upstream, sess=None):
    return change(original(self, upstream, sess))

  with mock.patch.object(calls.Call, "backward", backward):
    yield


class Again:
  """A sub-model that runs an op of the forward pass again."""

  def __init__(self, *args, **kwargs):
    self._sub_model = tangle.SubModel(*args, **kwargs)
    self.variables = self._sub_model.variables
    self.graph = self._sub_model.graph
    self.store = self._sub_model.store
    self.prepare = self._sub_model.prepare

  def forward(self, sess, feed_dict, used=None):
    call = self._sub_model.forward(sess, feed_dict, used)
    original = call.backward

    def backward(upstream):
      sess.run(self._sub_model.outputs, feed_dict)
      return original(upstream)

    call.backward = backward
    return call


class ChecksTest(parameterized.TestCase):
  @parameterized.product(
    store=["device", "host", "session", "recompute"], traced=[False, True]
  )
  def test_a_right_program_passes(self, store, traced):
    program = programs.Program(SOURCE, store=store, traced=traced, numeric=True)
    self.assertEqual(checks.check(program), checks.RIGHT)

  def test_a_refused_program_is_told_of(self):
    source = SOURCE.replace("tf1.tanh(v4)", "pieces.loop(v4, v4)")
    program = programs.Program(source, flow_v2=False, marks=(tables.FLOW,))
    found, why = checks.examine(program)
    self.assertEqual(found, checks.REFUSED)
    self.assertEqual(reasons.key(why), "TF1 loop")

  @parameterized.product(store=["device", "host", "session"])
  def test_what_tensorflow_would_forget_is_kept(self, store):
    source = SOURCE.replace("tf1.sin(x1)", "x1 + x1")
    source = source.replace("inputs = [x1]", "inputs = [x1, v3]")
    source = source.replace("tanh(v4)", "tanh(v4) + tf1.reduce_sum(x1)")
    settings = {"store": store, "fed": True, "traced": False, "numeric": True}
    program = programs.Program(source, **settings)
    self.assertEqual(checks.check(program), checks.RIGHT)
    if compat.IS_TF1:
      return
    with mock.patch.object(feeding, "is_forgotten", return_value=False):
      with self.assertRaisesRegex(checks.Wrong, "gradient of"):
        checks.check(program)

  def test_a_run_that_tensorflow_alone_fails_in_too_is_told_of(self):
    source = SOURCE.replace("tf1.sin(x1)", "tf1.reshape(x1, [5, 4])")
    program = programs.Program(source, traced=False)
    self.assertEqual(checks.check(program), checks.UNBUILT)

  def test_a_program_that_tensorflow_does_not_build_is_told_of(self):
    program = programs.Program(SOURCE.replace("tf1.sin(x1)", "x1[0, 0, 0]"))
    self.assertEqual(checks.check(program), checks.UNBUILT)

  @parameterized.named_parameters(
    ("value", lambda g: g._replace(inputs=[g.inputs[0] * (1 + 1e-8)])),
    ("nan", lambda g: g._replace(inputs=[g.inputs[0] * np.nan])),
    ("variable", lambda g: g._replace(variables=[-g.variables[0]])),
    ("none", lambda g: g._replace(variables=[None])),
    ("shape", lambda g: g._replace(inputs=[g.inputs[0][:1]])),
    ("dtype", lambda g: g._replace(inputs=[g.inputs[0].astype(np.float32)])),
  )
  def test_a_wrong_gradient_is_found(self, change):
    with changed(change), self.assertRaises(checks.Wrong):
      checks.check(programs.Program(SOURCE))

  def test_a_gradient_that_joint_has_wrong_too_is_found(self):
    source = SOURCE.replace("tf1.tanh(v4)", "pieces.own_gradient(v4)")
    program = programs.Program(source, numeric=True)
    with self.assertRaisesRegex(checks.Wrong, "by differences"):
      checks.check(program)

  def test_an_op_that_runs_twice_is_found(self):
    with self.assertRaisesRegex(checks.Wrong, r"ran \(1, 1\) times"):
      checks.check(programs.Program(SOURCE), Again)

  def test_an_op_that_is_copied_unasked_is_found(self):
    def make(*args, **kwargs):
      return tangle.SubModel(*args, **{**kwargs, "residuals": "none"})

    with self.assertRaisesRegex(checks.Wrong, "ran again"):
      checks.check(programs.Program(SOURCE), make)

  def test_a_second_draw_is_found(self):
    program = programs.Program(DROPOUT, marks=(tables.RANDOM,), traced=False)

    class Twice(Again):
      """Draws once before the forward run."""

      def forward(self, sess, feed_dict, used=None):
        sess.run(self._sub_model.outputs, feed_dict)
        return super().forward(sess, feed_dict, used)

    self.assertEqual(checks.check(program), checks.RIGHT)
    with self.assertRaisesRegex(checks.Wrong, "gradient of"):
      checks.check(program, Twice)

  def test_an_error_after_the_sub_model_is_made_is_found(self):
    def change(gradients):
      raise errors.CutError("late")

    with changed(change), self.assertRaisesRegex(checks.Wrong, "late"):
      checks.check(programs.Program(SOURCE))

  def test_a_failing_constructor_is_found(self):
    def make(*args, **kwargs):
      raise KeyError("broken")

    with self.assertRaisesRegex(checks.Wrong, "broken"):
      checks.check(programs.Program(SOURCE), make)

  def test_a_failure_is_made_small_and_printed(self):
    wrong = split.Gradients

    def change(gradients):
      return wrong([-g for g in gradients.inputs], gradients.variables)

    out = io.StringIO()
    one = programs.Program(SOURCE, moved=True, traced=False)
    with changed(change), mock.patch.object(run, "draw", return_value=one):
      found = run.run(1, out=out)
    self.assertEqual(found["wrong"], 1)
    small = found["failures"][0]["program"]
    self.assertNotIn("matmul", small)
    self.assertNotIn("moved=True", small)
    self.assertIn(small, out.getvalue())


if __name__ == "__main__":
  absltest.main()
