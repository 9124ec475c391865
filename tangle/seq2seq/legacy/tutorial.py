"""Further variables of the translate tutorial's model.

Its checkpoints hold, besides the model: `Variable`, the learning rate;
`Variable_1`, the number of steps; and with sampled softmax `proj_w` and
`proj_b`. A graph that has all of these loads such a checkpoint with a plain
`tf.compat.v1.train.Saver()`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks, half
from tangle.seq2seq.legacy import scopes


class Counters(NamedTuple):
  """The tutorial's variables that are not trainable.

  Attributes:
    learning_rate: a float scalar, called `Variable` in checkpoints.
    global_step: an int32 scalar, called `Variable_1` in checkpoints.
  """

  learning_rate: hints.Variable
  global_step: hints.Variable


@errors.named("make_counters")
def make_counters(
  learning_rate: float, dtype: tf1.DType = tf1.float32
) -> Counters:
  """Creates the tutorial's learning rate and step counter.

  The tutorial gives them no names, so they are named by the order of creation
  in the graph: call this function before any other variable without a name is
  created.

  Source: `Seq2SeqModel` of the translate tutorial (2015, `seq2seq_model.py`).

  Args:
    learning_rate: the initial value.
    dtype: float type of the learning rate.

  Returns:
    A `Counters`.

  Raises:
    ArgumentError: if the new variables are not called `Variable` and
      `Variable_1`, because these names are taken or a name scope is open. The
      variables stay in the graph then.
  """
  rate = tf1.Variable(
    float(learning_rate), trainable=False, dtype=dtype, use_resource=True
  )
  step = tf1.Variable(0, trainable=False, use_resource=True)
  names = [rate.op.name, step.op.name]
  if names != ["Variable", "Variable_1"]:
    raise errors.ArgumentError(
      f"the variables are called {names} in this graph, where "
      "the tutorial's checkpoints have 'Variable' and 'Variable_1'. Call it "
      "first, outside of any name scope."
    )
  return Counters(rate, step)


class OutputProjection:
  """The tutorial's map from outputs to logits, with sampled softmax loss.

  Variables: `proj_w` `[V, O]` and `proj_b` `[V]`, in the variable scope of the
  first use; every use in that scope shares them.

  Source: `Seq2SeqModel` of the translate tutorial (2015, `seq2seq_model.py`),
  after Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural
  Machine Translation", section 3.
  """

  @errors.named("OutputProjection")
  def __init__(
    self,
    num_symbols: int,
    size: int,
    num_samples: Optional[int] = 512,
    dtype: hints.Dtype = tf1.float32,
    seed: Optional[int] = None,
  ) -> None:
    """Sets up the map; makes neither ops nor variables.

    Args:
      num_symbols: V.
      size: O, depth of the outputs.
      num_samples: how many symbols the loss samples per step; None for the
        full softmax.
      dtype: float type of the variables and outputs.
      seed: seed of the sampler; None for a random one.

    Raises:
      ArgumentError: if a size or `num_samples` is not a positive integer, or
        `num_samples` is not less than `num_symbols`.
      DtypeError: if `dtype` is not a float type.
    """
    self.num_symbols = checks.check_positive("num_symbols", num_symbols)
    self.size = checks.check_positive("size", size)
    self._dtype = checks.to_float("dtype", dtype)
    self._num_samples = num_samples
    self._seed = seed
    if num_samples is not None:
      checks.check_positive("num_samples", num_samples)
      if num_samples >= num_symbols:
        raise errors.ArgumentError(
          f"num_samples must be less than the {num_symbols} symbols, "
          f"got {num_samples}. Pass None for the full softmax."
        )

  @errors.named("OutputProjection")
  def variables(self) -> Tuple[hints.Variable, hints.Variable]:
    """Creates the variables in the current variable scope, or reuses them.

    Returns:
      `proj_w` `[V, O]` and `proj_b` `[V]`.

    Raises:
      ArgumentError: if a variable of another shape or dtype exists.
      GraphError: if eager execution is on.
    """
    with scopes.reusing():
      shape = [self.num_symbols, self.size]
      return (
        scopes.make_variable("proj_w", shape, self._dtype),
        scopes.make_variable("proj_b", shape[:1], self._dtype),
      )

  def pair(self) -> Tuple[tf1.Tensor, tf1.Tensor]:
    """Returns the `output_projection` argument of the models; adds ops.

    Returns:
      Weights `[O, V]` and biases `[V]`, tensors.

    Raises:
      ArgumentError, GraphError: as `variables`.
    """
    weights, biases = self.variables()
    return tf1.transpose(weights), tf1.convert_to_tensor(biases)

  def logits(self, outputs: tf1.Tensor, name: str = "logits") -> tf1.Tensor:
    """Maps outputs to logits.

    Args:
      outputs: `[B, O]`.
      name: name scope of the new ops.

    Returns:
      `[B, V]`.

    Raises:
      ArgumentError, GraphError: as `variables`.
    """
    with tf1.name_scope(name):
      weights, biases = self.pair()
      return half.add_bias(tf1.matmul(outputs, weights), biases)

  def loss(
    self,
    labels: tf1.Tensor,
    logits: tf1.Tensor,
    sampled_values: Any = None,
    name: str = "projected_loss",
  ) -> tf1.Tensor:
    """Cross entropy of the outputs, sampled or full: a softmax loss function.

    Args:
      labels: int `[B]`.
      logits: `[B, O]`: the outputs before the projection. `sequence_loss`
        requires this name.
      sampled_values: a result of `tf1.random.log_uniform_candidate_sampler` to
        use; by default a new draw.
      name: name scope of the new ops.

    Returns:
      `[B]`, of the type of the variables; the sampled loss is computed in
      float32.

    Raises:
      ArgumentError, GraphError: as `variables`.
    """
    with tf1.name_scope(name):
      if self._num_samples is None:
        return tf1.nn.sparse_softmax_cross_entropy_with_logits(
          labels=labels, logits=self.logits(logits)
        )
      weights, biases = self.variables()
      if self._dtype != tf1.float32:
        weights, biases = (tf1.cast(v, tf1.float32) for v in (weights, biases))
      loss = tf1.nn.sampled_softmax_loss(
        weights=weights,
        biases=biases,
        labels=tf1.reshape(labels, [-1, 1]),
        inputs=tf1.cast(logits, tf1.float32),
        num_sampled=self._num_samples,
        num_classes=self.num_symbols,
        sampled_values=sampled_values,
        seed=self._seed,
      )
      return tf1.cast(loss, self._dtype)
