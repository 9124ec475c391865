"""Train TensorFlow graph-mode networks in parts, exactly as if joined."""

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
