"""Which store supports which control flow construct.

Each construct is cut with each store, in both styles of control flow and on
both kinds of variables, and run. Its gradients must equal those of the joint
graph and central differences, or the construct must be refused when the
sub-model is made. A pipeline, in which another sub-model has the loss, counts
as a store.
"""

import json
import pathlib
import subprocess
from typing import List, Optional

import numpy as np

from tangle import compat, errors
from tangle.compat import tf1
from tangle.experiments import constructs as constructs_lib
from tangle.experiments import reports, tables
from tangle.partial import sub_model
from tangle.pipeline import pieces, pipeline

RIGHT, REFUSED, WRONG, HANGS, FAILS = OUTCOMES = (
  "right",
  "refused",
  "wrong",
  "hangs",
  "fails",
)
STYLES = ("v1", "v2")
PIPELINE = "pipeline"
STORES = sub_model.STORES + (sub_model.AUTO, PIPELINE)
VARIABLES = ("resource", "reference")
TIMEOUT_S = 30

_TOLERANCE = 1e-12
_NUMERIC_TOLERANCE = 1e-6
_STEP = 1e-6
_SHAPE = (3, 4)


def tabulate(names=None, stores=STORES, styles=STYLES, variables=VARIABLES[0]):
  """Tries constructs with stores, on the TensorFlow that is installed.

  Args:
    names: keys of `constructs_lib.ALL`; all by default.
    stores: names of stores, which may include `"pipeline"`.
    styles: `"v1"`, control flow of TensorFlow 1, and `"v2"`.
    variables: one of `VARIABLES`.

  Returns:
    A dict: construct → style → store → dict of `outcome`, one of `OUTCOMES`,
    `text`, the message of an error, and `store`, the one that was chosen.

  Raises:
    ArgumentError: if a construct, or the kind of variables, is unknown.
  """
  if variables not in VARIABLES:
    raise errors.ArgumentError(
      f"control_flow.tabulate: variables must be one of {VARIABLES}, got "
      f"{variables!r}."
    )
  use_resource = variables == VARIABLES[0]
  for name in names or []:
    if name not in constructs_lib.ALL:
      raise errors.ArgumentError(
        f"control_flow.tabulate: there is no construct {name!r}; there are "
        f"{list(constructs_lib.ALL)}."
      )
  found = {}
  for name in names or constructs_lib.ALL:
    found[name] = {}
    for style in styles:
      with compat.control_flow(style == "v2"):
        expected = _run_joint(constructs_lib.ALL[name], use_resource)
        found[name][style] = {
          store: _attempt(
            constructs_lib.ALL[name], store, expected, use_resource
          )
          for store in stores
        }
  return found


def _attempt(construct, store, expected, use_resource):
  with tf1.Graph().as_default():
    try:
      if store == PIPELINE:
        cut = _Pipeline(construct, use_resource)
      else:
        x_ph, y, variable = _build(construct, use_resource)
        cut = sub_model.SubModel([x_ph], [y], [variable], store)
    except errors.CutError as error:
      return {"outcome": REFUSED, "text": str(error), "store": None}
    found = {"outcome": RIGHT, "text": "", "store": cut.store}
    run = cut.run if store == PIPELINE else _run_split
    try:
      given = run(cut, [upstream for upstream, _ in expected])
    except tf1.errors.DeadlineExceededError as error:
      return dict(found, outcome=HANGS, text=error.message)
    except Exception as error:  # any error that a user would meet
      return dict(found, outcome=FAILS, text=f"{type(error)}: {error}")
  worst = max(
    np.max(np.abs(a - b) / (np.max(np.abs(b)) + 1e-3))
    for gradients, (_, others) in zip(given, expected)
    for a, b in zip(gradients, others)
  )
  if not worst <= _TOLERANCE:
    return dict(found, outcome=WRONG, text=f"off by {worst:.2g}")
  return found


def _values():
  """Returns a generator, the kernel, and inputs."""
  rng = np.random.RandomState(5)
  kernel = rng.uniform(-0.8, 0.8, (4, 4))
  # One input is positive, one negative: conditionals take both branches.
  return rng, kernel, [s * rng.uniform(0.1, 1.0, _SHAPE) for s in (1, -1)]


def _build(construct, use_resource):
  x_ph = tf1.placeholder(tf1.float64, _SHAPE, "x")
  kernel = _values()[1]
  variable = tf1.get_variable(
    "w", initializer=kernel, use_resource=use_resource
  )
  y = construct.build(x_ph, tf1.convert_to_tensor(variable))
  return x_ph, y, variable


def _open_session():
  config = tf1.ConfigProto(operation_timeout_in_ms=1000 * TIMEOUT_S)
  sess = tf1.Session(config=config)
  sess.run(tf1.global_variables_initializer())
  return sess


def _run_split(cut, upstream):
  """Returns the gradients for each input, as lists of arrays."""
  found = []
  with _open_session() as sess:
    for value, above in zip(_values()[2], upstream):
      with cut.forward(sess, {cut.inputs[0]: value}) as call:
        gradients = call.backward([above])
        found.append(_dense(gradients.inputs + gradients.variables))
  return found


class _Pipeline:
  """A construct in a sub-model; the sub-model that reads it has the loss."""

  store = PIPELINE

  def __init__(self, construct, use_resource):
    kernel = _values()[1]
    # `shift` is added to the input, so that both have the same gradient.
    self.variables = [
      tf1.get_variable(name, initializer=value, use_resource=use_resource)
      for name, value in (("shift", np.zeros(_SHAPE)), ("w", kernel))
    ]
    shift, weight = self.variables

    def build_lower(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, _SHAPE, "x")
      y = construct.build(x_ph + shift, tf1.convert_to_tensor(weight))
      return pieces.Piece({"x": x_ph}, {"y": y})

    def build_upper(bucket, reads):
      del bucket
      y = reads["y"]
      upstream_ph = tf1.placeholder(y.dtype, y.shape, "upstream")
      return pieces.Piece(
        {"upstream": upstream_ph}, loss=tf1.reduce_sum(upstream_ph * y)
      )

    joined = pipeline.Pipeline()
    joined.add("lower", build_lower)
    joined.add("upper", build_upper, reads={"y": "lower.y"})
    optimizer = tf1.train.GradientDescentOptimizer(1.0)
    self._trainer = joined.minimize(optimizer)

  def run(self, cut, upstream):
    """Returns the gradients for each input, as lists of arrays."""
    del cut
    found = []
    with _open_session() as sess:
      before = sess.run(self.variables)
      for value, above in zip(_values()[2], upstream):
        batch = {"lower": {"x": value}, "upper": {"upstream": above}}
        self._trainer.step(sess, batch)
        after = sess.run(self.variables)
        found.append([a - b for a, b in zip(before, after)])
        sess.run([variable.initializer for variable in self.variables])
    return found


def _run_joint(construct, use_resource):
  """Returns the upstream gradient and the gradients for each input.

  Raises:
    AssertionError: if the gradients differ from central differences.
  """
  rng, _, values = _values()
  with tf1.Graph().as_default():
    x_ph, y, variable = _build(construct, use_resource)
    upstream_ph = tf1.placeholder(y.dtype, y.shape)
    sources = [x_ph, variable]
    gradients = tf1.gradients(y, sources, upstream_ph)
    new_ph = tf1.placeholder(tf1.float64, [4, 4])
    assign_op = variable.assign(new_ph).op
    found = []
    with _open_session() as sess:
      for value in values:
        y_np = sess.run(y, {x_ph: value}) if not construct.draws else None
        shape = y.shape.as_list() if y_np is None else y_np.shape
        upstream = rng.uniform(-1, 1, shape)
        fed = {x_ph: value, upstream_ph: upstream}
        dense = _dense(sess.run(gradients, fed))
        found.append((upstream, dense))
        if not construct.draws:
          point = [value, sess.run(variable)]

          def loss(x, w, upstream=upstream):
            sess.run(assign_op, {new_ph: w})
            return np.sum(upstream * sess.run(y, {x_ph: x}))

          _check_numbers(loss, point, dense, rng)
          sess.run(assign_op, {new_ph: point[1]})
  return found


def _check_numbers(loss, point, gradients, rng):
  ways = [rng.uniform(-1, 1, part.shape) for part in point]
  ahead, behind = (
    loss(*[p + sign * _STEP * way for p, way in zip(point, ways)])
    for sign in (1, -1)
  )
  slope = sum(np.sum(g * way) for g, way in zip(gradients, ways))
  difference = (ahead - behind) / (2 * _STEP)
  error = abs(slope - difference) / (1 + abs(slope))
  assert error < _NUMERIC_TOLERANCE, f"joint gradient off by {error:.2g}"


def _dense(gradients):
  """Returns fetched gradients as dense arrays."""
  found = []
  for gradient in gradients:
    if hasattr(gradient, "indices"):
      dense = np.zeros((4, 4))
      np.add.at(dense, gradient.indices, gradient.values)
      gradient = dense
    found.append(gradient)
  return found


def tabulate_elsewhere(python, names=None, variables=VARIABLES[0]):
  """Runs `tabulate` in another Python, which may have another TensorFlow.

  Args:
    python: the interpreter, which must be able to import tangle.
    names, variables: as for `tabulate`.

  Returns:
    The version of TensorFlow there, such as `"1.15"`, and what `tabulate`
    returns.

  Raises:
    ArgumentError: if the interpreter fails.
  """
  program = (
    "import json, sys; from tangle.experiments import control_flow as c; "
    "names, kind = json.loads(sys.argv[1]); "
    "print(json.dumps([c.version(), c.tabulate(names, variables=kind)]))"
  )
  # Run from the package's parent folder, as it may not be installed there.
  done = subprocess.run(
    [python, "-W", "ignore", "-c", program, json.dumps([names, variables])],
    cwd=pathlib.Path(errors.__file__).resolve().parent.parent,
    capture_output=True,
    text=True,
  )
  if done.returncode:
    raise errors.ArgumentError(
      f"control_flow.tabulate_elsewhere: {python} failed: "
      f"{done.stderr.strip()[-500:]}. Name a Python that has TensorFlow."
    )
  return tuple(json.loads(done.stdout.splitlines()[-1]))


def version():
  """Returns the version of TensorFlow that is installed, such as `"1.15"`."""
  return "{}.{}".format(*compat.VERSION)


def compare(
  constructs: Optional[List[str]] = None,
  variables=VARIABLES,
  pythons=(),
  *,
  report=reports.QUIET,
):
  """Tries every store on every construct, in this and in other interpreters.

  Args:
    constructs: names of constructs; all by default.
    variables: kinds of variables, some of `VARIABLES`.
    pythons: other interpreters to try it in too, with other TensorFlows.
    report: a `reports.Report`, which gets `control_flow_<variables>.md`, and
      `.json` with the message of each refusal.

  Returns:
    A dict: kind of variables → version → outcome → how often.

  Raises:
    ArgumentError: as `tabulate` and `tabulate_elsewhere`.
  """
  counts = {}
  for kind in variables:
    found = {version(): tabulate(constructs, variables=kind)}
    for python in pythons:
      label, table = tabulate_elsewhere(python, constructs, kind)
      found[label] = table
    text = format_markdown(found)
    report.save(f"control_flow_{kind}.md", text + "\n")
    report.save(f"control_flow_{kind}.json", json.dumps(found, indent=1))
    report.say(f"\n{kind} variables\n\n{text}")
    counts[kind] = count(found)
  return counts


def format_markdown(found, corner="construct"):
  """Writes several tables as one, with a row per construct.

  Args:
    found: version of TensorFlow → what `tabulate` returns, all of the same
      constructs, styles and stores.
    corner: head of the column of constructs.

  Returns:
    Lines of Markdown: "right" where the gradients are right on all versions,
    "–" where the sub-model is refused on all; otherwise the outcome on each
    version.
  """
  first = next(iter(found.values()))
  columns = [
    (style, store)
    for style, row in next(iter(first.values())).items()
    for store in row
  ]
  lines = []
  for name in first:
    cells = [name]
    for style, store in columns:
      words = {
        label: table[name][style][store]["outcome"].replace(REFUSED, "–")
        for label, table in found.items()
      }
      if len(set(words.values())) == 1:
        cells.append(next(iter(words.values())))
      else:
        pairs = (f"{word} ({label})" for label, word in words.items())
        cells.append(", ".join(pairs))
    lines.append(cells)
  heads = [f"{store}, {style}" for style, store in columns]
  return tables.layout(lines, heads, "pipe", corner)


def count(found):
  """Returns version → outcome → how often, for what `format_markdown` takes."""
  return {
    label: {
      outcome: sum(
        cell["outcome"] == outcome
        for row in table.values()
        for cells in row.values()
        for cell in cells.values()
      )
      for outcome in OUTCOMES
    }
    for label, table in found.items()
  }
