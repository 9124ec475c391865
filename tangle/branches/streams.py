"""Batches through `tf.data`, from one stream of records of all types.

    dataset = streams.encode(model.schema, read_records)  # or one of your own
    dataset = streams.by_type(model.schema, dataset.shuffle(10000), 32)
    reader = streams.Reader(dataset)
    for batch in reader.epoch(sess):
      trainer.step(sess, batch)

An element of the stream is one record, a dict

    type      scalar string, the name of its type
    inputs    a dict: type → value. The record's own value has the declared
              shape; those of other types have any shape, such as zeros or empty
    target    its target

as parsed from files of `tf.train.Example`s, with defaults for missing features.
Each record is in exactly one batch: none is dropped, and the last batches may
be smaller.
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, Iterator, Optional

import numpy as np

from tangle import compat, errors, hints
from tangle.branches import records as records_lib
from tangle.compat import tf1
from tangle.nets import checks

_CHUNK = 128
_MESSAGE = re.compile(r"Record \d+[ ,][^\n]*")


@errors.named("streams.encode")
def encode(
  schema: records_lib.Schema,
  records: Callable[[], Iterable[records_lib.Record]],
) -> tf1.data.Dataset:
  """Makes a stream of Python records, in their order.

  Args:
    schema: the `Schema`.
    records: a function without arguments that returns an iterable of
      `Record`s; it is called for each epoch. A record that does not fit the
      schema raises when it is read, as in `Reader.epoch`.

  Returns:
    A `tf.data.Dataset`, in the default graph.

  Raises:
    ArgumentError: if `records` cannot be called.
  """
  if not callable(records):
    raise errors.ArgumentError(
      f"records must be a function that returns the records, "
      f"once for each epoch, got {type(records).__name__}. Wrap a list in a "
      f"lambda."
    )
  fillers = {
    name: np.zeros(field.shape, field.dtype.as_numpy_dtype)
    for name, field in schema.fields.items()
  }
  for name, field in schema.fields.items():
    if field.dtype == tf1.string:
      fillers[name] = np.full(field.shape, b"", object)

  def chunks():
    chunk = []
    try:
      for number, record in enumerate(records()):
        chunk.append((record.type, *schema.convert(record, number)))
        if len(chunk) == _CHUNK:
          yield _columns(chunk, fillers)
          chunk = []
    except errors.DataError:
      # Yield the records before the error first, then raise it.
      if chunk:
        yield _columns(chunk, fillers)
      raise
    if chunk:
      yield _columns(chunk, fillers)

  dtypes, shapes = _structure(schema)
  shapes = tf1.nest.map_structure(
    lambda shape: tf1.TensorShape([None]).concatenate(shape), shapes
  )
  # In chunks, since each step of a Python generator has a large fixed cost.
  return compat.dataset_from_generator(chunks, dtypes, shapes).unbatch()


def _columns(chunk, fillers):
  """Returns records as one element with many rows."""
  types, values, targets = zip(*chunk)
  inputs = {}
  for name, filler in fillers.items():
    rows = [v if t == name else filler for t, v in zip(types, values)]
    inputs[name] = np.stack(rows)
  return {
    "type": np.array(types, object),
    "inputs": inputs,
    "target": np.stack(targets),
  }


@errors.named("streams.by_type")
def by_type(
  schema: records_lib.Schema, dataset: tf1.data.Dataset, batch_size: int
) -> tf1.data.Dataset:
  """Makes batches of one type each, in the order in which they fill up.

  At the end of the stream come the batches that are not full.

  Args:
    schema: the `Schema`.
    dataset: a `tf.data.Dataset` of records, see the module's description.
    batch_size: how many records a full batch has.

  Returns:
    A `tf.data.Dataset` of batches, for `Reader`: dicts with the keys `inputs`,
    `places` and `targets` as in `Batch`, but with all types, also those that
    have no records.

  Raises:
    ArgumentError: if elements have another structure, or `batch_size` is not a
      positive integer.
    DtypeError: if elements have other dtypes than declared.
    ShapeError: if the static shape of the target differs from the declared one.
  """
  size = checks.check_positive("batch_size", batch_size)
  count = len(schema.fields)

  # Keys are computed for many records at once: running an op costs more than
  # computing a key.
  records = _check(schema, dataset).batch(size)
  records = records.map(lambda *chunk: (_keys(schema, *chunk), *chunk))
  grouped = compat.group_by_window(
    records.unbatch(),
    lambda key, *record: key,
    lambda key, window: window.batch(size),
    # A record of an undeclared type fails at once.
    lambda key: tf1.where_v2(key < count, tf1.constant(size, tf1.int64), 1),
  )
  return grouped.map(lambda key, *columns: _split(schema, *columns))


def _keys(schema, numbers, columns):
  """Returns the index of each record's type; their count if it is unknown."""
  del numbers
  names = list(schema.fields)
  same = tf1.equal(tf1.expand_dims(columns["type"], 1), names)
  unknown = tf1.logical_not(tf1.reduce_any(same, 1, keepdims=True))
  all_cases = tf1.cast(tf1.concat([same, unknown], 1), tf1.int32)
  return tf1.argmax(all_cases, 1, output_type=tf1.int64)


@errors.named("streams.mixed")
def mixed(
  schema: records_lib.Schema, dataset: tf1.data.Dataset, batch_size: int
) -> tf1.data.Dataset:
  """Makes batches of records of any types, in the order of the stream.

  The last batch may be smaller.

  Args:
    schema: the `Schema`.
    dataset: a `tf.data.Dataset` of records, see the module's description.
    batch_size: how many records a full batch has.

  Returns:
    A `tf.data.Dataset` of batches, for `Reader`, as from `by_type`.

  Raises:
    ArgumentError, DtypeError, ShapeError: see `by_type`.
  """
  size = checks.check_positive("batch_size", batch_size)
  batches = _check(schema, dataset).batch(size)
  return batches.map(lambda *columns: _split(schema, *columns))


class Reader:
  """Reads batches in a session."""

  @errors.named("streams.Reader")
  def __init__(self, dataset: tf1.data.Dataset, name: str = "reader") -> None:
    """Adds the iterator to the default graph.

    Args:
      dataset: the result of `by_type` or `mixed`, possibly with `prefetch` or
        the like applied.
      name: name scope of the new ops.

    Raises:
      ArgumentError: if the dataset does not consist of batches.
    """
    structure = tf1.data.get_output_types(dataset)
    if not isinstance(structure, dict) or set(structure) != {
      "inputs",
      "places",
      "targets",
    }:
      raise errors.ArgumentError(
        f"dataset must be one of batches, got elements "
        f"{structure}. Pass it through streams.by_type or streams.mixed."
      )
    with tf1.name_scope(name):
      self._iterator = tf1.data.make_initializable_iterator(dataset)
      self._next = self._iterator.get_next()

  def epoch(
    self, sess: hints.Session, feed_dict: Optional[hints.FeedDict] = None
  ) -> Iterator[records_lib.Batch]:
    """Initializes the iterator, and reads the stream from beginning to end.

    A shuffle with a fixed seed repeats its order in each epoch. For a new order
    make the seed a placeholder, and feed it the number of the epoch.

    Args:
      sess: a session; one epoch at a time.
      feed_dict: values of placeholders that the dataset depends on.

    Yields:
      `Batch`es, each only with the types that have records in it.

    Raises:
      DataError: when the batch is requested, if a record has an undeclared
        type, a value or target of another shape than declared, or is a Python
        record that does not fit the schema. Other errors of TensorFlow pass.
    """
    sess.run(self._iterator.initializer, feed_dict)
    while True:
      try:
        found = sess.run(self._next)
      except tf1.errors.OutOfRangeError:
        return
      except tf1.errors.InvalidArgumentError as error:
        message = _MESSAGE.search(str(error))
        if message is None:
          raise
        raise errors.DataError(message.group().rstrip("]")) from error
      names = [name for name, rows in found["places"].items() if len(rows)]
      yield records_lib.Batch(
        {name: found["inputs"][name] for name in names},
        {name: found["places"][name] for name in names},
        found["targets"],
      )


def _structure(schema):
  """Returns the dtypes and the shapes of an element."""
  inputs = schema.fields.items()
  dtypes = {
    "type": tf1.string,
    "inputs": {name: field.dtype for name, field in inputs},
    "target": schema.target.dtype,
  }
  shapes = {
    "type": tf1.TensorShape([]),
    "inputs": {name: tf1.TensorShape(field.shape) for name, field in inputs},
    "target": tf1.TensorShape(schema.target.shape),
  }
  return dtypes, shapes


def _check(schema, dataset):
  """Returns numbered records, with the shapes that are known statically."""
  wanted, shapes = _structure(schema)
  dtypes = tf1.data.get_output_types(dataset)
  try:
    tf1.nest.assert_same_structure(wanted, dtypes)
  except (TypeError, ValueError) as error:
    raise errors.ArgumentError(
      f"elements of the dataset must be {wanted}, got {dtypes}. "
      f"Convert the elements first, with Dataset.map."
    ) from error
  if tf1.nest.flatten(dtypes) != tf1.nest.flatten(wanted):
    raise errors.DtypeError(
      f"elements of the dataset must be {wanted}, got {dtypes}. "
      f"Cast them first, with Dataset.map."
    )
  found = tf1.data.get_output_shapes(dataset)
  if not found["target"].is_compatible_with(shapes["target"]):
    raise errors.ShapeError(
      f"targets must have shape {shapes['target']}, got {found['target']}."
    )
  numbers = tf1.data.Dataset.range(2**62)
  numbered = tf1.data.Dataset.zip((numbers, dataset))
  same = [
    a.ndims is not None and a.as_list() == b.as_list()
    for a, b in zip(tf1.nest.flatten(found), tf1.nest.flatten(shapes))
  ]
  if all(same):
    return numbered
  return numbered.map(lambda number, element: _fit(schema, number, element))


def _fit(schema, number, element):
  """Checks the shapes of a record, and sets them as static shapes."""
  kind = element["type"]
  who = tf1.strings.join(["Record ", tf1.as_string(number), ", of type ", kind])
  inputs, check_ops = {}, []
  for name, field in schema.fields.items():
    inputs[name], check_op = _own(
      who, "value", element["inputs"][name], field, tf1.equal(kind, name)
    )
    check_ops.append(check_op)
  target, check_op = _own(
    who, "target", element["target"], schema.target, tf1.constant(True)
  )
  with tf1.control_dependencies(check_ops + [check_op]):
    kind = tf1.identity(kind)
  return number, {"type": kind, "inputs": inputs, "target": target}


def _own(who, what, value, field, is_own):
  """Returns a value of the declared shape, and an op that checks it."""
  wanted = ",".join(map(str, field.shape))
  found = tf1.strings.reduce_join(
    tf1.as_string(tf1.shape(value)), separator=","
  )
  fits = tf1.equal(found, wanted)
  check_op = tf1.Assert(
    tf1.logical_or(fits, tf1.logical_not(is_own)),
    [
      tf1.strings.join(
        [who, f": {what} must have shape ({wanted}), got (", found, ")"]
      )
    ],
  )

  def filler():
    if field.dtype == tf1.string:
      return tf1.fill(field.shape, "")
    return tf1.zeros(field.shape, field.dtype)

  # For another type, or after a misfit, any value will do.
  use = tf1.logical_and(is_own, fits)
  value = tf1.cond(use, lambda: tf1.identity(value), filler)
  value.set_shape(field.shape)
  return value, check_op


def _split(schema, numbers, columns):
  """Sorts a batch of records by type."""
  names = list(schema.fields)
  same = tf1.equal(tf1.expand_dims(columns["type"], 1), names)
  wrong = tf1.where_v2(tf1.logical_not(tf1.reduce_any(same, 1)))[:1, 0]
  check_op = tf1.Assert(
    tf1.equal(tf1.size(wrong), 0),
    [
      tf1.strings.join(
        [
          "Record ",
          tf1.strings.reduce_join(tf1.as_string(tf1.gather(numbers, wrong))),
          " is of type ",
          tf1.strings.reduce_join(tf1.gather(columns["type"], wrong)),
          "; the declared types are ",
          ", ".join(names),
        ]
      )
    ],
  )
  inputs, places = {}, {}
  with tf1.control_dependencies([check_op]):
    for k, name in enumerate(names):
      places[name] = tf1.cast(tf1.where_v2(same[:, k])[:, 0], tf1.int32)
      inputs[name] = tf1.gather(columns["inputs"][name], places[name])
  return {"inputs": inputs, "places": places, "targets": columns["target"]}
