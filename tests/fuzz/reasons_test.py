"""Reasons of refusals have short names."""

from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case
from tests.fuzz import reasons, run


class ReasonsTest(case.GraphTestCase):
  def refusal(self, also=(), **options):
    x = tf1.placeholder(tf1.float64, [3, 2])
    z = tf1.placeholder(tf1.float64, [3, 2])
    with self.assertRaises(tangle.errors.TangleError) as caught:
      tangle.SubModel(
        **{"inputs": [x], "outputs": [x * z] + list(also), **options}
      )
    return reasons.key(str(caught.exception))

  def test_messages_of_tangle_are_known(self):
    other = tf1.placeholder(tf1.float64, [2])
    flag = tf1.placeholder(tf1.bool, [2])
    constant = tf1.constant([1.0, 2.0])
    self.assertEqual(
      self.refusal(residuals=tangle.Budget(bytes=1)), "budget below the least"
    )
    self.assertEqual(
      self.refusal(also=[constant]), "output depends on no input"
    )
    self.assertEqual(
      self.refusal(inputs=[other, flag], outputs=[other]),
      "input leads to no output",
    )
    self.assertEqual(
      self.refusal(inputs=[flag], outputs=[flag]), "no output is floating"
    )

  def test_what_is_not_known_is_told_by_its_words(self):
    self.assertEqual(
      reasons.key("SubModel 'a': the op 'x:0' is 3 much"),
      "other: the op is much",
    )


class TableTest(parameterized.TestCase):
  def test_reasons_are_listed_with_their_share(self):
    found = {
      "programs": 200,
      "refused": 3,
      "advised": 5,
      "reasons": {"TF1 loop": 3},
      "advice": {"TF1 loop": 1, "may not be fed": 4},
    }
    self.assertEqual(
      run.format_reasons(found),
      "| refused at first because | right as the message advises "
      "| refused still | share |\n"
      "|---|---|---|---|\n"
      "| TF1 loop | 1 | 3 | 2.0 → 1.5 % |\n"
      "| may not be fed | 4 | 0 | 2.0 → 0.0 % |\n"
      "| any reason | 5 | 3 | 4.0 → 1.5 % |",
    )


if __name__ == "__main__":
  absltest.main()
