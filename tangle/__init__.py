"""Train TensorFlow graph-mode networks in parts, exactly as if joined."""

from tangle.partial.sub_model import Call, SubModel

__all__ = ["Call", "SubModel"]
__version__ = "0.1.0"
