"""A small training for the tests of what comes after it; made once."""

import atexit
import functools
import shutil
import tempfile

from tangle.experiments import cmudict_data, seq2seq, tasks
from tests.experiments import spelling


@functools.lru_cache(maxsize=None)
def run():
  """Returns the folder of the run, its task and its figures."""
  folder = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, folder)
  task = tasks.cmudict(cmudict_data.load(spelling.entries()), buckets=2)
  figures = seq2seq.train(
    task,
    folder,
    network={"units": 16, "embedding_dim": 8},
    batch_size=16,
    epochs=30.0,
    evaluations=2,
    learning_rate=1e-2,
    sample_lines=["abba"],
  )
  return folder, task, figures
