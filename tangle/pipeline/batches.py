"""Checks the arguments of a step, and explains why a batch does not fit."""

from tangle import errors
from tangle.partial import feeds as fed
from tangle.partial import run_errors


def check(call, pipeline, sess, batch):
  """Refuses a step whose session or batch cannot be used.

  Args:
    call: how to call, such as `"step(sess, batch)"`.
    pipeline: the `Pipeline`.
    sess: the session.
    batch: sub-model name → feed name → array.

  Raises:
    ArgumentError: if `sess` is no session, or `batch` is no dict or is empty.
      The names in the batch are not checked.
    GraphError: if `sess` runs another graph.
    SessionError: if `sess` is a monitored session that is closed.
  """
  run_errors.check_session(sess, pipeline.graph, call, "pipeline.graph")
  if not hasattr(batch, "items"):
    remedy = f"Call {call} with such a dict"
    if hasattr(batch, "__next__"):
      remedy = f"Call {call} for each batch that it yields"
    raise errors.ArgumentError(
      f"batch must be a dict from sub-model to its feeds, got "
      f"{type(batch).__name__}. {remedy}."
    )
  if not batch:
    raise errors.ArgumentError(
      f"the batch is empty. Name the sub-models that shall run, of "
      f"{list(pipeline.nodes)}."
    )


def refuse_name(pipeline, name):
  """Raises the error for a name that is no sub-model's.

  Args:
    pipeline: the `Pipeline`.
    name: the unknown name.

  Raises:
    ArgumentError: in any case.
  """
  known = list(pipeline.nodes)
  remedy = errors.suggest(name, known)
  for node in pipeline.nodes.values():
    graph = next(iter(node.graphs.values()), None)
    if graph is not None and name in graph.piece.feeds and not remedy:
      remedy = f" Nest it: {{{node.name!r}: {{{name!r}: array}}}}."
      break
  raise errors.ArgumentError(
    f"the batch names {name!r}, which is not one of the sub-models "
    f"{known}.{remedy or ' Use the names of the sub-models to run as keys.'}"
  )


def refuse_sources(name, read, sources, present):
  """Raises the error for a read that has not exactly one source in a batch.

  Args:
    name: the name of the sub-model.
    read: the name of the read.
    sources: the `Source`s that it may come from.
    present: those of them whose sub-model the batch names.

  Raises:
    ArgumentError: in any case.
  """
  what = f"the sub-model {name!r} reads {read!r} from "
  names = [source.sub_model for source in sources]
  if present:
    chosen = [source.sub_model for source in present]
    what += f"one of {list(map(str, sources))}, and the batch names {chosen}"
    remedy = "Name only one of these sub-models in the batch"
  elif len(sources) > 1:
    what += f"one of {list(map(str, sources))}, but the batch names none"
    remedy = f"Add one of the sub-models {names} to the batch"
  else:
    what += f"'{sources[0]}', but the batch does not name {names[0]!r}"
    remedy = f"Add {names[0]!r}: feeds to the batch, or {{}} if it has no feeds"
  raise errors.ArgumentError(f"{what}. {remedy}.")


def candidates(node, arrays):
  """Lists the buckets to try for the arrays of one sub-model.

  Args:
    node: its `Node`.
    arrays: feed name → array.

  Returns:
    A list: only what `bucket_of` returns or, if there is no such function, all
    buckets, in the order of `Pipeline.add`.

  Raises:
    Exception: what `bucket_of` raises.
    BucketError: if `bucket_of` returns what is no bucket.
  """
  if node.bucket_of is None:
    return node.buckets
  bucket = node.bucket_of(arrays)
  if bucket not in node.buckets:
    raise errors.BucketError(
      f"bucket_of returned {bucket!r}, which is not one of the "
      f"buckets {node.buckets}. Return one of them, or add this one."
    )
  return [bucket]


def refuse_shape(name, shape, buckets, wanted, may_pad):
  """Raises the error for an array that fits no bucket.

  Args:
    name: the name of the feed.
    shape: the shape of the array, a tuple.
    buckets: the buckets that were tried.
    wanted: a list: for each of `buckets` the static shape of the feed's
      placeholder.
    may_pad: whether `Pipeline.add` was given a `pad` value for the feed.

  Raises:
    ShapeError: if a larger bucket would not help: the rank is wrong, or a size
      that is the same at all of several buckets, or at the bucket `None`.
    BucketError: else. So too for any wrong size if a single bucket was tried,
      since that does not show which sizes depend on the bucket. The message
      asks for a larger bucket only if a size that is too small equals the
      bucket, or may depend on it.
  """
  last = wanted[-1]
  what = f"the feed {name!r} of shape {shape}"
  alike = [each.as_list() for each in wanted if each.rank == len(shape)]
  if not alike:
    remedy = fed.explain_shape(last, shape)
    raise errors.ShapeError(
      f"{what} does not fit the shape {last} of its placeholder. {remedy}"
    )
  for axis, given in enumerate(shape):
    sizes = {each[axis] for each in alike}
    if len(sizes) == 1 and (len(alike) > 1 or list(buckets) == [None]):
      (size,) = sizes
      if size is not None and given != size and not (may_pad and given < size):
        remedy = f"Axis {axis} must have size {size}"
        if given < size:
          remedy += f", or pad it: give Pipeline.add pad={{{name!r}: value}}"
        raise errors.ShapeError(
          f"{what} does not fit the shape {last} of its placeholder. {remedy}."
        )
  is_short = all(
    size is None or given <= size for size, given in zip(last.as_list(), shape)
  )
  remedy = "Add a larger bucket, or remove the example from the data"
  fixed = _not_of_bucket(last, shape, buckets)
  if fixed:
    remedy = f"{fixed}, unless its size depends on the bucket: add a larger one"
  elif is_short and not may_pad:
    remedy = (
      f"Give Pipeline.add pad={{{name!r}: value}}, or feed arrays of exactly "
      f"that shape"
    )
  padding = "" if may_pad else ", and arrays of this feed are not padded"
  raise errors.BucketError(
    f"{what} fits none of the buckets {buckets}. The placeholder of the last "
    f"one has the shape {last}{padding}. {remedy}."
  )


def _not_of_bucket(wanted, shape, buckets):
  """Names the axes that are too long and whose size is not that of the bucket.

  With one bucket, nothing else tells which sizes depend on it. With several,
  those do that differ, and the others have been refused.

  Args:
    wanted: the static shape of the placeholder.
    shape: the shape of the array.
    buckets: the buckets that were tried.

  Returns:
    What these axes must be, as text; "" if there are none.
  """
  sizes = buckets[0] if isinstance(buckets[0], tuple) else buckets
  text = [
    f"axis {axis} must have size {size}"
    for axis, (size, given) in enumerate(zip(wanted.as_list(), shape))
    if size is not None and given > size and size not in sizes
  ]
  return " and ".join(text).capitalize() if len(buckets) == 1 else ""


def find_outputs(pieces, fetch):
  """Finds the tensors to return.

  Args:
    pieces: sub-model → `Piece`, of those that run.
    fetch: `"sub_model.output"` names.

  Returns:
    A dict: sub-model → `"sub_model.output"` → tensor; without the sub-models of
    which nothing is fetched.

  Raises:
    ArgumentError: if `fetch` is a string or no list, such as `None`, or has a
      name that is not an output of a sub-model in `pieces`.
  """
  if isinstance(fetch, str) or not hasattr(fetch, "__iter__"):
    remedy = "Put it into a list" if isinstance(fetch, str) else "Leave it out"
    raise errors.ArgumentError(
      f"fetch must be a list of names, got {errors.show(fetch)}. {remedy}."
    )
  wanted = {}
  for text in fetch:
    name, _, output = str(text).partition(".")
    if name not in pieces or output not in pieces[name].outputs:
      known = [f"{n}.{o}" for n, p in pieces.items() for o in p.outputs]
      hint = errors.suggest(text, known) or " Use these names."
      raise errors.ArgumentError(
        f"fetch has {text!r}; the outputs of the sub-models in the "
        f"batch are {known}.{hint}"
      )
    wanted.setdefault(name, {})[text] = pieces[name].outputs[output]
  return wanted


def explain(error, sess, fed_by_name):
  """Raises an explanation of an error of a step's run, if there is one.

  Args:
    error: the error.
    sess: the session.
    fed_by_name: for each sub-model its name, its `Piece`, and an iterable of
      pairs of a placeholder and the array that it was fed.

  Raises:
    TangleError: as `run_errors.reraise`. If there is no explanation, this
      returns without an error.
  """
  found = []
  for name, piece, pairs in fed_by_name:
    names = {tensor.name: feed for feed, tensor in piece.feeds.items()}
    for tensor, array in pairs:
      feed = names.get(tensor.name, tensor.name)
      label = f"the feed {feed!r} of the sub-model {name!r}"
      found.append(run_errors.Fed(label, tensor, array))
  run_errors.reraise(error, sess, found)
