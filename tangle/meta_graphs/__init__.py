"""Imported graphs: reads `.meta` files of TensorFlow 1.15 and 2.x.

Content that the installed TensorFlow would refuse is repaired in memory, and
reported. The file is not changed.
"""

from tangle.meta_graphs.files import find_checkpoint, read
from tangle.meta_graphs.loading import Loaded, find_tensor, load
from tangle.meta_graphs.repairs import Repairs

__all__ = [
  "Loaded",
  "Repairs",
  "find_checkpoint",
  "find_tensor",
  "load",
  "read",
]
