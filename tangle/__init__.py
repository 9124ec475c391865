"""Train TensorFlow graph-mode networks in parts, exactly as if joined."""

from tangle.partial.calls import Call
from tangle.partial.sub_model import SubModel

__all__ = ["Call", "SubModel"]
__version__ = "0.1.0"
