"""Tests whether a stream of mixed records loses any, and its speed."""

import time

import numpy as np

from tangle import branches
from tangle.branches import streams
from tangle.compat import tf1

TYPES = ("image", "token")


def read_stream(count, batch_size=512, seed=0):
  """Reads one epoch of a mixed, shuffled stream of numbered records by type.

  Args:
    count: how many records.
    batch_size: records of a full batch.
    seed: decides types and order.

  Returns:
    A dict: `records`; `seen_once`, how many records were in exactly one batch;
    `short_batches`, and `records_per_s`.
  """
  types = np.random.RandomState(seed).choice(TYPES, count, p=[0.3, 0.7])
  numbers = np.arange(count, dtype=np.int32)
  schema = branches.Schema(
    {name: branches.Field(tf1.int32) for name in TYPES},
    branches.Field(tf1.int32),
  )
  with tf1.Graph().as_default():
    dataset = tf1.data.Dataset.from_tensor_slices(
      {
        "type": types,
        "inputs": dict.fromkeys(TYPES, numbers),
        "target": numbers,
      }
    )
    dataset = dataset.shuffle(10000, seed=seed)
    reader = streams.Reader(streams.by_type(schema, dataset, batch_size))
    with tf1.Session() as sess:
      begun = time.perf_counter()
      seen = [batch.targets for batch in reader.epoch(sess)]
      seconds = time.perf_counter() - begun
  times = np.bincount(np.concatenate(seen), minlength=count)
  return {
    "records": count,
    "seen_once": int(np.sum(times == 1)),
    "short_batches": sum(len(batch) < batch_size for batch in seen),
    "records_per_s": count / seconds,
  }
