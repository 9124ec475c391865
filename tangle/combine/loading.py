"""Pre-trained weights from a checkpoint or a SavedModel into any part.

Which saved variable goes where is told by scopes or by a mapping. The checks
are made before any op is, and what goes where can be read in a report.
"""

import os
from typing import Any, NamedTuple

from tangle import errors
from tangle.combine import saved
from tangle.combine import variables as variables_lib
from tangle.compat import tf1

_CALLER = "combine.pretrained"


class Mismatch(NamedTuple):
  """A variable that cannot take what is saved for it.

  Attributes:
    variable: its name.
    saved: the name of what is saved.
    why: shapes or types of both, a string.
  """

  variable: str
  saved: str
  why: str


class Report(NamedTuple):
  """What goes where.

  Attributes:
    path: the checkpoint's path.
    loaded: a dict from the name of a variable to the name of what it gets.
    missing: names of the part's variables for which nothing is saved.
    left_out: names of what is saved, in the scope if there is one, and goes
      nowhere.
    mismatched: a list of `Mismatch`.
  """

  path: str
  loaded: Any
  missing: Any
  left_out: Any
  mismatched: Any

  def __str__(self):
    """Tells it in lines."""
    lines = [f"{self.path}: {len(self.loaded)} variables loaded"]
    lines += [
      f"  {name}" + ("" if name == source else f" from {source}")
      for name, source in self.loaded.items()
    ]
    for title, found in (
      ("missing, not loaded", self.missing),
      ("left out, of the checkpoint", self.left_out),
      ("mismatched, not loaded", [_tell(m) for m in self.mismatched]),
    ):
      if found:
        lines.append(f"{len(found)} {title}")
        lines += [f"  {line}" for line in found]
    return "\n".join(lines)


class Pretrained:
  """Saved weights that fit a part; see `pretrained`.

  Attributes:
    report: the `Report`.
    variables: the variables that are loaded.
  """

  def __init__(self, prefix, pairs, report, name):
    """Adds the ops that restore to the graph of the variables."""
    self._prefix, self.report = prefix, report
    self.variables = [variable for variable, _ in pairs]
    with self.variables[0].graph.as_default(), tf1.name_scope(name):
      # A saved value may go into several variables; a saver takes it once.
      self._savers, rest = [], list(pairs)
      while rest:
        taken, later = {}, []
        for variable, entry in rest:
          if entry.key in taken:
            later.append((variable, entry))
          else:
            taken[entry.key] = variable
        self._savers.append(tf1.train.Saver(taken))
        rest = later

  def load(self, sess):
    """Gives the variables what is saved, bit by bit.

    Args:
      sess: a session; run initializers before.

    Returns:
      The `Report`.
    """
    for saver in self._savers:
      saver.restore(sess, self._prefix)
    return self.report


def pretrained(
  path, into, scope=None, mapping=None, strict=True, name="pretrained"
):
  """Finds the saved weights of a part, and what to load them by.

  By scope, a variable gets what is saved under the same name below `scope` as
  it has below the scope of the part. By mapping, as in
  `tf.train.init_from_checkpoint`, one names what is saved and where it goes.

      weights = combine.pretrained("runs/left", model.part("left"), "encoder")
      print(weights.load(sess))

  Args:
    path: prefix of a checkpoint, a folder with checkpoints, or the folder of a
      SavedModel.
    into: a part, a network that has made its variables, or a list of variables.
      The scope of a list is what the names of its variables have in common, up
      to a slash; so is that of a part if nothing fits by its own. If nothing
      fits by that either, whole names are compared.
    scope: of what is saved, `""` for all of it; by default the scope of `into`.
      In what is saved by objects, of names or of object paths.
    mapping: in place of `scope`, a dict from what is saved to a variable of
      `into`, or its name; both may end with `/`, and are scopes then.
    strict: whether a variable that gets nothing, or cannot take what it should
      get, is an error. With a mapping, variables that it does not name may
      get nothing.
    name: name scope of the new ops.

  Returns:
    A `Pretrained`: `load(sess)` loads, `report` tells.

  Raises:
    ArgumentError: if `into` has no variables, both `scope` and `mapping` are
      given, or `mapping` names a variable that `into` does not have.
    DataError: if it cannot be read, has nothing of the scope or of a name in
      `mapping`, nothing fits, or, with `strict`, not everything does.
  """
  variables, scopes = _variables_of(into)
  found = saved.read(_CALLER, path)
  if mapping is not None:
    if scope is not None:
      raise errors.ArgumentError(
        f"{_CALLER}: give scope or mapping, not both; a mapping may name scopes"
      )
    wanted, left_out = _by_mapping(found, variables, mapping)
  else:
    scope = scopes[0] if scope is None else scope
    wanted, left_out = _by_scope(found, variables, scopes, scope)
  loaded, pairs, mismatched = {}, [], []
  for variable in variables:
    entry = wanted.get(variable.op.name)
    if entry is None:
      continue
    why = _compare(variable, entry)
    if why:
      mismatched.append(Mismatch(variable.op.name, entry.name, why))
    else:
      loaded[variable.op.name] = entry.name
      pairs.append((variable, entry))
  missing = [v.op.name for v in variables if v.op.name not in wanted]
  report = Report(path, loaded, missing, left_out, mismatched)
  incomplete = mismatched or (missing and mapping is None)
  if not loaded or (strict and incomplete):
    raise errors.DataError(
      f"{_CALLER}: {'nothing' if not loaded else 'not everything'} fits. Pass "
      f"another scope or a mapping{', or strict=False' if loaded else ''}.\n"
      f"{report}"
    )
  return Pretrained(found.prefix, pairs, report, name)


def _variables_of(into):
  """Returns variables, and the scopes that their names begin with."""
  scope = getattr(into, "scope", None)
  if hasattr(into, "variables") or not hasattr(into, "__iter__"):
    variables = variables_lib.listed(into)
  else:
    variables = list(into)
  if not variables:
    raise errors.ArgumentError(
      f"{_CALLER}: into must have variables, got {into!r}; call the network "
      f"first, which makes them"
    )
  names = [variable.op.name for variable in variables]
  shared = os.path.commonprefix([name + "/" for name in names])
  if len(names) == 1:
    shared = names[0]
  scopes = [shared.rpartition("/")[0], ""]
  if scope and all(name.startswith(scope + "/") for name in names):
    scopes.insert(0, scope)
  return variables, scopes


def _below(name, scope):
  """Returns the rest of a name below a scope, None if it is not below."""
  if not scope:
    return name
  return name[len(scope) + 1 :] if name.startswith(scope + "/") else None


def _by_scope(found, variables, scopes, scope):
  """Returns variable name → entry, and the names that go nowhere."""
  scope = scope.rstrip("/")
  for attribute in ("name", "path"):
    below = {}
    for entry in found.entries:
      full = getattr(entry, attribute)
      rest = None if full is None else _below(full, scope)
      if rest is not None:
        below[rest] = entry
    if below:
      break
  else:
    raise errors.DataError(
      f"{_CALLER}: {found.prefix!r} has nothing in scope {scope!r}; it has "
      f"{_scopes(found)}"
    )
  for inner in scopes:
    wanted = {}
    for variable in variables:
      rest = _below(variable.op.name, inner)
      if rest in below:
        wanted[variable.op.name] = below[rest]
    if wanted:
      break
  used = {entry.key for entry in wanted.values()}
  left = [entry.name for entry in below.values() if entry.key not in used]
  return wanted, sorted(left)


def _by_mapping(found, variables, mapping):
  """Returns variable name → entry, and the names that go nowhere."""
  known = {variable.op.name: variable for variable in variables}
  wanted = {}
  for source, target in mapping.items():
    if hasattr(target, "op"):
      target = target.op.name
    target = target[:-2] if target.endswith(":0") else target
    pairs = _match(found, source, target)
    if source.endswith("/"):
      pairs = {name: e for name, e in pairs.items() if name in known}
    if not pairs or not set(pairs) <= set(known):
      raise errors.ArgumentError(
        f"{_CALLER}: mapping {source!r}: {target!r} names no variable of the "
        f"part, which has {sorted(known)}"
      )
    wanted.update(pairs)
  used = {entry.key for entry in wanted.values()}
  left = [entry.name for entry in found.entries if entry.key not in used]
  return wanted, sorted(left)


def _match(found, source, target):
  """Returns variable name → entry for one item of a mapping."""
  pairs = {}
  for attribute in ("name", "path"):
    for entry in found.entries:
      full = getattr(entry, attribute)
      if full is None:
        continue
      if full == source:
        return {target: entry}
      if source.endswith("/"):
        rest = full if source == "/" else _below(full, source[:-1])
        if rest is not None:
          pairs[(target if target != "/" else "") + rest] = entry
    if pairs:
      return pairs
  raise errors.DataError(
    f"{_CALLER}: {found.prefix!r} has nothing named {source!r}; it has "
    f"{_scopes(found)}"
  )


def _scopes(found):
  """Says which names and scopes there are, for a message."""
  names = set()
  for entry in found.entries:
    for full in (entry.name, entry.path):
      if full is not None:
        names.add(full.rpartition("/")[0] + "/" if "/" in full else full)
  shown = sorted(names)
  more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
  return f"{', '.join(shown[:20])}{more}" if shown else "no variables"


def _compare(variable, entry):
  """Says why a variable cannot take a saved value; "" if it can."""
  dtype = variable.dtype.base_dtype
  fits = variable.shape.is_compatible_with(entry.shape)
  if fits and dtype == entry.dtype:
    return ""
  return (
    f"{dtype.name} {variable.shape.as_list()} in the graph, "
    f"{entry.dtype.name} {entry.shape} saved"
  )


def _tell(mismatch):
  return f"{mismatch.variable} from {mismatch.saved}: {mismatch.why}"
