"""An encoder and a decoder for each of several languages, in one pipeline.

L languages need 2 L networks for L (L - 1) directions; a batch names the two
networks that it uses.
"""

from tangle.compat import tf1
from tangle.experiments import translator
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import attention_model, decoding, metrics

BATCH_SIZE = 256  # for evaluation


class Translator:
  """Sub-models such as `en_encoder`, `de_decoder` and `de_search`.

  Attributes:
    pipeline: the `Pipeline`.
  """

  def __init__(self, corpus, directions, units, layers, embedding_dim):
    """Adds the sub-models, in the default graph.

    Args:
      corpus: a `languages.Corpus`.
      directions: the `Direction`s to support.
      units: number of units in each recurrent layer.
      layers: number of recurrent layers of each network.
      embedding_dim: length of an embedding vector.
    """
    self._corpus = corpus
    self._models = {
      name: attention_model.AttentionModel(
        len(language.symbols),
        len(language.symbols),
        units,
        layers,
        embedding_dim,
      )
      for name, language in corpus.languages.items()
    }
    self.pipeline = pipeline_lib.Pipeline("translation")
    for name in sorted({direction.source for direction in directions}):
      self._add(name, "encoder", attention_model.encoder_builder, None)
    for name in sorted({direction.target for direction in directions}):
      from_ones = [d.source for d in directions if d.target == name]
      reads = {
        field: [f"{source}_encoder.{field}" for source in from_ones]
        for field in attention_model.Encoded._fields
      }
      self._add(name, "decoder", attention_model.decoder_builder, reads)
      self._add(name, "search", attention_model.greedy_builder, reads)

  def _add(self, name, part, builder, reads):
    """Adds one network of a language, its variables in the language's scope."""
    language = self._corpus.languages[name]
    build = builder(self._models[name])

    def scoped(bucket, tensors):
      with tf1.variable_scope(name, auxiliary_name_scope=False):
        return build(bucket, tensors)

    buckets = {
      "encoder": language.source_buckets,
      "decoder": language.target_buckets,
      "search": language.target_buckets[-1:],
    }
    self.pipeline.add(f"{name}_{part}", scoped, buckets[part], reads)

  def start_from_frequencies(self, sess, directions):
    """Sets the biases of the logits; see `translator.log_frequencies`.

    Args:
      sess: a session whose variables are initialized.
      directions: the `Direction`s that are trained.
    """
    for name in {direction.target for direction in directions}:
      (one, *_) = [d for d in directions if d.target == name]
      targets = self._corpus.encode("train", one).examples.targets
      size = len(self._corpus.languages[name].symbols)
      initializer = self._models[name].output_bias.initializer
      found = translator.log_frequencies(targets, size)
      sess.run(initializer, {initializer.inputs[1]: found})

  def feeds(self, direction, batch, **noise):
    """Returns the feeds of the two networks of a direction.

    Args:
      direction: a `Direction`.
      batch: a `rows.Batch`.
      **noise: `dropout_rate` and `seed`, or neither.

    Returns:
      A dict from sub-model to feeds.
    """
    return {
      f"{direction.source}_encoder": dict(
        noise, source=batch.source, lengths=batch.source_lengths
      ),
      f"{direction.target}_decoder": dict(
        noise,
        inputs=batch.decoder_inputs,
        targets=batch.targets,
        weights=batch.weights,
      ),
    }

  def loss(self, sess, direction, split="validation"):
    """Returns the cross entropy per target symbol, in nats.

    Args:
      sess: a session.
      direction: a `Direction`.
      split: name of the split.

    Returns:
      A float.
    """
    total, symbols = 0.0, 0.0
    drawn = self._corpus.batches(split, direction, BATCH_SIZE)
    for batch in drawn.in_order():
      found = self.pipeline.forward(sess, self.feeds(direction, batch))
      figures = found.metrics[f"{direction.target}_decoder"]
      total += float(figures["total_loss"])
      symbols += float(figures["symbols"])
    return total / symbols

  def bleu(self, sess, direction, split="test"):
    """Translates a split greedily, and measures it.

    Args:
      sess: a session.
      direction: a `Direction`.
      split: name of the split.

    Returns:
      BLEU, from 0 to 100.
    """
    corpus = self._corpus
    decoder = decoding.LineDecoder(
      decoding.pipeline_converter(
        self.pipeline,
        sess,
        f"{direction.target}_search",
        f"{direction.source}_encoder",
      ),
      *[corpus.languages[name].symbols for name in direction],
      corpus.buckets(direction),
      BATCH_SIZE,
      unknown="unk",
      tokenize=lambda words: words,
    )
    found = decoder.decode_lines(corpus.lines(split, direction.source))
    references = corpus.lines(split, direction.target)
    return metrics.bleu(
      [" ".join(c[0].symbols) if c else "" for c in found.candidates],
      [" ".join(words) for words in references],
    ).score

  def count_graphs(self, directions):
    """Counts the static graphs of encoders and trained decoders.

    Args:
      directions: the `Direction`s that joint graphs would be for.

    Returns:
      A dict: `graphs`, `graph_ops` and `joint_graphs`.
    """
    counts = [
      count
      for count in self.pipeline.graph_counts()
      if not count.sub_model.endswith("_search")
    ]
    return {
      "graphs": len(counts),
      "graph_ops": sum(count.ops for count in counts),
      "joint_graphs": sum(
        len(self._corpus.buckets(direction).cells) for direction in directions
      ),
    }
