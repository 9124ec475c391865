"""Split = joint = numeric, for every model of the zoo and every strategy."""

from absl.testing import absltest, parameterized

from tangle import errors
from tests import case
from tests.partial import checks, zoo


class EqualityTestCase(case.GraphTestCase):
  def check(self, build):
    """Fails unless split = joint = numeric for the model of `build`."""
    model = build(self)
    joint = checks.Joint(model)
    subs = {}
    for strategy in checks.STRATEGIES:
      if strategy in model.refused:
        with self.subTest(strategy), self.assertRaises(errors.CutError):
          checks.sub_model(model, strategy)
      else:
        subs[strategy] = checks.sub_model(model, strategy, name=strategy)
    sess = self.session()
    for strategy, sub in subs.items():
      with self.subTest(strategy):
        self.assertEqual(sub.variables, joint.variables)
        # A partial run alone must know before what the loss uses.
        used = model.used if strategy == "session" else None
        call = sub.forward(sess, model.feed_dict, used=used)
        upstream = checks.upstream_like(self, call.outputs, model.used)
        found = call.backward(upstream)
        drawn = checks.observed(model, call.outputs)
        feed_dict = {**model.feed_dict, **drawn}
        checks.assert_same(
          self, found, joint.run(sess, feed_dict, upstream), model.rtol
        )
    if model.numeric:
      checks.assert_numeric(
        self, sess, model, joint.variables, found, upstream, drawn
      )


class EqualityTest(EqualityTestCase):
  @parameterized.named_parameters(
    (model.__name__, model) for model in zoo.MODELS
  )
  def test_split_equals_joint_and_numeric(self, build):
    self.check(build)


if __name__ == "__main__":
  absltest.main()
