"""Train TensorFlow graph-mode networks in parts, exactly as if joined."""

from tangle import gradients, mux
from tangle.partial.calls import Call
from tangle.partial.sub_model import SubModel
from tangle.pipeline.pieces import Piece
from tangle.pipeline.pipeline import Pipeline

__all__ = ["Call", "Piece", "Pipeline", "SubModel", "gradients", "mux"]
__version__ = "0.1.0"
