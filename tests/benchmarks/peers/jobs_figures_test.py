"""Tests of the jobs' figures."""

from absl.testing import absltest

from tangle.benchmarks.peers import jobs_figures


def measured(step_s, epoch_s, losses=(2.0, 1.0), sums=(1, 2, 3, 4)):
  search = {"seconds": 2.0, "checksums": list(sums), "lengths": 6.5}
  return {
    "seconds": [step_s, step_s],
    "losses": list(losses),
    "values": [0.0],
    "cpu_s": [step_s, step_s / 2],
    "first_step_s": 9.0,
    "build_s": 3.0,
    "import_s": 2.0,
    "rss_bytes": 100,
    "versions": {},
    "epoch": {
      "wall_s": epoch_s,
      "cpu_s": 8.0,
      "examples": 100,
      "steps": 10,
      "positions": int(100 * epoch_s),
      "loss": 0.5,
    },
    "greedy": search,
    "beam": dict(search, seconds=4.0),
  }


class JobsFiguresTest(absltest.TestCase):
  def test_epochs_and_steps_are_held_against_pytorch(self):
    found = {
      "tangle_split": measured(0.3, 19.0),
      "pytorch_joint": measured(0.2, 9.0, sums=(1, 2, 3, 5)),
      "contrib_joint": measured(0.6, 39.0, [float("nan")] * 2),
      "jax_joint": {"reason": "no jax"},
    }
    rows = jobs_figures.make_rows(found, 10)
    row = rows["tangle_split"]
    self.assertAlmostEqual(row["to_pytorch"], 1.5)
    self.assertEqual((row["step_cpu_s"], row["epoch_cpu_s"]), (0.15, 8.0))
    self.assertEqual((row["epoch_s"], row["examples_per_s"]), (20.0, 5.0))
    self.assertEqual(row["epoch_to_pytorch"], 2.0)
    self.assertAlmostEqual(row["padding"], 19 / 9 - 1)
    self.assertEqual((row["greedy_per_s"], row["beam_per_s"]), (2.0, 1.0))
    self.assertTrue(row["same_losses"])
    self.assertEqual(row["same_symbols"], 1.0)
    self.assertEqual(rows["pytorch_joint"]["same_symbols"], 0.75)
    self.assertEqual(rows["jax_joint"], {"reason": "no jax"})

  def test_another_network_has_no_losses_to_compare(self):
    found = {
      "tangle_split": measured(0.3, 19.0),
      "contrib_joint": measured(0.6, 39.0, [float("nan")] * 2),
    }
    rows = jobs_figures.make_rows(found, 10)
    self.assertTrue(rows["tangle_split"]["same_losses"])
    for key in ("same_losses", "losses", "loss_difference", "same_symbols"):
      self.assertNotIn(key, rows["contrib_joint"])
    self.assertNotIn("epoch_to_pytorch", rows["tangle_split"])


if __name__ == "__main__":
  absltest.main()
