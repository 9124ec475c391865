"""Feed-forward networks: dense layer, embedding, dropout."""

from __future__ import annotations

import numbers
from typing import Optional

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import arrays, base, checks, half


class Dense(base.Network):
  """Affine map of the last dimension: `activation(inputs @ kernel + bias)`.

  Variables: `kernel` `[D, U]` and, with `use_bias`, `bias` `[U]`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    units: int,
    activation: Optional[hints.Function] = None,
    use_bias: bool = True,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "dense",
  ) -> None:
    """Sets up the layer; makes neither ops nor variables.

    Args:
      units: U, depth of the outputs.
      activation: function from tensor to tensor; None for the affine map alone.
      use_bias: whether to add a bias, initially zero.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, kernel_initializer)
    self._units = checks.check_positive("units", units)
    self._activation = activation
    self._use_bias = use_bias

  @property
  def input_dtype(self) -> tf1.DType:
    """The dtype of the inputs."""
    return self._dtype

  @property
  def output_depth(self) -> int:
    """The depth of the outputs, U."""
    return self._units

  @property
  @errors.named("{self.name}")
  def bias(self) -> hints.Variable:
    """The variable `bias`, `[U]`; a `GraphError` if it does not exist.

    It is made by the first call, and never with `use_bias=False`.
    """
    if not self._use_bias:
      raise errors.GraphError(
        "there is no bias. Make the layer with use_bias=True."
      )
    if not self.variables:
      raise errors.GraphError(
        "the bias exists only after the first call. Call the "
        "layer before, or build the model's decoder that calls it."
      )
    return self.variables[-1]

  def __call__(
    self, inputs: hints.Value, name: Optional[str] = None
  ) -> tf1.Tensor:
    """Applies the map to `inputs`.

    Args:
      inputs: `[..., D]`, D the same at every call.
      name: name scope of the new ops; the layer's name for None.

    Returns:
      `[..., U]`.

    Raises:
      ArgumentError: if `inputs` is None, or a variable cannot be made, see
        `make_variable`.
      ShapeError: if D or the rank is unknown, or D differs from that of the
        first call.
      DtypeError: if `inputs` are not of the layer's dtype.
      GraphError: if `inputs` are from another graph than the variables.
    """
    with self.enter(name):
      inputs = self.check_tensor("inputs", inputs)
      depth = self.check_depth("inputs", inputs)
      kernel = self.make_variable("kernel", [depth, self._units])
      bias = None
      if self._use_bias:
        bias = self.make_variable(
          "bias", [self._units], tf1.zeros_initializer()
        )
      outputs = arrays.multiply(inputs, kernel, bias)
      return self._activation(outputs) if self._activation else outputs


class Embedding(base.Network):
  """A table of one vector per id, also usable as output projection.

  Variables: `table` `[V, D]` and, once `project` is called with a bias,
  `output_bias` `[V]`.
  """

  @errors.named("{name}")
  def __init__(
    self,
    vocabulary_size: int,
    embedding_dim: int,
    initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "embedding",
  ) -> None:
    """Sets up the table; makes neither ops nor variables.

    Args:
      vocabulary_size: V, number of ids.
      embedding_dim: D, length of a vector.
      initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, features and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if V or D is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, initializer)
    self._shape = [
      checks.check_positive("vocabulary_size", vocabulary_size),
      checks.check_positive("embedding_dim", embedding_dim),
    ]

  @property
  def output_depth(self) -> int:
    """The length of a vector, D."""
    return self._shape[1]

  @errors.named("{self._name}")
  def __call__(
    self, ids: hints.Value, name: Optional[str] = None
  ) -> tf1.Tensor:
    """Looks up the vectors of `ids`.

    Args:
      ids: `[...]` int32 or int64 in `[0, V)`. Other ids raise an error on the
        CPU when the graph runs; on a GPU they give zeros.
      name: name scope of the new ops; the layer's name for None.

    Returns:
      `[..., D]`.

    Gradients:
      The gradient of the table is a `tf.IndexedSlices`, with one slice per id;
      in float16 and bfloat16 with one per distinct id, summed in float32.

    Raises:
      ArgumentError: if `ids` is None, or the table cannot be made, see
        `make_variable`.
      DtypeError: if `ids` are not int32 or int64.
      GraphError: if `ids` are from another graph than the table.
    """
    with self.enter(name):
      ids = checks.convert_ints("ids", ids)
      table = self.make_variable("table", self._shape)
      return half.look_up(table, ids)

  def project(
    self,
    features: hints.Value,
    use_bias: bool = False,
    name: Optional[str] = None,
  ) -> tf1.Tensor:
    """Scores every id: `features @ table^T (+ bias)`, with the same table.

    Source: Press & Wolf 2017, "Using the Output Embedding to Improve Language
    Models", weight tying.

    Args:
      features: `[..., D]`.
      use_bias: whether to add a bias `[V]`, initially zero and shared by all
        calls with a bias.
      name: name scope of the new ops; `<name of the layer>_project` for None.

    Returns:
      Logits `[..., V]`.

    Raises:
      ArgumentError: if `features` is None, or a variable cannot be made, see
        `make_variable`.
      ShapeError: if the depth of `features` is not D, or the rank is unknown.
      DtypeError: if `features` are not of the table's dtype.
      GraphError: if `features` are from another graph than the table.
    """
    with self.enter(name, f"{self._name}_project"):
      features = self.check_tensor("features", features)
      self.check_depth("features", features, self._shape[1])
      table = self.make_variable("table", self._shape)
      bias = None
      if use_bias:
        bias = self.make_variable(
          "output_bias", self._shape[:1], tf1.zeros_initializer()
        )
      return arrays.multiply(features, table, bias, transpose_kernel=True)


def shift_seed(seed, k):
  """Derives the k-th of several seeds from one.

  Args:
    seed: a seed as for `dropout`.
    k: an int.

  Returns:
    None for None; else a seed of the same kind, different for each k.
  """
  if seed is None:
    return None
  return seed + k if isinstance(seed, numbers.Integral) else seed + [0, k]


@errors.named("{name}")
def dropout(
  x: tf1.Tensor,
  rate: hints.Scalar,
  seed: Optional[hints.Seed] = None,
  name: str = "dropout",
) -> tf1.Tensor:
  """Sets entries to zero at random and scales the rest by `1 / (1 - rate)`.

  The expectation is `x`. The mask is drawn by one random op; the gradient uses
  the mask of the forward pass.

  Source: Srivastava et al. 2014, with the scaling in training instead of in
  test ("inverted" dropout).

  Args:
    x: float tensor of any shape.
    rate: probability of a zero, in `[0, 1)`: a number, or a scalar tensor,
      such as a placeholder, whose value is not checked. The Python number 0
      makes no ops.
    seed: an int or None: argument `seed` of the stateful `tf.random.uniform`,
      which draws a new mask at each run. Or an int tensor or array `[2]`: seed
      of a stateless random op, which draws the same mask each time it runs with
      that seed.
    name: name scope of the new ops.

  Returns:
    A tensor of the shape of `x`; `x` itself for the Python number 0.

  Gradients:
    No gradient flows to `rate` through the mask; it does through the scaling.

  Raises:
    ArgumentError: if the number `rate` is not in `[0, 1)`, or `x` or `rate` is
      None.
    DtypeError: if `x` is not a float tensor.
    GraphError: if `x` or `rate` is from another graph.
    ShapeError: if a tensor `rate` is not a scalar.
  """
  if isinstance(rate, (numbers.Real, np.generic)):
    if not 0 <= rate < 1:
      raise errors.ArgumentError(
        f"rate must be at least 0 and below 1, got {rate}. It is the "
        "probability of a zero, not of keeping."
      )
    if rate == 0:
      return x
  checks.check_graph("x", x)
  checks.check_graph("rate", rate)
  with tf1.name_scope(name):
    x = tf1.convert_to_tensor(x)
    if not x.dtype.is_floating:
      raise errors.DtypeError(
        f"x must be a float tensor, got {checks.describe(x)}. "
        "Convert it with tf.cast."
      )
    rate = tf1.convert_to_tensor(rate, preferred_dtype=x.dtype)
    checks.check_rank("rate", rate, (0,))
    # Drawn in float32: in float16 the probability would be too coarse.
    if seed is None or isinstance(seed, numbers.Integral):
      noise = tf1.random.uniform(tf1.shape(x), seed=seed)
    else:
      noise = tf1.random.stateless_uniform(tf1.shape(x), seed)
    wide = tf1.float32 if half.is_half(x.dtype) else x.dtype
    keep = tf1.cast(noise >= tf1.cast(rate, tf1.float32), wide)
    keep.set_shape(x.shape)
    # A single factor, so that the backward pass reads one tensor.
    return x * tf1.cast(keep / (1 - tf1.cast(rate, wide)), x.dtype)
