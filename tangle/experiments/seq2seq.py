"""Training and measuring a translator: any sources, targets and directions.

Several directions are trained in turn, one per step. One that is held out of
training can still be translated, by the encoder and the decoder that other
directions have trained.
"""

import functools
import time
import types
from typing import List, Optional

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  attention_plots,
  measuring,
  networks,
  placements,
  run_folder,
  tasks,
  throughput,
  training_plots,
  translator,
)
from tangle.pipeline import schedules as pipeline_schedules
from tangle.pipeline import sessions
from tangle.seq2seq import bucketing, tutorial_batches
from tangle.seq2seq.legacy import tutorial
from tangle.training import (
  determinism,
  loop,
  meters,
  savers,
  schedules,
  sources,
)

OPTIMIZERS = {
  "adam": tf1.train.AdamOptimizer,
  "sgd": tf1.train.GradientDescentOptimizer,
}

OUTPUT_BIASES = ("zeros", "frequencies", "auto")

SCHEDULES = {
  "cosine": schedules.Cosine,
  "plateau": lambda rate, steps, final: schedules.Plateau(rate),
  "constant": lambda rate, steps, final: schedules.Constant(rate),
}

FREE = {
  *("epochs", "sample_lines", "beam_size", "length_penalty"),
  *("cluster", "placement", "micro_batches", "pipeline_schedule"),
  "checkpoint_every",
}
"""Settings that a resumed run may change, or that are saved elsewhere."""


def train(
  task,
  out_dir,
  optimizer="adam",
  learning_rate=3e-3,
  schedule="cosine",
  final_learning_rate=1e-5,
  warm_up_steps=0,
  clip_norm=5.0,
  dropout_rate=0.0,
  output_bias="auto",
  batch_size=128,
  max_tokens: Optional[int] = None,
  sampling="epochs",
  epochs=8.0,
  steps: Optional[int] = None,
  evaluations=8,
  patience: Optional[int] = None,
  report_every=200,
  checkpoint_every=1000,
  beam_size=1,
  length_penalty=0.0,
  seed=0,
  init_checkpoint: Optional[str] = None,
  deterministic=False,
  sample_lines: Optional[List[str]] = None,
  cluster: Optional[str] = None,
  placement: Optional[List[str]] = None,
  micro_batches=1,
  pipeline_schedule="1f1b",
  *,
  network=None,
  progress=None,
  report=None,
):
  """Trains a translator and measures it; resumes a run that was stopped.

  Args:
    task: a `tasks.Task`.
    out_dir: folder of the run: settings and vocabularies, checkpoints,
      `metrics.jsonl`, summaries.
    optimizer: adam or sgd.
    learning_rate: the first one.
    schedule: cosine (falls along half a cosine to the last step), plateau (the
      tutorial's: times 0.99 when a report is worse than the last three) or
      constant.
    final_learning_rate: where cosine ends.
    warm_up_steps: steps in which the rate rises from 0.
    clip_norm: global norm to clip gradients to.
    dropout_rate: of embeddings and layers' outputs; not for the legacy model.
    output_bias: of the attention model, at first: zeros, frequencies (of the
      target symbols, in logs) or auto (frequencies from 1,000 symbols of a
      target on).
    batch_size: examples per step.
    max_tokens: the limit of source and target tokens in a batch, including
      padding; batches of short buckets have up to batch_size examples, those of
      long ones fewer; no limit by default.
    sampling: epochs (each example once per epoch) or tutorial (draws a bucket
      by its share of the data, then examples of it, with replacement).
    epochs: passes over the data of each direction, may be a fraction.
    steps: number of steps, instead of epochs.
    evaluations: how often to measure on validation, at equal intervals.
    patience: end after this many evaluations without an improvement.
    report_every: steps between reports of loss and perplexity.
    checkpoint_every: steps between checkpoints.
    beam_size: of the search on test; 1 is greedy.
    length_penalty: of the search on test.
    seed: of batches, initial values and dropout.
    init_checkpoint: checkpoint to take weights from, such as one of the
      tutorial's; before the first step only.
    deterministic: one thread inside each op, so that gradient descent is
      bit-reproducible, too.
    sample_lines: source lines to decode at the end, as samples.
    cluster: address of a task of a cluster, such as grpc://127.0.0.1:2222; by
      default this process trains.
    placement: on which tasks of the cluster sub-models live, such as
      encoder=0,decoder=1; with several sources or directions, such as
      de_encoder=0,en_decoder=1.
    micro_batches: how many parts a batch is divided into, so that encoder and
      decoder run in parallel.
    pipeline_schedule: the order of micro-batches, 1f1b or gpipe.
    network: a dict with the settings of the `Translator`.
    progress: called after each step, as a `progress.Bar` is.
    report: called with lines of text.

  Returns:
    A dict of figures: `steps`, `loss` (the last one), `curve` (records of
    step, `validation_loss` in nats per symbol, `validation_perplexity`, and the
    metric of the task), `best_step`, the metric on test such as `test_wer`,
    `train_s`, `examples_per_s`, `words_per_s` (of targets; in spelling, words
    spelled), `seconds` (with evaluations), `signal`, `build_s`, `graphs`,
    `graph_ops`, `joint_graphs`, `source_waste`, `target_waste` (shares of
    padding; for several sources a list), `samples`, `reason` (why it ended).
    With several directions, the metric and the padding are dicts from direction
    to value, and `held_out` lists the directions held out.

  Raises:
    ArgumentError: if a setting is out of range or unknown, or the cluster does
      not have the tasks of the placement.
    DataError: if the folder has a run with other settings, data or
      vocabularies, or a damaged one, or a word cannot be converted; before
      anything is written.
    BucketError: if a word is longer than the largest bucket; before anything is
      written.
    TrainingError: as `loop.Loop.run`, or if the cluster does not answer.
    FileError: if a file cannot be read or written.
  """
  kept = {
    "optimizer": optimizer, "learning_rate": learning_rate,
    "schedule": schedule, "final_learning_rate": final_learning_rate,
    "warm_up_steps": warm_up_steps, "clip_norm": clip_norm,
    "dropout_rate": dropout_rate, "output_bias": output_bias,
    "batch_size": batch_size, "max_tokens": max_tokens, "sampling": sampling,
    "steps": steps, "evaluations": evaluations, "patience": patience,
    "report_every": report_every, "seed": seed,
    "init_checkpoint": init_checkpoint, "deterministic": deterministic,
  }  # fmt: skip
  run = _Run(task, out_dir, dict(network or {}), kept, report)
  run.place(cluster, placement, micro_batches, pipeline_schedule)
  run.prepare(epochs, sample_lines or ())
  with run.started(), tf1.Graph().as_default():
    tf1.set_random_seed(seed)
    run.build()
    run.train(checkpoint_every, progress)
    return run.finish(beam_size, length_penalty)


class _Run:
  """One run of `train`: the objects made from its settings."""

  def __init__(self, task, out_dir, network, kept, report):
    """Checks `kept`, the settings that a resumed run must not change."""
    self._task, self._out_dir, self._network = task, out_dir, network
    self._given = given = types.SimpleNamespace(**kept)
    self._report = report or (lambda text: None)
    _check_choice("optimizer", given.optimizer, OPTIMIZERS)
    _check_choice("schedule", given.schedule, SCHEDULES)
    _check_choice("output_bias", given.output_bias, OUTPUT_BIASES)
    _check_choice("sampling", given.sampling, ("epochs", "tutorial"))
    self._is_legacy = network.get("model") == "legacy"

  def place(self, cluster, placement, micro_batches, pipeline_schedule):
    """Determines where sub-models live, and how batches are divided."""
    with errors.about("seq2seq.train"):
      pipeline_schedules.check(micro_batches, pipeline_schedule)
    names = networks.sub_models(self._task.buckets).values()
    self._devices = placements.devices(cluster, placement, tuple(names))
    self._micro_batches = micro_batches, pipeline_schedule
    config = None
    if self._given.deterministic:
      config = determinism.session_config()
    if cluster is not None:
      config = placements.session_config(config)
    self._session = {"target": cluster or "", "config": config}

  def prepare(self, epochs, sample_lines):
    """Makes the batches, and what measures; determines the steps."""
    task, given, self._lines = self._task, self._given, sample_lines
    self._measure = measuring.Measure(task)
    self._measure.check_words(sample_lines)
    for split, found in task.encoded.items():
      for one, encoded in found.items():
        which = f" {one}" if len(task.buckets) > 1 else ""
        self._report(f"{split}{which}: {encoded.report.summary()}")
    size = given.batch_size
    if given.max_tokens is not None:
      size = bucketing.TokenBudget(given.max_tokens, most=size)
    self._drawn, found = {}, {}
    for one in task.directions:
      batches = task.batches("train", one, size, given.seed)
      self._drawn[one], found[str(one)] = batches, sources.Epochs(batches)
      if given.sampling == "tutorial":
        layout = tasks.LAYOUTS[task.layout]
        found[str(one)] = tutorial_batches.TutorialBatches(
          batches.examples, size, batches.buckets, given.seed, layout
        )
    self._source = sources.Alternate(found)
    if given.steps is None:
      count = sum(map(len, self._drawn.values()))
      given.steps = max(1, int(round(epochs * count)))

  def started(self):
    """Returns the context of the run's folder; see `runs.started`."""
    return run_folder.started(
      self._out_dir, self._task, self._network, vars(self._given), self._report
    )

  def build(self):
    """Builds all graphs in the default graph."""
    task, given, begin = self._task, self._given, time.time()
    rates = SCHEDULES[given.schedule](
      given.learning_rate, given.steps, given.final_learning_rate
    )
    if given.warm_up_steps:
      rates = schedules.WarmUp(rates, given.warm_up_steps)
    if self._is_legacy:  # names of its checkpoints
      counters = tutorial.make_counters(given.learning_rate)
      self._rate = schedules.LearningRate(rates, counters.learning_rate)
      global_step = counters.global_step
    else:
      self._rate = schedules.LearningRate(rates)
      global_step = tf1.train.create_global_step()
    micro_batches, order = self._micro_batches
    self._model = translator.Translator(
      task.vocabularies,
      task.buckets,
      devices=self._devices,
      micro_batches=micro_batches,
      **self._network,
    )
    optimizer = OPTIMIZERS[given.optimizer](self._rate.variable)
    self._model.minimize(optimizer, given.clip_norm, global_step, order)
    self._initialize = tf1.global_variables_initializer()
    self._load = given.init_checkpoint and savers.Saver(
      run_folder.saved_weights(given.init_checkpoint)
    )
    self._describe(time.time() - begin)

  def _describe(self, build_s):
    """Takes figures of the graphs, and of the batches of each direction."""
    self._figures = figures = dict(self._model.count_graphs(), build_s=build_s)
    self._report(
      f"{figures['graphs']} static graphs of {figures['graph_ops']:,} ops."
    )
    several = len(self._task.buckets) > 1
    for one, batches in self._drawn.items():
      for name, waste in batches.padding_waste._asdict().items():
        if several:
          figures.setdefault(f"{name}_waste", {})[str(one)] = waste
        else:
          figures[f"{name}_waste"] = waste
      shares = zip(one.sides, np.hstack(batches.padding_waste))
      text = ", ".join(f"{waste:.1%} of the {name}" for name, waste in shares)
      self._report(f"{batches.buckets}; padding: {text}.")
    held_out = [o for o in self._task.buckets if o not in self._drawn]
    if held_out:
      figures["held_out"] = list(map(str, held_out))

  def _open(self):
    config = sessions.session_config(self._session["config"])
    return tf1.Session(**dict(self._session, config=config))

  def train(self, checkpoint_every, progress):
    """Trains to the end, or until a signal."""
    given, model, measure = self._given, self._model, self._measure
    speed = throughput.ThroughputMeter(model.trainer, _count(self._task))
    measure.every = max(1, given.steps // given.evaluations)
    with self._open() as sess:
      self._begin(sess)
      self._run = run = loop.Loop(
        sess,
        speed,
        self._source,
        self._out_dir,
        given.steps,
        feeds=model.noise(given.dropout_rate, given.seed),
        rate=self._rate,
        validate=functools.partial(measure.validate, model),
        watch=measure.watch,
        patience=given.patience,
        report_every=given.report_every,
        validate_every=measure.every,
        checkpoint_every=checkpoint_every,
        measure=_measure_symbols,
        extra={"speed": speed, "curve": measure},
        progress=progress and speed.shown(progress),
        report=self._report,
        reopen=self._open if self._session["target"] else None,
        locked=True,
      )
      try:
        outcome = run.run()
        if not self._is_legacy:
          attention_plots.write(
            self._out_dir, model, run.sess, self._task, self._report
          )
      finally:
        if run.sess is not sess:
          run.sess.close()
    self._figures.update(outcome._asdict())
    self._figures["steps"] = self._figures.pop("step")  # as in the final record
    self._figures.update(speed.figures(), curve=measure.curve)

  def _begin(self, sess):
    """Sets the first weights."""
    sess.run(self._initialize)
    wanted, targets = self._given.output_bias, {}
    for one, encoded in self._task.encoded["train"].items():
      large = len(self._task.vocabularies[one.target]) >= 1000
      auto = wanted == "auto" and large and not self._is_legacy
      if auto or wanted == "frequencies":
        targets.setdefault(one.target, encoded.examples.targets)
    if targets:
      self._model.start_from_frequencies(sess, targets)
    if self._load:
      self._load.restore(sess, self._given.init_checkpoint)

  def finish(self, beam_size, length_penalty):
    """Measures with the best weights, and returns all figures."""
    figures, out_dir = self._figures, self._out_dir
    if figures["reason"] != loop.INTERRUPTED:
      with run_folder.decoders(
        out_dir,
        beam_size,
        length_penalty,
        devices=self._devices,
        **self._session,
      ) as found:
        figures.update(self._measure.final(found, self._lines, out_dir))
    self._run.metrics_writer.records.write(**figures)
    padding = training_plots.padding_by_bucket(self._task)
    training_plots.write(out_dir, padding, self._report)
    return figures


def _measure_symbols(result):
  """Returns the total loss of a step, and its number of target symbols."""
  (decoder,) = [name for name, its in result.metrics.items() if its]
  return meters.per_symbol(decoder)(result)


def _count(task):
  """Returns what counts a batch's words; `None` where words are undefined."""
  if task.tokens[1] == "characters":
    return None
  # When spelling, each example is one word.
  spelling = task.tokens[0] == "characters"
  return throughput.count_examples if spelling else throughput.count_words


def _check_choice(name, value, known):
  if value not in known:
    raise errors.ArgumentError(
      f"seq2seq.train: {name} must be one of {sorted(known)}, got {value!r}."
    )
