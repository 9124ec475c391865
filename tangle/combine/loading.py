"""Pre-trained weights, as saved by TensorFlow or Keras, for any part.

Scopes or a mapping define which saved variable goes where. All checks run
before any op is added, and a report lists what goes where.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

from tangle import errors, hints
from tangle.combine import keras_files, restoring, saved
from tangle.combine import variables as variables_lib
from tangle.compat import tf1


class Mismatch(NamedTuple):
  """A variable whose saved value does not fit.

  Attributes:
    variable: the name of the variable.
    saved: the name of the saved variable.
    why: the shapes or types of both.
  """

  variable: str
  saved: str
  why: str


class LoadReport(NamedTuple):
  """Which saved variable goes where.

  Attributes:
    path: the path that `pretrained` was given.
    loaded: a dict from the name of a variable to that of its saved variable.
    missing: names of the part's variables without a saved value.
    left_out: sorted names of the saved variables, below the scope if there is
      one, that are not used; always empty for a Keras model and Keras file.
    mismatched: a list of `Mismatch`.
  """

  path: str
  loaded: Dict[str, str]
  missing: List[str]
  left_out: List[str]
  mismatched: List[Mismatch]

  def __str__(self):
    """Returns the report as lines of text."""
    wrong = [f"{m.variable} from {m.saved}: {m.why}" for m in self.mismatched]
    lines = [f"{self.path}: {len(self.loaded)} variables loaded"]
    lines += [
      f"  {name}" + ("" if name == source else f" from {source}")
      for name, source in self.loaded.items()
    ]
    for title, found in (
      ("missing, not loaded", self.missing),
      ("left out, of the checkpoint", self.left_out),
      ("mismatched, not loaded", wrong),
    ):
      if found:
        lines.append(f"{len(found)} {title}")
        lines += [f"  {line}" for line in found]
    return "\n".join(lines)


class Pretrained:
  """Saved weights that fit a part; see `pretrained`.

  Attributes:
    report: the `LoadReport`.
    variables: a list of the variables that `load` sets.
  """

  def __init__(
    self, variables: List[hints.Variable], loaders: Any, report: LoadReport
  ) -> None:
    """Stores what `pretrained` made; each of `loaders` has `restore(sess)`."""
    self.variables, self.report = variables, report
    self._loaders = loaders

  @errors.named("Pretrained.load")
  def load(self, sess: hints.Session) -> LoadReport:
    """Sets the variables to the saved values, bit by bit.

    Args:
      sess: a session; run initializers before this call. Values are read from
        the file at each call, except those of a Keras file for a Keras model.

    Returns:
      The `LoadReport`.

    Raises:
      GraphError: if `sess` is not on the graph of the variables.
      DataError: if the file is gone, or was replaced by one that does not fit.
    """
    restoring.restore(self._loaders, self.variables[0].graph, sess, self.report)
    return self.report


def _make(found, pairs, report, name):
  """Adds the restore ops to the graph of the variables."""
  variables = [variable for variable, _ in pairs]
  keys = [entry.key for _, entry in pairs]
  with variables[0].graph.as_default(), tf1.name_scope(name):
    if found.arrays is None:
      loaders = restoring.checkpoints(found.prefix, variables, keys)
    else:
      loaders = [restoring.Arrays(variables, lambda: found.arrays(keys))]
  return Pretrained(variables, loaders, report)


@errors.named("combine.pretrained")
def pretrained(
  path: str,
  into: Any,
  scope: Optional[str] = None,
  mapping: Optional[Mapping[str, Union[hints.Variable, str]]] = None,
  strict: bool = True,
  name: str = "pretrained",
) -> Pretrained:
  """Finds the saved weights of a part; `load(sess)` of the result loads them.

  By scope, a variable gets the saved value whose name below `scope` equals its
  own name below the scope of the part. By mapping, you list which saved name
  goes to which variable, as in `tf.train.init_from_checkpoint`.

      weights = combine.pretrained("runs/left", model.part("left"), "encoder")
      print(weights.load(sess))

  A Keras model in a static graph starts with random weights: `load_weights` and
  `load_model` only create assign ops, which nothing runs. Build the model with
  its original code, call it, and load its file after the initializers, which
  would overwrite values loaded earlier:

      model = build_model()
      logits = model(x_ph)
      weights = combine.pretrained("model.keras", model)
      sess.run(tf1.global_variables_initializer())
      weights.load(sess)

  The initializers of a `MonitoredTrainingSession` run in its constructor:

      scaffold = tf1.train.Scaffold(init_fn=lambda _, sess: weights.load(sess))
      sess = tf1.train.MonitoredTrainingSession(scaffold=scaffold)

  For a Keras model, layers and arrays are matched as its own `load_weights`
  does. A SavedModel, for example from `model.export()`, is matched by name if
  all names fit, else in the order of `model.variables`. Other variables get the
  arrays of a file by scope or mapping: in an `.h5` file the arrays have names
  of variables; in a `.keras` or `.weights.h5` file, paths such as
  `layers/dense/vars/0`.
  TensorFlow 1.15's `tf.keras` reads `.h5` files of whole models and of weights.

  Args:
    path: prefix of a checkpoint, a folder with checkpoints, the folder of a
      SavedModel, or a `.keras`, `.weights.h5` or `.h5` file of Keras.
    into: a part, a network that has created its variables, or a list of
      variables. The scope of a list is the common prefix of its variables'
      names, up to a slash. The same is tried for a part if nothing fits by its
      own scope. If that fails too, full names are compared.
    scope: scope of the saved variables, `""` for all; by default the scope of
      `into`. In an object-based checkpoint, a scope of names or object paths.
    mapping: instead of `scope`, a dict from a saved name to a variable of
      `into` or its name. If both end with `/`, they are scopes.
    strict: whether it is an error that a variable gets no value, or that its
      saved value does not fit. With a mapping, variables that it does not name
      may get none.
    name: name scope of the new ops.

  Returns:
    A `Pretrained`, with `load(sess)` and `report`.

  Raises:
    ArgumentError: if `into` has no variables, both `scope` and `mapping` are
      given, or `mapping` names a variable that `into` does not have.
    DataError: if the file cannot be read, has nothing in the scope or under a
      name of `mapping`, nothing fits, or, with `strict`, not everything fits;
      or if the model's version of Keras cannot read it.
    MissingPackageError: if h5py is needed and not installed.
  """
  variables, scopes = _variables_of(into)
  model = keras_files.model_of(into) if scope is mapping is None else None
  if model is not None and keras_files.is_file(path):
    return _of_keras(path, model, strict, name)
  found = saved.read(path)
  if mapping is not None:
    if scope is not None:
      raise errors.ArgumentError(
        "give scope or mapping, not both. Leave scope out, as a "
        "mapping may name scopes."
      )
    wanted, left_out = _by_mapping(found, variables, mapping)
  else:
    wanted, left_out = _by_order(found, variables, model) or _by_scope(
      found, variables, scopes, scopes[0] if scope is None else scope
    )
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
  report = LoadReport(path, loaded, missing, left_out, mismatched)
  incomplete = mismatched or (missing and mapping is None)
  if not loaded or (strict and incomplete):
    raise errors.DataError(
      f"{'nothing' if not loaded else 'not everything'} fits. Pass "
      f"another scope or a mapping{', or strict=False' if loaded else ''}.\n"
      f"{report}"
    )
  return _make(found, pairs, report, name)


def _of_keras(path, model, strict, name):
  """Returns the weights in a Keras file, for a Keras model."""
  found = keras_files.values_for(model, path, strict)
  present, mismatched = [], []
  for variable, source, array in found:
    if array is None:
      continue
    # tf.keras of 1.15 assigns arrays of any shape to a resource variable.
    dtype = tf1.as_dtype(array.dtype)
    entry = saved.Entry(source, source, None, list(array.shape), dtype)
    why = _compare(variable, entry)
    if why:
      mismatched.append(Mismatch(variable.op.name, source, why))
    else:
      present.append((variable, source, array))
  report = LoadReport(
    path,
    {variable.op.name: source for variable, source, _ in present},
    [variable.op.name for variable, _, array in found if array is None],
    [],
    mismatched,
  )
  if not present or (strict and (report.missing or mismatched)):
    raise errors.DataError(
      f"{'nothing' if not present else 'not everything'} fits"
      f"{'. Pass strict=False' if present else ''}.\n{report}"
    )
  variables, _, arrays = map(list, zip(*present))
  with variables[0].graph.as_default(), tf1.name_scope(name):
    loader = restoring.Arrays(variables, lambda: arrays)
  return Pretrained(variables, [loader], report)


def _by_order(found, variables, model):
  """Does as `_by_scope`, by order; `None` if names fit or order does not."""
  by_path = {entry.path: entry for entry in found.entries}
  ordered = [by_path.get(f"variables/{k}") for k in range(len(variables))]
  more = f"variables/{len(variables)}" in by_path
  if model is None or more or None in ordered:
    return None
  by_name = {entry.name: entry for entry in ordered}
  named = [by_name.get(variable.op.name) for variable in variables]
  if None not in named and not any(map(_compare, variables, named)):
    return None
  if any(map(_compare, variables, ordered)):
    return None
  pairs = zip([variable.op.name for variable in variables], ordered)
  used = {entry.key for entry in ordered}
  left = [entry.name for entry in found.entries if entry.key not in used]
  return dict(pairs), sorted(left)


def _variables_of(into):
  """Returns the variables, and the scopes that their names begin with."""
  scope = getattr(into, "scope", None)
  if hasattr(into, "variables") or not hasattr(into, "__iter__"):
    variables = variables_lib.listed(into)
  else:
    variables = variables_lib.unwrapped(into)
  if not variables:
    raise errors.ArgumentError(
      f"into must have variables, got {into!r}. Call the network "
      f"first, which makes them."
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
  """Returns variable name → entry, and the unused names."""
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
      f"{found.prefix!r} has nothing in scope {scope!r}. It has "
      f"{_scopes(found)}."
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
  """Returns variable name → entry, and the unused names."""
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
        f"mapping has {source!r}: {target!r}, but the part has no "
        f"variable {target!r}. Its variables are {sorted(known)}."
      )
    wanted.update(pairs)
  used = {entry.key for entry in wanted.values()}
  left = [entry.name for entry in found.entries if entry.key not in used]
  return wanted, sorted(left)


@errors.named("combine.pretrained")
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
    f"{found.prefix!r} has nothing named {source!r}. It has {_scopes(found)}."
  )


def _scopes(found):
  """Lists the available names and scopes, for a message."""
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
