"""Files that this TensorFlow and the other one write, and changes to them.

With the environment variable TANGLE_OTHER_PYTHON, the path of an interpreter
with the other TensorFlow, files that it has written are read, too.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tangle.compat import tf1
from tests import forks
from tests.meta_graphs import writer

ROOT = pathlib.Path(__file__).resolve().parents[2]
OTHER = os.environ.get("TANGLE_OTHER_PYTHON")
WRITERS = [("same", sys.executable)] + ([("other", OTHER)] if OTHER else [])
_FOLDER = tempfile.TemporaryDirectory()


@functools.lru_cache(maxsize=None)
def write(python, kind):
  """Returns the prefix of a checkpoint, and how its training went."""
  prefix = os.path.join(new_folder(), "model")
  if python == sys.executable:
    done = forks.run_script(writer.__file__, kind, prefix)
    assert not done.returncode, done.stderr
  else:
    done = subprocess.run(
      [python, "-W", "ignore", "-m", "tests.meta_graphs.writer", kind, prefix],
      cwd=str(ROOT),
      env=dict(os.environ, PYTHONPATH=str(ROOT), TF_ENABLE_ONEDNN_OPTS="0"),
      stdout=subprocess.PIPE,
      text=True,
      check=True,
    )
  return prefix, json.loads(done.stdout.splitlines()[-1])


def new_folder():
  """Returns the path of a new folder, which ends with the process."""
  return tempfile.mkdtemp(dir=_FOLDER.name)


def save(meta, name="graph.meta"):
  """Writes a `MetaGraphDef` to a new folder; returns its path."""
  path = os.path.join(new_folder(), name)
  with open(path, "wb") as file:
    file.write(meta.SerializeToString())
  return path


def export(build, **options):
  """Returns the `MetaGraphDef` of what `build()` adds to a new graph."""
  with tf1.Graph().as_default() as graph:
    build()
    return tf1.train.export_meta_graph(graph=graph, **options)
