"""What it costs to build a training and to make its first steps."""

import gc
import time
import zlib

import numpy as np

from tangle.benchmarks import memory
from tangle.compat import tf1


def measure_build(
  build, config=None, timed=1, rounds=0, weights=True, warm_up=0
):
  """Builds a training in this process, which should be a fresh one.

  Args:
    build: a function that builds the training in the default graph, and returns
      an object with a method `step`, and a list of batches.
    config: the `ConfigProto` of the session.
    timed: number of batches that are timed after a step on every batch.
    rounds: how often these are timed.
    weights: whether to draw the weights by their names, so that the losses of
      different graphs are the same.
    warm_up: number of timed steps that do not count.

  Returns:
    The graph, and a dict: `build_s`, seconds to build the training ops, and
    `build_cpu_s`, processor time of that, which other programs affect less;
    `first_cpu_s`, processor time of a step on every batch; `all_pairs_s`, from
    the start of building until then, and `all_pairs_cpu_s`; `rss_bytes`,
    resident memory after that; `above_import_bytes`, the same minus that before
    building, and `above_import_at_end_bytes`, after the timed steps; `ops`;
    `losses` of the first steps; `step_s` and `step_cpu_s`, medians of wall and
    processor time over the timed steps.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  resident = memory.meter()
  gc.collect()
  before_bytes, begin, seconds = resident(), _now(), []
  with tf1.Graph().as_default() as graph:
    trainer, batches = build()
    initialize_op = tf1.global_variables_initializer()
    built = _now() - begin
    with tf1.Session(graph=graph, config=config) as sess:
      sess.run(initialize_op)
      if weights:
        load_weights(sess)
      first = _now()
      losses = [trainer.step(sess, batch).loss for batch in batches]
      last = _now()
      gc.collect()
      rss_bytes = resident()
      for batch in batches[:timed] * rounds:
        start = _now()
        trainer.step(sess, batch)
        seconds.append(_now() - start)
      gc.collect()
      end_bytes = resident()
  (build_s, build_cpu_s), (_, first_cpu_s) = built.tolist(), last - first
  all_pairs_s, all_pairs_cpu_s = (last - begin).tolist()
  steps = (
    np.median(seconds[warm_up:], axis=0).tolist() if rounds else [None] * 2
  )
  return graph, {
    "build_s": build_s,
    "build_cpu_s": build_cpu_s,
    "first_cpu_s": float(first_cpu_s),
    "all_pairs_s": all_pairs_s,
    "all_pairs_cpu_s": all_pairs_cpu_s,
    "rss_bytes": rss_bytes,
    "above_import_bytes": rss_bytes - before_bytes,
    "above_import_at_end_bytes": end_bytes - before_bytes,
    "ops": len(graph.get_operations()),
    "losses": losses,
    "step_s": steps[0],
    "step_cpu_s": steps[1],
  }


def _now():
  """Returns wall time and processor time, in seconds."""
  return np.array([time.perf_counter(), time.process_time()])


def load_weights(sess):
  """Draws the default graph's variables by their names, through `sess`."""
  feed_dict, ops = {}, []
  for variable in tf1.trainable_variables():
    rng = np.random.RandomState(zlib.crc32(variable.op.name.encode()))
    value = 0.1 * rng.standard_normal(variable.shape.as_list())
    feed_dict[variable.initializer.inputs[1]] = value
    ops.append(variable.initializer)
  sess.run(ops, feed_dict)
