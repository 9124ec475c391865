"""The types that many type hints share.

Hints of TensorFlow's own classes are written as `tf1.Tensor`. TensorFlow ships
no types for `tf.compat.v1`, so that a type checker takes these for `Any`.
"""

import os
from typing import (
  Any,
  Callable,
  Dict,
  Mapping,
  Optional,
  Sequence,
  Tuple,
  Union,
)

import numpy as np

from tangle import compat
from tangle.compat import tf1

Variable = compat.Variable
"""A variable of any kind."""

Path = Union[str, os.PathLike]
"""The path of a file or a folder."""

Session = Union[
  tf1.Session,
  tf1.InteractiveSession,
  tf1.train.MonitoredSession,
  tf1.train.SingularMonitoredSession,
]
"""A session. One that wraps another and has its methods will do too."""

Array = Union[np.ndarray, np.generic, float, Sequence[Any]]
"""What numpy converts to an array of numbers."""

Ints = Union[np.ndarray, Sequence[int]]
"""Ints in a sequence or an array `[N]`."""

Value = Union[tf1.Tensor, Variable, Array]
"""What TensorFlow converts to a tensor."""

Scalar = Union[float, tf1.Tensor, Variable]
"""A number, or a tensor or variable that holds one."""

Seed = Union[int, tf1.Tensor, np.ndarray, Sequence[int]]
"""The seed of a stateful random op, an int, or of a stateless one, two."""

Dtype = Union[tf1.DType, str, type]
"""What `tf.as_dtype` takes."""

Shape = Union[tf1.TensorShape, Sequence[Optional[int]]]
"""The shape of a tensor; `None` for an unknown dimension."""

Nest = Any
"""A tensor or array, or lists, tuples and dicts of them at any depth."""

Network = Callable[..., Nest]
"""A callable from tensors, or nests of them, to tensors or nests."""

Function = Callable[[tf1.Tensor], tf1.Tensor]
"""A function of a tensor, such as an activation."""

Step = Callable[[tf1.Tensor, Nest], Tuple[tf1.Tensor, Nest]]
"""A function of an input and a state, to an output and the next state."""

Initializer = Callable[..., Any]
"""A TensorFlow initializer, which makes the initial value of a variable."""

Gradient = Union[tf1.Tensor, tf1.IndexedSlices, None]
"""A dense or sparse gradient, or `None` where there is none."""

Predicate = Callable[[tf1.Tensor], bool]
"""A condition that a tensor meets or not."""

Sizes = Union[int, Dict[Any, Any], Callable[[tf1.Tensor], Optional[int]]]
"""What the argument `sizes=` of a sub-model takes."""

FeedDict = Mapping[Any, Any]
"""What `tf.Session.run` is fed: tensor → array."""

Batch = Mapping[str, Mapping[str, Any]]
"""What a pipeline is fed: sub-model → feed → array."""

State = Dict[str, Any]
"""What a checkpoint keeps of an object: dicts, lists, strings, numbers."""
