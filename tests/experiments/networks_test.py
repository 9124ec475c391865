"""Tests of networks."""

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.experiments import directions, networks
from tangle.seq2seq import rows, vocabulary


def parse(*texts):
  names = "abcxyz"
  return directions.parse(names, names, texts)[0]


class NetworksTest(absltest.TestCase):
  def test_a_single_direction_from_one_source_has_plain_names(self):
    (one,) = parse("a-x")
    names = networks.sub_models([one])
    self.assertEqual(list(names.values()), ["encoder", "decoder", "search"])
    names = networks.sub_models(parse("a-x", "b-x", "a-b"))
    self.assertEqual(
      list(names.values()),
      ["a_encoder", "b_encoder"]
      + ["x_decoder", "x_search", "b_decoder", "b_search"],
    )
    self.assertEqual(
      list(networks.sub_models(parse("a+b-x")).values()),
      ["a_encoder", "b_encoder", "x_decoder", "x_search"],
    )

  def test_sources_read_together_have_other_masks(self):
    self.assertEqual(
      networks._number_masks(parse("a-x", "b-y", "c-x")),
      {"a": 0, "b": 0, "c": 0},
    )
    found = networks._number_masks(parse("a+b-x", "b+c-y", "a+c-z"))
    self.assertEqual(found, {"a": 0, "b": 2000, "c": 3000})

  def test_encoders_are_shared_and_decoders_count_their_sources(self):
    symbols = dict.fromkeys("abxy", vocabulary.Vocabulary("k"))
    encoders, models = networks.make_attention(
      symbols, parse("a+b-x", "b-y"), 3, 1, 2
    )
    self.assertEqual(list(encoders), ["a", "b"])
    self.assertEqual(
      {name: model.sources for name, model in models.items()},
      {"x": 2, "y": 1},
    )

  def test_frequencies_count_eos_and_what_does_not_occur(self):
    targets = rows.collect([([4], [5, 5]), ([4], [6])]).targets
    shares = np.exp(networks.log_frequencies(targets, 8))
    np.testing.assert_allclose(
      shares * 5.8, [0.1, 0.1, 2.1, 0.1, 0.1, 2.1, 1.1, 0.1]
    )
    self.assertAlmostEqual(shares.sum(), 1.0)

  def test_the_legacy_model_has_two_kinds_of_cells(self):
    symbols = dict.fromkeys("ax", vocabulary.Vocabulary("k"))
    (one,) = parse("a-x")
    with self.assertRaisesRegex(errors.ArgumentError, "cell must .* 'rnn'"):
      networks.make_legacy(symbols, one, 3, 1, 2, "rnn")


if __name__ == "__main__":
  absltest.main()
