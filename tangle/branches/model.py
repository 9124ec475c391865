"""A model with a branch for each type of records, and a shared head.

    model = branches.Model(
      {
        "image": branches.Branch(see, tf1.float32, [64]),
        "token": branches.Branch(look_up, tf1.int32),
      },
      head=classify, loss=cross_entropy, target=branches.Field(tf1.int32),
    )
    trainer = model.minimize(tf1.train.AdamOptimizer(), mode="alternate")
    sess.run(tf1.global_variables_initializer())
    result = trainer.step(sess, model.schema.batch(records))

`Schema.batch` makes a batch from records; `streams` makes batches by `tf.data`.
"""

from __future__ import annotations

import collections
from typing import (
  Callable,
  Dict,
  Iterable,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import numpy as np

from tangle import errors, hints
from tangle.branches import (
  alternate,
  mixed,
  partial,
  records,
  trainers,
  updates,
)
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.mux import calls, selectors, structures
from tangle.nets import checks, half

MODES = collections.OrderedDict(
  [
    ("alternate", alternate.Alternate),
    ("mixed", mixed.Mixed),
    ("partial", partial.Partial),
  ]
)
"""Name → the class that implements it."""

HEAD = "_head"  # no type can have this name


class Branch(NamedTuple):
  """A branch, and the values that it reads.

  Attributes:
    network: a callable from values `[n, ...]` to a representation, a nest of
      `[n, ...]`.
    dtype: the `tf.DType` of a value.
    shape: the shape of one value; `()` for a number.
  """

  network: hints.Network
  dtype: hints.Dtype
  shape: Sequence[int] = ()


class HeadResult(NamedTuple):
  """The results of the shared head for n records.

  Attributes:
    outputs: nest of `[n, ...]`, what the head returns.
    losses: `[n]`, one per record.
    loss: the mean of `losses`, a scalar.
  """

  outputs: hints.Nest
  losses: tf1.Tensor
  loss: tf1.Tensor


class Path(NamedTuple):
  """The graph for n records of one type.

  Attributes:
    input_ph: placeholder `[n, ...]` of the values that the branch reads.
    targets_ph: placeholder `[n, ...]` of the targets.
    representation: nest of `[n, ...]`, the output of the branch.
    head: the `HeadResult`.
  """

  input_ph: tf1.Tensor
  targets_ph: tf1.Tensor
  representation: hints.Nest
  head: HeadResult


class Model:
  """Branches and a shared head, and which variables belong to which.

  The loss of a batch is the mean over its records of all types. Update ops,
  such as those of the moving averages of batch normalization, are not run.

  Attributes:
    schema: the `Schema` of the records.
    graph: the graph in which the model is built.
    paths: an ordered dict: type → `Path`.
    variables: a dict from a type, or `HEAD` (`"_head"`), to the list of the
      part's trainable variables. A variable that several parts use is in the
      list of each.
  """

  @errors.named("branches.Model {name!r}")
  def __init__(
    self,
    branches: Mapping[str, Branch],
    head: hints.Network,
    loss: Callable[[hints.Nest, tf1.Tensor], tf1.Tensor],
    target: records.Field,
    name: str = "branches",
  ) -> None:
    """Builds the path of each type in the default graph.

    Args:
      branches: an ordered mapping from the name of a type to a `Branch`. All
        representations must have the same structure, dtypes and shapes.
      head: a callable from a representation to the outputs, a nest of
        `[n, ...]`. It is called several times, and must use the same variables
        each time.
      loss: a function of outputs and `[n, ...]` targets that returns `[n]`
        losses.
      target: the `Field` of the targets.
      name: name scope of the new ops.

    Raises:
      ArgumentError: if there are no branches, a name is not valid, a network is
        not callable, representations differ in structure, or a network that is
        called again does not reuse its variables.
      DtypeError: if representations differ in dtype, or losses are no floats.
      ShapeError: if representations differ in shapes, the shape of a record is
        not fully known, or losses are not `[n]`.
    """
    self._name = name
    fields = {
      k: records.Field(b.dtype, b.shape) for k, b in (branches or {}).items()
    }
    self.schema = records.Schema(fields, target)
    networks = {k: branch.network for k, branch in branches.items()}
    selectors.list_networks(dict(networks, **{HEAD: head}))
    selectors.list_networks({"loss": loss})
    self._networks, self._head, self._loss = networks, head, loss
    self.graph = tf1.get_default_graph()
    self.paths = collections.OrderedDict()
    with tf1.name_scope(name) as scope:
      self.scope = scope
      representations = collections.OrderedDict()
      for k in self.schema.fields:
        with tf1.name_scope(k):
          representations[k] = self.call_branch(k)
      structures.check_alike(
        [repr(k) for k in representations],
        [representation for _, representation in representations.values()],
      )
      for k, (input_ph, representation) in representations.items():
        with tf1.name_scope(f"{k}_head"):
          targets_ph = self.make_targets()
          head = self.call_head(representation, targets_ph)
        self.paths[k] = Path(input_ph, targets_ph, representation, head)
    self._known = None
    self._find_variables()

  def _find_variables(self):
    """Finds the variables of each part; checks that the head shares its own."""
    self.variables = collections.OrderedDict()
    for k, path in self.paths.items():
      leaves = tf1.nest.flatten(path.representation)
      below = walk.ancestors(leaves)
      self.variables[k] = walk.trainable_variables(below, self.graph)
      above = walk.ancestors([path.head.loss], stop=leaves)
      found = walk.trainable_variables(above, self.graph)
      names, wanted = (
        [variable.name for variable in group]
        for group in (found, self.variables.get(HEAD, found))
      )
      if names != wanted:
        raise errors.ArgumentError(
          f"the head must use the same variables each time "
          f"that it is called, and used {wanted}, then {names}. Make its "
          f"networks outside, and call them inside it."
        )
      self.variables.setdefault(HEAD, found)
    self._known = {v.name for group in self.variables.values() for v in group}

  @errors.named("branches.Model {self._name!r}")
  def call_branch(self, k: str) -> Tuple[tf1.Tensor, hints.Nest]:
    """Calls the branch of a type on a new placeholder; adds ops to the graph.

    Args:
      k: the type, one of the schema's.

    Returns:
      The placeholder `[n, ...]`, and the representation, a nest of `[n, ...]`.

    Raises:
      ArgumentError: if the network returns anything but dense tensors, or
        makes new variables when it is called again.
      ShapeError: if its output has no batch dimension.
    """
    field = self.schema.fields[k]
    shape = [None] + list(field.shape)
    input_ph = tf1.placeholder(field.dtype, shape, name="input_ph")
    representation = calls.call(
      repr(k), self._networks[k], input_ph, "branch"
    ).nest
    self._check_reuse(k, tf1.nest.flatten(representation))
    # Separate tensors, which can be fed when the branch does not run.
    return input_ph, tf1.nest.map_structure(tf1.identity, representation)

  def make_targets(self) -> tf1.Tensor:
    """Adds a placeholder `[n, ...]` of targets, and returns it."""
    shape = [None] + list(self.schema.target.shape)
    return tf1.placeholder(self.schema.target.dtype, shape, name="targets_ph")

  @errors.named("branches.Model {self._name!r}")
  def call_head(
    self, representation: hints.Nest, targets: tf1.Tensor
  ) -> HeadResult:
    """Calls the shared head and the loss; adds ops to the graph.

    Args:
      representation: nest of `[n, ...]`.
      targets: `[n, ...]`.

    Returns:
      A `HeadResult`.

    Raises:
      ArgumentError: if the head returns anything but dense tensors, or makes
        new variables when it is called again.
      DtypeError: if the losses are not floating.
      ShapeError: if outputs have no batch dimension, or losses are not `[n]`.
    """
    result = calls.call("head", self._head, representation, "head")
    with tf1.name_scope("loss"):
      losses = tf1.convert_to_tensor(self._loss(result.nest, targets))
      if not losses.dtype.is_floating:
        raise errors.DtypeError(
          f"loss must give floats, got {checks.describe(losses)}."
        )
      if losses.shape.ndims != 1:
        raise errors.ShapeError(
          f"loss must give one loss per record, [n], got "
          f"{checks.describe(losses)}. Leave the mean over records to the "
          f"model."
        )
      loss = half.in_float32(tf1.reduce_mean, losses)
    self._check_reuse("head", [loss])
    return HeadResult(result.nest, losses, loss)

  def _check_reuse(self, label, tensors):
    """Refuses variables that did not exist when the model was built."""
    if getattr(self, "_known", None) is None:
      return
    ops = walk.ancestors(tensors)
    found = walk.trainable_variables(ops, self.graph)
    new = [v.name for v in found if v.name not in self._known]
    if new:
      raise errors.ArgumentError(
        f"{label!r} was called again and made the variables "
        f"{new}. Make its networks outside, and call them inside it."
      )

  def variables_of(self, types: Iterable[str]) -> List[hints.Variable]:
    """Lists the variables that a step with certain types may change.

    Args:
      types: a list of names of declared types; empty for the variables of the
        head only.

    Returns:
      A list of trainable variables, those of the branches and of the head, in
      the order of the graph's collection.

    Raises:
      KeyError: if a name is not that of a declared type.
    """
    groups = [self.variables[k] for k in list(types) + [HEAD]]
    names = {variable.name for group in groups for variable in group}
    found = self.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
    return [variable for variable in found if variable.name in names]

  def owners(self) -> Dict[str, str]:
    """Assigns each variable to the branch of a type or to the head.

    Returns:
      A dict: variable name → name of the type, if only the branch of that type
      uses the variable; otherwise `HEAD` (`"_head"`).
    """
    users = collections.OrderedDict()
    for part, variables in self.variables.items():
      for variable in variables:
        users.setdefault(variable.name, []).append(part)
    return collections.OrderedDict(
      (name, parts[0] if len(parts) == 1 else HEAD)
      for name, parts in users.items()
    )

  @errors.named("branches.Model {self._name!r}")
  def minimize(
    self,
    optimizer: Optional[tf1.train.Optimizer] = None,
    mode: str = "alternate",
    clip_norm: Optional[hints.Scalar] = None,
    global_step: Optional[hints.Variable] = None,
    mixtures: Sequence[Iterable[str]] = (),
    make_optimizer: Optional[Callable[[], tf1.train.Optimizer]] = None,
  ) -> trainers.Trainer:
    """Builds the trainer; adds ops and the optimizer's variables to the graph.

    Run the initializers of variables after this call.

    Args:
      optimizer: a `tf.compat.v1.train.Optimizer` for all parts. State that is
        not per variable, such as Adam's powers of beta, counts all steps. None
        if `make_optimizer` is given; exactly one of the two is required.
      mode: `"alternate"`: each batch has one type, and each type its own ops;
        `"mixed"`: the same ops take batches of any types; or `"partial"`:
        branches and head are sub-models of a pipeline.
      clip_norm: gradients are scaled down to this global norm, taken over all
        variables that a step changes; `None` for no clipping.
      global_step: a variable that each step increments by 1; None for no count.
      mixtures: for `"partial"`, the groups of two or more types that a batch
        may mix; if empty, each batch has one type.
      make_optimizer: in place of `optimizer`, a function without arguments that
        makes an optimizer, called for each branch and for the head. State that
        is not per variable counts the steps of the part.

    Returns:
      A `trainers.Trainer`.

    Raises:
      ArgumentError: if `mode`, `optimizer` or `make_optimizer` is not valid,
        `clip_norm` is not positive, `global_step` is no variable, `mixtures` is
        given for another mode or has an invalid group, or no trainable variable
        gets a gradient.
      CutError: with `"partial"`, as `Pipeline.minimize`.
      GraphError: if `global_step` belongs to another graph.
    """
    if mode not in MODES:
      raise errors.ArgumentError(
        f"mode must be one of {list(MODES)}, got {mode!r}."
      )
    if mixtures and mode != "partial":
      raise errors.ArgumentError(
        f"mixtures needs mode='partial', got mode={mode!r}. "
        f"Leave mixtures out; with mode='mixed' a batch may have any types."
      )
    arguments = {"mixtures": mixtures} if mode == "partial" else {}
    optimizer = updates.Optimizers(
      optimizer,
      make_optimizer,
      self.owners(),
      f"{self.scope}optimizer/",
    )
    with self.graph.as_default(), tf1.name_scope(self.scope):
      return MODES[mode](self, optimizer, clip_norm, global_step, **arguments)

  @errors.named("branches.Model {self._name!r}, predict")
  def predict(self, sess: hints.Session, batch: records.Batch) -> hints.Nest:
    """Runs records forward, each through the path of its type.

    Args:
      sess: a session on the model's graph.
      batch: a `Batch` of B records; its targets are not used.

    Returns:
      The outputs, a nest of arrays `[B, ...]` in the order of the batch.

    Raises:
      ArgumentError, DtypeError, ShapeError: see `Schema.check`; the targets are
        checked, too. Errors of the session pass as they are.
    """
    self.schema.check(batch)
    found = sess.run(
      {k: self.paths[k].head.outputs for k in batch.inputs},
      {self.paths[k].input_ph: v for k, v in batch.inputs.items()},
    )
    places = np.concatenate([batch.places[k] for k in found])
    order = np.argsort(places)
    columns = zip(*[tf1.nest.flatten(outputs) for outputs in found.values()])
    rows = [np.concatenate(column)[order] for column in columns]
    first = next(iter(self.paths.values())).head.outputs
    return tf1.nest.pack_sequence_as(first, rows)
