"""Training and measuring an encoder-decoder, with either kind of bucketing."""

import functools
import time
import types
from typing import List, Optional

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  attention_plots,
  command_line,
  measuring,
  placements,
  run_folder,
  tasks,
  throughput,
  training_plots,
  translator,
)
from tangle.pipeline import schedules as pipeline_schedules
from tangle.pipeline import sessions
from tangle.seq2seq import batches, bucketing, tutorial_batches
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
  "cosine": lambda given: schedules.Cosine(
    given.learning_rate, given.steps, given.final_learning_rate
  ),
  "plateau": lambda given: schedules.Plateau(given.learning_rate),
  "constant": lambda given: schedules.Constant(given.learning_rate),
}

_FREE = {
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
      target symbols, in logs) or auto (frequencies from 1,000 symbols on).
    batch_size: examples per step.
    max_tokens: the limit of source and target tokens in a batch, including
      padding; batches of short buckets have up to batch_size examples, those of
      long ones fewer; no limit by default.
    sampling: epochs (each example once per epoch) or tutorial (draws a bucket
      by its share of the data, then examples of it, with replacement).
    epochs: passes over the training data, may be a fraction.
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
      encoder=0,decoder=1.
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
    padding), `samples`, `reason` (why it ended).

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
  given = dict(locals())
  settings = {name: given[name] for name in command_line.settings(train)}
  run = _Run(task, out_dir, dict(network or {}), settings, report)
  with run.started(), tf1.Graph().as_default():
    tf1.set_random_seed(seed)
    run.build()
    with run.open_session() as sess:
      return run.train(sess, progress)


class _Run:
  """One run of `train`: the objects made from its settings."""

  def __init__(self, task, out_dir, network, settings, report):
    self._task, self._out_dir, self._network = task, out_dir, network
    self._settings = given = types.SimpleNamespace(**settings)
    self._report = report or (lambda text: None)
    _check_choice("optimizer", given.optimizer, OPTIMIZERS)
    _check_choice("schedule", given.schedule, SCHEDULES)
    _check_choice("output_bias", given.output_bias, OUTPUT_BIASES)
    _check_choice("sampling", given.sampling, ("epochs", "tutorial"))
    pipeline_schedules.check(given.micro_batches, given.pipeline_schedule)
    self._devices = placements.devices(given.cluster, given.placement)
    self._measure = measuring.Measure(task)
    self._measure.check_words(given.sample_lines or ())
    for name, encoded in task.encoded.items():
      self._report(f"{name}: {encoded.report.summary()}")
    self._pairs, self._source = self._make_source()
    if given.steps is None:
      given.steps = max(1, int(round(given.epochs * len(self._pairs))))
    self._figures = {}

  def started(self):
    """Returns the context of the run's folder; see `runs.started`."""
    kept = {
      name: value
      for name, value in vars(self._settings).items()
      if name not in _FREE
    }
    return run_folder.started(
      self._out_dir, self._task, self._network, kept, self._report
    )

  def _make_source(self):
    """Returns the `PairBatches`, and the source of training batches."""
    task, given = self._task, self._settings
    examples = task.encoded["train"].examples
    layout = tasks.LAYOUTS[task.layout]
    size = given.batch_size
    if given.max_tokens is not None:
      size = bucketing.TokenBudget(given.max_tokens, most=size)
    pairs = batches.PairBatches(
      examples, task.buckets, size, given.seed, layout
    )
    if given.sampling == "epochs":
      return pairs, sources.Epochs(pairs)
    return pairs, tutorial_batches.TutorialBatches(
      examples, size, task.buckets, given.seed, layout
    )

  def build(self):
    """Builds all graphs in the default graph."""
    task, given, begin = self._task, self._settings, time.time()
    plan = SCHEDULES[given.schedule](given)
    if given.warm_up_steps:
      plan = schedules.WarmUp(plan, given.warm_up_steps)
    if self._network.get("model") == "legacy":  # names of its checkpoints
      counters = tutorial.make_counters(given.learning_rate)
      self._rate = schedules.LearningRate(plan, counters.learning_rate)
      global_step = counters.global_step
    else:
      self._rate = schedules.LearningRate(plan)
      global_step = tf1.train.create_global_step()
    model = translator.Translator(
      task.vocabularies,
      task.buckets,
      devices=self._devices,
      micro_batches=given.micro_batches,
      **self._network,
    )
    optimizer = OPTIMIZERS[given.optimizer](self._rate.variable)
    model.minimize(
      optimizer, given.clip_norm, global_step, given.pipeline_schedule
    )
    self._model, waste = model, self._pairs.padding_waste
    self._initialize = tf1.global_variables_initializer()
    self._load = given.init_checkpoint and savers.Saver(
      run_folder.saved_weights(given.init_checkpoint)
    )
    self._figures = dict(
      model.count_graphs(),
      build_s=time.time() - begin,
      source_waste=waste.source,
      target_waste=waste.target,
    )
    self._report(
      f"{self._figures['graphs']} static graphs of "
      f"{self._figures['graph_ops']:,} ops for {task.buckets}; padding: "
      f"{waste.source:.1%} of the source, {waste.target:.1%} of the target."
    )

  def open_session(self):
    """Returns a session, on the cluster if there is one."""
    given = self._session()
    given["config"] = sessions.session_config(given["config"])
    return tf1.Session(**given)

  def _session(self):
    """Returns the arguments of sessions, `target` and `config`."""
    given = self._settings
    config = determinism.session_config() if given.deterministic else None
    if given.cluster is None:
      return {"target": "", "config": config}
    config = placements.session_config(config)
    return {"target": given.cluster, "config": config}

  def train(self, sess, progress):
    """Trains and measures; returns the figures."""
    given, model, measure = self._settings, self._model, self._measure
    sess.run(self._initialize)
    if self._starts_from_frequencies():
      targets = self._task.encoded["train"].examples.targets
      model.start_from_frequencies(sess, targets)
    if self._load:
      self._load.restore(sess, given.init_checkpoint)
    speed = throughput.ThroughputMeter(model.trainer, _count(self._task))
    measure.every = max(1, given.steps // given.evaluations)
    run = loop.Loop(
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
      checkpoint_every=given.checkpoint_every,
      measure=meters.per_symbol("decoder"),
      extra={"speed": speed, "curve": measure},
      progress=progress and speed.shown(progress),
      report=self._report,
      reopen=given.cluster and self.open_session,
      locked=True,
    )
    try:
      outcome = run.run()
      if self._network.get("model") != "legacy":
        attention_plots.write(
          self._out_dir, model, run.sess, self._task, self._report
        )
    finally:
      if run.sess is not sess:
        run.sess.close()
    figures = dict(self._figures, **outcome._asdict())
    figures["steps"] = figures.pop("step")  # as in the final record
    figures.update(speed.figures(), curve=measure.curve)
    if outcome.reason != loop.INTERRUPTED:
      figures.update(self._finish())
    run.metrics_writer.records.write(**figures)
    padding = training_plots.padding_by_bucket(
      self._task.encoded["train"].examples,
      self._task.buckets,
      tasks.LAYOUTS[self._task.layout],
    )
    training_plots.write(self._out_dir, padding, self._report)
    return figures

  def _starts_from_frequencies(self):
    if self._settings.output_bias == "auto":
      legacy = self._network.get("model") == "legacy"
      return not legacy and len(self._task.vocabularies.target) >= 1000
    return self._settings.output_bias == "frequencies"

  def _finish(self):
    """Decodes the test split and the samples, with the best weights."""
    given = self._settings
    with run_folder.decoder(
      self._out_dir,
      given.beam_size,
      given.length_penalty,
      devices=self._devices,
      **self._session(),
    ) as found:
      return self._measure.final(found, given.sample_lines or ())


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
