"""The inputs of a decoder at each step: given symbols, or its own."""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, half
from tangle.seq2seq.legacy import scopes


def given(inputs):
  """Returns the feed function for given inputs.

  Args:
    inputs: T tensors `[B, D]`.

  Returns:
    A function of a step, from 0, and the previous output, which it does not
    read. It returns the step's input `[B, D]`.
  """
  return lambda step, previous: inputs[step]


def looped(inputs, loop_function):
  """Returns the feed function that computes inputs from previous outputs.

  Args:
    inputs: T tensors `[B, D]`; with `loop_function` only the first is read.
    loop_function: function of an output `[B, O]` and the step, from 1, which
      returns `[B, D]`; None to read all the inputs. It is called in the
      variable scope `loop_function`, with reuse.

  Returns:
    A function of a step, from 0, and the previous output, not read at step 0,
    which returns `[B, D]`.
  """
  if loop_function is None:
    return given(inputs)

  def feed(step, previous):
    if step == 0:
      return inputs[0]
    with tf1.variable_scope("loop_function", reuse=True):
      return loop_function(previous, step)

  return feed


def embedded(table, ids, feed_previous, projection=None, update=True):
  """Returns the feed function that looks symbols up in a table.

  Without `feed_previous` all lookups are one op. With it, the symbol of a step
  is the argmax of the previous output, after the projection if there is one. If
  `feed_previous` is a tensor, each run chooses again, and the projection is
  computed only if needed.

  Args:
    table: a variable `[V, E]`.
    ids: T int tensors `[B]`.
    feed_previous: a bool or a scalar bool tensor.
    projection: pair of `[O, V]` and `[V]`, or None if outputs are logits.
    update: whether gradients flow from a symbol that was fed back to its row of
      the table. From the first symbol, which is given, they always do.

  Returns:
    A function of a step, from 0, and the previous output, which is read only
    with `feed_previous` and after step 0. It returns `[B, E]`.
  """

  def lookup(symbols):
    return half.look_up(table, symbols, tf1.nn.embedding_lookup)

  if feed_previous is False:
    return given(tf1.unstack(lookup(tf1.stack(ids))))

  def best(output):
    if projection is not None:
      output = tf1.nn.xw_plus_b(output, *projection)
    return tf1.argmax(output, 1, output_type=ids[0].dtype)

  def feed(step, previous):
    if step == 0:
      return lookup(ids[0])
    if feed_previous is True:
      features = lookup(best(previous))
      return features if update else tf1.stop_gradient(features)
    symbols = tf1.cond(
      feed_previous, lambda: best(previous), lambda: tf1.identity(ids[step])
    )
    symbols.set_shape(ids[step].shape)
    features = lookup(symbols)
    if update:
      return features
    return tf1.where_v2(feed_previous, tf1.stop_gradient(features), features)

  return feed


def updates(feed_previous):
  """Whether gradients flow to the table from symbols that are fed back.

  In contrib's encoder-decoders they do if `feed_previous` is a bool, and do not
  if it is a tensor.

  Args:
    feed_previous: a bool or a tensor.

  Returns:
    A bool.
  """
  return isinstance(feed_previous, (bool, np.bool_))


def check_feed_previous(value):
  """Returns `feed_previous` as a Python bool or a scalar bool tensor.

  Args:
    value: a bool, or a scalar bool tensor.

  Returns:
    A bool or a tensor.

  Raises:
    DtypeError: if it is neither.
    GraphError: if it is from another graph.
    ShapeError: if it is a tensor but not a scalar.
  """
  if isinstance(value, (bool, np.bool_)):
    return bool(value)
  dtype = getattr(value, "dtype", None)
  if dtype is None or tf1.as_dtype(dtype) != tf1.bool:
    raise errors.DtypeError(
      f"feed_previous must be True, False or a scalar bool tensor, "
      f"got {value!r}. A placeholder may be made by "
      "tf.compat.v1.placeholder(tf.bool, [])."
    )
  checks.check_graph("feed_previous", value)
  value = tf1.convert_to_tensor(value)
  checks.check_rank("feed_previous", value, (0,))
  return value


def check_projection(projection, depth, num_symbols, dtype):
  """Returns an output projection as tensors.

  Args:
    projection: pair of weights `[O, V]` and biases `[V]`, or None.
    depth: O, depth of the outputs.
    num_symbols: V.
    dtype: float type.

  Returns:
    A pair of tensors, or None for None.

  Raises:
    ArgumentError: if it is not a pair, or one of the two is None.
    DtypeError: if one has another type.
    GraphError: if one is from another graph.
    ShapeError: if one has another shape.
  """
  if projection is None:
    return None
  if not isinstance(projection, (tuple, list)) or len(projection) != 2:
    raise errors.ArgumentError(
      f"output_projection must be a pair (W, B) of weights [{depth}, "
      f"{num_symbols}] and biases [{num_symbols}], got {projection!r}. "
      "Make one with tutorial.OutputProjection.pair()."
    )
  pair = []
  shapes = ([depth, num_symbols], [num_symbols])
  for part, value, shape in zip(("W", "B"), projection, shapes):
    argument = f"output_projection {part}"
    value = checks.convert_floats(argument, value, dtype)
    if not value.shape.is_compatible_with(shape):
      hint = "pass them as (W, B), W with one column for each symbol"
      if value.shape.is_compatible_with(shape[::-1]):
        hint = "tf.transpose it: contrib keeps proj_w the other way round"
      raise errors.ShapeError(
        f"{argument} must be {shape}, got {checks.describe(value)}; {hint}"
      )
    pair.append(value)
  return tuple(pair)


def check_decoder(decoder_inputs, num_symbols, embedding_size):
  """Returns the ids that a decoder reads, after checking the sizes.

  Args:
    decoder_inputs: T int tensors `[B]`.
    num_symbols: V.
    embedding_size: E.

  Returns:
    A list of T int tensors `[B]`.

  Raises:
    ArgumentError: if there are no inputs, one is None, or a size is not a
      positive integer.
    DtypeError: if an input is neither int32 nor int64.
    GraphError: if an input is from another graph.
    ShapeError: if an input is not of rank 1.
  """
  checks.check_positive("num_symbols", num_symbols)
  checks.check_positive("embedding_size", embedding_size)
  return scopes.check_ids("decoder_inputs", decoder_inputs)
