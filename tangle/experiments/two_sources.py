"""Translation from several sources, each side in its own buckets.

There is one encoder per source, and a decoder that attends to all of them: with
N_k buckets of source k and M of the target, sum_k N_k + M static graphs.
"""

import os
import time
import types

from tangle import files
from tangle.compat import tf1
from tangle.experiments import command_line, throughput, training_plots
from tangle.experiments import translator as translator_lib
from tangle.pipeline import pipeline as pipeline_lib
from tangle.pipeline import sessions
from tangle.seq2seq import attention_model, metrics, multi_source
from tangle.training import (
  determinism,
  loop,
  meters,
  runs,
  schedules,
  sources,
)

BATCH_SIZE = 256  # for evaluation

_DECODER, _SEARCH = "decoder", "search"
_FREE = ("epochs", "checkpoint_every")  # the steps are compared instead


def train(
  task,
  out_dir,
  units=128,
  layers=1,
  embedding_dim=128,
  learning_rate=2e-3,
  clip_norm=5.0,
  dropout_rate=0.2,
  batch_size=64,
  epochs=8.0,
  evaluations=8,
  checkpoint_every=1000,
  seed=0,
  *,
  progress=None,
  report=None,
):
  """Trains a translator and measures it; resumes a run that was stopped.

  Adam, with a rate that falls along half a cosine.

  Args:
    task: an `aligned_task.Task`.
    out_dir: folder of the run: settings, vocabularies, checkpoints,
      `metrics.jsonl`, and at the end `test.txt`, the translations.
    units: number of units in each recurrent layer.
    layers: number of recurrent layers of each encoder and of the decoder.
    embedding_dim: length of an embedding vector.
    learning_rate: the first one.
    clip_norm: global norm to clip gradients to.
    dropout_rate: of embeddings and layers' outputs.
    batch_size: examples per step.
    epochs: passes over the training data, may be a fraction.
    evaluations: how often to measure on validation, at equal intervals.
    checkpoint_every: steps between checkpoints.
    seed: of batches, initial values and dropout.
    progress: called as `loop.Loop` does.
    report: called with lines of text.

  Returns:
    A dict of figures: `steps`, `reason` (why it ended), `loss` (the last one),
    `validation_loss` in nats per symbol (the best), `best_step`, `test_bleu`,
    `test_left_out` (lines that could not be translated), `train_s`,
    `examples_per_s`, `words_per_s` (of targets), `seconds`, `signal` (the one
    that ended the run, or `None`), `build_s`, `graphs`, `graph_ops`,
    `joint_graphs` (the number that joint bucketing would need), `source_wastes`
    and `target_waste` (shares of padding).

  Raises:
    DataError: if the folder has a run with other settings, data or
      vocabularies, or a damaged one; before anything is written.
    MissingPackageError: if test is to be measured and sacrebleu is missing.
    TrainingError: as `loop.Loop.run`.
    FileError: if a file cannot be read or written.
  """
  given = dict(locals())
  given = {name: given[name] for name in command_line.settings(train)}
  report = report or (lambda text: None)
  drawn = multi_source.MultiSourceBatches(
    task.train.examples, task.buckets, batch_size, seed
  )
  steps = max(1, int(round(epochs * len(drawn))))
  if task.test:
    metrics.bleu(["a"], ["a"])  # fails now, not after an hour
  report(f"train: {task.train.report.summary()}")
  with _started(out_dir, task, dict(given, steps=steps), report):
    return _train(task, out_dir, given, steps, drawn, progress, report)


def _train(task, out_dir, given, steps, drawn, progress, report):
  """Builds the graphs, trains and measures; returns the figures."""
  given = types.SimpleNamespace(**given)
  with tf1.Graph().as_default():
    tf1.set_random_seed(given.seed)
    begin = time.time()
    translator = Translator(
      task, given.units, given.layers, given.embedding_dim
    )
    cosine = schedules.Cosine(given.learning_rate, steps, 1e-5)
    rate = schedules.LearningRate(cosine)
    trainer = translator_lib.minimize(
      translator.pipeline, rate, given.clip_norm
    )
    speed = throughput.ThroughputMeter(trainer)
    figures = dict(translator.count_graphs(), build_s=time.time() - begin)
    report(f"{figures['graphs']} static graphs for {task.buckets}")
    with tf1.Session(config=sessions.session_config()) as sess:
      sess.run(tf1.global_variables_initializer())
      translator.start_from_frequencies(sess)
      run = loop.Loop(
        sess,
        speed,
        sources.Epochs(drawn),
        out_dir,
        steps,
        feeds=translator.noise(given.dropout_rate, given.seed),
        rate=rate,
        validate=translator.validate if task.validation else None,
        validate_every=max(1, steps // given.evaluations),
        checkpoint_every=given.checkpoint_every,
        measure=meters.per_symbol(_DECODER),
        extra={"speed": speed},
        progress=progress and speed.shown(progress),
        report=report,
        locked=True,
      )
      outcome = run.run()
      figures.update(_describe(outcome, drawn.padding_waste), **speed.figures())
      if task.test and outcome.reason != loop.INTERRUPTED:
        run.checkpoints.restore_best_or_newest(sess)
        figures.update(_test(translator, sess, task, out_dir))
    run.metrics_writer.records.write(**figures)
    training_plots.write(out_dir, report=report)
  return figures


def _started(out_dir, task, given, report):
  """Returns the context of the run's folder; see `runs.started`."""
  kept = {k: v for k, v in given.items() if k not in _FREE}
  settings = {
    "kind": "two_sources",
    "buckets": [list(side) for side in task.buckets.sides],
    "training": kept,
  }
  held_out = task.validation
  data = {
    "train": task.train.examples.digest(),
    "validation": held_out and held_out.examples.digest(),
  }
  texts = {
    f"vocabulary_{k}.txt": symbols.text
    for k, symbols in enumerate(task.vocabularies)
  }
  return runs.started(out_dir, settings, data, texts, report)


def _describe(outcome, waste):
  """Returns the figures of a loop's end and of the padding."""
  return {
    "steps": outcome.step,
    "reason": outcome.reason,
    "loss": outcome.loss,
    "validation_loss": outcome.best_score,
    "best_step": outcome.best_step,
    "seconds": outcome.seconds,
    "signal": outcome.signal,
    "source_wastes": list(waste.sources),
    "target_waste": waste.target,
  }


def _test(translator, sess, task, out_dir):
  """Translates the test split, writes the result, and returns its figures."""
  found = [""] * len(task.references)
  for position, symbols in translator.translate(sess, task.test):
    found[position] = " ".join(symbols)
  path = os.path.join(out_dir, "test.txt")
  files.write_text(path, "".join(f"{text}\n" for text in found))
  bleu = metrics.bleu(found, [" ".join(words) for words in task.references])
  return {
    "test_bleu": bleu.score,
    "test_left_out": task.test.report.dropped,
  }


class Translator:
  """Sub-models `encoder_0`, ..., `decoder` and `search` in a pipeline.

  Attributes:
    pipeline: the `Pipeline`.
  """

  def __init__(self, task, units=128, layers=1, embedding_dim=128):
    """Sets the networks up in the default graph.

    Args:
      task: an `aligned_task.Task`, for its vocabularies and buckets.
      units: number of units in each recurrent layer.
      layers: number of recurrent layers of each encoder and of the decoder.
      embedding_dim: length of an embedding vector.
    """
    self._task = task
    *source_sizes, target_size = map(len, task.vocabularies)
    *source_buckets, target_buckets = task.buckets.sides
    model = attention_model.AttentionModel(
      source_sizes, target_size, units, layers, embedding_dim
    )
    self._model = model
    self._encoders = [f"encoder_{k}" for k in range(model.sources)]
    reads = attention_model.reads_of(*self._encoders)
    self.pipeline = pipeline_lib.Pipeline("translator")
    for k, name in enumerate(self._encoders):
      build = attention_model.encoder_builder(model, k)
      self.pipeline.add(name, build, source_buckets[k])
    build = attention_model.decoder_builder(model)
    self.pipeline.add(_DECODER, build, target_buckets, reads)
    build = attention_model.greedy_builder(model)
    self.pipeline.add(_SEARCH, build, target_buckets[-1:], reads)

  def start_from_frequencies(self, sess):
    """Sets the bias of the logits; see `translator.log_frequencies`.

    Args:
      sess: a session whose variables are initialized.
    """
    targets = self._task.train.examples.targets
    size = len(self._task.vocabularies[-1])
    bias = translator_lib.log_frequencies(targets, size)
    initializer = self._model.output_bias.initializer
    sess.run(initializer, {initializer.inputs[1]: bias})

  def noise(self, dropout_rate, seed):
    """Returns a function of batch and step for `Loop`, which adds the masks.

    Args:
      dropout_rate: of embeddings and layers' outputs.
      seed: of the run.

    Returns:
      A function that returns a batch for the trainer.
    """

    def feeds(batch, step):
      found = multi_source.feeds(batch, self._encoders, _DECODER)
      masks = determinism.step_seed(seed, step)
      for of_sub_model in found.values():
        of_sub_model.update(dropout_rate=dropout_rate, seed=masks)
      return found

    return feeds

  def validate(self, sess):
    """Measures the cross entropy of validation.

    Args:
      sess: a session.

    Returns:
      A dict: `validation_loss`, in nats per target symbol.
    """
    total, symbols = 0.0, 0.0
    for batch in self._in_order(self._task.validation):
      feeds = multi_source.feeds(batch, self._encoders, _DECODER)
      found = self.pipeline.forward(sess, feeds).metrics[_DECODER]
      total += float(found["total_loss"])
      symbols += float(found["symbols"])
    return {"validation_loss": total / symbols}

  def translate(self, sess, encoded):
    """Translates by greedy search.

    Args:
      sess: a session.
      encoded: an `encoding.Encoded`.

    Yields:
      Pairs: index of an example in the order given, and the symbols found.
    """
    target = self._task.vocabularies[-1]
    fetch = f"{_SEARCH}.symbols"
    for batch in self._in_order(encoded):
      feeds = multi_source.feeds(batch, self._encoders)
      feeds[_SEARCH] = {}
      found = self.pipeline.forward(sess, feeds, [fetch]).outputs[fetch]
      for index, ids in zip(batch.indices, found):
        yield encoded.positions[index], target.decode(ids)

  def _in_order(self, encoded):
    return multi_source.MultiSourceBatches(
      encoded.examples, self._task.buckets, BATCH_SIZE
    ).in_order()

  def count_graphs(self):
    """Counts the static graphs of encoders and trained decoder.

    Returns:
      A dict: `graphs`, `graph_ops` and `joint_graphs`, the number of graphs of
      a joint model with a graph per combination of buckets.
    """
    counts = [
      count.ops
      for count in self.pipeline.graph_counts()
      if count.sub_model != _SEARCH
    ]
    return {
      "graphs": len(counts),
      "graph_ops": sum(counts),
      "joint_graphs": len(self._task.buckets.cells),
    }
