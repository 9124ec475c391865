"""Tests that checkpoints are contrib's, in both directions.

With the environment variable TANGLE_OTHER_PYTHON, the path of an interpreter
with the other TensorFlow, what one has written the other reads: contrib's code
on 1.15, ours on 2.x.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.seq2seq import vocabulary
from tests import case
from tests.seq2seq.legacy import support, translator

ROOT = pathlib.Path(__file__).resolve().parents[3]
OTHER = "TANGLE_OTHER_PYTHON"
KINDS = [(kind, kind) for kind in translator.KINDS]


def ended(symbols):
  """Returns symbols [T][B] with EOS from the end of each sequence on."""
  symbols = np.array(symbols)
  for row in symbols.T:
    ends = np.flatnonzero(row == vocabulary.EOS_ID)
    if ends.size:
      row[ends[0] :] = vocabulary.EOS_ID
  return symbols.tolist()


class CheckpointTestCase(case.GraphTestCase):
  """Gives a directory, and compares what translators decode."""

  def setUp(self):
    super().setUp()
    directory = tempfile.TemporaryDirectory()
    self.addCleanup(directory.cleanup)
    self.directory = directory.name

  def assert_same(self, found, desired):
    """Fails unless two results of `Translator.decode` are the same."""
    self.assertEqual(found["symbols"], desired["symbols"])
    self.assertEqual(found["step"], translator.STEPS)
    np.testing.assert_allclose(found["rate"], 0.099, rtol=1e-6)
    for loss, other in zip(found["losses"], desired["losses"]):
      if other is not None:  # else it is sampled
        np.testing.assert_allclose(loss, other, rtol=1e-5)

  def assert_varied(self, found):
    """Fails if all symbols are one: then any model would do."""
    self.assertGreater(len(set(np.array(found["symbols"][1]).flat)), 1)


class CheckpointsTest(CheckpointTestCase):
  @parameterized.named_parameters(*KINDS)
  @support.needs_contrib
  def test_what_contrib_saved_decodes_to_the_same_symbols(self, kind):
    desired = translator.train(support.theirs, kind, self.directory)
    self.assert_varied(desired)
    found = translator.decode(support.ours, kind, self.directory)
    self.assert_same(found, desired)
    symbols = translator.decode_in_parts(kind, self.directory)
    self.assertEqual(symbols, [ended(rows) for rows in desired["symbols"]])

  @parameterized.named_parameters(*KINDS)
  def test_what_we_saved_parts_and_contrib_decode_to_the_same(self, kind):
    desired = translator.train(support.ours, kind, self.directory)
    self.assert_varied(desired)
    symbols = translator.decode_in_parts(kind, self.directory)
    self.assertEqual(symbols, [ended(rows) for rows in desired["symbols"]])
    if compat.IS_TF1:
      found = translator.decode(support.theirs, kind, self.directory)
      self.assert_same(found, desired)

  def test_a_checkpoint_holds_the_tutorials_names(self):
    translator.Translator(support.ours, translator.KINDS["gru"], False)
    path = self.directory + "/translate.ckpt"
    tf1.train.Saver().save(self.session(), path)
    found = dict(tf1.train.list_variables(path))
    self.assertLen(found, 30)
    self.assertEqual(found["Variable"], [])
    self.assertEqual(found["Variable_1"], [])
    self.assertEqual(found["proj_w"], [12, 8])
    self.assertEqual(found["proj_b"], [12])
    cell = "rnn/embedding_wrapper/multi_rnn_cell/cell_1/gru_cell/gates/kernel"
    self.assertEqual(found[support.PREFIX + cell], [16, 16])


@unittest.skipUnless(
  os.environ.get(OTHER),
  f"set {OTHER} to an interpreter with the other TensorFlow",
)
class OtherTensorFlowTest(CheckpointTestCase):
  """Contrib's code on 1.15 against ours on 2.x."""

  def setUp(self):
    super().setUp()
    names = ["contrib", "tangle"]
    self.here, self.there = names if compat.IS_TF1 else reversed(names)
    self.library = support.theirs if compat.IS_TF1 else support.ours

  def run_there(self, verb):
    """Runs the translator in the other interpreter; returns its result."""
    program = "tests.seq2seq.legacy.translator"
    command = [os.environ[OTHER], "-m", program, verb, self.there]
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    # TensorFlow 2 sets this on import; 1.15 would then behave as 2.x.
    environment.pop("TF2_BEHAVIOR", None)
    done = subprocess.run(
      command + [self.directory],
      cwd=str(ROOT),
      env=environment,
      capture_output=True,
    )
    self.assertEqual(done.returncode, 0, done.stderr.decode()[-2000:])
    return json.loads(done.stdout.decode().splitlines()[-1])

  def test_what_is_saved_there_decodes_here_to_the_same_symbols(self):
    desired = self.run_there("train")
    for kind in translator.KINDS:
      self.assert_varied(desired[kind])
      found = translator.decode(self.library, kind, self.directory)
      self.assert_same(found, desired[kind])
      symbols = translator.decode_in_parts(kind, self.directory)
      rows = desired[kind]["symbols"]
      self.assertEqual(symbols, [ended(row) for row in rows])

  def test_what_is_saved_here_decodes_there_to_the_same_symbols(self):
    desired = {
      kind: translator.train(self.library, kind, self.directory)
      for kind in translator.KINDS
    }
    found = self.run_there("decode")
    for kind in translator.KINDS:
      self.assert_same(found[kind], desired[kind])


if __name__ == "__main__":
  absltest.main()
