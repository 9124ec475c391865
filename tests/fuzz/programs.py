"""Random programs: Python text that builds a graph, and how to cut it.

`drawing` draws them.
"""

import re
from typing import Any, NamedTuple, Tuple

import numpy as np

import tangle
from tangle.compat import tf1
from tests.fuzz import images, indices, matrices, pieces, specials

MODULES = {
  "tf1": tf1,
  "pieces": pieces,
  "images": images,
  "indices": indices,
  "matrices": matrices,
  "specials": specials,
}
"""What the text of a program calls by name."""


class Program(NamedTuple):
  """A program, and how to cut and run it.

  Attributes:
    source: the Python text. It makes `inputs`, `outputs` and `used`.
    store: where residuals wait.
    residuals: the name of the policy.
    flow_v2: whether conditionals and loops are in the style of TensorFlow 2.
    marks: what kinds of ops it has: names of `ops`.
    prepared: whether the backward pass is made before the forward run.
    moved: whether the variables change between the two runs.
    between: whether another call comes and goes between the two runs.
    fed: whether inputs within the graph are fed.
    traced: whether executions are counted; else the graph is optimized.
    numeric: whether to compare with differences too.
    cuts: where sub-models of a pipeline end, in eighths of its lines.
    simplified: whether the backward pass is simplified.
  """

  source: str
  store: str = "device"
  residuals: str = "frontier"
  flow_v2: bool = True
  marks: Tuple[str, ...] = ()
  prepared: bool = True
  moved: bool = False
  between: bool = False
  fed: bool = False
  traced: bool = True
  numeric: bool = False
  cuts: Tuple[int, ...] = ()
  simplified: bool = True

  def __str__(self):
    settings = ", ".join(
      f"{name}={value!r}" for name, value in zip(self._fields[1:], self[1:])
    )
    return f"{self.source}# {settings}\n"


class Built(NamedTuple):
  """The graph of a program: what `SubModel` takes, and what to feed."""

  inputs: Any
  outputs: Any
  used: Any
  feed_dict: Any


def build(program, variation=0, joint=False):
  """Builds the graph of a program in the current graph.

  Args:
    program: a `Program`.
    variation: another number gives other values to feed.
    joint: whether to build what the program is compared with: variables that
      it assigns are resource variables, as `tf.gradients` may read the later
      value of a reference variable, and the ends of `inputs` are ops of one
      output, as `tf.gradients` stops at whole ops.

  Returns:
    A `Built`.
  """
  rng = np.random.RandomState(11)
  feed_rng = np.random.RandomState(12 + variation)
  feed_dict = {}

  def feed(dtype, shape, static):
    ph = tf1.placeholder(dtype, static)
    if dtype.startswith("float"):
      feed_dict[ph] = feed_rng.uniform(-2, 2, shape).astype(dtype)
    else:
      feed_dict[ph] = feed_rng.randint(0, 5, shape).astype(dtype)
    return ph

  def weight(name, dtype, shape, use_resource, trainable=True):
    return tf1.get_variable(
      name,
      initializer=rng.uniform(-1, 1, shape).astype(dtype),
      trainable=trainable,
      use_resource=use_resource,
    )

  def state(name, dtype, shape, use_resource, trainable):
    return weight(name, dtype, shape, use_resource or joint, trainable)

  names = {**MODULES, "feed": feed, "weight": weight, "state": state}
  source = stop_at_inputs(program.source) if joint else program.source
  before = tf1.control_flow_v2_enabled()
  switches = tf1.disable_control_flow_v2, tf1.enable_control_flow_v2
  switches[program.flow_v2]()
  try:
    exec(source, names)  # noqa: S102
  finally:
    switches[before]()
  return Built(names["inputs"], names["outputs"], names["used"], feed_dict)


def stop_at_inputs(source):
  """Returns a program whose inputs within the graph are `tf.identity` ops."""
  lines = source.splitlines()
  ends = next(_items(line) for line in lines if line.startswith("inputs = "))
  found = []
  for line in lines:
    found.append(line)
    made = line.partition(" = ")[0].split(", ")
    for name in made:
      if name in ends and name[0] == "v":
        found.append(f"{name} = tf1.identity({name})")
  return "\n".join(found) + "\n"


def policy(name):
  """Returns what `residuals=` takes for the name of a policy."""
  if name == "predicate":
    return lambda t: sum(map(ord, t.op.name)) % 2 == 0
  if name == "budget":
    return tangle.Budget(fraction=0.7)
  if name.startswith("budget of "):
    return tangle.Budget(fraction=float(name.rpartition(" ")[2]))
  return name


def smaller(program):
  """Yields programs with a line or an output less."""
  lines = program.source.splitlines()
  for k in reversed(range(len(lines))):
    name, _, code = lines[k].partition(" = ")
    rest = lines[:k] + lines[k + 1 :]
    if name == "outputs":
      yield from _with_fewer(program, lines, k)
    elif name == "inputs":
      yield from _with_fewer_inputs(program, lines, k)
    elif name != "used":
      words = [name] if "," not in name else name.split(", ")
      after = "\n".join(rest[k:])
      if not any(re.search(rf"\b{word}\b", after) for word in words):
        yield program._replace(source="\n".join(rest) + "\n")
        continue
      for other in dict.fromkeys(re.findall(r"\b[vwx]\d+\b", code)):
        changed = list(rest)
        for j in range(k, len(rest)):
          for word in words:
            changed[j] = re.sub(rf"\b{word}\b", other, changed[j])
        yield program._replace(source="\n".join(changed) + "\n")
  for field, simple in Program._field_defaults.items():
    is_setting = field not in ("marks", "store")
    if is_setting and getattr(program, field) != simple:
      yield program._replace(**{field: simple})


def _items(line):
  return line.partition(" = ")[2].strip("[]").split(", ")


def _with_fewer(program, lines, k):
  outputs, used = _items(lines[k]), _items(lines[k + 1])
  for drop in range(len(outputs)):
    keep = [j for j in range(len(outputs)) if j != drop]
    if any(used[j] == "True" for j in keep):
      changed = list(lines)
      changed[k] = f"outputs = [{', '.join(outputs[j] for j in keep)}]"
      changed[k + 1] = f"used = [{', '.join(used[j] for j in keep)}]"
      yield program._replace(source="\n".join(changed) + "\n")


def _with_fewer_inputs(program, lines, k):
  inputs = _items(lines[k])
  for drop in range(len(inputs) if len(inputs) > 1 else 0):
    changed = list(lines)
    keep = [name for j, name in enumerate(inputs) if j != drop]
    changed[k] = f"inputs = [{', '.join(keep)}]"
    yield program._replace(source="\n".join(changed) + "\n")
