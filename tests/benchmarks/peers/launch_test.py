"""Tests of starting a contender."""

import json
import sys

from absl.testing import absltest

from tangle.benchmarks.peers import harness, launch, roster, tasks
from tests import forks


class LaunchTest(absltest.TestCase):
  def test_one_without_tensorflow_starts_where_there_is_none(self):
    self.assertTrue((launch.ROOT / "tangle" / "compat.py").exists())
    settings = roster.Settings({"python2": sys.executable}, tasks.SIZES["tiny"])
    contender = roster.make_contender("limit_numpy", "mlp", settings)
    # Any import of TensorFlow fails.
    code = (
      "import runpy, sys; sys.modules['tensorflow'] = None;"
      "print('not an answer', file=sys.stderr);"
      f"sys.argv[:] = {contender.command[-2:]!r};"
      "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    contender = contender._replace(command=[sys.executable, "-c", code])
    with forks.new_processes():  # which have not imported TensorFlow
      process = harness.Process(contender)
    self.addCleanup(process.close)
    ready = process.answer(120)
    self.assertIn("numpy", ready["versions"])
    self.assertGreater(process.steps(1, 120)["values"][0], 0)

  def test_what_is_missing_is_told_as_an_answer(self):
    settings = roster.Settings({"python2": sys.executable}, tasks.SIZES["tiny"])
    contender = roster.make_contender("limit_numpy", "mlp", settings)
    spec = dict(json.loads(contender.command[-1]), module="nowhere")
    command = contender.command[:-1] + [json.dumps(spec)]
    found = harness.measure({"a": contender._replace(command=command)})
    self.assertIn("is not installed here", found["a"]["reason"])


if __name__ == "__main__":
  absltest.main()
