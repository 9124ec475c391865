"""A calculator of six networks, shared by the eight paths through them.

Two encoders, two operations and two decoders, for `digits`. `OneGraph` selects
encoder and operation for each example by multiplexers in one graph;
`SixGraphs` has a sub-model per network, and each batch chooses a path. Both
have the same networks, losses and, for the same batches, gradients. Both take
lessons as `digits.make_lessons` returns them: (encoder, operation) → `Lesson`.
"""

import functools

import numpy as np

import tangle.mux as mux
from tangle.compat import tf1
from tangle.experiments import digits as digits_lib
from tangle.nets import feedforward
from tangle.pipeline import paths, pieces
from tangle.pipeline import pipeline as pipeline_lib

FORMATS, OPERATIONS = digits_lib.FORMATS, tuple(digits_lib.OPERATIONS)


class Networks:
  """The six networks, each with a hidden layer and an output layer.

  Attributes:
    encoders: format → network from digits `[B, 4 or 10]` to a code `[B, U]`.
    operations: operation → network from code to code.
    decoders: format → network from a code to logits.
  """

  def __init__(self, units=32, hidden=64, dtype=tf1.float32, scope=""):
    """Sets the networks up; makes neither ops nor variables.

    Args:
      units: U, length of the codes.
      hidden: number of units in the hidden layers.
      dtype: float type.
      scope: prefix of all variable names.
    """

    def network(name, size, activation=None):
      layers = [
        feedforward.Dense(depth, act, dtype=dtype, name=f"{scope}{name}_{k}")
        for k, (depth, act) in enumerate(
          [(hidden, tf1.nn.relu), (size, activation)]
        )
      ]
      return lambda x: layers[1](layers[0](x))

    self.dtype = dtype
    self.encoders = {
      form: network(f"{form}_encoder", units, tf1.tanh) for form in FORMATS
    }
    self.operations = {
      name: network(name, units, tf1.tanh) for name in OPERATIONS
    }
    self.decoders = {
      form: network(f"{form}_decoder", depth)
      for form, depth in digits_lib.DEPTHS.items()
    }

  def losses(self, form, logits, targets):
    """Returns the loss of each example, the mean over the bits in binary.

    Args:
      form: the decoder's format.
      logits, targets: `[B, D]`; targets are 0 and 1.

    Returns:
      `[B]` cross entropies.
    """
    if form == "decimal":
      return tf1.nn.softmax_cross_entropy_with_logits_v2(
        labels=targets, logits=logits
      )
    return tf1.reduce_mean(
      tf1.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits),
      axis=1,
    )


class OneGraph:
  """The calculator in one graph, encoder and operation chosen per example.

  Attributes:
    code: `[B, U]`, what both decoders read.
    losses: format → scalar, the decoder's mean loss.
    loss: their sum.
  """

  def __init__(self, networks, multiplexer=mux.route, forms=FORMATS):
    """Builds the graph in the default graph.

    Args:
      networks: the `Networks`.
      multiplexer: `mux.route` or `mux.where`.
      forms: formats of the encoders.
    """
    floats, ints = networks.dtype, tf1.int32
    self._forms = tuple(forms)
    self._inputs = {
      form: tf1.placeholder(floats, [None, digits_lib.DEPTHS[form]])
      for form in forms
    }
    self._encoder_ph = tf1.placeholder(ints, [None], "encoder_ph")
    self._operation_ph = tf1.placeholder(ints, [None], "operation_ph")
    encoders = {
      form: lambda inputs, form=form: networks.encoders[form](inputs[form])
      for form in forms
    }
    code = multiplexer(self._encoder_ph, self._inputs, encoders)
    result = multiplexer(self._operation_ph, code, networks.operations)
    self._targets, self._weights, self._logits = {}, {}, {}
    self.code, self.losses = result, {}
    for form, decoder in networks.decoders.items():
      depth = digits_lib.DEPTHS[form]
      self._targets[form] = tf1.placeholder(floats, [None, depth])
      self._weights[form] = tf1.placeholder(floats, [None])
      self._logits[form] = decoder(result)
      found = networks.losses(form, self._logits[form], self._targets[form])
      self.losses[form] = tf1.reduce_mean(found * self._weights[form])
    self.loss = tf1.add_n(list(self.losses.values()))

  def minimize(self, optimizer):
    """Adds the op that trains, with a `tf.compat.v1.train.Optimizer`."""
    self._update_op = optimizer.minimize(self.loss)

  def feeds(self, lessons):
    """Returns the feed dict of all lessons, concatenated to one batch."""
    found = list(lessons.values())
    counts = [len(lesson.results) for lesson in found]

    def repeat(names, known):
      return np.repeat([list(known).index(name) for name in names], counts)

    feed_dict = {
      self._encoder_ph: repeat([e for e, _ in lessons], self._forms),
      self._operation_ph: repeat([o for _, o in lessons], OPERATIONS),
    }
    for field, placeholders in (
      ("inputs", self._inputs),
      ("targets", self._targets),
      ("weights", self._weights),
    ):
      for form, placeholder in placeholders.items():
        parts = [getattr(lesson, field)[form] for lesson in found]
        feed_dict[placeholder] = np.concatenate(parts)
    return feed_dict

  def step(self, sess, lessons):
    """Trains on all lessons at once; returns the loss, a float."""
    loss, _ = sess.run([self.loss, self._update_op], self.feeds(lessons))
    return float(loss)

  def answer(self, sess, lessons):
    """Runs all paths; returns `digits.Path` → logits `[10, D]`."""
    feed_dict = self.feeds(lessons)
    found = sess.run(self._logits, feed_dict)
    return {
      digits_lib.Path(encoder, operation, form): logits[10 * k : 10 * (k + 1)]
      for form, logits in found.items()
      for k, (encoder, operation) in enumerate(lessons)
    }


class SixGraphs:
  """The calculator as six sub-models of a pipeline, one path a batch.

  Attributes:
    pipeline: the `Pipeline`, with sub-models such as `binary_encoder`,
      `plus1`, `decimal_decoder`.
  """

  def __init__(self, networks):
    """Adds the sub-models of a `Networks`, in the default graph."""
    self._networks = networks
    self.pipeline = pipeline_lib.Pipeline("calculator")
    for form in FORMATS:
      build = functools.partial(self._build_encoder, form)
      self.pipeline.add(f"{form}_encoder", build)
    codes = [f"{form}_encoder.code" for form in FORMATS]
    for name in OPERATIONS:
      build = functools.partial(self._build_operation, name)
      self.pipeline.add(name, build, reads={"code": codes})
    results = [f"{name}.result" for name in OPERATIONS]
    for form in FORMATS:
      build = functools.partial(self._build_decoder, form)
      self.pipeline.add(f"{form}_decoder", build, reads={"result": results})

  def _build_encoder(self, form, bucket, reads):
    del bucket, reads
    shape = [None, digits_lib.DEPTHS[form]]
    digits_ph = tf1.placeholder(self._networks.dtype, shape, "digits_ph")
    code = self._networks.encoders[form](digits_ph)
    return pieces.Piece(feeds={"digits": digits_ph}, outputs={"code": code})

  def _build_operation(self, name, bucket, reads):
    del bucket
    result = self._networks.operations[name](reads["code"])
    return pieces.Piece(feeds={}, outputs={"result": result})

  def _build_decoder(self, form, bucket, reads):
    del bucket
    dtype = self._networks.dtype
    shape = [None, digits_lib.DEPTHS[form]]
    targets_ph = tf1.placeholder(dtype, shape, "targets_ph")
    weights_ph = tf1.placeholder(dtype, [None], "weights_ph")
    logits = self._networks.decoders[form](reads["result"])
    losses = self._networks.losses(form, logits, targets_ph)
    return pieces.Piece(
      feeds={"targets": targets_ph, "weights": weights_ph},
      outputs={"logits": logits},
      loss=tf1.reduce_mean(losses * weights_ph),
    )

  def minimize(self, optimizer):
    """Builds the backward passes and the update, with an optimizer."""
    self._trainer = self.pipeline.minimize(optimizer)

  def step(self, sess, lessons):
    """Trains on each lesson in turn; returns the mean loss, a float."""
    losses = [
      self._trainer.step(sess, self.batch(encoder, operation, lesson)).loss
      for (encoder, operation), lesson in lessons.items()
    ]
    return float(np.mean(losses))

  def batch(self, encoder, operation, lesson):
    """Returns the batch of a `digits.Lesson`: sub-model → feeds."""
    found = {f"{encoder}_encoder": {"digits": lesson.inputs[encoder]}}
    found[operation] = {}
    for form in FORMATS:
      found[f"{form}_decoder"] = {
        "targets": lesson.targets[form],
        "weights": lesson.weights[form],
      }
    return found

  def answer(self, sess, lessons):
    """Runs each path on its own; returns `digits.Path` → logits `[10, D]`."""
    found = {}
    for (encoder, operation), lesson in lessons.items():
      for form in FORMATS:
        decoder = f"{form}_decoder"
        result = self.pipeline.forward(
          sess,
          {
            f"{encoder}_encoder": {"digits": lesson.inputs[encoder]},
            operation: {},
            decoder: {},
          },
          [f"{decoder}.logits"],
          with_loss=False,
        )
        path = digits_lib.Path(encoder, operation, form)
        found[path] = result.outputs[f"{decoder}.logits"]
    return found

  def export(self, sess, path, folder):
    """Writes one path as a SavedModel: `digits` in, `logits` out.

    Args:
      sess: a session.
      path: a `digits.Path`.
      folder: a folder that does not exist yet.
    """
    encoder, decoder = f"{path.encoder}_encoder", f"{path.decoder}_decoder"
    paths.export(
      self.pipeline,
      sess,
      folder,
      {encoder: None, path.operation: None, decoder: None},
      inputs={"digits": f"{encoder}.digits"},
      outputs={"logits": f"{decoder}.logits"},
      name=f"export_{'_'.join(path)}",
    )
