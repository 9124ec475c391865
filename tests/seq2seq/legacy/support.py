"""What the tests of the legacy models share: settings, weights, the oracle.

The oracle is `tf.contrib.legacy_seq2seq`, which 1.15 alone has. `reference` is
numpy, for both TensorFlows.
"""

import collections
import functools
import types
import unittest
import zlib

import numpy as np

from tangle import compat
from tangle.compat import tf1
from tangle.seq2seq import vocabulary
from tangle.seq2seq.legacy import (
  bucketing,
  cells,
  decoders,
  losses,
  models,
  wrappers,
)
from tests import case
from tests.seq2seq.legacy import reference

needs_contrib = unittest.skipUnless(
  compat.IS_TF1, "tf.contrib, the oracle, is in TensorFlow 1.15 only"
)

BATCH, SOURCES, TARGETS, DEPTH, UNITS = 3, 6, 5, 4, 3
PREFIX = "embedding_attention_seq2seq/"

Settings = collections.namedtuple(
  "Settings",
  "cell layers heads feed_previous projection initial_state_attention",
)
Settings.__new__.__defaults__ = ("gru_cell", 1, 1, False, False, False)

Results = collections.namedtuple(
  "Results", "outputs state loss gradients values"
)

_CLASSES = {
  "gru_cell": "GRUCell",
  "lstm_cell": "LSTMCell",
  "basic_lstm_cell": "BasicLSTMCell",
}
_MODELS = (
  "basic_rnn_seq2seq",
  "tied_rnn_seq2seq",
  "embedding_rnn_seq2seq",
  "embedding_tied_rnn_seq2seq",
  "embedding_attention_seq2seq",
)


def _cell_maker(module, stack, change=lambda cell: cell):
  """Returns a function of a cell's name, layers and units."""

  def make(name, layers=1, units=UNITS):
    kind = getattr(module, _CLASSES[name])
    made = [change(kind(units)) for _ in range(layers)]
    return change(stack(made)) if layers > 1 else made[0]

  return make


def _ours(**more):
  functions = {name: getattr(models, name) for name in _MODELS}
  if more:
    functions = {
      name: functools.partial(function, **more)
      for name, function in functions.items()
    }
  return types.SimpleNamespace(
    cell=_cell_maker(cells, wrappers.MultiRNNCell),
    model_with_buckets=bucketing.model_with_buckets,
    rnn_decoder=decoders.rnn_decoder,
    embedding_rnn_decoder=decoders.embedding_rnn_decoder,
    attention_decoder=decoders.attention_decoder,
    embedding_attention_decoder=decoders.embedding_attention_decoder,
    sequence_loss=losses.sequence_loss,
    sequence_loss_by_example=losses.sequence_loss_by_example,
    **functions,
  )


def _theirs(change=lambda cell: cell):
  import tensorflow as tf  # contrib is no part of tf.compat.v1

  found = types.SimpleNamespace(**vars(tf.contrib.legacy_seq2seq))
  found.cell = _cell_maker(
    tf1.nn.rnn_cell, tf1.nn.rnn_cell.MultiRNNCell, change
  )
  return found


def _patch(cell):
  """Does to one cell what the usual patch does to its class."""
  kind = type(cell)
  own = {"__deepcopy__": lambda self, _: self}
  cell.__class__ = type(kind.__name__, (kind,), own)
  return cell


ours = _ours()
sharing = _ours(share_cell=True)
theirs = _theirs() if compat.IS_TF1 else None
patched = _theirs(_patch) if compat.IS_TF1 else None


def called(value):
  """Returns `value()` of a function, so that it is made in the right graph."""
  return value() if callable(value) else value


def draw(name, shape, scale=0.7):
  """Draws a variable's value: the same for the same name, everywhere."""
  rng = np.random.RandomState(zlib.crc32(name.encode()))
  return (scale * rng.standard_normal(shape)).astype(np.float32)


def by_name(variables):
  return collections.OrderedDict((v.op.name, v) for v in variables)


def load(sess, variables, values=None):
  """Sets variables to drawn values, or to given ones by name."""
  feed_dict, ops = {}, []
  for name, variable in by_name(variables).items():
    shape = variable.shape.as_list()
    value = draw(name, shape) if values is None else values[name]
    feed_dict[variable.initializer.inputs[1]] = value
    ops.append(variable.initializer)
  sess.run(ops, feed_dict)


def quick_session(graph):
  """Opens a session that does not spend time on optimizing the graph."""
  config = tf1.ConfigProto()
  config.graph_options.optimizer_options.opt_level = -1
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf1.Session(graph=graph, config=config)


def steps(array):
  """Cuts [T, ...] into a list of constants."""
  return [tf1.constant(row) for row in array]


class LegacyTestCase(case.GraphTestCase):
  """Runs a model on drawn weights, ours, contrib's or the reference."""

  def setUp(self):
    super().setUp()
    # Sequences of different lengths, padded as the tutorial does.
    self.source = self.rng.randint(0, SOURCES, (3, BATCH)).astype(np.int32)
    self.source[:2, 0] = 0
    self.target = self.rng.randint(1, TARGETS, (4, BATCH)).astype(np.int32)
    self.target[0] = vocabulary.GO_ID
    self.weights = np.ones((3, BATCH), np.float32)
    self.weights[1:, 0] = 0
    self.weights[2, 1] = 0

  def shorten(self):
    """Leaves two steps on each side, for tests that make many graphs."""
    self.source = self.source[1:]
    self.target, self.weights = self.target[:3], self.weights[:2]

  def inputs(self):
    """Returns the source and the decoder's inputs, as lists of constants."""
    return steps(self.source), steps(self.target[:-1])

  def run_model(self, build, loss_function=losses.sequence_loss, wanted=True):
    """Runs a model in a graph and session of its own.

    Args:
      build: function of source and target lists, and the projection's pair or
        None if it takes none; returns outputs and a state.
      loss_function: ours or contrib's `sequence_loss`.
      wanted: whether to compute gradients.

    Returns:
      `Results`: outputs [S, B, O], flat list of state parts, loss, dense
      gradients by name, and values of the variables by name.
    """
    with tf1.Graph().as_default() as graph:
      outputs, state = build(*self.inputs())
      logits, pair = outputs, projection_pair()
      if pair is not None:
        logits = [tf1.nn.xw_plus_b(output, *pair) for output in outputs]
      loss = loss_function(logits, steps(self.target[1:]), steps(self.weights))
      variables = tf1.trainable_variables()
      gradients = tf1.gradients(loss, variables) if wanted else []
      found = {
        v.op.name: g for v, g in zip(variables, gradients) if g is not None
      }
      values = {
        name: draw(name, variable.shape.as_list())
        for name, variable in by_name(tf1.global_variables()).items()
      }
      with quick_session(graph) as sess:
        load(sess, tf1.global_variables(), values)
        outputs, state, loss, found = sess.run(
          [outputs, tf1.nest.flatten(state), loss, found]
        )
    found = {name: case.dense(value) for name, value in found.items()}
    return Results(np.stack(outputs), state, loss, found, values)

  def assert_same(self, actual, desired, tolerance=1e-6):
    """Fails unless all results are within `tolerance`, relative to the size.

    For gradients that is the size of the whole gradient: those of the attention
    are small differences of large terms.
    """
    self.assert_close(actual.outputs, desired.outputs, tolerance)
    self.assertEqual(len(actual.state), len(desired.state))
    for part, other in zip(actual.state, desired.state):
      self.assert_close(part, other, tolerance)
    self.assert_close(actual.loss, desired.loss, tolerance)
    self.assert_same_gradients(actual.gradients, desired.gradients, tolerance)

  def assert_same_gradients(self, actual, desired, tolerance=1e-6):
    """Fails unless gradients by name are within `tolerance` of the largest."""
    self.assertEqual(list(actual), list(desired))
    if not desired:
      return
    scale = max(float(np.max(np.abs(array))) for array in desired.values())
    for name, array in desired.items():
      error = float(np.max(np.abs(actual[name] - array)))
      self.assertLessEqual(error, tolerance * scale, name)

  def described(self, build):
    """Lists name, shape, dtype and start of a model's variables, in order.

    The start is what the initializer's constants are: shape and limits of a
    uniform one, the value of a constant one.
    """
    with tf1.Graph().as_default():
      build(*self.inputs())
      return [
        (
          variable.op.name,
          variable.shape.as_list(),
          variable.dtype.base_dtype.name,
          _constants_of(variable.initializer.inputs[1].op),
        )
        for variable in tf1.trainable_variables()
      ]


def _constants_of(op):
  if op.type == "Const":
    return [tf1.make_ndarray(op.get_attr("value")).tolist()]
  return [value for x in op.inputs for value in _constants_of(x.op)]


def projection_pair():
  """Returns the pair of `proj_w` and `proj_b` if the graph has them."""
  found = by_name(tf1.global_variables())
  if "proj_w" not in found:
    return None
  return tf1.transpose(found["proj_w"]), found["proj_b"]


def make_projection():
  """Makes `proj_w` and `proj_b` as the tutorial does; returns the pair."""
  tf1.get_variable("proj_w", [TARGETS, UNITS])
  tf1.get_variable("proj_b", [TARGETS])
  return projection_pair()


def attention_model(settings, library=ours, **more):
  """Returns the `build` of `run_model` for the attention model."""

  def build(source, target):
    return library.embedding_attention_seq2seq(
      source,
      target,
      library.cell(settings.cell, settings.layers),
      SOURCES,
      TARGETS,
      DEPTH,
      num_heads=settings.heads,
      output_projection=make_projection() if settings.projection else None,
      feed_previous=called(settings.feed_previous),
      initial_state_attention=settings.initial_state_attention,
      **more,
    )

  return build


def attention_reference(settings, weights, source, target):
  """Returns outputs [S, B, O] and flat states of the attention model."""
  memory, states = reference.encode(
    weights, PREFIX, settings.cell, settings.layers, UNITS, source
  )
  pair = None
  if settings.projection:
    pair = weights["proj_w"].T, weights["proj_b"]
  outputs, states = reference.attention_decode(
    weights,
    PREFIX,
    settings.cell,
    settings.layers,
    memory,
    states,
    target,
    settings.heads,
    pair,
    settings.feed_previous,
    settings.initial_state_attention,
  )
  return outputs, reference.flat(states)
