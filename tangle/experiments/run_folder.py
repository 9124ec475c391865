"""The folder of a run: its settings, vocabularies and weights.

`run.json` has what is needed to build the networks again: how lines are cut
and laid out, the buckets, the settings of the `Translator`, and those of the
training, which a run that goes on must not change.
"""

import contextlib
import json
import os
from typing import Optional

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import bucket_plans, tasks, translator
from tangle.seq2seq import corpora, decoding
from tangle.training import checkpoints, files, savers

FILE = "run.json"


def save(out_dir, task, network, training):
  """Writes the settings of a run, or finds those that are there the same.

  Args:
    out_dir: the folder; it is made if it is not there.
    task: a `tasks.Task`.
    network: a dict, the settings of the `Translator`.
    training: a dict, those of the training.

  Raises:
    DataError: if the folder has a run with others.
  """
  settings = {
    "tokens": list(task.tokens),
    "layout": task.layout,
    "buckets": bucket_plans.describe_buckets(task.buckets),
    "network": network,
    "training": training,
  }
  path = os.path.join(out_dir, FILE)
  if os.path.exists(path):
    _compare(out_dir, load(out_dir), json.loads(json.dumps(settings)))
    if corpora.load_vocabularies(out_dir) != task.vocabularies:
      raise errors.DataError(
        f"run_folder.save: {out_dir!r} has a run with other vocabularies. "
        f"Give the data of that run, or another folder."
      )
    return
  os.makedirs(out_dir, exist_ok=True)
  corpora.save_vocabularies(task.vocabularies, out_dir)
  files.write_text(path, json.dumps(settings, indent=2) + "\n")


def _compare(out_dir, old, new):
  for group in new:
    if old.get(group) == new[group]:
      continue
    before, after = old.get(group), new[group]
    if isinstance(before, dict) and isinstance(after, dict):
      names = sorted(set(before) | set(after))
      odd = [n for n in names if before.get(n) != after.get(n)]
      before = {name: before.get(name) for name in odd}
      after = {name: after.get(name) for name in odd}
    raise errors.DataError(
      f"run_folder.save: {out_dir!r} has a run with the {group} {before}, not "
      f"{after}. Go on with the settings of that run, or give another folder."
    )


def load(run_dir):
  """Reads the settings of a run.

  Args:
    run_dir: the folder.

  Returns:
    A dict: `tokens`, `layout`, `buckets`, `network`, `training`.

  Raises:
    DataError: if there are none, or they are damaged.
  """
  path = os.path.join(run_dir, FILE)
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except FileNotFoundError as error:
    raise errors.DataError(
      f"run_folder.load: {path} is missing. Give the folder of a training."
    ) from error
  except ValueError as error:
    raise errors.DataError(
      f"run_folder.load: {path} is damaged ({error}). Remove the folder and "
      f"train again, or mend the file."
    ) from error


@contextlib.contextmanager
def decoder(
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
  """Builds what decodes with the weights of a run, in a graph of its own.

  Args:
    run_dir: the folder of the run.
    beam_size: sequences that are open at once; 1 is greedy search.
    length_penalty: favours longer sequences, see `search.beam`.
    n_best: how many sequences to find, at most the beam size.
    batch_size: lines at once.
    unknown: drop (nothing is found for a line with an unknown symbol) or unk.
    checkpoint: prefix of a checkpoint, such as one of the tutorial's; by
      default the best of the run, or the newest if none was measured.
    target: what the session is opened on; by default this process.
    devices: sub-model → device, as for `Translator`.
    config: of the session.

  Yields:
    A `decoding.LineDecoder`.

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
  vocabularies = corpora.load_vocabularies(run_dir)
  buckets = bucket_plans.parse_buckets(**settings["buckets"])
  with tf1.Graph().as_default():
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
    if checkpoint is None:
      restore = _restorer(run_dir)
    else:
      saver = savers.Saver(saved_weights(checkpoint))

      def restore(sess):
        saver.restore(sess, checkpoint)

    with tf1.Session(target, config=config) as sess:
      restore(sess)
      yield decoding.LineDecoder(
        model.converter(sess),
        *vocabularies,
        buckets,
        batch_size,
        unknown=unknown,
        layout=tasks.LAYOUTS[settings["layout"]],
        tokenize=tasks.TOKENS[settings["tokens"][0]],
        join=("" if settings["tokens"][1] == "characters" else " ").join,
      )


def _restorer(run_dir):
  """Returns a function of a session that restores the best checkpoint."""
  found = checkpoints.Checkpoints(
    os.path.join(run_dir, "checkpoints"),
    variables=tf1.trainable_variables(),
    part=True,
  )

  def restore(sess):
    if found.restore_best_or_newest(sess) is None:
      raise errors.DataError(
        f"run_folder.decoder: {run_dir!r} has no checkpoint yet. Train first."
      )

  return restore


def saved_weights(prefix):
  """Returns the weights of the default graph, all of which a checkpoint has.

  Not among them are counters and what an optimizer keeps, so that a training
  that takes the weights begins at its first step.

  Args:
    prefix: of the checkpoint, as `tf.train.Saver.save` returned it.

  Returns:
    A list of the trainable variables.

  Raises:
    DataError: if it cannot be read.
    TrainingError: if it does not have a trainable variable, or has one of
      another shape or dtype.
  """
  try:
    tf1.train.load_checkpoint(prefix)
  except (tf1.errors.OpError, ValueError) as error:
    raise errors.DataError(
      f"saved_weights: the checkpoint {prefix!r} cannot be read ({error}). "
      f"Give its path without .index or .data-...."
    ) from error
  found = tf1.trainable_variables()
  checkpoints.check_fit("saved_weights", prefix, found, part=True)
  return found
