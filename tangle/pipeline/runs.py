"""The plan of a batch: which sub-models run, at which bucket, with what feeds.

It also makes the result of what the runs have fetched.
"""

import contextlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from tangle import errors
from tangle.partial import run_errors, staging
from tangle.pipeline import batches
from tangle.pipeline import nodes as nodes_lib


class Active(NamedTuple):
  """One sub-model that takes part in a step.

  Attributes:
    node: its `Node`.
    graph: the `BucketGraph` that was picked.
    keys: pairs of a placeholder and the sub-model whose key is fed to it.
    sources: read name → the `Source` that it reads in this step.
    outputs: names of the outputs that another active sub-model reads.
    feeds: the placeholders that the batch feeds.
  """

  node: Any
  graph: Any
  keys: List[Tuple[Any, str]]
  sources: Dict[str, nodes_lib.Source]
  outputs: List[str]
  feeds: List[Any]


class Plan(NamedTuple):
  """The sub-models that a batch runs, with one bucket each.

  Batches with the same sub-models, buckets and feeds share one plan.

  Attributes:
    active: the sub-models of a step, in the order in which they run forward.
  """

  active: List[Active]

  @property
  def buckets(self):
    """Sub-model → the bucket that was picked."""
    return {a.node.name: a.graph.bucket for a in self.active}


class Result(NamedTuple):
  """The result of a step.

  Attributes:
    loss: the sum of the losses, weighted in a training step; `None` if there
      are none.
    losses: sub-model → its own loss, unweighted, for those that have a loss.
    metrics: sub-model → metric name → array. Each sub-model that ran is a key;
      its dict is empty without metrics.
    buckets: sub-model → the bucket that was picked; `None` if it has none.
    outputs: `"sub_model.output"` → array, for the names in `fetch`; empty after
      a training step.
    global_norm: the norm of all gradients before clipping; `None` without
      clipping or without gradients.
  """

  loss: Optional[float]
  losses: Dict[str, Any]
  metrics: Dict[str, Dict[str, Any]]
  buckets: Dict[str, Any]
  outputs: Dict[str, Any]
  global_norm: Any


def make_plan(pipeline, batch, needed=None):
  """Picks buckets and sources for a batch; runs nothing.

  Args:
    pipeline: the `Pipeline`.
    batch: sub-model name → feed name → array.
    needed: a function of a sub-model's name that returns the names of the feeds
      that it needs; by default it needs all placeholders without a default.

  Returns:
    A `Plan`, and a dict: sub-model → the arrays to feed, one for each of its
    `Active.feeds`.

  Raises:
    ArgumentError: if a name is unknown, a read has no or several sources, or a
      feed is missing or unknown.
    BucketError, DtypeError, ShapeError: as `nodes.choose_bucket`.
  """
  names = tuple(batch)
  chosen = pipeline.choices.get(names)
  if chosen is None:
    chosen = choose_sources(pipeline, batch)
    pipeline.choices[names] = chosen
  graphs, given, signature = {}, {}, []
  for name in chosen:
    graph, feed_dict = nodes_lib.choose_bucket(
      pipeline.nodes[name], batch[name], needed and needed(name)
    )
    graphs[name] = graph, list(feed_dict)
    given[name] = list(feed_dict.values())
    # By `id`, as tensors cannot always be hashed on 2.x.
    signature += [name, graph.bucket, *map(id, feed_dict)]
  signature = tuple(signature)
  plan = pipeline.plans.get(signature)
  if plan is None:
    plan = _make_plan(pipeline, chosen, graphs)
    pipeline.plans[signature] = plan
  return plan, given


def _make_plan(pipeline, chosen, graphs):
  """Returns the `Plan` of sub-model → its bucket graph and feeds."""
  read = {source for sources in chosen.values() for source in sources.values()}
  active = []
  for name, sources in chosen.items():
    node, (graph, feeds) = pipeline.nodes[name], graphs[name]
    keys = [(node.key, name)]
    for read_name, source in sources.items():
      key = pipeline.read_key(name, read_name)
      keys.append((key, source.sub_model))
    outputs = [o for o in graph.puts if nodes_lib.Source(name, o) in read]
    active.append(Active(node, graph, distinct(keys), sources, outputs, feeds))
  return Plan(active)


def distinct(pairs):
  """Keeps one pair per placeholder, in the order in which they first occur.

  Args:
    pairs: pairs of a placeholder and a value. Of several pairs with the same
      placeholder, the last value is kept.

  Returns:
    A list of pairs.
  """
  return list({id(pair[0]): pair for pair in pairs}.values())


def new_keys(plan):
  """Returns sub-model → key of a new step, a scalar int64 array."""
  return {
    active.node.name: np.array(staging.new_key(), np.int64)
    for active in plan.active
  }


@errors.named("Pipeline {pipeline.name!r}")
def choose_sources(pipeline, names):
  """Finds the source of each read when certain sub-models take part.

  Args:
    pipeline: the `Pipeline`, which need not be built.
    names: names of sub-models.

  Returns:
    A dict: sub-model → read name → `Source`. Its order is that of the pipeline,
    whatever the order of `names`.

  Raises:
    ArgumentError: if a name is unknown, or a read has no source or several.
  """
  for name in names:
    if name not in pipeline.nodes:
      batches.refuse_name(pipeline, name)
  chosen = {name: {} for name in pipeline.nodes if name in names}
  for name, reads in chosen.items():
    for read, sources in pipeline.nodes[name].reads.items():
      present = [source for source in sources if source.sub_model in names]
      if len(present) != 1:
        batches.refuse_sources(name, read, sources, present)
      reads[read] = present[0]
  return chosen


def fetches_of(active, with_loss=True, own=None):
  """Returns the fetches of any forward run: loss, metrics, boundary puts.

  Args:
    active: an `Active`.
    with_loss: whether losses and metrics are among them.
    own: a function from a tensor or op to the one to fetch in its place; by
      default each is fetched itself.

  Returns:
    A dict: `loss`, a list of one tensor or none; `metrics`, name → tensor; and
    `puts`, a list of ops.
  """
  piece = active.graph.piece
  own = own or (lambda item: item)
  puts = [own(active.graph.puts[output]) for output in active.outputs]
  if not with_loss:
    return {"loss": [], "metrics": {}, "puts": puts}
  loss = [] if piece.loss is None else [own(piece.loss)]
  metrics = {name: own(tensor) for name, tensor in piece.metrics.items()}
  return {"loss": loss, "metrics": metrics, "puts": puts}


def training_fetches(active, current):
  """Returns the fetches of a forward run of a training step.

  Args:
    active: an `Active`.
    current: its `Pass`, `None` if it has none.

  Returns:
    The dict of `fetches_of` with two more lists of ops, `updates` and `pass`.
  """
  own = None if current is None else current.own
  fetches = fetches_of(active, own=own)
  updates = active.graph.piece.updates
  fetches["updates"] = list(updates if own is None else map(own, updates))
  fetches["pass"] = [] if current is None else current.forward
  return fetches


def sources_of(plan):
  """Returns the `Source` of each boundary on which a plan puts values."""
  return [
    nodes_lib.Source(active.node.name, output)
    for active in plan.active
    for output in active.outputs
  ]


def drop_all(pipeline, plan, passes=None):
  """Returns the ops that remove all that the runs of a plan may leave behind.

  Args:
    pipeline: the `Pipeline`.
    plan: a `Plan`.
    passes: sub-model → `Pass`, in a training step; `None` in a forward run.

  Returns:
    A list of ops, which read the keys of the plan. They do nothing where
    nothing was left.
  """
  found = [pipeline.drops[source] for source in sources_of(plan)]
  return found + [op for each in (passes or {}).values() for op in each.drops]


def key_feeds(plan):
  """Returns pairs of placeholder and sub-model, for all keys of a plan."""
  return [(active.node.key, active.node.name) for active in plan.active]


def make_result(found, weights, buckets, outputs=None, global_norm=None):
  """Makes a `Result` of the fetched values of each sub-model.

  Args:
    found: sub-model → its fetched `loss`, a list of one or none, and
      `metrics`.
    weights: sub-model → factor of its loss; 1 for those that are left out.
    buckets: sub-model → bucket.
    outputs: `Result.outputs`; `None` for an empty dict.
    global_norm: the norm of the gradients, or `None`.

  Returns:
    A `Result`.
  """
  losses = {name: v["loss"][0] for name, v in found.items() if v["loss"]}
  weighted = [weights.get(name, 1.0) * loss for name, loss in losses.items()]
  return Result(
    loss=float(sum(weighted)) if weighted else None,
    losses=losses,
    metrics={name: v["metrics"] for name, v in found.items()},
    buckets=buckets,
    outputs=outputs or {},
    global_norm=global_norm,
  )


@contextlib.contextmanager
def explained(sess, fed):
  """A context that explains TensorFlow's errors, where that can be done.

  Other errors pass unchanged.

  Args:
    sess: the session.
    fed: an iterable, used only if there is an error: the name of each
      sub-model, its `Piece`, and pairs of placeholder and array.

  Yields:
    Nothing.

  Raises:
    TangleError: as `run_errors.reraise`.
  """
  try:
    yield
  except run_errors.ERRORS as error:
    batches.explain(error, sess, list(fed))
    raise


def fed_by(plan, given):
  """Yields what a plan is fed, as `explained` takes it.

  Args:
    plan: a `Plan`.
    given: sub-model → the arrays to feed.

  Yields:
    The name of each sub-model, its `Piece`, and pairs of placeholder and array.
  """
  for active in plan.active:
    name = active.node.name
    yield name, active.graph.piece, zip(active.feeds, given[name])


def feeds_without_loss(pipeline, batch, fetch):
  """Finds the feeds that a batch needs when no loss is computed.

  Args:
    pipeline: the `Pipeline`.
    batch: sub-model name → feeds.
    fetch: `"sub_model.output"` names to return.

  Returns:
    A function from the name of a sub-model to a set of names of feeds: of those
    on which an output depends that is fetched, or that another sub-model reads.

  Raises:
    ArgumentError: if a name is unknown, or a read has no source or several. An
      unknown name in `fetch` is not refused.
  """
  chosen = choose_sources(pipeline, batch)
  read = {(s.sub_model, s.output) for r in chosen.values() for s in r.values()}
  read |= {tuple(text.split(".", 1)) for text in fetch if "." in text}

  def needed(name):
    graph = next(iter(pipeline.nodes[name].graphs.values()))
    outputs = [o for o in graph.piece.outputs if (name, o) in read]
    return graph.feeds_of(outputs)

  return needed
