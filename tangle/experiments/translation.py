"""Training of many-to-many translation, one direction per step.

A direction that is held out of training can still be translated, by the encoder
and the decoder that other directions have trained.
"""

import time
import types
from typing import List, Optional

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  command_line,
  languages,
  many_to_many,
  throughput,
  training_plots,
  translator,
)
from tangle.pipeline import sessions
from tangle.seq2seq import corpora, metrics
from tangle.training import determinism, loop, runs, schedules, sources

_FREE = ("epochs", "checkpoint_every")  # the steps are compared instead


def train(
  corpus,
  out_dir,
  directions: Optional[List[str]] = None,
  held_out: Optional[List[str]] = None,
  units=128,
  layers=1,
  embedding_dim=128,
  learning_rate=2e-3,
  final_learning_rate=1e-5,
  clip_norm=5.0,
  dropout_rate=0.2,
  batch_size=64,
  epochs=4.0,
  evaluations=4,
  checkpoint_every=1000,
  seed=0,
  *,
  progress=None,
  report=None,
):
  """Trains directions in turn, and measures all of them by BLEU.

  Adam, with a rate that falls along half a cosine. A run that was stopped
  resumes when it is started again.

  Args:
    corpus: a `languages.Corpus`.
    out_dir: folder of the run: settings, vocabularies, checkpoints,
      `metrics.jsonl`.
    directions: which to train and measure, such as en-de,de-en; all by
      default. A single one gives separate networks, for comparison.
    held_out: directions that are measured, but not trained.
    units: number of units in each recurrent layer.
    layers: number of recurrent layers of each encoder and decoder.
    embedding_dim: length of an embedding vector.
    learning_rate: the first one.
    final_learning_rate: the last one.
    clip_norm: global norm to clip gradients to.
    dropout_rate: of embeddings and layers' outputs.
    batch_size: examples per step.
    epochs: passes over the data of each direction, may be a fraction.
    evaluations: how often to measure on validation, at equal intervals.
    checkpoint_every: steps between checkpoints.
    seed: of batches, initial values and dropout.
    progress: called after each step, as a `progress.Bar` is.
    report: called with lines of text.

  Returns:
    A dict of figures: `bleu`, direction → value; `validation_loss`, the best
    mean over the directions; `held_out`; `steps`, `train_s`, `seconds`,
    `examples_per_s`, `words_per_s` (of targets), `build_s`; `graphs` and
    `graph_ops` of encoders and decoders, `joint_graphs`, the number of joint
    graphs that all directions and buckets would need; `reason` (why it ended),
    `signal` (the one that ended it, or `None`).

  Raises:
    ArgumentError: if a direction is unknown, none is left to train, or no
      trained direction uses the encoder or the decoder of a held-out one.
    DataError: if the folder has a run with other settings, data or
      vocabularies, or a damaged one; before anything is written.
    TrainingError: as `loop.Loop.run`.
    FileError: if a file cannot be read or written.
  """
  given = dict(locals())
  given = {name: given[name] for name in command_line.settings(train)}
  metrics.bleu(["a"], ["a"])  # fails now, not after an hour
  trained, left_out = _choose(corpus, directions or (), held_out or ())
  drawn = {
    str(d): corpus.batches("train", d, batch_size, seed) for d in trained
  }
  steps = max(1, int(round(epochs * sum(map(len, drawn.values())))))
  given["directions"] = list(map(str, trained))
  given["held_out"] = list(map(str, left_out))
  given["steps"] = steps
  with _started(out_dir, corpus, given, report):
    directions = trained, left_out
    return _train(corpus, out_dir, given, directions, drawn, progress, report)


def _train(corpus, out_dir, given, directions, drawn, progress, report):
  """Builds the graphs, trains and measures; returns the figures."""
  given, (trained, left_out) = types.SimpleNamespace(**given), directions
  with tf1.Graph().as_default():
    tf1.set_random_seed(given.seed)
    begin = time.time()
    cosine = schedules.Cosine(
      given.learning_rate, given.steps, given.final_learning_rate
    )
    rate = schedules.LearningRate(cosine)
    measured = trained + left_out
    model = many_to_many.Translator(
      corpus, measured, given.units, given.layers, given.embedding_dim
    )
    trainer = translator.minimize(model.pipeline, rate, given.clip_norm)
    figures = dict(model.count_graphs(measured), build_s=time.time() - begin)
    with tf1.Session(config=sessions.session_config()) as sess:
      sess.run(tf1.global_variables_initializer())
      model.start_from_frequencies(sess, trained)
      speed = throughput.ThroughputMeter(trainer)
      run = loop.Loop(
        sess,
        speed,
        sources.Alternate({n: sources.Epochs(b) for n, b in drawn.items()}),
        out_dir,
        given.steps,
        feeds=_feeds(model, trained, given.dropout_rate, given.seed),
        rate=rate,
        validate=_validate(corpus, model, trained),
        validate_every=max(1, given.steps // given.evaluations),
        checkpoint_every=given.checkpoint_every,
        extra={"speed": speed},
        progress=progress and speed.shown(progress),
        report=report,
        locked=True,
      )
      outcome = run.run()
      figures.update(_describe(outcome, left_out), **speed.figures())
      if outcome.reason != loop.INTERRUPTED and "test" in corpus.paths:
        run.checkpoints.restore_best_or_newest(sess)
        figures["bleu"] = {str(d): model.bleu(sess, d) for d in measured}
      run.metrics_writer.records.write(**figures)
      training_plots.write(out_dir, report=report or print)
  return figures


def _started(out_dir, corpus, given, report):
  """Returns the context of the run's folder; see `runs.started`."""
  languages_there = corpus.languages.values()
  settings = {
    "kind": "translation",
    "buckets": {
      language.name: [
        list(language.source_buckets),
        list(language.target_buckets),
      ]
      for language in languages_there
    },
    "training": {k: v for k, v in given.items() if k not in _FREE},
  }
  data = {
    f"{split}, {name}": runs.digest(corpora.read_lines(path))
    for split, paths in corpus.paths.items()
    if split != "test"
    for name, path in paths.items()
  }
  texts = {
    f"vocabulary_{language.name}.txt": language.symbols.text
    for language in languages_there
  }
  return runs.started(out_dir, settings, data, texts, report)


def _choose(corpus, directions, held_out):
  """Returns the directions to train, and the held-out ones."""
  every = languages.parse_directions(corpus, directions)
  left_out = languages.parse_directions(corpus, held_out)
  every = every or list(corpus.directions)
  trained = [direction for direction in every if direction not in left_out]
  for side, name in enumerate(("encoder", "decoder")):
    there = {direction[side] for direction in trained}
    for direction in left_out:
      if direction[side] not in there:
        raise errors.ArgumentError(
          f"translation.train: {direction} is held out, and no other direction "
          f"trains the {name} of {direction[side]!r}. Train one that does."
        )
  if not trained:
    raise errors.ArgumentError(
      "translation.train: all directions are held out. Leave one to train."
    )
  return trained, left_out


def _feeds(model, trained, dropout_rate, seed):
  """Returns the function from (name, batch) and step to feeds, for `Loop`."""
  known = {str(direction): direction for direction in trained}

  def feeds(turn, step):
    name, batch = turn
    noise = {"dropout_rate": dropout_rate}
    noise["seed"] = determinism.step_seed(seed, step)
    return model.feeds(known[name], batch, **noise)

  return feeds


def _validate(corpus, model, trained):
  """Returns the function that measures, or `None` without the data."""
  if "validation" not in corpus.paths:
    return None

  def validate(sess):
    losses = {str(d): model.loss(sess, d) for d in trained}
    found = {f"validation_loss_{name}": loss for name, loss in losses.items()}
    return dict(found, validation_loss=float(np.mean(list(losses.values()))))

  return validate


def _describe(outcome, left_out):
  return {
    "held_out": [str(direction) for direction in left_out],
    "steps": outcome.step,
    "reason": outcome.reason,
    "validation_loss": outcome.best_score,
    "best_step": outcome.best_step,
    "resumed_from": outcome.resumed_from,
    "seconds": outcome.seconds,
    "signal": outcome.signal,
  }
