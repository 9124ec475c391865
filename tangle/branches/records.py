"""Records of several types, and batches of them."""

from __future__ import annotations

import collections
import numbers
import re
from typing import Any, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")  # also names a scope


class Field(NamedTuple):
  """The dtype and shape of one value of a record.

  Attributes:
    dtype: its `tf.DType`.
    shape: its shape, a sequence of ints; `()` for a number.
  """

  dtype: hints.Dtype
  shape: Sequence[int] = ()


class Record(NamedTuple):
  """One example.

  Attributes:
    type: name of its type, a key of `Schema.fields`.
    value: an array of the dtype and shape of the field of its type, or Python
      numbers or strings that fit them.
    target: likewise, for the field of targets.
  """

  type: str
  value: Any
  target: Any


class Batch(NamedTuple):
  """B records, grouped by type.

  Attributes:
    inputs: type → values `[n, ...]`, for the types with n > 0 records.
    places: type → `[n]` int32, the rows of the batch that these belong to.
    targets: `[B, ...]`, in the order of the batch.
  """

  inputs: Mapping[str, np.ndarray]
  places: Mapping[str, np.ndarray]
  targets: np.ndarray


class Schema:
  """The types of records, and their targets.

  Attributes:
    fields: type → `Field` of its values.
    target: the `Field` of the targets, the same for all types.
  """

  @errors.named("Schema")
  def __init__(self, fields: Mapping[str, Field], target: Field) -> None:
    """Stores the types.

    Args:
      fields: an ordered mapping from the name of a type to a `Field`; its order
        is kept in `fields` and in batches.
      target: the `Field` of the targets.

    Raises:
      ArgumentError: if there are no types, or a name is not of letters,
        digits, `_` and `-`, or begins with `_` or `-`.
      ShapeError: if a shape is not fully known.
    """
    if not fields:
      raise errors.ArgumentError(
        "fields is empty. Declare at least one type of records."
      )
    for name in fields:
      if not isinstance(name, str) or not _NAME.match(name):
        raise errors.ArgumentError(
          f"a type needs a name of letters, digits, '_' and '-', got {name!r}."
        )
    self.fields = collections.OrderedDict(
      (name, _check_field(f"type {name!r}", field))
      for name, field in fields.items()
    )
    self.target = _check_field("target", target)

  @errors.named("Schema.batch")
  def batch(self, records: Sequence[Record], first: int = 0) -> Batch:
    """Makes a batch of records.

    Args:
      records: a sequence of `Record`s.
      first: the number of the first record, for messages.

    Returns:
      A `Batch`, its rows in the order of `records`; the types in `inputs` and
      `places` are in the order of `fields`.

    Raises:
      ArgumentError: if there are no records.
      DataError: if an element is not a `Record`, the type of a record is not
        declared, or a value or target has another dtype or shape than declared.
    """
    inputs, places, targets = {}, {}, []
    for row, record in enumerate(records):
      value, target = self.convert(record, first + row)
      inputs.setdefault(record.type, []).append(value)
      places.setdefault(record.type, []).append(row)
      targets.append(target)
    if not targets:
      raise errors.ArgumentError("records is empty. Give at least one.")
    names = [name for name in self.fields if name in inputs]
    return Batch(
      {name: np.stack(inputs[name]) for name in names},
      {name: np.array(places[name], np.int32) for name in names},
      np.stack(targets),
    )

  def convert(
    self, record: Record, number: int
  ) -> Tuple[np.ndarray, np.ndarray]:
    """Returns the content of a record as arrays.

    Args:
      record: a `Record`.
      number: the number of the record, for messages.

    Returns:
      Its value and its target, arrays of the declared dtypes and shapes.

    Raises:
      DataError: if it is not a `Record`, its type is not declared, or its value
        or target has another dtype or shape than declared.
    """
    if not isinstance(record, Record):
      raise errors.DataError(
        f"Record {number} must be a branches.Record, got {record!r}."
      )
    if record.type not in self.fields:
      raise errors.DataError(
        f"Record {number} is of type {record.type!r}; the declared types are "
        f"{list(self.fields)}. Add the type to the branches, or leave out "
        f"its records."
      )
    who = f"Record {number}, of type {record.type!r}"
    return (
      _convert(f"{who}: value", record.value, self.fields[record.type]),
      _convert(f"{who}: target", record.target, self.target),
    )

  def check(self, batch: Batch) -> None:
    """Raises if a batch does not match the schema.

    Args:
      batch: a `Batch`.

    Raises:
      ArgumentError: if it is not a `Batch`, has no records, a type that is not
        declared, or places that do not have each row exactly once.
      DtypeError: if an array has another dtype than declared. For a declared
        string any dtype is accepted.
      ShapeError: if an array has another shape than declared.
    """
    if not isinstance(batch, Batch):
      raise errors.ArgumentError(
        f"batch must be a branches.Batch, got "
        f"{type(batch).__name__}. Make one with Schema.batch."
      )
    for name in batch.inputs:
      if name not in self.fields:
        raise errors.ArgumentError(
          f"the batch has records of type {name!r}; the declared types are "
          f"{list(self.fields)}. Add the type to the branches, or leave out "
          f"its records."
        )
    if set(batch.inputs) != set(batch.places):
      raise errors.ArgumentError(
        f"the batch has inputs of the types {list(batch.inputs)}, "
        f"but places of {list(batch.places)}. Give both for the same types, "
        f"or make the batch with Schema.batch."
      )
    for name, values in batch.inputs.items():
      where = f"the batch's inputs[{name!r}]"
      count = len(np.ravel(batch.places[name]))
      _check_rows(where, values, self.fields[name], count)
    rows = [np.ravel(places) for places in batch.places.values()]
    rows = np.sort(np.concatenate(rows)) if rows else np.zeros([0])
    if not len(rows) or any(not len(v) for v in batch.inputs.values()):
      raise errors.ArgumentError(
        "the batch is empty, or has a type without records. Leave "
        "out batches and types that have none."
      )
    if not np.array_equal(rows, np.arange(len(rows))):
      raise errors.ArgumentError(
        f"the places of a batch of {len(rows)} records must be each "
        f"of 0 to {len(rows) - 1} once, got {rows.tolist()[:8]}."
      )
    where = "the batch's targets"
    _check_rows(where, batch.targets, self.target, len(rows))


def _check_field(what, field):
  shape = tf1.TensorShape(field.shape)
  if not shape.is_fully_defined():
    raise errors.ShapeError(
      f"the shape of {what} must be fully known, got {shape}. Pad the "
      f"records to one size."
    )
  return Field(tf1.as_dtype(field.dtype), tuple(shape.as_list()))


def _check_rows(where, values, field, count):
  """Raises unless `values` are `count` rows of a field."""
  wanted = (count,) + field.shape
  if np.shape(values) != wanted:
    raise errors.ShapeError(
      f"{where} must have shape {wanted}, got {np.shape(values)}."
    )
  if field.dtype == tf1.string:
    return
  dtype = np.asarray(values).dtype
  if dtype != field.dtype.as_numpy_dtype:
    raise errors.DtypeError(
      f"{where} must be {field.dtype.name}, got {dtype}. Cast it first, by "
      f"astype()."
    )


def _convert(who, value, field):
  """Returns `value` as an array of a field.

  A value with a dtype must have that of the field; Python numbers have none.
  """
  wanted = field.dtype.as_numpy_dtype
  array = np.asarray(value)
  if array.shape != field.shape:
    raise errors.DataError(
      f"{who} must have shape {field.shape}, got {array.shape}."
    )
  if array.dtype == wanted and field.dtype != tf1.string:
    return array
  if not hasattr(value, "dtype") and _fits(array, field.dtype):
    return array.astype(wanted)
  if field.dtype == tf1.string and array.dtype.kind in "SUO":
    return array.astype(object)
  raise errors.DataError(
    f"{who} must be {field.dtype.name}, got {array.dtype} {_show(value)}. "
    f"Cast it first, by astype()."
  )


def _fits(array, dtype):
  """Whether Python numbers, as converted by numpy, fit a dtype."""
  if array.dtype.kind == "i" and dtype.is_integer:
    return not array.size or (
      dtype.min <= array.min() and array.max() <= dtype.max
    )
  return array.dtype.kind in "if" and dtype.is_floating


def _show(value):
  return repr(value) if isinstance(value, (numbers.Number, str, bytes)) else ""
