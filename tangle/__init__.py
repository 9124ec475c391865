"""Train TensorFlow graph-mode networks in parts, exactly as if joined."""

from tangle import branches, combine, gradients, meta_graphs, mux
from tangle.graphs.cut_points import cut_points
from tangle.partial.calls import Call
from tangle.partial.policies import Budget
from tangle.partial.sizes import measure
from tangle.partial.sub_model import SubModel
from tangle.pipeline.pieces import Piece
from tangle.pipeline.pipeline import Pipeline
from tangle.pipeline.sessions import session_config

__all__ = [
  "Budget",
  "Call",
  "Piece",
  "Pipeline",
  "SubModel",
  "branches",
  "combine",
  "cut_points",
  "gradients",
  "measure",
  "meta_graphs",
  "mux",
  "session_config",
]
__version__ = "0.1.0"
