"""Draws random programs.

A program is drawn through a function `pick(n)` that gives an int below `n`, so
that Hypothesis can draw and shrink it, and plain numpy too. 0 is the simplest.
"""

import math
import re
from typing import Any, NamedTuple, Tuple

from tests.fuzz import ops, programs, tables

BATCH = 3
_LIMIT = 30.0  # how large values may become
_INPUTS = ((3, 4), (3, 2), (3, 2, 4), (3,), (2, 4), ())
_WEIGHTS = ((4, 4), (4, 2), (2, 4), (4,), (2, 2), (5, 4), ())
_STORES = (
  "device",
  "device",
  "host",
  "session",
  "session",
  "recompute",
  "auto",
  "auto",
)
_POLICIES = ("frontier", "all", "none", "predicate", "min_cut", "budget")


class Value(NamedTuple):
  """What a name of a program stands for.

  Attributes:
    name: the name.
    dtype: name of the dtype.
    shape: the true shape, a tuple.
    bound: how large it may be.
    parents: names of all that it depends on, with its own.
  """

  name: str
  dtype: str
  shape: Tuple[int, ...]
  bound: float
  parents: Any


def needed_inputs(source, inputs, outputs):
  """Lists those of `inputs` that `outputs` are computed from."""
  needed = set(outputs)
  for line in reversed(source.splitlines()):
    left, _, code = line.partition(" = ")
    made = set(left.split(", ")) - set(inputs)
    if needed & made:
      needed.update(re.findall(r"\b[vwx]\d+\b", code))
  return [name for name in inputs if name in needed]


def draw(pick):
  """Draws a program.

  Args:
    pick: a function from n to an int from 0 to n - 1.

  Returns:
    A `programs.Program`.
  """
  return _Drawing(pick).program()


class _Drawing:
  """The drawing of one program."""

  def __init__(self, pick):
    self.pick = pick
    self.lines = []
    self.values = []
    self.marks = set()
    self.count = 0

  def program(self):
    store = self.choose(_STORES)
    residuals = "frontier"
    if store in ("device", "host", "auto"):
      residuals = self.choose(_POLICIES)
    self.flows = self.one_in(3)
    self.randoms = self.one_in(4)
    self.states = self.one_in(3)
    self.complexes = self.one_in(5)
    carried = store in ("session", "auto")
    loops = self.flows or self.states
    flow_v2 = not (loops and self.one_in(2 if carried else 5))
    self.dtype = "float32" if self.one_in(6) else "float64"
    self.sources()
    for _ in range(2 + self.pick(12)):
      self.step()
    self.ends()
    return programs.Program(
      source="\n".join(self.lines) + "\n",
      store=store,
      residuals=residuals,
      flow_v2=flow_v2,
      marks=tuple(sorted(self.marks)),
      prepared=not self.one_in(2),
      moved=self.one_in(3),
      between=self.one_in(6),
      fed=self.one_in(4),
      traced=not self.one_in(3),
      # Of what is assigned, the joint graph alone is no proof.
      numeric=self.one_in(3) or tables.ASSIGNED in self.marks,
      cuts=self.cuts(),
      simplified=not self.one_in(2),
    )

  def cuts(self):
    """Draws where the sub-models of a pipeline end, but for the last."""
    found = {1 + self.pick(7) for _ in range(self.choose([1, 2, 2, 3]))}
    return tuple(sorted(found))

  def choose(self, options):
    return options[self.pick(len(options))]

  def one_in(self, n):
    return self.pick(n) == n - 1

  def name(self, letter):
    self.count += 1
    return f"{letter}{self.count}"

  def add(self, name, dtype, shape, bound, parents=frozenset()):
    self.values.append(
      Value(name, dtype, tuple(shape), bound, frozenset(parents) | {name})
    )

  def sources(self):
    """Draws placeholders and variables."""
    self.placeholders = []
    for _ in range(1 + self.pick(3)):
      shape = self.choose(_INPUTS)
      self.placeholder(self.dtype, shape, 2.0)
    if self.one_in(2):
      self.placeholder(self.choose(["int32", "int64"]), (BATCH,), 4.0)
    if self.one_in(3):
      self.placeholder("int32", (), 4.0)
    for _ in range(self.pick(4)):
      name, shape = self.name("w"), self.choose(_WEIGHTS)
      resource = not self.one_in(3)
      self.lines.append(
        f"{name} = weight({name!r}, {self.dtype!r}, {list(shape)}, {resource})"
      )
      self.add(name, self.dtype, shape, 1.0)

  def placeholder(self, dtype, shape, bound):
    how = self.pick(6)
    static = [None if size == BATCH else size for size in shape]
    if how == 4:
      static = [None] * len(shape)
    elif how == 5:
      static = None
    name = self.name("x")
    self.lines.append(f"{name} = feed({dtype!r}, {list(shape)}, {static})")
    self.add(name, dtype, shape, bound)
    self.placeholders.append(name)

  def step(self):
    """Draws an op and its arguments."""
    for _ in range(12):
      table = ops.PLAIN
      if self.flows and self.one_in(6):
        table = ops.FLOWS
      elif self.randoms and self.one_in(5):
        table = ops.RANDOMS
      elif self.states and self.one_in(5):
        table = ops.STATES
      elif self.complexes and not self.one_in(3):
        table = ops.COMPLEX
      if self.try_op(self.choose(table)):
        return

  def try_op(self, op):
    env, arguments = {}, []
    for pattern in op.takes:
      fitting = []
      for value in self.values:
        found = match(pattern, value, env)
        if found is not None:
          fitting.append((value, found))
      if not fitting:
        return False
      # Late values, more often than early ones.
      place = max(self.pick(len(fitting)), self.pick(len(fitting)))
      value, env = fitting[place]
      arguments.append(value)
    bounds = dict(zip("pqr", [value.bound for value in arguments]))
    names = {**env, **bounds, "math": math}
    if not eval(op.when, {}, names):  # noqa: S307
      return False
    bound = eval(op.bound, {}, names)  # noqa: S307
    if bound > _LIMIT:
      return False
    results = [result(pattern, env) for pattern in op.gives]
    if any(max(shape, default=0) > 12 for _, shape in results):
      return False
    self.emit(op, arguments, env, results, bound)
    return True

  def emit(self, op, arguments, env, results, bound):
    found = [self.name("v") for _ in results]
    drawn = {k: v for k, v in env.items() if isinstance(v, int)}
    for word in ("resource", "trainable"):
      if f"{{{word}}}" in op.code:
        drawn[word] = not self.one_in(2)
    code = op.code.format(
      *[value.name for value in arguments],
      seed=self.count,
      f=f"'{env['f']}'" if "f" in env else "",
      z=f"'{_WHOLES[env['f']]}'" if "f" in env else "",
      **drawn,
    )
    self.lines.append(f"{', '.join(found)} = {code}")
    parents = frozenset().union(*[value.parents for value in arguments])
    for name, (dtype, shape) in zip(found, results):
      self.add(name, dtype, shape, bound, parents)
    self.marks.update(op.marks)

  def ends(self):
    """Draws the inputs and outputs of the sub-model."""
    names = list(self.placeholders)
    if len(names) > 1 and self.one_in(3):
      del names[self.pick(len(names))]
    inner = [v.name for v in self.values if v.name[0] == "v"]
    for _ in range(self.choose([0, 0, 1, 2])):
      if inner:
        names.append(inner[self.pick(len(inner))])
    names = list(dict.fromkeys(names))
    below = [v for v in self.values if v.parents & set(names)]
    floats = [v for v in below if _is_smooth(v.dtype)]
    if not floats:
      floats = [v for v in self.values if _is_smooth(v.dtype)]
      names.append(floats[-1].name)
    last = floats[-1 - self.pick(min(3, len(floats)))]
    outputs = [last.name]
    # The other outputs may depend on variables alone.
    weights = {v.name for v in self.values if v.name[0] == "w"}
    others = [v for v in self.values if v.name in inner and v not in floats]
    floats += [v for v in others if _is_smooth(v.dtype) and v.parents & weights]
    for _ in range(self.pick(4)):
      pool = below if below and self.one_in(3) else floats
      outputs.append(pool[len(pool) - 1 - self.pick(len(pool))].name)
    if self.one_in(2):
      outputs.reverse()
    of = {v.name: v.dtype for v in self.values}
    floating = [_is_smooth(of[name]) for name in outputs]
    used = [flag and not self.one_in(4) for flag in floating]
    if not any(used):
      used = floating
    if {"float32", "complex64"} & set(of.values()):
      self.marks.add(tables.NARROW)
    if not self.one_in(20):  # else some may lead nowhere, and be refused
      source = "\n".join(self.lines)
      names = needed_inputs(source, names, outputs) or names
    self.lines.append(f"inputs = [{', '.join(names)}]")
    self.lines.append(f"outputs = [{', '.join(outputs)}]")
    self.lines.append(f"used = {used}")


_KINDS = {
  "f": ("float64", "float32"),
  "i": ("int32", "int64"),
  "b": ("bool",),
  "z": ("complex128", "complex64"),
}
_PARTS = {"complex128": "float64", "complex64": "float32"}
_WHOLES = {part: whole for whole, part in _PARTS.items()}


def _is_smooth(dtype):
  """Whether values of the dtype can have a gradient."""
  return dtype.startswith(("float", "complex"))


def match(pattern, value, env):
  """Fits a value to a pattern.

  Args:
    pattern: a pattern; see `ops`.
    value: a `Value`.
    env: a dict with the sizes and dtypes that are settled.

  Returns:
    The dict with what the pattern settles, or `None` if it does not fit.
  """
  kind, *dims = pattern.split()
  if value.dtype not in _KINDS.get(kind, (kind,)):
    return None
  env = dict(env)
  if kind in "fiz" and env.setdefault(kind, value.dtype) != value.dtype:
    return None
  if kind == "z":
    env["f"] = _PARTS[value.dtype]
  shape = value.shape
  if dims[:1] == ["*"]:
    dims = dims[1:]
    if len(shape) < len(dims):
      return None
    split = len(shape) - len(dims)
    if env.setdefault("*", shape[:split]) != shape[:split]:
      return None
    shape = shape[split:]
  if len(shape) != len(dims):
    return None
  for dim, size in zip(dims, shape):
    want = int(dim) if dim.isdigit() else env.setdefault(dim, size)
    if want != size:
      return None
  return env


def result(pattern, env):
  """Returns dtype and shape of what an op gives, by a pattern."""
  kind, *dims = pattern.split()
  if kind == "z":
    dtype = _WHOLES[env["f"]]
  else:
    dtype = env[kind] if kind in ("f", "i") else _KINDS.get(kind, (kind,))[0]
  shape = ()
  if dims[:1] == ["*"]:
    shape, dims = env["*"], dims[1:]
  sizes = {key: size for key, size in env.items() if isinstance(size, int)}
  return dtype, shape + tuple(eval(dim, {}, sizes) for dim in dims)  # noqa: S307
