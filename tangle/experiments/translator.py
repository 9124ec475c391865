"""An encoder-decoder for a task, with either kind of bucketing.

With independent buckets it is a pipeline of N + M static graphs; with joint
buckets there is one graph per pair. Both have the same interface.
"""

from typing import Any, NamedTuple, Optional

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import joint
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import (
  attention_model,
  bucketing,
  decoding,
  divisions,
  vocabulary,
)
from tangle.seq2seq.legacy import builders, cells, parts, tutorial, wrappers
from tangle.training import determinism

MODELS = ("attention", "legacy")


class Parts(NamedTuple):
  """The parts from which a pipeline is made.

  Attributes:
    encoder: builder of the encoder.
    decoder: builder of the training decoder.
    search: builder of the decoder for search.
    reads: boundaries that both decoders read.
    inputs: pairs (feed of the encoder, field of a `rows.Batch`).
    noisy: whether encoder and decoder have feeds `dropout_rate` and `seed`.
    output_bias: a function that returns the bias of the logits, or `None`.
  """

  encoder: Any
  decoder: Any
  search: Any
  reads: Any
  inputs: Any
  noisy: bool
  output_bias: Any


class Translator:
  """Sub-models `encoder`, `decoder` and `search`, of one kind of model.

  Attributes:
    pipeline: the `Pipeline` that has their builders.
    trainer: a `Trainer` or a `JointTrainer`, once `minimize` was called.
  """

  def __init__(
    self,
    vocabularies,
    buckets,
    model="attention",
    units=128,
    layers=1,
    embedding_dim: Optional[int] = None,
    cell="lstm",
    heads=1,
    num_sampled: Optional[int] = None,
    *,
    beam_size=1,
    length_penalty=0.0,
    n_best=1,
    trained=True,
    devices=None,
    micro_batches=1,
  ):
    """Sets the networks up in the default graph.

    Args:
      vocabularies: a `corpora.Vocabularies`.
      buckets: an `IndependentBuckets` or a `JointBuckets`.
      model: attention (bidirectional encoder, Luong attention) or legacy (the
        embedding attention model of the translate tutorial).
      units: number of units in each recurrent layer.
      layers: number of recurrent layers of encoder and decoder each.
      embedding_dim: length of an embedding vector; the same as units by
        default.
      cell: of the legacy model: gru or lstm; the attention model has LSTM
        layers.
      heads: attention heads of the legacy model.
      num_sampled: classes that the sampled softmax of the legacy model draws
        per step; by default the full softmax.
      beam_size: of the search; 1 is greedy.
      length_penalty: of the search, see `search.beam`.
      n_best: how many sequences the search finds.
      trained: whether to add the training decoder.
      devices: a dict from sub-model to its device. `search`, which shares the
        weights of `decoder`, has the same device by default.
      micro_batches: how many parts a batch is divided into in training. A batch
        with fewer rows is padded with rows of weight 0.

    Raises:
      ArgumentError: if a setting is unknown, or does not apply to the model, or
        `devices` or `micro_batches` are given for joint buckets, or
        `micro_batches` for the legacy model.
    """
    self._buckets = buckets
    self._joint = isinstance(buckets, bucketing.JointBuckets)
    self._divided, self._micro_batches = micro_batches > 1, micro_batches
    self._check_division(model, devices)
    sizes = [len(symbols) for symbols in vocabularies]
    embedding_dim = units if embedding_dim is None else embedding_dim
    search = beam_size, length_penalty, n_best
    if model == "attention":
      if (cell, heads, num_sampled) != ("lstm", 1, None):
        raise errors.ArgumentError(
          f"Translator: cell={cell}, heads={heads} and "
          f"num_sampled={num_sampled} are settings of the legacy model. "
          f"Leave them, or set model to legacy."
        )
      made = attention_model.AttentionModel(
        *sizes, units, layers, embedding_dim
      )
      reads = attention_model.reads_of("encoder")
      library, inputs = attention_model, decoding.FEEDS
    elif model == "legacy":
      made = _make_legacy(
        sizes, units, layers, embedding_dim, cell, heads, num_sampled
      )
      reads = builders.reads("encoder")
      library, inputs = builders, builders.FEEDS
    else:
      raise errors.ArgumentError(
        f"Translator: model must be one of {MODELS}, got {model!r}."
      )
    found = _take_apart(made, library, reads, inputs, search, self._divided)
    self._parts = found
    self._target_size = sizes[1]
    self._sides = [sorted(set(side)) for side in zip(*buckets.cells)]
    self.pipeline = pipeline_lib.Pipeline("translator")
    self._add_all(found, trained, dict(devices or {}))
    self.trainer = None

  def _check_division(self, model, devices):
    if self._joint and (devices or self._divided):
      raise errors.ArgumentError(
        "Translator: joint buckets make one graph for each pair of them, which "
        "has no sub-models to place, and none to divide batches for. Use "
        "independent buckets, or leave placement and micro_batches out."
      )
    if self._divided and model == "legacy":
      raise errors.ArgumentError(
        "Translator: micro_batches are for the attention model. Set "
        "micro_batches to 1, or model to attention."
      )

  def _add_all(self, found, trained, devices):
    """Adds the sub-models of some `Parts` to the pipeline."""
    add, on = self.pipeline.add, devices.get
    add("encoder", found.encoder, self._sides[0], device=on("encoder"))
    settings = {"reads": found.reads, "device": on("decoder")}
    if trained:
      add("decoder", found.decoder, self._sides[1], **settings)
    settings["device"] = on("search", on("decoder"))
    add("search", found.search, self._sides[1][-1:], **settings)

  def minimize(self, optimizer, clip_norm, global_step, schedule="1f1b"):
    """Builds the training ops.

    Args:
      optimizer: a `tf.compat.v1.train.Optimizer`.
      clip_norm: global norm to clip gradients to, or `None`.
      global_step: a variable that counts the steps.
      schedule: of micro-batches, `"1f1b"` or `"gpipe"`.
    """
    if not self._joint:
      self.trainer = self.pipeline.minimize(
        optimizer,
        clip_norm=clip_norm,
        global_step=global_step,
        micro_batches=self._micro_batches,
        schedule=schedule,
      )
      return
    pairs = [{"encoder": s, "decoder": t} for s, t in self._buckets.cells]
    last = self._sides[1][-1]
    pairs += [{"encoder": s, "search": last} for s in self._sides[0]]
    self.trainer = joint.JointTrainer(
      self.pipeline,
      optimizer,
      clip_norm=clip_norm,
      global_step=global_step,
      combinations=pairs,
    )

  def start_from_frequencies(self, sess, targets):
    """Sets the bias of the logits to `log_frequencies`.

    Args:
      sess: a session whose variables are initialized.
      targets: the `rows.Rows` of the training targets, without EOS.

    Raises:
      ArgumentError: if the model is the legacy one.
    """
    bias = self._parts.output_bias()
    if bias is None:
      raise errors.ArgumentError(
        "Translator: the legacy model has no bias of frequencies. Set "
        "output_bias to zeros."
      )
    found = log_frequencies(targets, self._target_size)
    sess.run(bias.initializer, {bias.initializer.inputs[1]: found})

  @property
  def runner(self):
    """What runs forward: the pipeline, or the trainer of joint graphs."""
    return self.trainer if self._joint and self.trainer else self.pipeline

  def feeds(self, batch, dropout_rate=0.0, seed=None):
    """Returns the feeds of encoder and decoder.

    Args:
      batch: a `rows.Batch`.
      dropout_rate: of the attention model.
      seed: `[2]` ints, of its masks; needed if the rate is not 0.

    Returns:
      A dict from sub-model to feeds. With micro-batches the batch is padded so
      that it can be divided.

    Raises:
      ArgumentError: if the model has no dropout.
    """
    found = {
      "encoder": {
        feed: getattr(batch, field) for feed, field in self._parts.inputs
      },
      "decoder": {
        "inputs": batch.decoder_inputs,
        "targets": batch.targets,
        "weights": batch.weights,
      },
    }
    if dropout_rate:
      if not self._parts.noisy:
        raise errors.ArgumentError(
          "Translator: the legacy model has no dropout. Set dropout_rate to 0."
        )
      for feeds in found.values():
        feeds.update(dropout_rate=dropout_rate, seed=seed)
    if self._divided:
      divided = divisions.divide_feeds(**found, least=self._micro_batches)
      found = dict(zip(found, divided))
    return found

  def noise(self, dropout_rate, seed):
    """Returns a function of batch and step for `Loop`, which adds the masks.

    Args:
      dropout_rate: of the attention model.
      seed: of the run.

    Returns:
      A function that returns a batch for `trainer.step`.
    """
    return lambda batch, step: self.feeds(
      batch, dropout_rate, determinism.step_seed(seed, step)
    )

  def loss(self, sess, batches):
    """Returns the cross entropy per target symbol.

    Args:
      sess: a session.
      batches: an iterable of `rows.Batch`.

    Returns:
      Nats, a float.
    """
    total, symbols = 0.0, 0.0
    for batch in batches:
      found = self.runner.forward(sess, self.feeds(batch))
      total += float(np.sum(found.metrics["decoder"]["total_loss"]))
      symbols += float(np.sum(found.metrics["decoder"]["symbols"]))
    return total / symbols

  def converter(self, sess):
    """Returns a function for the argument `convert` of `decoding.LineDecoder`.

    Args:
      sess: a session.

    Returns:
      A function from a `rows.Batch` to `search.Hypotheses`.
    """
    return decoding.pipeline_converter(
      self.runner, sess, "search", feeds=self._parts.inputs
    )

  def count_graphs(self):
    """Counts the static graphs of encoders and trained decoders.

    Returns:
      A dict: `graphs`, `graph_ops` and `joint_graphs`, the number of graphs of
      a joint model with a graph per pair of buckets.
    """
    if self._joint:
      counts = [
        c.op_count for c in self.trainer.combinations if "decoder" in c.buckets
      ]
    else:
      counts = [
        c.ops for c in self.pipeline.graph_counts() if c.sub_model != "search"
      ]
    return {
      "graphs": len(counts),
      "graph_ops": sum(counts),
      "joint_graphs": len(self._sides[0]) * len(self._sides[1]),
    }


def _make_legacy(sizes, units, layers, embedding_dim, cell, heads, num_sampled):
  makers = {"gru": cells.GRUCell, "lstm": cells.BasicLSTMCell}
  if cell not in makers:
    raise errors.ArgumentError(
      f"Translator: cell must be one of {sorted(makers)}, got {cell!r}."
    )
  layer = [makers[cell](units) for _ in range(layers)]
  one = layer[0] if layers == 1 else wrappers.MultiRNNCell(layer)
  projection = None
  if num_sampled and num_sampled < sizes[1]:  # as in the tutorial
    projection = tutorial.OutputProjection(sizes[1], units, num_sampled)
  return parts.AttentionModel(
    one, *sizes, embedding_dim, num_heads=heads, output_projection=projection
  )


def _take_apart(model, library, reads, inputs, search, divided):
  """Returns the `Parts` of a model whose builders are in `library`."""
  beam_size, length_penalty, n_best = search
  if beam_size == 1:
    searcher = library.greedy_builder(model)
  else:
    searcher = library.beam_builder(model, beam_size, length_penalty, n_best)
  noisy = library is attention_model
  settings = {"divided": True} if divided else {}
  return Parts(
    library.encoder_builder(model, **settings),
    library.decoder_builder(model, **settings),
    searcher,
    reads,
    inputs,
    noisy,
    (lambda: model.output_bias) if noisy else (lambda: None),
  )


def minimize(pipeline, rate, clip_norm):
  """Builds the ops that train a pipeline with Adam.

  Args:
    pipeline: the `Pipeline`.
    rate: a `schedules.LearningRate`.
    clip_norm: global norm to clip gradients to, or None.

  Returns:
    A `Trainer`.
  """
  return pipeline.minimize(
    tf1.train.AdamOptimizer(rate.variable),
    clip_norm=clip_norm,
    global_step=tf1.train.create_global_step(),
  )


def log_frequencies(targets, size):
  """Returns the log frequency of each symbol among targets, including EOS.

  If the bias of the logits starts at zero and the vocabulary is large, the
  first steps change all weights to learn the frequencies. This saturates the
  tanh of the attentional vector: 98 % of it was saturated after 16 steps in one
  measurement.

  Args:
    targets: `rows.Rows`, without EOS.
    size: V.

  Returns:
    `[V]` floats; a symbol that does not occur counts as one tenth of an
    occurrence.
  """
  counts = np.full([size], 0.1)
  for ids in targets:
    np.add.at(counts, ids, 1.0)
  counts[vocabulary.EOS_ID] += len(targets)
  return np.log(counts / counts.sum())
