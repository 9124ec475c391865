"""Tests of symbols."""

from absl.testing import absltest, parameterized

from tangle.graphs import symbols

A, B = (symbols.SIZE, "a:0", 0), (symbols.SIZE, "b:0", 1)


class SymbolsTest(parameterized.TestCase):
  @parameterized.parameters(
    ((A, 3), (A, 3), (A, 3)),
    ((A, 1), (A, 3), (A, 3)),
    ((3,), (A, 3), (A, 3)),
    ((A, 3), (1,), (A, 3)),
    ((A,), (3,), (3,)),  # A is 1 or 3
    ((A,), (B,), None),
    (None, (A,), None),
    ((), (A, 2), (A, 2)),
  )
  def test_broadcast(self, left, right, expected):
    self.assertEqual(symbols.broadcast(left, right), expected)
    self.assertEqual(symbols.broadcast(right, left), expected)

  @parameterized.parameters(
    ((A, 3), (3,), A),
    ((A, 6), (3, A), 2),
    ((A, 1), (), A),
    ((2, 3), (6,), 1),
  )
  def test_quotient_that_is_known(self, given, wanted, expected):
    self.assertEqual(symbols.divide(given, wanted), expected)

  def test_quotient_that_is_not_known_is_a_symbol(self):
    found = symbols.divide((A, B, 4), (2,))
    self.assertEqual(found, symbols.divide((4, B, A), (2,)))
    self.assertEqual(found, symbols.divide((2, B, A), ()))
    self.assertNotEqual(found, symbols.divide((A, B, 4), (4,)))
    self.assertNotEqual(found, symbols.divide((A, A, 4), (2,)))
    self.assertTrue(symbols.mentions(found, B))
    self.assertFalse(symbols.mentions(symbols.divide((A, 3), (2,)), B))

  def test_axes_of_tensors_differ(self):
    class Tensor:
      name = "a:0"

    self.assertEqual(symbols.of_axis(Tensor, 0), A)
    self.assertNotEqual(symbols.of_axis(Tensor, 1), A)


if __name__ == "__main__":
  absltest.main()
