"""Helpers of the recurrent layers that use few large matrix products.

One matrix product multiplies the inputs of all steps by the kernel, and one
computes their gradients. The gradient of the kernel is also one product over
all steps; automatic differentiation would make one per step and add them up.
Only the product with the state, and its gradient, are computed step by step.

The batch is split into two chains of steps that do not depend on each other.
TensorFlow does not use several threads for a product as small as that of a
step, but it runs the two chains in parallel.

The gradient of a layer is written by hand, as a custom gradient.
"""

from tangle.compat import tf1
from tangle.nets import half

CHAINS = 2


def time_major(inputs):
  """Reshapes `[B, T, D]`, D known, to `[T B, D]`: B rows for each step."""
  depth = inputs.shape.as_list()[2]
  return tf1.reshape(tf1.transpose(inputs, [1, 0, 2]), [-1, depth])


def sizes_of(inputs):
  """Divides the examples of a batch among the chains.

  Args:
    inputs: `[B, ...]`.

  Returns:
    A list of the number of examples in each of the two chains, the larger one
    first: ints, or scalar tensors if B is unknown. If B is known and less than
    2, a list of B alone, for one chain.
  """
  batch_size = tf1.dimension_value(inputs.shape[0])
  if batch_size is None:
    batch_size = tf1.shape(inputs)[0]
  elif batch_size < CHAINS:
    return [batch_size]
  half = batch_size // CHAINS
  return [batch_size - half, half]


def divide(tensors, sizes):
  """Splits tensors by rows.

  Args:
    tensors: tensors `[B, ...]`.
    sizes: the number of rows in each chain, as `sizes_of` returns them.

  Returns:
    A list with one entry per chain: its rows of each tensor, in the order of
    `tensors`. For a single chain the entry is `tensors` itself.
  """
  if len(sizes) == 1:
    return [tensors]
  return list(
    zip(*[tf1.split(x, sizes, axis=0, num=len(sizes)) for x in tensors])
  )


def join(parts):
  """Returns the rows `[B, ...]` of all chains, given the tensor of each."""
  return parts[0] if len(parts) == 1 else tf1.concat(parts, 0)


def join_gradients(chains, weights, states):
  """Joins the gradients of the chains.

  Args:
    chains: for each chain a sequence: the gradients of its inputs, of all
      weights, and of its state, which may be the zeros used when no state was
      given.
    weights: the number of weights.
    states: the number of given state tensors; further ones are left out.

  Returns:
    A list of gradients of inputs, weights and state: rows of the chains are
    concatenated, gradients of weights added up.
  """
  d_inputs, *others = zip(*chains)
  found = [join(d_inputs)]
  found += [sum(each[1:], each[0]) for each in others[:weights]]
  return found + [join(x) for x in others[weights : weights + states]]


def pull_back(d_sums, flat, states, kernels):
  """Backpropagates through `[inputs, states] kernel + bias`, for all steps.

  N is the number of sums of a cell, such as `4 U` of an LSTM. The gradients of
  the states are computed step by step elsewhere.

  Args:
    d_sums: T tensors `[B, N]`, the gradients of the sums of each step.
    flat: inputs `[T B, D]`, step by step, as `time_major` returns them.
    states: the states `[B, U]` before each of the T steps; the first is None if
      it is zero. Further states are not read.
    kernels: `[D, N]` for the inputs, and `[U, N]` for the states.

  Returns:
    The gradients of the inputs `[B, T, D]`, of the kernel `[D + U, N]` and of
    the bias `[N]`.
  """
  steps = len(d_sums)
  joined = tf1.concat(d_sums, 0)
  first = int(states[0] is None)
  if steps == first:
    d_below = tf1.zeros_like(kernels[1])
  else:
    d_below = tf1.matmul(
      tf1.concat(states[first:steps], 0),
      joined[tf1.shape(d_sums[0])[0] :] if first else joined,
      transpose_a=True,
    )
  d_above = tf1.matmul(flat, joined, transpose_a=True)
  d_flat = tf1.matmul(joined, kernels[0], transpose_b=True)
  depth = tf1.dimension_value(flat.shape[1])
  d_inputs = tf1.transpose(tf1.reshape(d_flat, [steps, -1, depth]), [1, 0, 2])
  return d_inputs, tf1.concat([d_above, d_below], 0), half.reduce_sum(joined, 0)


def tanh_grad(y, upstream):
  """Returns `upstream * (1 - y^2)` by one op, for `y = tanh(x)`."""
  return tf1.raw_ops.TanhGrad(y=y, dy=upstream)


def sigmoid_grad(y, upstream):
  """Returns `upstream * y * (1 - y)` by one op, for `y = sigmoid(x)`."""
  return tf1.raw_ops.SigmoidGrad(y=y, dy=upstream)
