"""What the tests of the pipeline share: wiring, joint graphs, sessions."""

import collections
from typing import Any, Dict, NamedTuple

import numpy as np

import tangle
from tangle.compat import tf1
from tests import case


class Joint(NamedTuple):
  """The sub-models of one batch in one graph: the reference.

  Attributes:
    loss: the weighted sum of the losses.
    feeds: (sub-model, feed name) → placeholder.
    pieces: sub-model → `Piece`.
  """

  loss: Any
  feeds: Dict[Any, Any]
  pieces: Dict[str, Any]


class Wiring:
  """Sub-models that can be made a pipeline or be joined in one graph."""

  def __init__(self):
    self._parts = collections.OrderedDict()

  def add(self, name, build, reads=None, **options):
    """Remembers a sub-model; arguments as of `Pipeline.add`."""
    self._parts[name] = (build, reads or {}, options)
    return self

  def pipeline(self, name="pipeline"):
    """Makes the pipeline."""
    pipeline = tangle.Pipeline(name)
    for part, (build, reads, options) in self._parts.items():
      pipeline.add(part, build, reads=reads, **options)
    return pipeline

  def join(self, buckets, loss_weights=None):
    """Joins the sub-models that `buckets` names.

    Args:
      buckets: sub-model → bucket.
      loss_weights: sub-model → factor of its loss.

    Returns:
      A `Joint`.
    """
    found, feeds, losses = {}, {}, []
    for name, (build, reads, _) in self._parts.items():
      if name not in buckets:
        continue
      tensors = {}
      for read, sources in reads.items():
        for source in [sources] if isinstance(sources, str) else sources:
          sub_model, _, output = source.partition(".")
          if sub_model in found:
            tensors[read] = found[sub_model].outputs[output]
      piece = found[name] = build(buckets[name], tensors)
      for feed, placeholder in piece.feeds.items():
        feeds[name, feed] = placeholder
      if piece.loss is not None:
        losses.append((loss_weights or {}).get(name, 1.0) * piece.loss)
    return Joint(tf1.add_n(losses), feeds, found)


class Recorder(tf1.train.Optimizer):
  """Keeps the gradients that it is given, and changes no variable.

  Attributes:
    kinds: variable name → "dense" or "sparse", as given at the last call.
  """

  def __init__(self):
    super().__init__(use_locking=False, name="Recorder")
    self.kinds = {}

  def _create_slots(self, var_list):
    for variable in var_list:
      self._zeros_slot(variable, "gradient", self._name)

  def _resource_apply_dense(self, grad, handle):
    self.kinds[handle.op.name] = "dense"
    return self.get_slot(handle, "gradient").assign(grad)

  def _resource_apply_sparse_duplicate_indices(self, grad, handle, indices):
    self.kinds[handle.op.name] = "sparse"
    slot = self.get_slot(handle, "gradient")
    with tf1.control_dependencies([slot.assign(tf1.zeros_like(slot))]):
      return slot.scatter_add(tf1.IndexedSlices(grad, indices))

  def _apply_dense(self, grad, var):
    return self._resource_apply_dense(grad, var)

  def _apply_sparse_duplicate_indices(self, grad, var):
    slot = self.get_slot(var, "gradient")
    self.kinds[var.op.name] = "sparse"
    with tf1.control_dependencies([tf1.assign(slot, tf1.zeros_like(slot))]):
      return tf1.scatter_add(slot, grad.indices, grad.values)

  def forget(self, sess):
    """Makes all gradients NaN, so that the next ones can be told."""
    for variable in tf1.trainable_variables():
      slot = self.get_slot(variable, "gradient")
      if slot is not None:
        slot.load(np.full(slot.shape.as_list(), np.nan), sess)

  def gradient(self, sess, variable):
    """Returns the last gradient of `variable`, `None` if there was none."""
    slot = self.get_slot(variable, "gradient")
    value = None if slot is None else sess.run(slot)
    return None if value is None or np.all(np.isnan(value)) else value


class Traced:
  """A session that tells which ops each run has executed.

  Attributes:
    runs: for each run a counter of op names.
  """

  def __init__(self, sess):
    self._sess = sess
    self.graph = sess.graph
    self.runs = []

  def run(self, fetches, feed_dict=None):
    options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
    metadata = tf1.RunMetadata()
    found = self._sess.run(fetches, feed_dict, options, metadata)
    self.runs.append(
      collections.Counter(
        node.node_name
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
      )
    )
    return found


class Interrupted:
  """A session that raises `KeyboardInterrupt` at one of its runs.

  Attributes:
    count: how many runs there were.
  """

  def __init__(self, sess, at, before):
    self._sess = sess
    self._at = at
    self._before = before
    self.graph = sess.graph
    self.count = 0

  def run(self, fetches, feed_dict=None):
    self.count += 1
    if self.count == self._at and self._before:
      raise KeyboardInterrupt
    found = self._sess.run(fetches, feed_dict)
    if self.count == self._at:
      raise KeyboardInterrupt
    return found


class PipelineTestCase(case.GraphTestCase):
  """Compares steps with the joint graph, and looks at what they leave."""

  def setUp(self):
    super().setUp()
    self._sizes = {}

  def weight(self, name, *shape):
    """Returns a variable drawn from N(0, 0.25)."""
    return self.variable(name, 0.5 * self.normal(*shape))

  def count_waiting(self):
    """Adds the ops by which `waiting` looks; before a graph is finalized."""
    for op in self.graph.get_operations():
      if op.type == "MapStage":
        name = op.get_attr("shared_name").decode()
        dtypes = list(op.get_attr("dtypes"))
        if (name, op.device) not in self._sizes:
          with tf1.device(op.device or None):
            self._sizes[name, op.device] = tf1.raw_ops.MapSize(
              dtypes=dtypes, shared_name=name
            )

  def waiting(self, sess):
    """Returns what lies in the runtime: name and device → how many lists."""
    if not self.graph.finalized:
      self.count_waiting()
    found = sess.run(self._sizes)
    return {area: size for area, size in found.items() if size}

  def assert_nothing_waits(self, sess):
    """Fails if anything is left in the runtime, or nothing is ever staged."""
    left = self.waiting(sess)
    self.assertNotEmpty(self._sizes)
    self.assertEqual(left, {})

  def assert_steps_are_joint(
    self, wiring, batches, loss_weights=None, rtol=1e-12, cpus=1, overlap=False
  ):
    """Fails unless each step gives the joint graph's loss and gradients.

    Args:
      wiring: a `Wiring`.
      batches: batches to step with.
      loss_weights: sub-model → factor of its loss.
      rtol: allowed error relative to the largest entry of a gradient.
      cpus: how many CPU devices the session has.
      overlap: as for `Pipeline.minimize`.

    Returns:
      The `Recorder`, and for each batch the names of the variables that got a
      gradient.
    """
    recorder = Recorder()
    pipeline = wiring.pipeline()
    trainer = pipeline.minimize(
      recorder, loss_weights=loss_weights, overlap=overlap
    )
    sess = self.session(cpus=cpus)
    changed = []
    for batch in batches:
      recorder.forget(sess)
      result = trainer.step(sess, batch)
      self.assert_nothing_waits(sess)
      joint = wiring.join(result.buckets, loss_weights)
      got = self.assert_gradients_are_joint(
        sess, recorder, joint, batch, result, rtol=rtol
      )
      changed.append(got)
    return recorder, changed

  def assert_gradients_are_joint(
    self, sess, recorder, joint, batch, result, also_fed=None, rtol=1e-12
  ):
    """Fails unless the recorded gradients are those of `joint`.

    Args:
      sess: the session of the step.
      recorder: the `Recorder` of the step.
      joint: a `Joint`.
      batch: the batch of the step.
      result: what the step returned.
      also_fed: more to feed to the joint graph.
      rtol: allowed error relative to the largest entry of a gradient.

    Returns:
      The names of the variables that have a gradient.
    """
    variables = tf1.trainable_variables()
    gradients = tf1.gradients(joint.loss, variables)
    feed_dict = {
      joint.feeds[name, feed]: value
      for name, feeds in batch.items()
      for feed, value in feeds.items()
    }
    feed_dict.update(also_fed or {})
    present = [k for k, g in enumerate(gradients) if g is not None]
    loss, found = sess.run(
      [joint.loss, [gradients[k] for k in present]], feed_dict
    )
    self.assert_close(np.asarray(result.loss, loss.dtype), loss, rtol)
    found = dict(zip(present, found))
    for k, variable in enumerate(variables):
      recorded = recorder.gradient(sess, variable)
      if k not in found:
        self.assertIsNone(recorded, variable.name)
        continue
      self.assertIsNotNone(recorded, variable.name)
      self.assertGreater(np.max(np.abs(case.dense(found[k]))), 0)
      self.assert_close(recorded, case.dense(found[k]), rtol)
    return [variables[k].op.name for k in present]


def layer(weight, feeds=(), outputs=("out",), activation=tf1.tanh):
  """Returns the builder of `outputs = activation([feeds, reads] weight)`.

  Args:
    weight: a variable `[D_in, D_out]`.
    feeds: names of the feeds, each `[B, D]`.
    outputs: names of the outputs, `activation(k x)` for the k-th from 1.
    activation: a function of a tensor.

  Returns:
    A function for `Pipeline.add`.
  """

  def build(bucket, reads):
    del bucket
    placeholders = placeholders_for(feeds, weight)
    x = joined(placeholders, reads)
    h = tf1.matmul(x, weight)
    made = {name: activation((k + 1.0) * h) for k, name in enumerate(outputs)}
    return tangle.Piece(feeds=placeholders, outputs=made)

  return build


def head(weight, feeds=()):
  """Returns the builder of `loss = mean(tanh([feeds, reads] weight) ** 2)`."""

  def build(bucket, reads):
    del bucket
    placeholders = placeholders_for(feeds, weight)
    y = tf1.tanh(tf1.matmul(joined(placeholders, reads), weight))
    loss = tf1.reduce_mean(tf1.square(y))
    return tangle.Piece(
      feeds=placeholders, loss=loss, metrics={"largest": tf1.reduce_max(y)}
    )

  return build


def placeholders_for(feeds, weight):
  """Returns feed name → placeholder `[B, 3]` of the dtype of `weight`."""
  dtype = weight.dtype.base_dtype
  return {name: tf1.placeholder(dtype, [None, 3]) for name in feeds}


def joined(placeholders, reads):
  """Returns all tensors side by side, `[B, D]`."""
  return tf1.concat(list(placeholders.values()) + list(reads.values()), 1)
