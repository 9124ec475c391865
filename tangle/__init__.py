"""Train TensorFlow graph-mode networks in parts, exactly as if joined.

TensorFlow takes seconds to import. So that a program can check its flags
first, a name of this package is imported when it is first used.
"""

import importlib
import importlib.util
import typing

if typing.TYPE_CHECKING:
  from tangle import (
    branches,
    combine,
    errors,
    gradients,
    meta_graphs,
    mux,
    nets,
    seq2seq,
    training,
  )
  from tangle.compat import tf1
  from tangle.graphs.cut_points import cut_points
  from tangle.partial.calls import Call
  from tangle.partial.policies import Budget
  from tangle.partial.sizes import measure
  from tangle.partial.sub_model import SubModel
  from tangle.pipeline.joint import JointTrainer
  from tangle.pipeline.paths import export
  from tangle.pipeline.pieces import Piece
  from tangle.pipeline.pipeline import Pipeline
  from tangle.pipeline.sessions import session_config

__all__ = [
  "Budget",
  "Call",
  "JointTrainer",
  "Piece",
  "Pipeline",
  "SubModel",
  "branches",
  "combine",
  "cut_points",
  "errors",
  "export",
  "gradients",
  "measure",
  "meta_graphs",
  "mux",
  "nets",
  "seq2seq",
  "session_config",
  "tf1",
  "training",
]
__version__ = "0.1.0"

_MODULES = {
  "Budget": "partial.policies",
  "Call": "partial.calls",
  "JointTrainer": "pipeline.joint",
  "Piece": "pipeline.pieces",
  "Pipeline": "pipeline.pipeline",
  "SubModel": "partial.sub_model",
  "cut_points": "graphs.cut_points",
  "export": "pipeline.paths",
  "measure": "partial.sizes",
  "session_config": "pipeline.sessions",
  "tf1": "compat",
}


def __getattr__(name):
  if name in _MODULES:
    module = importlib.import_module(f"tangle.{_MODULES[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]
  # No special names: programs ask modules for those.
  if not name.startswith("_") and importlib.util.find_spec(f"tangle.{name}"):
    return importlib.import_module(f"tangle.{name}")
  raise AttributeError(f"module 'tangle' has no attribute {name!r}")


def __dir__():
  return sorted({*globals(), *__all__})
