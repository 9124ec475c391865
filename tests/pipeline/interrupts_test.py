"""A key press at any line of a step leaves nothing after the next one."""

import itertools

from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.experiments import constructs
from tests import interrupts
from tests.pipeline import support

STRIDE = 7
"""Of the lines that are tried; from where is drawn."""


class InterruptsTest(support.PipelineTestCase):
  def wiring(self):
    """Returns two encoders and a head."""
    wiring = support.Wiring()
    for name in "ab":
      wiring.add(name, support.layer(self.weight(name, 3, 2), ["x"]))
    head = support.head(self.weight("v", 4, 1))
    return wiring.add("head", head, reads={"a": "a.out", "b": "b.out"})

  def looped(self):
    """Returns an encoder with a loop of TensorFlow 1, and a head."""
    self.use_control_flow(v2=False)
    weight = self.weight("w", 4, 4)

    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [2, 4])
      y = constructs.ALL["while_loop"].build(x_ph, weight)
      return tangle.Piece({"x": x_ph}, {"out": y})

    wiring = support.Wiring().add("a", build)
    head = support.head(self.weight("v", 4, 1))
    return wiring.add("head", head, reads={"a": "a.out"})

  def check(self, trainer, batch, step):
    """Interrupts `step` of the session at many lines."""
    sess = self.session()
    weights = tf1.trainable_variables()
    values = sess.run(weights)
    expected = trainer.step(sess, batch).loss
    step(sess)
    for number in itertools.count(self.rng.randint(1, STRIDE + 1), STRIDE):
      if not interrupts.at_line(number, lambda: step(sess)):
        break
      for weight, value in zip(weights, values):
        weight.load(value, sess)
      self.assertEqual(trainer.step(sess, batch).loss, expected)
      self.assertEqual(self.waiting(sess), {}, number)
    self.assertGreater(number, 50)

  @parameterized.parameters(
    {}, {"overlap": True}, {"micro_batches": 2}, {"looped": True}
  )
  def test_nothing_of_a_step_stays(self, looped=False, **options):
    wiring = self.looped() if looped else self.wiring()
    pipeline = wiring.pipeline()
    trainer = pipeline.minimize(
      tf1.train.GradientDescentOptimizer(0.5), **options
    )
    width = 4 if looped else 3
    names = "a" if looped else "ab"
    batch = {name: {"x": self.normal(2, width)} for name in names}
    batch["head"] = {}
    self.check(trainer, batch, lambda sess: trainer.step(sess, batch))

  def test_nothing_of_an_evaluation_stays(self):
    pipeline = self.wiring().pipeline()
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.5))
    batch = {name: {"x": self.normal(2, 3)} for name in "ab"}
    batch["head"] = {}
    self.check(trainer, batch, lambda sess: pipeline.forward(sess, batch))


if __name__ == "__main__":
  absltest.main()
