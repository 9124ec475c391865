"""Tests of summary."""

from absl.testing import absltest

from tangle.experiments import summary


class SummaryTest(absltest.TestCase):
  def test_scalars_have_words_and_units(self):
    text = summary.format_figures(
      {
        "test_wer": 0.38642,
        "steps": 12345,
        "train_s": 61.27,
        "reason": "max_steps",
        "best_score": 0.4,
        "curve": [
          {"step": 1, "validation_loss": 3.0},
          {"step": 2, "validation_loss": 2.0},
        ],
        "best_step": 2,
        "signal": None,
      }
    )
    rows = [line.split("  ") for line in text.splitlines()[2:]]
    found = {row[0].strip(): row[-1].strip() for row in rows}
    self.assertEqual(
      found,
      {
        "test word error rate": "38.6%",
        "validation loss, best step": "2.000 nats per symbol",
        "best step": "2",
        "steps": "12,345",
        "time in training steps": "61.3 s",
        "ended by": "max steps",
      },
    )

  def test_nested_figures_are_a_table_of_their_own(self):
    means = {"one_path": {"frozen": {"1": 0.5, "2": [0.25, 0.5]}}}
    means["one_path"]["fine_tuned"] = {"2": 1.0}
    lines = summary.format_figures({"means": means}).splitlines()
    self.assertLen(lines, 4)
    self.assertEqual(lines[0].split()[-2:], ["1", "2"])
    self.assertStartsWith(lines[2], "one path, frozen")
    self.assertEqual(lines[2].split()[-2:], ["50.0%", "37.5%"])
    self.assertEqual(lines[3].split()[-2:], ["-", "100.0%"])

  def test_figures_by_one_name_have_one_column(self):
    lines = summary.format_figures({"test_bleu": {"en-de": 31.46}}).splitlines()
    self.assertEqual(lines[-1].split(), ["en-de", "31.5"])

  def test_there_may_be_nothing_to_show(self):
    self.assertEqual(summary.format_figures({"store": "device"}), "")


if __name__ == "__main__":
  absltest.main()
