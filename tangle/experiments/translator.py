"""An encoder-decoder for a task: any sources and targets, either bucketing.

With independent buckets it is a pipeline, whose sub-models have one static
graph per bucket; with joint buckets there is one graph per pair. Both have the
same interface.

Each source has an encoder, and each target a decoder, which all directions
share. L languages need 2 L networks for L (L - 1) directions; a batch names the
networks that it uses.
"""

from typing import Optional

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import directions as directions_lib
from tangle.experiments import networks
from tangle.pipeline import joint
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import (
  attention_model,
  bucketing,
  decoding,
  feeding,
)
from tangle.seq2seq.legacy import builders
from tangle.training import determinism

MODELS = ("attention", "legacy")


class Translator:
  """The sub-models of `networks.sub_models`, of one kind of model.

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
      vocabularies: name of a side → `Vocabulary`.
      buckets: direction → an `IndependentBuckets` or a `JointBuckets`, for all
        directions.
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
      devices: a dict from sub-model to its device. A `search`, which shares the
        weights of its `decoder`, has the same device by default.
      micro_batches: how many parts a batch is divided into in training. A batch
        with fewer rows is padded with rows of weight 0.

    Raises:
      ArgumentError: if a setting is unknown, or does not apply to the model, or
        `devices` or `micro_batches` are given for joint buckets, or
        `micro_batches` or several sources or directions for the legacy model.
    """
    self._buckets, self._symbols = buckets, vocabularies
    self._joint = isinstance([*buckets.values()][0], bucketing.JointBuckets)
    self._micro_batches, self._legacy = micro_batches, model == "legacy"
    self._check(model, devices, (cell, heads, num_sampled))
    self._feeds = builders.FEEDS if self._legacy else feeding.FEEDS
    self._names = networks.sub_models(buckets)
    embedding_dim = units if embedding_dim is None else embedding_dim
    sizes = units, layers, embedding_dim
    if self._legacy:
      (one,) = buckets
      made = networks.make_legacy(
        vocabularies, one, *sizes, cell, heads, num_sampled
      )
    else:
      made = networks.make_attention(vocabularies, buckets, *sizes)
    self._sources, self._models = made
    self.pipeline = pipeline_lib.Pipeline("translator")
    search = beam_size, length_penalty, n_best
    self._add_all(trained, dict(devices or {}), search)
    self.trainer = None

  def _check(self, model, devices, of_legacy):
    """Raises if settings do not fit each other."""
    if model not in MODELS:
      raise errors.ArgumentError(
        f"Translator: model must be one of {MODELS}, got {model!r}."
      )
    divided = self._micro_batches > 1
    if self._joint and (devices or divided):
      raise errors.ArgumentError(
        "Translator: joint buckets make one graph for each pair of them, which "
        "has no sub-models to place, and none to divide batches for. Use "
        "independent buckets, or leave placement and micro_batches out."
      )
    if self._legacy and not networks.is_plain(self._buckets):
      raise errors.ArgumentError(
        f"Translator: the legacy model has one encoder and one decoder, got "
        f"{', '.join(map(str, self._buckets))}. Set model to attention."
      )
    if self._legacy and divided:
      raise errors.ArgumentError(
        "Translator: micro_batches are for the attention model. Set "
        "micro_batches to 1, or model to attention."
      )
    if not self._legacy and of_legacy != ("lstm", 1, None):
      cell, heads, num_sampled = of_legacy
      raise errors.ArgumentError(
        f"Translator: cell={cell}, heads={heads} and "
        f"num_sampled={num_sampled} are settings of the legacy model. "
        f"Leave them, or set model to legacy."
      )

  def _add_all(self, trained, devices, search):
    """Adds the sub-models to the pipeline."""
    library = builders if self._legacy else attention_model
    divided = {"divided": True} if self._micro_batches > 1 else {}
    beam_size, length_penalty, n_best = search
    lengths_of = {
      name: lengths
      for one, buckets in self._buckets.items()
      for name, lengths in zip(one.sources, buckets.sides)
    }
    for name, model in self._sources.items():
      build = library.encoder_builder(model, **divided)
      self._add("encoder", name, build, lengths_of[name], None, devices)
    for target, model in self._models.items():
      reads, (*_, lengths) = self._reads(target)
      if trained:
        build = library.decoder_builder(model, **divided)
        self._add("decoder", target, build, lengths, reads, devices)
      if beam_size == 1:
        build = library.greedy_builder(model)
      else:
        build = library.beam_builder(model, beam_size, length_penalty, n_best)
      decoder = self._names["decoder", target]
      devices.setdefault(self._names["search", target], devices.get(decoder))
      self._add("search", target, build, lengths[-1:], reads, devices)

  def _reads(self, target):
    """Returns what the decoder of a target reads, and the buckets there."""
    into = [one for one in self._buckets if one.target == target]
    names = [
      list(dict.fromkeys(self._names["encoder", name] for name in place))
      for place in zip(*[one.sources for one in into])
    ]
    if self._legacy:
      reads = builders.reads(*names[0])
    else:
      reads = attention_model.reads_of(*names)
    return reads, self._buckets[into[0]].sides

  def _add(self, part, name, build, buckets, reads, devices):
    """Adds a sub-model; several have the names of their sides as scopes."""

    def scoped(bucket, tensors):
      with tf1.variable_scope(name, auxiliary_name_scope=False):
        return build(bucket, tensors)

    plain = networks.is_plain(self._buckets)
    sub_model = self._names[part, name]
    self.pipeline.add(
      sub_model,
      build if plain else scoped,
      buckets,
      reads,
      device=devices.get(sub_model),
    )

  def minimize(self, optimizer, clip_norm, global_step, schedule="1f1b"):
    """Builds the training ops.

    Args:
      optimizer, clip_norm, global_step, schedule: as for `Pipeline.minimize`.
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
    (buckets,) = self._buckets.values()
    sources, targets = buckets.sides
    pairs = [{"encoder": s, "decoder": t} for s, t in buckets.cells]
    pairs += [{"encoder": s, "search": targets[-1]} for s in sources]
    self.trainer = joint.JointTrainer(
      self.pipeline,
      optimizer,
      clip_norm=clip_norm,
      global_step=global_step,
      combinations=pairs,
    )

  def start_from_frequencies(self, sess, targets):
    """Sets the biases of the logits to `networks.log_frequencies`.

    Args:
      sess: a session whose variables are initialized.
      targets: name of a target → the `rows.Rows` of its training targets,
        without EOS.

    Raises:
      ArgumentError: if the model is the legacy one.
    """
    if self._legacy:
      raise errors.ArgumentError(
        "Translator: the legacy model has no bias of frequencies. Set "
        "output_bias to zeros."
      )
    for name, its in targets.items():
      initializer = self._models[name].output_bias.initializer
      found = networks.log_frequencies(its, len(self._symbols[name]))
      sess.run(initializer, {initializer.inputs[1]: found})

  @property
  def runner(self):
    """What runs forward: the pipeline, or the trainer of joint graphs."""
    return self.trainer if self._joint and self.trainer else self.pipeline

  def feeds(
    self, batch, dropout_rate=0.0, seed=None, direction=directions_lib.PAIR
  ):
    """Returns the feeds of the encoders and the decoder of a direction.

    Args:
      batch: a `rows.Batch`.
      dropout_rate: of the attention model.
      seed: `[2]` ints, of its masks; needed if the rate is not 0.
      direction: the `Direction` of the batch.

    Returns:
      A dict from sub-model to feeds. With micro-batches the batch is padded so
      that it can be divided.

    Raises:
      ArgumentError: if the model has no dropout.
    """
    decoder = self._names["decoder", direction.target]
    found = feeding.feed(batch, self._encoders(direction), decoder, self._feeds)
    if dropout_rate:
      if self._legacy:
        raise errors.ArgumentError(
          "Translator: the legacy model has no dropout. Set dropout_rate to 0."
        )
      for feeds in found.values():
        feeds.update(dropout_rate=dropout_rate, seed=seed)
    if self._micro_batches > 1:
      found = feeding.divide(found, decoder, self._micro_batches)
    return found

  def _encoders(self, direction):
    return [self._names["encoder", name] for name in direction.sources]

  def noise(self, dropout_rate, seed):
    """Returns a function for `Loop`, which adds the masks to the feeds.

    It returns a batch for `trainer.step`, given the step and a pair: the
    direction as text, and a `rows.Batch`.

    Args:
      dropout_rate: of the attention model.
      seed: of the run.
    """
    known = {str(one): one for one in self._buckets}

    def feeds(turn, step):
      direction, batch = turn
      masks = determinism.step_seed(seed, step)
      return self.feeds(batch, dropout_rate, masks, known[direction])

    return feeds

  def loss(self, sess, batches, direction=directions_lib.PAIR):
    """Returns the cross entropy per target symbol, in nats, a float.

    Args:
      sess: a session.
      batches: an iterable of `rows.Batch`.
      direction: their `Direction`.
    """
    total, symbols = 0.0, 0.0
    decoder = self._names["decoder", direction.target]
    for batch in batches:
      feeds = self.feeds(batch, direction=direction)
      found = self.runner.forward(sess, feeds).metrics[decoder]
      total += float(np.sum(found["total_loss"]))
      symbols += float(np.sum(found["symbols"]))
    return total / symbols

  def attention(self, sess, batch, direction=directions_lib.PAIR):
    """Returns the attention weights of the decoder, fed a batch's targets.

    Args:
      sess: a session.
      batch: a `rows.Batch` of B examples.
      direction: its `Direction`.

    Returns:
      For each source an array `[B', T, S]`: the weights over its positions at
      each step. B' is B or more, with micro-batches.
    """
    decoder = self._names["decoder", direction.target]
    names = ["attention"]
    if len(direction.sources) > 1:
      names = [f"attention_{k}" for k in range(len(direction.sources))]
    names = [f"{decoder}.{name}" for name in names]
    feeds = self.feeds(batch, direction=direction)
    outputs = self.runner.forward(sess, feeds, names).outputs
    return [outputs[name] for name in names]

  def converter(self, sess, direction=directions_lib.PAIR):
    """Returns `convert` of a direction, as a `LineDecoder` takes it."""
    return decoding.pipeline_converter(
      self.runner,
      sess,
      self._names["search", direction.target],
      self._encoders(direction),
      self._feeds,
    )

  def count_graphs(self):
    """Counts the static graphs of encoders and trained decoders.

    Returns:
      A dict: `graphs`, `graph_ops` and `joint_graphs`, the number of graphs of
      a joint model with a graph per direction and combination of buckets.
    """
    searches = {
      name for (part, _), name in self._names.items() if part == "search"
    }
    if self._joint:
      counts = [
        c.op_count
        for c in self.trainer.combinations
        if searches.isdisjoint(c.buckets)
      ]
    else:
      counts = [
        c.ops
        for c in self.pipeline.graph_counts()
        if c.sub_model not in searches
      ]
    combinations = [
      np.prod([len(side) for side in buckets.sides])
      for buckets in self._buckets.values()
    ]
    return {
      "graphs": len(counts),
      "graph_ops": sum(counts),
      "joint_graphs": int(sum(combinations)),
    }
