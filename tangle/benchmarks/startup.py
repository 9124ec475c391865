"""Start-up time of a bucketed model, and its memory after that.

The model is the attention model of g2p training, with N + N buckets. TensorFlow
reads the whole graph whenever a run is made for the first time, so that the
time grows faster than the number of buckets. Another checkout of tangle, such
as an older one, can be measured in turn, by the benchmark of this checkout.
Each measurement has its own process.
"""

import itertools
import json
import os
import runpy
import shlex
import sys
import tempfile
import time
from typing import NamedTuple, Optional

import numpy as np

import tangle
from tangle import errors
from tangle.benchmarks import builds, exponents, memory, processes
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.nets import checks
from tangle.pipeline import pipeline, trainer
from tangle.seq2seq import attention_model

HERE, OTHER = "here", "against"
"""Names of the checkouts."""

FIGURES = (
  "build_s",
  "all_pairs_s",
  "all_pairs_cpu_s",
  "first_cpu_s",
  "above_import_bytes",
  "ops",
)
"""Figures that grow with the buckets."""


class ModelSetting(NamedTuple):
  """A model and its batches.

  Attributes:
    units: U, width of its layers and embeddings.
    symbols: V, number of source symbols, and of target symbols.
    batch_size: examples per batch.
    shortest: steps of the first bucket.
    apart: steps from bucket to bucket.
  """

  units: int
  symbols: int
  batch_size: int
  shortest: int
  apart: int


def compare_bucket_counts(
  buckets=(3, 6, 12),
  units=32,
  symbols=40,
  batch_size=16,
  shortest=4,
  apart=2,
  rounds=1,
  against: Optional[str] = None,
  script="scripts/train_g2p.py --preset=demo",
  *,
  report=reports.QUIET,
):
  """Measures at several numbers of buckets, then times the start of a script.

  Args:
    buckets: numbers of buckets on each side, from small to large.
    units: U, width of the model's layers and embeddings.
    symbols: V, number of source symbols, and of target symbols.
    batch_size: examples per batch.
    shortest: steps of the first bucket.
    apart: steps from bucket to bucket.
    rounds: how often each is measured; the lowest value of each figure counts.
    against: folder of another checkout of tangle, measured in turn.
    script: a script and its arguments, timed from the shell to its first
      training step; empty for none.
    report: a `reports.Report`.

  Returns:
    A dict: `points`, checkout → list of figures, one per number of buckets;
    `exponents`, checkout → figure → [overall, tail]; and `first_step`, if a
    script is timed: checkout → `import_s`, seconds of `import tensorflow`, and
    `beyond_import_s`, the other seconds until the end of the first step. The
    figures: `size`; `build_s`, seconds to build the training ops;
    `all_pairs_s`, from the start of building until every pair of buckets has
    had a step, and `all_pairs_cpu_s`, processor time of that; `first_cpu_s`,
    processor time of those steps; `above_import_bytes`, resident memory after
    them, minus that before building; `ops`.

  Raises:
    ArgumentError: if `buckets` do not rise from 1 or more, or another number is
      not positive.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  setting = ModelSetting(units, symbols, batch_size, shortest, apart)
  found = _measure_points(list(buckets), setting, rounds, against, report)
  for checkout, rows in found.items():
    for row in rows:
      report.note(checkout=checkout, **row)
  fitted = {
    name: exponents.fit_each(rows, FIGURES) for name, rows in found.items()
  }
  report.show(table_rows(found, fitted), FIGURES, "row")
  figures = {"points": found, "exponents": fitted}
  if script:
    seconds = time_script(shlex.split(script), rounds, against)
    report.show(seconds, ["beyond_import_s", "import_s"], "checkout", of=script)
    figures["first_step"] = seconds
  return figures


@errors.named("startup.compare_bucket_counts")
def _measure_points(points, setting, rounds, against, report):
  """Returns checkout → list of figures."""
  if not points or points != sorted(set(points)) or points[0] < 1:
    raise errors.ArgumentError(
      f"buckets must be different numbers of "
      f"buckets from small to large, none below 1, got {points}."
    )
  checks.check_positive("rounds", rounds)
  for field, value in setting._asdict().items():
    checks.check_positive(field, value)
  memory.meter()
  roots = _roots(against)
  total, done = len(points) * rounds * len(roots), 0
  found = {name: [[] for _ in points] for name in roots}
  for k, size in enumerate(points):
    for _, (name, root) in itertools.product(range(rounds), roots.items()):
      found[name][k].append(
        processes.call(measure_buckets, size, setting, root=root)
      )
      done += 1
      report.count(done, total)
  return {
    name: [{key: min(f[key] for f in each) for key in each[0]} for each in rows]
    for name, rows in found.items()
  }


@errors.named("startup.time_script")
def time_script(arguments, rounds=1, against=None):
  """Times a script from the shell to its first training step.

  Args:
    arguments: the script's path in the checkout and its arguments, a list;
      `--out_dir` is added, a new folder each time.
    rounds: how often to run; the fastest run counts.
    against: folder of another checkout of tangle, measured in turn.

  Returns:
    Checkout → `import_s` and `beyond_import_s`, as `compare_bucket_counts`.

  Raises:
    ArgumentError: if `rounds` is not positive.
    TrainingError: if the script fails, or ends without a step.
  """
  checks.check_positive("rounds", rounds)
  found = {name: [] for name in _roots(against)}
  for _ in range(rounds):
    for name, root in _roots(against).items():
      with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        given = [*arguments, f"--out_dir={folder}"]
        at, import_s = processes.call(run_script, given, root=root)
      beyond_s = at - begin - import_s
      found[name].append({"import_s": import_s, "beyond_import_s": beyond_s})
  return {
    name: min(each, key=lambda figures: figures["beyond_import_s"])
    for name, each in found.items()
  }


def _roots(against):
  """Returns checkout → folder."""
  roots = {HERE: processes.ROOT}
  if against is not None:
    roots[OTHER] = os.path.abspath(against)
  return roots


def measure_buckets(size, setting):
  """Measures `size` buckets per side in this process, as in `setting`."""
  setting = ModelSetting(*setting)
  buckets = [setting.shortest + setting.apart * k for k in range(size)]
  batches = [
    _batch(setting, *pair) for pair in itertools.product(buckets, buckets)
  ]
  config = getattr(tangle, "session_config", tf1.ConfigProto)()
  _, found = builds.measure_build(
    lambda: (_make_trainer(setting, buckets), batches),
    config,
    weights=False,
  )
  return {"size": size, **{figure: found[figure] for figure in FIGURES}}


def _make_trainer(setting, buckets):
  """Builds a pipeline of encoder and decoder, and its trainer."""
  units, symbols = setting.units, setting.symbols
  model = attention_model.AttentionModel(symbols, symbols, units, 1, units)
  found = pipeline.Pipeline()
  found.add("encoder", attention_model.encoder_builder(model), buckets)
  found.add(
    "decoder",
    attention_model.decoder_builder(model),
    buckets,
    reads=attention_model.reads_of("encoder"),
  )
  return found.minimize(tf1.train.AdamOptimizer(), clip_norm=5.0)


def _batch(setting, source, target):
  """Draws a batch that fills a pair of buckets."""
  rng, size = np.random.RandomState(0), setting.batch_size
  targets = rng.randint(0, setting.symbols, [size, target])
  return {
    "encoder": {
      "source": rng.randint(0, setting.symbols, [size, source]),
      "lengths": np.full(size, source),
    },
    "decoder": {
      "inputs": targets,
      "targets": targets,
      "weights": np.ones([size, target]),
    },
  }


def run_script(arguments):
  """Runs a script in this process, which ends after the first step.

  Prints on standard output, as JSON, a list of the time at that point and the
  seconds of `import tensorflow`.

  Args:
    arguments: the script's path and its arguments.

  Raises:
    TrainingError: if the script ends without a step.
  """
  step = trainer.Trainer.step

  def first(self, sess, batch):
    step(self, sess, batch)
    print(json.dumps([time.time(), processes.IMPORT_S]), flush=True)
    os._exit(0)

  trainer.Trainer.step = first
  sys.argv = arguments
  runpy.run_path(arguments[0], run_name="__main__")
  raise errors.TrainingError(
    f"startup.run_script: {arguments[0]} has ended without a training step."
  )


def table_rows(found, fitted):
  """Arranges the `found` points and `fitted` exponents as rows of a table.

  Args:
    found: `points` of what `compare_bucket_counts` returned.
    fitted: its `exponents`.

  Returns:
    Row's title → figure → number, text or `None`. The checkout "here" has a row
    "here 2 + 2" for two encoder and two decoder buckets, a row for each other
    number of them, and a row "here grows by" with the exponents as text.
  """
  rows = {
    f"{name} {point['size']} + {point['size']}": point
    for name, points in found.items()
    for point in points
  }
  for name, row in fitted.items():
    rows[f"{name} grows by"] = exponents.write(row)
  return rows
