import os
import subprocess
import sys

from absl.testing import absltest

from tangle.compat import tf1
from tangle.experiments import machine

_PROGRAM = """
from tangle.experiments import machine
print(machine.describe()["onednn"])
"""


class MachineTest(absltest.TestCase):
  def test_tells_the_processor_and_the_setting(self):
    found = machine.describe()
    self.assertEqual(found["processors"], os.cpu_count())
    self.assertNotEmpty(found["processor"])
    self.assertIn(found["avx512"], (True, False, "unknown"))
    self.assertIn("TF_ENABLE_ONEDNN_OPTS", found)
    self.assertEqual(found["tensorflow"], tf1.VERSION)

  def test_the_line_for_people_has_what_is_described(self):
    found, line = machine.describe(), machine.summarize()
    for name in ("tensorflow", "processor", "processors"):
      self.assertIn(str(found[name]), line)
    without = "" if found["onednn"] else "out"
    self.assertIn(f" with{without} oneDNN,", line)

  def test_a_process_told_so_has_no_onednn(self):
    environment = dict(os.environ, TF_ENABLE_ONEDNN_OPTS="0")
    done = subprocess.run(
      [sys.executable, "-W", "ignore", "-c", _PROGRAM],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      env=environment,
      check=True,
    )
    self.assertEqual(done.stdout.split(), [b"False"])


if __name__ == "__main__":
  absltest.main()
