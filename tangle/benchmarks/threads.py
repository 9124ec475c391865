"""Many threads that share sub-models and a session, and check gradients."""

import threading
from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.partial import sub_model

_EXAMPLES = 16
_TOLERANCE = 1e-12

COLUMNS = ("pairs", "discarded", "wrong", "largest_error", "failures")


def check_gradients(
  stores=sub_model.STORES,
  threads=8,
  pairs=1000,
  seed=0,
  *,
  report=reports.QUIET,
):
  """Runs all threads with each of several stores.

  Args:
    stores: some of `sub_model.STORES`.
    threads: number of threads.
    pairs: how many forward and backward pairs each thread runs.
    seed: of weights, examples and the order of calls.
    report: a `reports.Report`.

  Returns:
    Store → `pairs`, total number of pairs of forward and backward;
    `discarded`, number of additional calls that were discarded; `wrong`, number
    of pairs with a gradient that differs from the joint graph's;
    `largest_error`, relative to the largest gradient; `failures`, messages of
    exceptions, at most ten.

  Raises:
    ArgumentError: as `run`.
  """
  rows = {}
  for done, store in enumerate(stores, 1):
    rows[store] = run(threads, pairs, store, seed)
    report.count(done, len(stores))
  report.show(rows, COLUMNS, "store")
  return rows


def run(threads, pairs, store="device", seed=0):
  """Runs forward and backward from many threads over two shared sub-models.

  Each thread runs its own examples through the lower and the upper sub-model,
  with up to three calls open at once, ended in any order; some are discarded.
  Weights do not change, so that every gradient is known in advance.

  Args:
    threads: as the others, an argument of `check_gradients`.
    pairs: likewise.
    store: the store of both sub-models.
    seed: likewise.

  Returns:
    The figures of a store, as `check_gradients` returns them.

  Raises:
    ArgumentError: if there are no threads or pairs.
  """
  if threads < 1 or pairs < 1:
    raise errors.ArgumentError(
      f"threads.run: threads and pairs must be 1 or more, got {threads} and "
      f"{pairs}."
    )
  graph, parts, sess = _build(store, seed)
  workers = [
    _Worker(parts, sess, pairs, np.random.RandomState(seed + 1 + k))
    for k in range(threads)
  ]
  with sess, graph.as_default():
    _learn_expected(parts, sess)
    for worker in workers:
      worker.start()
    for worker in workers:
      worker.join()
  return {
    "pairs": sum(worker.done for worker in workers),
    "discarded": sum(worker.discarded for worker in workers),
    "wrong": sum(worker.wrong for worker in workers),
    "largest_error": max(worker.largest for worker in workers),
    "failures": [text for worker in workers for text in worker.failures][:10],
  }


class _Part(NamedTuple):
  """A sub-model, the examples to run through it, and their gradients."""

  cut: sub_model.SubModel
  examples: list
  upstream: list
  expected: list


def _build(store, seed):
  rng = np.random.RandomState(seed)

  def normal(*shape):
    return rng.standard_normal(shape) / np.sqrt(shape[-1])

  with tf1.Graph().as_default() as graph:
    x_ph = tf1.placeholder(tf1.float64, [None, 8])
    h = x_ph
    for k in range(3):
      kernel = tf1.get_variable(
        f"lower_{k}", initializer=normal(8, 8), use_resource=True
      )
      h = tf1.tanh(tf1.matmul(h, kernel))
    kernel = tf1.get_variable(
      "upper", initializer=normal(8, 4), use_resource=True
    )
    middle_ph = tf1.placeholder(tf1.float64, [None, 8])
    y = tf1.nn.softmax(tf1.matmul(middle_ph, kernel) ** 2)
    cuts = [
      sub_model.SubModel([x_ph], [h], store=store, name="lower"),
      sub_model.SubModel([middle_ph], [y], store=store, name="upper"),
    ]
    sess = tf1.Session(graph=graph)
    sess.run(tf1.global_variables_initializer())
  parts = [
    _Part(
      cut,
      [normal(1 + k % 4, 8) for k in range(_EXAMPLES)],
      [normal(1 + k % 4, width) for k in range(_EXAMPLES)],
      [],
    )
    for cut, width in zip(cuts, (8, 4))
  ]
  return graph, parts, sess


def _learn_expected(parts, sess):
  """Computes all gradients in the joint graph, by one thread."""
  for part in parts:
    (x,), (y,) = part.cut.inputs, part.cut.outputs
    above = tf1.placeholder(y.dtype, y.shape)
    gradients = tf1.gradients(y, [x] + part.cut.variables, above)
    for x_np, above_np in zip(part.examples, part.upstream):
      part.expected.append(sess.run(gradients, {x: x_np, above: above_np}))


class _Worker(threading.Thread):
  """A thread; its attributes are parts of an `Outcome`."""

  def __init__(self, parts, sess, pairs, rng):
    super().__init__()
    self.done = self.discarded = self.wrong = 0
    self.largest = 0.0
    self.failures = []
    self._parts = parts
    self._sess = sess
    self._pairs = pairs
    self._rng = rng

  def run(self):
    try:
      while self.done < self._pairs and not self.failures:
        self._run_some()
    except Exception as error:  # all of them are reported
      self.failures.append(f"{type(error).__name__}: {error}")

  def _run_some(self):
    count = min(1 + self._rng.randint(3), self._pairs - self.done)
    open_calls = []
    for _ in range(count):
      part = self._parts[self._rng.randint(len(self._parts))]
      k = self._rng.randint(_EXAMPLES)
      feed_dict = {part.cut.inputs[0]: part.examples[k]}
      open_calls.append((part, k, part.cut.forward(self._sess, feed_dict)))
    if self._rng.rand() < 0.2:
      part, k, _ = open_calls[0]
      feed_dict = {part.cut.inputs[0]: part.examples[k]}
      part.cut.forward(self._sess, feed_dict).discard()
      self.discarded += 1
    self._rng.shuffle(open_calls)
    for part, k, call in open_calls:
      found = call.backward([part.upstream[k]])
      self._compare(found.inputs + found.variables, part.expected[k])
    self.done += count

  def _compare(self, found, expected):
    error = max(
      np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(found, expected)
    )
    self.largest = max(self.largest, float(error))
    self.wrong += not error <= _TOLERANCE
