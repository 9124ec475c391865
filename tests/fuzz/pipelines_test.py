"""The check of random pipelines finds what is planted."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests.fuzz import checks, drawing, pipelines, programs, tables

SOURCE = """\
x1 = feed('float64', [3, 4], [None, 4])
x2 = feed('int32', [3], [None])
w3 = weight('w3', 'float64', [4, 4], True)
w4 = weight('w4', 'float64', [5, 4], True)
v5 = tf1.sin(x1)
v6 = tf1.matmul(v5, w3)
v7, v8 = tf1.split(v6, 2, -1)
v9 = tf1.gather(w4, x2)
v10 = tf1.exp(x1)
v11 = tf1.matmul(v9, w3) + v5
v12 = tf1.concat([v7, v11], -1)
inputs = [x1]
outputs = [v12, x1, v6]
used = [True, True, True]
"""
PROGRAM = programs.Program(SOURCE, cuts=(3, 6))


class Changed(tangle.Pipeline):
  """A pipeline whose trainer is changed."""

  def __init__(self, change):
    super().__init__()
    self._change = change

  def minimize(self, optimizer, **options):
    del options
    return self._change(self, optimizer)


def faster(pipeline, optimizer):
  """Trains with another rate."""
  del optimizer
  optimizer = tf1.train.GradientDescentOptimizer(0.01 * (1 + 1e-6))
  return super(Changed, pipeline).minimize(optimizer)


class Again:
  """A trainer that runs forward once more."""

  def __init__(self, pipeline, optimizer):
    self._pipeline = pipeline
    self._trainer = super(Changed, pipeline).minimize(optimizer)

  def step(self, sess, batch):
    self._pipeline.forward(sess, batch)
    return self._trainer.step(sess, batch)


class Failing:
  """A trainer whose steps fail."""

  def __init__(self, pipeline, optimizer):
    pass

  def step(self, sess, batch):
    raise KeyError("broken")


class PipelinesTest(parameterized.TestCase):
  def test_a_program_is_cut_where_it_says(self):
    first, second, third = pipelines.cut_up(PROGRAM)
    self.assertEqual(first.feeds, ("x1",))
    self.assertEqual(first.gives, ("v5", "v6"))
    self.assertEqual(first.ends, ("v6",))
    self.assertEqual(second.reads, ("v6",))
    self.assertEqual(second.feeds, ("x2",))
    self.assertEqual(second.gives, ("v7", "v9"))
    self.assertEqual(third.reads, ("v5", "v7", "v9"))
    self.assertEqual(third.ends, ("v12",))
    # The first and the third share a variable; what nothing needs is left out.
    self.assertIn("w3 =", first.lines[1])
    self.assertIn("w3 =", third.lines[0])
    self.assertNotIn("v10", str([first, second, third]))

  @parameterized.product(
    cuts=[(), (1,), (3, 6), (2, 7)],
    traced=[False, True],
    residuals=["frontier", "none"],
  )
  def test_a_right_program_passes(self, cuts, traced, residuals):
    program = PROGRAM._replace(cuts=cuts, traced=traced, residuals=residuals)
    self.assertEqual(pipelines.check(program), checks.RIGHT)

  @parameterized.parameters(False, True)
  def test_narrow_and_reference_variables_pass(self, traced):
    source = SOURCE.replace("float64", "float32").replace("True)", "False)")
    program = PROGRAM._replace(source=source, marks=("narrow",), traced=traced)
    self.assertEqual(pipelines.check(program), checks.RIGHT)

  def test_random_ops_draw_alike(self):
    source = SOURCE.replace(
      "tf1.exp(x1)", "tf1.nn.dropout(v5, rate=0.5, seed=1)"
    ).replace("+ v5", "+ v10")
    program = PROGRAM._replace(source=source, marks=(tables.RANDOM,))
    self.assertEqual(pipelines.check(program), checks.RIGHT)

  @parameterized.parameters(False, True)
  def test_loops_pass_in_both_styles(self, flow_v2):
    source = SOURCE.replace("tf1.sin(x1)", "pieces.loop(x1, x1)")
    marks = (tables.FLOW,)
    program = PROGRAM._replace(source=source, marks=marks, flow_v2=flow_v2)
    self.assertEqual(pipelines.check(program), checks.RIGHT)

  def test_what_is_refused_is_told_of(self):
    def refuse(pipeline, optimizer):
      raise errors.CutError("no")

    found = pipelines.examine(PROGRAM, lambda: Changed(refuse))
    self.assertEqual(found, (checks.REFUSED, "no"))

  def test_a_program_that_tensorflow_does_not_build_is_told_of(self):
    program = PROGRAM._replace(source=SOURCE.replace("sin(x1)", "sin(x1, x1)"))
    self.assertEqual(pipelines.check(program), checks.UNBUILT)

  @parameterized.named_parameters(
    ("gradient", faster, "moved by"),
    ("double_run", Again, "ran 2 times"),
    ("failure", Failing, "broken"),
  )
  def test_what_is_planted_is_found(self, change, message):
    with self.assertRaisesRegex(checks.Wrong, message):
      program = PROGRAM._replace(marks=(tables.RANDOM,))  # one step
      pipelines.check(program, lambda: Changed(change))

  def test_another_loss_is_found(self):
    class Other(Again):
      def step(self, sess, batch):
        result = self._trainer.step(sess, batch)
        losses = {k: v * (1 + 1e-6) for k, v in result.losses.items()}
        return result._replace(losses=losses)

    with self.assertRaisesRegex(checks.Wrong, "loss"):
      pipelines.check(PROGRAM, lambda: Changed(Other))

  def test_cuts_are_drawn(self):
    draw = np.random.RandomState(0).randint
    drawn = [drawing.draw(lambda n: int(draw(n))) for _ in range(100)]
    sizes = [len(pipelines.cut_up(program)) for program in drawn]
    for size in (2, 3):
      self.assertGreater(sizes.count(size), 10)


if __name__ == "__main__":
  absltest.main()
