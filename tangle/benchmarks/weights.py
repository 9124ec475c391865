"""How many bytes each kind of variable adds to the residuals of a sub-model.

The backward pass of a Transformer reads nearly all weights. The value of a
resource variable is shared until the variable changes; that of a reference
variable is copied at each forward run, unless the caller promises that no
variable changes between a forward run and its backward run.
"""

import gc
from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import memory, names, processes
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.nets import checks
from tangle.partial import sub_model

RESOURCE = "resource"
REFERENCE = "reference"
UNCHANGED = "reference_unchanged"
NAMES = (RESOURCE, REFERENCE, UNCHANGED)
"""Kinds of variables; the last with the promise `weights_unchanged=True`."""

COLUMNS = (
  "weights_bytes",
  "residual_bytes",
  "to_resource",
  "open_calls",
  "open_calls_bytes",
  "open_calls_to_weights",
)


class TransformerSizes(NamedTuple):
  """Sizes of a Transformer and of its input: BERT-base by default."""

  layers: int = 12
  units: int = 768
  heads: int = 12
  hidden: int = 3072
  batch: int = 1
  steps: int = 64


SIZES = {
  "base": TransformerSizes(),
  "small": TransformerSizes(layers=1, units=16, heads=2, hidden=32, steps=4),
}
"""Name → `TransformerSizes`; a small Transformer is built at once."""


@errors.named("benchmarks.weights")
def compare_variables(
  kinds=NAMES, size="base", calls=4, *, report=reports.QUIET
):
  """Measures kinds of variables, each in its own process.

  Args:
    kinds: kinds of variables, some of `NAMES`.
    size: that of the Transformer, one of `SIZES`.
    calls: how many calls are open at once.
    report: a `reports.Report`.

  Returns:
    Kind → `weights_bytes`, of all variables; `residual_bytes`, which the
    sub-model reports; `residuals`, their number; `to_resource`, these bytes
    over those of resource variables, if they were measured; `open_calls`;
    `open_calls_bytes`, what they add to the resident memory, and
    `open_calls_to_weights`, the same relative to the weights; `rss_bytes`, what
    the first, the first two, ... calls add.

  Raises:
    ArgumentError: if a kind or the size is unknown, or `calls` is not positive.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  names.check("the size", size, SIZES)
  for name in kinds:
    _check(name, calls)
  memory.meter()
  rows = processes.call_each(
    measure_open_calls, kinds, SIZES[size], calls, report=report
  )
  for row in rows.values():
    base = rows.get(RESOURCE)
    ratio = base and row["residual_bytes"] / base["residual_bytes"]
    row["to_resource"] = ratio
  report.show(rows, COLUMNS, "kind")
  return rows


def measure_open_calls(name, sizes, calls):
  """Opens calls of a Transformer in this process; returns figures."""
  # The baseline is the memory before any forward run of the sub-model, so that
  # no call reuses what another one has freed. Before that, a plain run of the
  # network starts threads and makes buffers.
  _check(name, calls)
  sizes = TransformerSizes(*sizes)
  resident = memory.meter()
  with tf1.Graph().as_default() as graph:
    x_ph = tf1.placeholder(tf1.float32, [sizes.batch, sizes.steps, sizes.units])
    with tf1.variable_scope(
      "transformer",
      use_resource=name == RESOURCE,
      initializer=tf1.random_uniform_initializer(-0.04, 0.04),
    ):
      outputs = transformer(x_ph, sizes)
    found = sub_model.SubModel(
      [x_ph], [outputs], weights_unchanged=name == UNCHANGED
    )
    initialize_op = tf1.global_variables_initializer()
    weights_bytes = sum(
      4 * variable.shape.num_elements() for variable in found.variables
    )
    with tf1.Session(graph=graph) as sess:
      sess.run(initialize_op)
      x = np.random.RandomState(0).standard_normal(x_ph.shape.as_list())
      sess.run(outputs, {x_ph: x})
      gc.collect()
      before_bytes = resident()
      opened, seen = [], []
      for _ in range(calls):
        opened.append(found.forward(sess, {x_ph: x}))
        seen.append(resident() - before_bytes)
      for call in opened:
        call.discard()
  return {
    "weights_bytes": weights_bytes,
    "residual_bytes": found.residuals.bytes,
    "residuals": len(found.residuals),
    "open_calls": calls,
    "open_calls_bytes": seen[-1],
    "open_calls_to_weights": seen[-1] / weights_bytes,
    "rss_bytes": seen,
  }


def transformer(x, sizes):
  """Builds the layers of a Transformer with plain `tf.get_variable`.

  Source: Devlin et al. 2019, "BERT", section 3, the encoder. Departures: no
  embeddings and no dropout.

  Args:
    x: `[B, T, units]`.
    sizes: a `TransformerSizes`.

  Returns:
    `[B, T, units]`.
  """
  for k in range(sizes.layers):
    with tf1.variable_scope(f"layer_{k}"):
      x = _normalize(x + _attend(x, sizes), "attention_norm")
      hidden = tf1.nn.relu(_dense(x, sizes.hidden, "hidden"))
      x = _normalize(x + _dense(hidden, sizes.units, "narrow"), "norm")
  return x


def _attend(x, sizes):
  width = sizes.units // sizes.heads

  def heads(name):
    split = [sizes.batch, sizes.steps, sizes.heads, width]
    found = tf1.reshape(_dense(x, sizes.units, name), split)
    return tf1.transpose(found, [0, 2, 1, 3])

  scores = tf1.matmul(heads("query"), heads("key"), transpose_b=True)
  shares = tf1.nn.softmax(scores / np.float32(np.sqrt(width)))
  found = tf1.transpose(tf1.matmul(shares, heads("value")), [0, 2, 1, 3])
  return _dense(tf1.reshape(found, x.shape), sizes.units, "joined")


def _dense(x, units, name):
  width = x.shape.as_list()[-1]
  with tf1.variable_scope(name):
    kernel = tf1.get_variable("kernel", [width, units])
    bias = tf1.get_variable("bias", [units])
  found = tf1.matmul(tf1.reshape(x, [-1, width]), kernel) + bias
  return tf1.reshape(found, x.shape.as_list()[:-1] + [units])


def _normalize(x, name):
  units = x.shape.as_list()[-1]
  with tf1.variable_scope(name):
    gain = tf1.get_variable("gain", [units])
    offset = tf1.get_variable("offset", [units])
  mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
  return tf1.nn.batch_normalization(x, mean, variance, offset, gain, 1e-6)


@errors.named("benchmarks.weights")
def _check(name, calls):
  names.check("a kind", name, NAMES)
  checks.check_positive("calls", calls)
