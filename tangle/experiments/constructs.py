"""Control flow constructs, each as a small network.

Each is a function of an input `[3, 4]` and a weight `[4, 4]` of the input's
dtype, and returns a tensor. `control_flow` tries every store on each of them.
"""

import functools
from typing import Any, Callable, NamedTuple

from tangle import compat
from tangle.compat import tf1

STEPS = 3


class Construct(NamedTuple):
  """A network to cut.

  Attributes:
    build: a function of input and weight.
    draws: whether it draws random numbers.
  """

  build: Callable[[Any, Any], Any]
  draws: bool = False


class Cell:
  """A recurrent cell as `tf.nn.dynamic_rnn` takes one, of plain ops."""

  output_size = 4
  state_size = 4

  def __init__(self, weight):
    self._weight = weight

  def zero_state(self, batch_size, dtype):
    """Returns zeros `[B, 4]`."""
    return tf1.zeros([batch_size, 4], dtype)

  def __call__(self, inputs, state, scope=None):
    """Returns outputs and new state, both `[B, 4]`, from such tensors."""
    new = tf1.tanh(tf1.matmul(inputs + state, self._weight))
    return new, new


def _loop(x, w, body=None, **options):
  def step(t, y):
    return t + 1, (body or _dense)(y, w)

  return tf1.while_loop(
    lambda t, y: t < STEPS, step, [tf1.constant(0), x], **options
  )[1]


def _dense(x, w):
  return tf1.tanh(tf1.matmul(x, w))


def _sequence(x):
  """Returns `[3, 4, 4]`: batch, time, depth."""
  return tf1.stack([x, 2 * x, -x, x * x], axis=1)


def _positive(x):
  return tf1.reduce_sum(x) > 0


def _while_until(x, w):
  """A loop whose number of steps depends on the values."""
  return tf1.while_loop(
    lambda y: tf1.reduce_sum(tf1.abs(y)) > 1,
    lambda y: 0.7 * tf1.tanh(tf1.matmul(y, w)),
    [x],
  )


def _tensor_array(x, w):
  array = tf1.TensorArray(x.dtype, STEPS, element_shape=x.shape)

  def step(t, y, array):
    y = _dense(y, w)
    return t + 1, y, array.write(t, y)

  _, _, array = tf1.while_loop(
    lambda t, *_: t < STEPS, step, [tf1.constant(0), x, array]
  )
  return array.stack()


def _gather_loop(x, w):
  """A loop that gathers rows of a variable by an index it computes."""

  def step(t, y):
    return t + 1, y * tf1.gather(w, t)

  return tf1.while_loop(
    lambda t, y: t < STEPS, step, [tf1.constant(0), x], parallel_iterations=1
  )[1]


def _scan(x, w):
  return tf1.scan(
    lambda y, row: tf1.tanh(y * row + row), x * tf1.gather(w, [0])
  )


def _fold(x, w):
  return tf1.foldl(lambda y, row: tf1.tanh(y * row + row), tf1.matmul(x, w))


def _map(x, w):
  return tf1.map_fn(lambda row: tf1.tanh(tf1.linalg.matvec(w, row)), x)


def _dynamic_rnn(x, w):
  outputs, state = tf1.nn.dynamic_rnn(
    Cell(w), _sequence(x), sequence_length=[4, 2, 0], dtype=x.dtype
  )
  return tf1.reduce_sum(outputs, 1) + state


def _bidirectional_rnn(x, w):
  outputs, _ = tf1.nn.bidirectional_dynamic_rnn(
    Cell(w), Cell(0.5 * w), _sequence(x), [4, 2, 1], dtype=x.dtype
  )
  return tf1.concat(outputs, 2)


def _raw_rnn(x, w):
  sequence = tf1.transpose(_sequence(x), [1, 0, 2])
  array = tf1.TensorArray(x.dtype, 4).unstack(sequence)
  cell = Cell(w)

  def step(time, output, state, unused_loop_state):
    state = cell.zero_state(3, x.dtype) if output is None else state
    done = time >= [4, 2, 1]
    following = tf1.cond(
      tf1.reduce_all(done),
      lambda: tf1.zeros([3, 4], x.dtype),
      lambda: array.read(time),
    )
    return done, following, state, output, None

  outputs, state, _ = tf1.nn.raw_rnn(cell, step)
  return tf1.reduce_sum(outputs.stack(), 0) + state


def _cond(x, w):
  return tf1.cond(_positive(x), lambda: _dense(x, w), lambda: 2 * x)


def _case(x, w):
  total = tf1.reduce_sum(x)
  return tf1.case(
    [(total > 1, lambda: _dense(x, w)), (total > 0, lambda: x * x)],
    default=lambda: tf1.matmul(2 * x, w),
    exclusive=False,
  )


def _switch_case(x, w):
  index = tf1.cast(_positive(x), tf1.int32)
  return tf1.switch_case(index, [lambda: 2 * x, lambda: _dense(x, w)])


def _cond_in_while(x, w):
  def body(y, w):
    return tf1.cond(_positive(y), lambda: _dense(y, w), lambda: 0.5 * y + 1)

  return _loop(x, w, body)


def _while_in_cond(x, w):
  return tf1.cond(_positive(x), lambda: _loop(x, w), lambda: 2 * x)


def _while_in_while(x, w):
  return _loop(x, w, lambda y, w: 0.5 * _loop(y, w))


def _dropout(y, w):
  noise = tf1.random_uniform([3, 4], dtype=y.dtype, seed=3)
  return _dense(tf1.where(noise > 0.5, 2 * y, tf1.zeros_like(y)), w)


def _dropout_in_while(x, w):
  # One iteration at a time, so that each run draws in the same order.
  return _loop(x, w, _dropout, parallel_iterations=1)


def _dropout_in_cond(x, w):
  return tf1.cond(_positive(x), lambda: _dropout(x, w), lambda: 2 * x)


def _function(x, w):
  return tf1.function(_dense, autograph=False)(x, w)


def _function_in_while(x, w):
  return _loop(x, w, tf1.function(_dense, autograph=False))


def _loop_in_function(x, w):
  return tf1.function(_loop, autograph=False)(x, w)


def _cond_in_function(x, w):
  return tf1.function(_cond, autograph=False)(x, w)


def _defun(x, w):
  @compat.defun(x.dtype, x.dtype, shape_func=lambda op: [[3, 4]])
  def dense(x, w):
    return tf1.tanh(tf1.matmul(x, w))

  return dense(x, w)


def _custom_gradient_in_while(x, w):
  @tf1.custom_gradient
  def double(y):
    return 2 * y, lambda upstream: 2 * upstream

  return _loop(x, w, lambda y, w: _dense(double(y), w))


ALL = {
  "while_loop": Construct(_loop),
  "while_loop, steps by value": Construct(_while_until),
  "while_loop, swap_memory": Construct(
    functools.partial(_loop, swap_memory=True)
  ),
  "while_loop, rows of a variable": Construct(_gather_loop),
  "while_loop, tensor array": Construct(_tensor_array),
  "scan": Construct(_scan),
  "foldl": Construct(_fold),
  "map_fn": Construct(_map),
  "dynamic_rnn": Construct(_dynamic_rnn),
  "bidirectional_dynamic_rnn": Construct(_bidirectional_rnn),
  "raw_rnn": Construct(_raw_rnn),
  "cond": Construct(_cond),
  "case": Construct(_case),
  "switch_case": Construct(_switch_case),
  "cond in while_loop": Construct(_cond_in_while),
  "while_loop in cond": Construct(_while_in_cond),
  "while_loop in while_loop": Construct(_while_in_while),
  "dropout in while_loop": Construct(_dropout_in_while, True),
  "dropout in cond": Construct(_dropout_in_cond, True),
  "custom gradient in while_loop": Construct(_custom_gradient_in_while),
  "tf.function": Construct(_function),
  "tf.function in while_loop": Construct(_function_in_while),
  "while_loop in tf.function": Construct(_loop_in_function),
  "cond in tf.function": Construct(_cond_in_function),
  "Defun": Construct(_defun),
}
"""Name → `Construct`."""
