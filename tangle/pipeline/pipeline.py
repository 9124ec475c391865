"""Pipelines: sub-models in an acyclic graph, connected by named boundaries."""

from __future__ import annotations

import collections
from typing import Any, List, Mapping, Optional, Sequence

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import locks, strategies
from tangle.nets import checks
from tangle.partial import choice, drawing, leftovers, policies, prepared
from tangle.pipeline import (
  arguments,
  batches,
  bucket_graph,
  describing,
  faults,
  nodes,
  pieces,
  programs,
  runs,
  trainer,
)
from tangle.pipeline import boundaries as boundaries_lib
from tangle.pipeline import diagrams as diagrams_lib


class Pipeline:
  """Sub-models, each with its own buckets, that are trained as one network.

  A step picks a bucket per sub-model, independently, so that N and M buckets of
  two sub-models need N + M static graphs; one joint graph per pair would need
  N × M. Boundary values and gradients stay in the runtime.

      pipeline = tangle.Pipeline()
      pipeline.add("encoder", build_encoder, buckets=[10, 20],
                   pad={"source": 0})
      pipeline.add("decoder", build_decoder, buckets=[10, 20],
                   reads={"memory": "encoder.memory"}, pad={"targets": 0})
      trainer = pipeline.minimize(tf1.train.AdamOptimizer(), clip_norm=5.0)
      sess.run(tf1.global_variables_initializer())
      result = trainer.step(sess, {"encoder": {...}, "decoder": {...}})

  Attributes:
    name: name of the pipeline.
    graph: the graph of all sub-models.
    nodes: name → `Node`, in the order of `add`.
    scope: name scope of its ops.
    lock: the lock of the graph; a thread that adds ops must hold it.
    prepared: the `prepared.Runs` of steps and forward runs.
    choices, plans, forwards: caches of sources, `Plan`s and `ForwardProgram`s.
    timeout_s: the time limit of a run on a cluster, in seconds.
    leftovers: what failed steps may have left in the runtime.
    left_keys: keys of steps that lost a task; a later step drops their values.
    drops, takes: `Source` → op that empties its boundary; a take waits for it.
  """

  @errors.named("Pipeline {name!r}")
  def __init__(
    self, name: str = "pipeline", timeout_s: float = faults.TIMEOUT_S
  ) -> None:
    """Makes an empty pipeline in the default graph.

    Args:
      name: name scope of the pipeline's own ops.
      timeout_s: the seconds that a run on a cluster may take before its task
        counts as lost. Runs in a local session have no limit.

    Raises:
      ArgumentError: if `name` cannot name a scope; `timeout_s` is not above 0.
      GraphError: if TensorFlow executes eagerly.
    """
    self.name = checks.check_name("Pipeline", name)
    self.timeout_s = faults.check_timeout(timeout_s)
    self.left_keys = set()
    self.graph = nodes.default_graph()
    self.nodes = collections.OrderedDict()
    self.lock = locks.of(self.graph)
    self.prepared = prepared.Runs()
    self.leftovers = leftovers.Leftovers()
    self.choices, self.plans, self.forwards = {}, {}, {}
    self._boundaries, self._read_keys = None, {}
    self.drops, self.takes = {}, {}
    with tf1.name_scope(name) as scope:
      self.scope = scope

  def __repr__(self):
    return describing.pipeline(self)

  @errors.named("Pipeline.add({name!r})")
  def add(
    self,
    name: str,
    build: pieces.Builder,
    buckets: Optional[Sequence[Any]] = None,
    reads: Optional[pieces.ReadNames] = None,
    pad: Optional[Mapping[str, Any]] = None,
    bucket_of: Optional[pieces.BucketOf] = None,
    residuals: policies.Residuals = policies.FRONTIER,
    recompute: Optional[hints.Predicate] = None,
    keep: Optional[hints.Predicate] = None,
    sizes: Optional[hints.Sizes] = None,
    device: Optional[str] = None,
  ) -> None:
    """Adds a sub-model, whose graphs `Pipeline.build` makes later.

    Args:
      name: its name in batches, reads and results.
      build: called as `build(bucket, reads)` once for each bucket, with a
        dict of the tensors read; returns a `tangle.Piece`. All buckets must
        share their variables.
      buckets: its buckets, from small to large. By default it has one graph,
        whose bucket is `None`: `build(None, reads)`.
      reads: read name → `"sub_model.output"` of a sub-model added before, or a
        list of these: each step reads from the one that takes part.
      pad: feed name → value; arrays for these feeds are padded at their ends
        to the static shape of the bucket's placeholder. Other feeds must fit.
      bucket_of: a function from the feeds of a batch (name → array) to one of
        `buckets`; by default the first bucket that they fit is taken.
      residuals: what is kept between forward and backward, as in `SubModel`.
      recompute, keep, sizes: as in `SubModel`.
      device: the device of its variables, forward and backward ops, residuals,
        slots and updates, such as `"/job:worker/task:1"` or `"/gpu:0"`. Each
        tensor that it reads is copied there once per step, and its gradient
        back once. By default TensorFlow places the ops.

    Raises:
      ArgumentError: if the name is in use or has a dot, a source is unknown,
        `buckets` is empty, has equal members or has ints that do not ascend,
        the pipeline is built already, or another argument is invalid.
    """
    if self._boundaries is not None:
      raise errors.ArgumentError(
        "the pipeline is built already. Add all sub-models before "
        "minimize() or build()."
      )
    arguments.check(name, build, buckets, reads, pad, bucket_of)
    buckets = nodes.check_new(name, buckets, self.nodes)
    nodes.check_device(device)
    policy = choice.make(residuals, recompute, keep, sizes)
    parsed = nodes.parse_reads(reads, self.nodes)
    with self.graph.as_default(), tf1.name_scope(self.scope):
      key_name = f"{nodes.op_name(name)}_key_ph"
      key = tf1.placeholder(tf1.int64, [], name=key_name)
    self.nodes[name] = nodes.Node(
      name=name,
      build=build,
      buckets=buckets,
      reads=parsed,
      pad=dict(pad or {}),
      bucket_of=bucket_of,
      residuals=policy,
      key=key,
      graphs=collections.OrderedDict(),
      device=device,
    )

  def build(self) -> None:
    """Builds the forward graphs of all sub-models at all buckets, once.

    `minimize`, `forward` and `draw` do this too, unless it is done. If the
    pipeline only runs forward, call this before you initialize the variables.

    Raises:
      ArgumentError: if a builder does not return a `Piece`, takes an unknown
        read or needs a placeholder that is not among its feeds, the source of
        a read is not an output, alternatives make two outputs of one sub-model
        share a boundary, the buckets of a sub-model differ in more than shapes
        or do not share variables, or `pad` has an unknown name.
      DtypeError: if a read may choose among outputs of several dtypes, an
        output is a handle, or a loss is not floating.
      GraphError: if a tensor belongs to another graph, or a feed cannot be fed.
      ShapeError: if a loss is not a scalar.
    """
    with self.lock:
      if self._boundaries is None:
        self._boundaries = {}
        try:
          self._build()
        except BaseException:  # so that another attempt raises the same error
          self._boundaries = None
          for node in self.nodes.values():
            node.graphs.clear()
          raise

  @errors.named("Pipeline {self.name!r}")
  def _build(self):
    group = nodes.group_sources(self.nodes)
    shared = {}  # the first source of each group → its boundary
    with self.graph.as_default(), tf1.name_scope(self.scope):
      for node in self.nodes.values():
        self._build_node(node)
        self._make_boundaries(node, group, shared)

  @errors.named("Pipeline sub-model {node.name!r}")
  def _build_node(self, node):
    for bucket in node.buckets:
      before = len(self.graph.get_operations())
      suffix = "" if bucket is None else f"_{bucket}"
      with tf1.name_scope(nodes.op_name(node.name + suffix)), tf1.device(
        node.device
      ):
        reads = {name: self._read(node, name) for name in node.reads}
        tensors = {name: read[0] for name, read in reads.items()}
        piece = pieces.build(node, bucket, tensors, self.graph)
        node.graphs[bucket] = bucket_graph.BucketGraph(
          node, bucket, piece, reads
        )
      node.graphs[bucket].op_count += len(self.graph.get_operations()) - before
    found = {bucket: graph.piece for bucket, graph in node.graphs.items()}
    pieces.check_alike(found)
    pieces.check_shared_variables(found, self.graph)
    pieces.check_pad(node.pad, self._any_piece(node.name).feeds)

  def _read(self, node, name):
    """Returns the tensor of a read, its boundary and the producer's key."""
    sources = node.reads[name]
    for source in sources:
      if source not in self._boundaries:
        piece = self._any_piece(source.sub_model)
        nodes.refuse_output(name, source, piece.outputs)
    boundary = self._boundaries[sources[0]]
    key = self.read_key(node.name, name)
    return boundary.peek(key, node.device), boundary, key

  def read_key(self, name: str, read: str) -> tf1.Tensor:
    """Returns the placeholder of the key of a read's producer.

    Args:
      name: name of the sub-model.
      read: name of the read.

    Returns:
      A scalar int64: the producer's key or, if the read may choose among
      producers, a separate placeholder, which the first call adds.
    """
    sources = self.nodes[name].reads[read]
    if len(sources) == 1:
      return self.nodes[sources[0].sub_model].key
    if (name, read) not in self._read_keys:
      with tf1.name_scope(self.scope):
        key_name = nodes.op_name(f"{name}_reads_{read}_key_ph")
        key = tf1.placeholder(tf1.int64, [], name=key_name)
        self._read_keys[name, read] = key
    return self._read_keys[name, read]

  def _any_piece(self, name):
    return next(iter(self.nodes[name].graphs.values())).piece

  @errors.named("Pipeline sub-model {node.name!r}")
  def _make_boundaries(self, node, group, shared):
    """Makes the boundaries of the outputs of `node`, and their put ops."""
    own = collections.OrderedDict()
    for output in self._any_piece(node.name).outputs:
      source = nodes.Source(node.name, output)
      if source not in group:
        continue
      first = group[source]
      tensors = [graph.piece.outputs[output] for graph in node.graphs.values()]
      shape = pieces.common_shape(tensor.shape for tensor in tensors)
      dtype = tensors[0].dtype
      boundary = shared.get(first)
      if boundary is None:
        where = f"{self.scope}{first}"
        boundary = boundaries_lib.Boundary(dtype, shape, where, node.device)
        boundary.readers = sum(
          group[sources[0]] == first
          for reader in self.nodes.values()
          for sources in reader.reads.values()
        )
        shared[first] = boundary
      boundaries_lib.check_dtype(source, dtype, boundary)
      boundary.shape = pieces.common_shape([boundary.shape, shape])
      self._boundaries[source] = own[output] = boundary
    for graph in node.graphs.values():
      before = len(self.graph.get_operations())
      with tf1.name_scope(nodes.op_name(f"{node.name}_outputs")):
        graph.add_puts(own)
      graph.op_count += len(self.graph.get_operations()) - before
    with tf1.name_scope(nodes.op_name(f"{node.name}_drops")):
      for output, boundary in own.items():
        source = nodes.Source(node.name, output)
        self.drops[source] = boundary.drop(node.key)
        self.takes[source] = boundary.take(node.key)

  @errors.named("Pipeline {self.name!r}: minimize")
  def minimize(
    self,
    optimizer: tf1.train.Optimizer,
    clip_norm: Optional[hints.Scalar] = None,
    loss_weights: Optional[Mapping[str, float]] = None,
    global_step: Optional[hints.Variable] = None,
    overlap: bool = False,
    weights_unchanged: bool = False,
    micro_batches: int = 1,
    schedule: str = "1f1b",
    simplify_gradients: bool = True,
  ) -> trainer.Trainer:
    """Adds all ops and variables that training needs; runs nothing.

    Args:
      optimizer: a `tf.compat.v1.train.Optimizer`, one for all sub-models.
      clip_norm: the global norm, over all sub-models that take part in a step,
        to which gradients are scaled down; `None` does not clip.
      loss_weights: sub-model name → factor of its loss; 1 by default.
      global_step: a variable to which each step adds 1; `None` for no counter.
      overlap: whether threads make runs that do not depend on one another, such
        as those of two encoders, at the same time. The results are the same.
        In a monitored or wrapped session the runs are made in turn.
      weights_unchanged: your promise that nothing but the trainer's own
        updates changes variables during a step, as for `SubModel`.
      micro_batches: the number of parts into which a batch is divided, along
        the first axis of all fed arrays but scalars. Sub-models work on
        different parts at once. The gradient is that of the whole batch if each
        loss is a mean over its rows; a batch normalization sees one part.
      schedule: `"1f1b"`, which keeps fewer residuals, or `"gpipe"`.
      simplify_gradients: as for `SubModel`.

    Returns:
      A `Trainer`.

    Raises:
      ArgumentError: if no sub-model has a loss, no trainable variable gets a
        gradient, the update needs a placeholder, micro-batches do not support
        a metric or a loop, `optimizer`, `clip_norm`, `loss_weights`,
        `global_step`, `micro_batches` or `schedule` is invalid, or as `build`.
      CutError: if residuals of a sub-model cannot be kept as `residuals` says.
      DtypeError, ShapeError: as `build`.
      GraphError: if `global_step` belongs to another graph, or as `build`.
    """
    strategies.check_optimizer(optimizer)
    strategies.check_global_step(global_step, self.graph)
    self.build()
    options = clip_norm, loss_weights or {}, global_step
    options += overlap, weights_unchanged, micro_batches, schedule
    return trainer.Trainer(self, optimizer, *options, simplify_gradients)

  @errors.named("Pipeline {self.name!r}: forward")
  def forward(
    self,
    sess: hints.Session,
    batch: hints.Batch,
    fetch: Sequence[str] = (),
    with_loss: bool = True,
  ) -> runs.Result:
    """Runs sub-models forward, without gradients and without updates.

    Args:
      sess: a session on the pipeline's graph.
      batch: sub-model name → feed name → array. Only the sub-models named
        here run; one that needs no feeds is named with an empty dict.
      fetch: `"sub_model.output"` names to return, of sub-models in the batch.
      with_loss: whether to compute losses and metrics. If not, the result has
        none, and feeds that only they need, such as labels, may be omitted.

    Returns:
      A `Result`, whose `outputs` has those named by `fetch`.

    Raises:
      ArgumentError: if `batch` is empty, a name is unknown, a read has no
        source or several, or a feed is missing.
      BucketError, ShapeError: if an array fits no bucket.
      DtypeError: if a placeholder's dtype cannot represent the values.
      GraphError: if the session runs another graph.
      SessionError: if the session is closed, or a variable has no value.
      TaskLostError: if a task of the cluster is lost.
    """
    batches.check("forward(sess, batch)", self, sess, batch)
    self.build()
    needed = None if with_loss else runs.feeds_without_loss(self, batch, fetch)
    plan, given = runs.make_plan(self, batch, needed)
    program = programs.forward_of(self, plan, fetch, with_loss)
    return program.call(sess, given)

  @errors.named("Pipeline {self.name!r}: draw")
  def draw(self, path: hints.Path) -> None:
    """Draws sub-models and boundaries, with shapes and bytes; calls `build`.

    Args:
      path: file to write or replace: `.dot`, for graphviz, `.svg` or `.png`.

    Raises:
      ArgumentError, FileError: if `path` ends otherwise, or cannot be written.
      MissingPackageError: if `path` is no `.dot` file and graphviz is missing.
    """
    self.build()
    drawing.write(path, lambda: diagrams_lib.to_dot(self))

  def graph_counts(self) -> List[bucket_graph.GraphCount]:
    """Lists the static graphs of the pipeline.

    Returns:
      One `GraphCount` per sub-model and bucket; an empty list before `build`.
    """
    return [
      bucket_graph.GraphCount(node.name, bucket, graph.op_count)
      for node in self.nodes.values()
      for bucket, graph in node.graphs.items()
    ]
