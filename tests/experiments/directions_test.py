"""Tests of directions."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import directions

THREE = ["en", "de", "fr"]


def parse(*args, **kwargs):
  trained, held_out = directions.parse(*args, **kwargs)
  return list(map(str, trained)), list(map(str, held_out))


class DirectionsTest(parameterized.TestCase):
  def test_every_source_goes_to_every_other_target(self):
    self.assertEqual(
      parse(THREE, THREE),
      (["en-de", "en-fr", "de-en", "de-fr", "fr-en", "fr-de"], []),
    )
    self.assertEqual(
      parse(["de+fr"], ["en", "it", "fr"])[0], ["de+fr-en", "de+fr-it"]
    )

  def test_sides_are_named_once_sources_first(self):
    trained, _ = directions.parse(["de+fr"], ["en", "it"])
    self.assertEqual(trained[0], (("de", "fr"), "en"))
    self.assertEqual(trained[0].sides, ("de", "fr", "en"))
    self.assertEqual(directions.names_of(trained), ["de", "fr", "en", "it"])
    self.assertEqual(directions.PAIR.sides, ("source", "target"))

  def test_some_are_chosen_and_some_held_out(self):
    self.assertEqual(
      parse(THREE, THREE, ["en-de", "de-fr", "fr-de"], ["en-fr"]),
      (["en-de", "de-fr", "fr-de"], ["en-fr"]),
    )
    self.assertEqual(parse(THREE, ["en"], ["de+fr-en"]), (["de+fr-en"], []))
    self.assertEqual(
      parse(["zh-cn", "pt-br"], ["pt-br"]), (["zh-cn-pt-br"], [])
    )

  @parameterized.named_parameters(
    ("twice", [["aa", "aa"], ["bb"]], "sources must be one name or more"),
    ("none", [["aa"], []], "targets must be one name or more"),
    ("alone", [["aa"], ["aa"]], "none is left .* Give a target"),
    ("unknown", [["aa"], ["bb"], ["aa-dd"]], "'aa-dd'; there are aa-bb"),
    ("itself", [["aa"], ["bb"], ["aa+aa-bb"]], r"'aa\+aa-bb'"),
    ("all", [["aa"], ["bb"], ["aa-bb"], ["aa-bb"]], "none is left .* Hold out"),
    (
      "encoder",
      [THREE, THREE, ["en-de"], ["fr-de"]],
      "fr-de is held out, .* encoder of 'fr'",
    ),
    (
      "decoder",
      [THREE, THREE, ["en-de", "de-fr"], ["de-en"]],
      "decoder of 'en'",
    ),
    (
      "places",
      [THREE, ["it"], ["en+de-it", "de+fr-it"]],
      "the decoder of 'it' attends to 2 .*'en', 'de'.*; de.fr-it has others",
    ),
    ("numbers", [THREE, ["it"], ["en+de-it", "fr-it"]], "fr-it has others"),
  )
  def test_refuses(self, arguments, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      directions.parse(*arguments)


if __name__ == "__main__":
  absltest.main()
