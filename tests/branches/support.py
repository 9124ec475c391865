"""A small model of two types, or three, that tests train in all ways."""

import numpy as np

from tangle import branches, nets
from tangle.compat import tf1

UNITS = 3
CLASSES = 4
VOCABULARY = 6
WAYS = ("alternate", "mixed", "partial")
MIXTURES = (("image", "token"),)


def softmax_loss(outputs, targets):
  """Returns `[B]` cross entropies."""
  return tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=targets, logits=outputs
  )


def make(names=("image", "token"), dtype=tf1.float64):
  """Returns a model: `image` is two floats, `token` an id, `pair` two ids."""
  dense = nets.Dense(UNITS, tf1.tanh, dtype=dtype, name="dense")
  table = nets.Embedding(VOCABULARY, UNITS, dtype=dtype, name="table")
  pairs = nets.Embedding(VOCABULARY, UNITS, dtype=dtype, name="pairs")
  end = nets.Dense(CLASSES, dtype=dtype, name="end")
  known = {
    "image": branches.Branch(dense, dtype, [2]),
    "token": branches.Branch(table, tf1.int32),
    "pair": branches.Branch(
      lambda ids: tf1.reduce_sum(pairs(ids), 1), tf1.int64, [2]
    ),
  }
  return branches.Model(
    {name: known[name] for name in names},
    end,
    softmax_loss,
    branches.Field(tf1.int32),
  )


def minimize(model, optimizer, way, **settings):
  """Returns a trainer that takes mixed batches, if the way takes any."""
  if way == "partial" and len(model.paths) > 1:
    settings["mixtures"] = MIXTURES
  kind = "make_optimizer" if callable(optimizer) else "optimizer"
  return model.minimize(mode=way, **{kind: optimizer}, **settings)


def record(rng, name, dtype=np.float64):
  """Returns a random record of a type."""
  value = {
    "image": lambda: rng.standard_normal(2).astype(dtype),
    "token": lambda: int(rng.randint(VOCABULARY)),
    "pair": lambda: rng.randint(VOCABULARY, size=2).astype(np.int64),
  }[name]()
  return branches.Record(name, value, int(rng.randint(CLASSES)))


def weights(rng):
  """Returns an op that sets all trainable variables to random values."""
  return tf1.group(
    *[
      variable.assign(rng.standard_normal(variable.shape.as_list()))
      for variable in tf1.trainable_variables()
    ]
  )


def state(sess):
  """Returns all variables, slots among them: name → array."""
  return sess.run({v.op.name: v for v in tf1.global_variables()})


def changed(before, after):
  """Returns the names of the variables that differ in any bit."""
  return {k for k in before if before[k].tobytes() != after[k].tobytes()}
