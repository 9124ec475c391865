"""The folder of a run: its settings, vocabularies and weights.

`run.json` has what is needed to rebuild the networks: tokenization and layout
of lines, the directions, their buckets, the settings of the `Translator`, and
those of the training, which a resumed run must not change.
"""

import contextlib
import os
from typing import Optional

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import bucket_plans, tasks, translator
from tangle.experiments import directions as directions_lib
from tangle.seq2seq import corpora
from tangle.training import checkpoints, runs, savers


def started(out_dir, task, network, training, report=None):
  """Begins a run in a folder, or resumes the existing one.

  Args:
    out_dir: the folder; it is made if it does not exist.
    task: a `tasks.Task`.
    network: a dict, the settings of the `Translator`.
    training: a dict, the settings of the training.
    report: called with a line of text if versions differ.

  Returns:
    A context, see `runs.started`.
  """
  settings = {
    "tokens": list(task.tokens),
    "layout": task.layout,
    "buckets": {
      str(one): dict(
        bucket_plans.describe(its), sources=one.sources, target=one.target
      )
      for one, its in task.buckets.items()
    },
    "network": network,
    "training": dict(training, directions=list(map(str, task.directions))),
  }
  data = {
    _name(task, split, one): encoded.examples.digest()
    for split, found in task.encoded.items()
    for one, encoded in found.items()
  }
  data.update(
    (f"{_name(task, split, one)} references", runs.digest(zip(*its)))
    for split, found in task.evaluations.items()
    for one, its in found.items()
    if split != "test"
  )
  texts = {
    corpora.FILE.format(name): symbols.text
    for name, symbols in task.vocabularies.items()
  }
  return runs.started(out_dir, settings, data, texts, report)


def _name(task, split, direction):
  return split if len(task.buckets) == 1 else f"{split} {direction}"


def load(run_dir):
  """Reads the settings of a run.

  Args:
    run_dir: the folder.

  Returns:
    A dict: `tokens`, `layout`, `buckets`, `network`, `training`.

  Raises:
    DataError: if there are no settings, they or the vocabularies are damaged,
      or they are those of another kind of training.
  """
  settings = runs.read(run_dir)["settings"]
  missing = [
    name
    for name in ("tokens", "layout", "buckets", "network", "training")
    if name not in settings
  ]
  if missing:
    raise errors.DataError(
      f"run_folder.load: {run_dir!r} has a run of another kind, without "
      f"{missing}. Give that of a run of train_seq2seq.py or train_g2p.py."
    )
  return settings


@contextlib.contextmanager
def decoder(run_dir, direction: Optional[str] = None, **search):
  """Builds a decoder with the weights of a run; see `decoders`.

  Args:
    run_dir: the folder of the run.
    direction: which to decode, such as en-de, if the run has several.
    **search: the other arguments of `decoders`.

  Yields:
    A `decoding.LineDecoder`.

  Raises:
    ArgumentError: if the run has no such direction, or several and none is
      given; or as `decoders`.
    DataError: as `decoders`.
    TrainingError: as `decoders`.
  """
  settings = load(run_dir)
  with runs.built_from(run_dir):
    known = {str(one): one for one in read_buckets(settings)}
  if direction is None and len(known) == 1:
    (direction,) = known
  if direction not in known:
    raise errors.ArgumentError(
      f"run_folder.decoder: direction must be one of {', '.join(known)}, got "
      f"{direction!r}."
    )
  with decoders(run_dir, **search) as found:
    yield found[known[direction]]


def read_buckets(settings):
  """Returns `Direction` → buckets, for the settings that `load` returned."""
  found = {}
  for described in settings["buckets"].values():
    rest = dict(described)
    one = tuple(rest.pop("sources")), rest.pop("target")
    found[directions_lib.Direction(*one)] = bucket_plans.restore(**rest)
  return found


@contextlib.contextmanager
def decoders(
  run_dir,
  beam_size=1,
  length_penalty=0.0,
  n_best=1,
  batch_size=256,
  unknown="unk",
  checkpoint: Optional[str] = None,
  *,
  target="",
  devices=None,
  config=None,
):
  """Builds decoders with the weights of a run, in a graph of their own.

  Args:
    run_dir: the folder of the run.
    beam_size: number of open sequences per source; 1 is greedy search.
    length_penalty: favours longer sequences, see `search.beam`.
    n_best: how many sequences to find, at most the beam size.
    batch_size: lines per batch.
    unknown: drop (no result for a line with an unknown symbol) or unk.
    checkpoint: prefix of a checkpoint, such as one of the tutorial's; by
      default the best of the run, or the newest if none was measured.
    target: target of the session; by default this process.
    devices: sub-model → device, as for `Translator`.
    config: of the session.

  Yields:
    A dict from `Direction` to `decoding.LineDecoder`.

  Raises:
    ArgumentError: if `n_best` is more than `beam_size`.
    DataError: if the folder has no run, or the checkpoint cannot be read.
    TrainingError: if the checkpoint does not fit, or all are damaged.
  """
  if not 1 <= n_best <= beam_size:
    raise errors.ArgumentError(
      f"run_folder.decoder: n_best must be from 1 to beam_size {beam_size}, "
      f"got {n_best}."
    )
  settings = load(run_dir)
  with tf1.Graph().as_default():
    with runs.built_from(run_dir):
      buckets = read_buckets(settings)
      source_tokens, target_tokens = settings["tokens"]
      reading = {
        "layout": tasks.LAYOUTS[settings["layout"]],
        "tokenize": tasks.TOKENS[source_tokens],
        "join": ("" if target_tokens == "characters" else " ").join,
      }
      names = directions_lib.names_of(buckets)
      symbols = corpora.load_vocabularies(run_dir, tuple(names))
      vocabularies = dict(zip(names, symbols))
      model = translator.Translator(
        vocabularies,
        buckets,
        beam_size=beam_size,
        length_penalty=length_penalty,
        n_best=n_best,
        trained=False,
        devices=devices,
        **settings["network"],
      )
      model.pipeline.build()
    restore = _restorer(run_dir, checkpoint)
    with tf1.Session(target, config=config) as sess:
      restore(sess)
      yield {
        one: tasks.make_decoder(
          model.converter(sess, one),
          [vocabularies[name] for name in one.sides],
          its,
          batch_size,
          unknown=unknown,
          **reading,
        )
        for one, its in buckets.items()
      }


def _restorer(run_dir, checkpoint):
  """Returns a function of a session that restores weights; see `decoders`."""
  if checkpoint is not None:
    saver = savers.Saver(saved_weights(checkpoint))
    return lambda sess: saver.restore(sess, checkpoint)
  found = checkpoints.Checkpoints(
    os.path.join(run_dir, runs.CHECKPOINTS),
    variables=tf1.trainable_variables(),
    part=True,
  )

  def restore(sess):
    if found.restore_best_or_newest(sess) is None:
      raise errors.DataError(
        f"run_folder.decoder: {run_dir!r} has no checkpoint yet. Train first."
      )

  return restore


@errors.named("saved_weights")
def saved_weights(prefix):
  """Returns the default graph's weights, after finding all in a checkpoint.

  Counters and optimizer slots are not included, so that a training that loads
  the weights begins at its first step.

  Args:
    prefix: prefix of the checkpoint, as `tf.train.Saver.save` returned it.

  Returns:
    A list of the trainable variables.

  Raises:
    DataError: if the checkpoint cannot be read.
    TrainingError: if a trainable variable is missing from it, or has another
      shape or dtype there.
  """
  try:
    tf1.train.load_checkpoint(prefix)
  except (tf1.errors.OpError, ValueError) as error:
    raise errors.DataError(
      f"the checkpoint {prefix!r} cannot be read ({errors.summarize(error)}). "
      f"Give its path without .index or .data-...."
    ) from error
  found = tf1.trainable_variables()
  checkpoints.check_fit(prefix, found, part=True)
  return found
