"""Programs on words, tables, graphs and games: plain layers, many lookups."""

import collections

import numpy as np

from tangle.compat import tf1
from tests.programs.common import (
  BATCH,
  array,
  cross_entropy,
  dense,
  features,
  integers,
  layer_norm,
  program,
  scalar,
  state,
  tokens,
  weight,
)

WORDS = 7

Spec = collections.namedtuple("Spec", ["mode", "loss", "predictions"])
Spec.__doc__ = """What a model function gives back, as Estimator's did."""


def transformer():
  """Two blocks of self-attention; one table embeds words and scores them."""
  units, steps = 4, 5
  ids, feed_dict = tokens("ids", WORDS, steps + 1)
  table = weight("table", WORDS, units)
  h = tf1.nn.embedding_lookup(table, ids[:, :-1]) * np.sqrt(units)
  h += weight("positions", steps, units)
  causal = tf1.linalg.band_part(tf1.ones([steps, steps], tf1.float64), -1, 0)

  def attend(x):
    queries, keys, values = tf1.split(dense(x, 3 * units, "qkv"), 3, 2)
    heads = [
      tf1.concat(tf1.split(part, 2, 2), 0) for part in (queries, keys, values)
    ]
    scores = tf1.matmul(heads[0], heads[1], transpose_b=True)
    scores = scores / np.sqrt(units / 2) + (causal - 1.0) * 1e9
    mixed = tf1.matmul(tf1.nn.softmax(scores), heads[2])
    return dense(tf1.concat(tf1.split(mixed, 2, 0), 2), units, "out")

  blocks = []
  for k in range(2):
    with tf1.variable_scope(f"block_{k}"):
      h += attend(layer_norm(h, "norm_1"))
      inner = dense(layer_norm(h, "norm_2"), 6, "inner", tf1.nn.relu)
      h += dense(inner, units, "outer")
    blocks.append(h)
  flat = tf1.reshape(layer_norm(h, "norm"), [-1, units])
  logits = tf1.matmul(flat, table, transpose_b=True)
  loss = cross_entropy(logits, tf1.reshape(ids[:, 1:], [-1]))
  return program([ids], loss, feed_dict, boundary=blocks[:1], more=[ids])


def memory_network():
  """Three hops over sentences; each hop's output table is the next's input."""
  story, feed_dict = tokens("story", WORDS, 4, 3)
  query, more = tokens("query", WORDS, 3)
  answer, others = tokens("answer", WORDS)
  tables = [weight(f"table_{k}", WORDS, 4) for k in range(4)]
  position = tf1.constant(array("position", 3, 4))

  def sum_words(table, ids):
    words = tf1.nn.embedding_lookup(table, ids)
    return tf1.reduce_sum(words * position, -2)

  u = sum_words(tables[0], query)
  hops = []
  for k in range(3):
    keys, values = sum_words(tables[k], story), sum_words(tables[k + 1], story)
    p = tf1.nn.softmax(tf1.reduce_sum(keys * tf1.expand_dims(u, 1), 2))
    u += tf1.reduce_sum(values * tf1.expand_dims(p, 2), 1)
    hops.append(u)
  loss = cross_entropy(tf1.matmul(u, tables[-1], transpose_b=True), answer)
  return program(
    [story, query],
    loss,
    {**feed_dict, **more, **others},
    boundary=hops[:1],
    more=[story, answer],
  )


def word2vec():
  """Skip-grams with a sampled softmax whose candidates are given."""
  center, feed_dict = tokens("center", WORDS)
  context, more = tokens("context", WORDS, 1)
  table = weight("table", WORDS, 4)
  candidates = tf1.constant([0, 2, 5], tf1.int64)
  sampled = (
    candidates,
    tf1.constant(array("true", BATCH, 1) ** 2 + 0.1),
    tf1.constant(array("sampled", 3) ** 2 + 0.1),
  )
  words = tf1.nn.embedding_lookup(table, center)
  losses = tf1.nn.sampled_softmax_loss(
    weights=weight("out", WORDS, 4),
    biases=weight("bias", WORDS),
    labels=tf1.cast(context, tf1.int64),
    inputs=words,
    num_sampled=3,
    num_classes=WORDS,
    sampled_values=sampled,
    remove_accidental_hits=False,
  )
  return program(
    [center],
    tf1.reduce_mean(losses),
    {**feed_dict, **more},
    boundary=[words],
    more=[context],
  )


def graph_convolution():
  """Two layers over a sparse adjacency matrix and sparse features."""
  nodes = 5
  x = tf1.sparse_placeholder(tf1.float64, [nodes, 4], name="x")
  adjacency = tf1.sparse_placeholder(
    tf1.float64, [nodes, nodes], name="adjacency"
  )
  labels = tf1.placeholder(tf1.int32, [nodes], "labels")
  mask = tf1.placeholder(tf1.float64, [nodes], "mask")
  cells = [(0, 1), (1, 0), (1, 3), (2, 2), (3, 1), (3, 4), (4, 3)]
  given = [(0, 0), (0, 3), (1, 1), (2, 3), (3, 2), (4, 0)]
  feed_dict = {
    adjacency: tf1.SparseTensorValue(
      np.array(cells, np.int64), np.full(7, 0.5), [nodes, nodes]
    ),
    x: tf1.SparseTensorValue(
      np.array(given, np.int64), array("x", 6), [nodes, 4]
    ),
    labels: integers("labels", 3, nodes),
    mask: np.array([1.0, 0.0, 1.0, 1.0, 0.0]),
  }
  h = tf1.sparse_tensor_dense_matmul(x, weight("layer_0", 4, 5))
  h = tf1.nn.relu(tf1.sparse_tensor_dense_matmul(adjacency, h))
  y = tf1.matmul(h, weight("layer_1", 5, 3))
  logits = tf1.sparse_tensor_dense_matmul(adjacency, y)
  losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=labels, logits=logits
  )
  loss = tf1.reduce_sum(losses * mask) / tf1.reduce_sum(mask)
  loss += 1e-3 * tf1.nn.l2_loss(weight_named("layer_0", 4, 5))
  return program([x.values], loss, feed_dict, boundary=[h], more=[labels])


def weight_named(name, *shape):
  """Returns the variable of that name, which stands already."""
  with tf1.variable_scope(tf1.get_variable_scope(), reuse=True):
    return weight(name, *shape)


def factorization_machine():
  """Pairs of fields, and a batch norm that a conditional switches."""
  ids, feed_dict = tokens("ids", WORDS, 4)
  values, more = features("values", 4)
  labels, others = features("labels")
  others[labels] = (others[labels] > 0).astype(float)
  is_training, extra = scalar("is_training", True, tf1.bool)
  columns = tf1.expand_dims(values, 2)
  rows = tf1.nn.embedding_lookup(weight("factors", WORDS, 3), ids) * columns
  first = tf1.nn.embedding_lookup(weight("weights", WORDS, 1), ids) * columns
  square = tf1.square(tf1.reduce_sum(rows, 1))
  pairs = 0.5 * (square - tf1.reduce_sum(tf1.square(rows), 1))
  moving_mean = state("moving_mean", np.zeros(3))
  moving_variance = state("moving_variance", np.ones(3))

  def of_batch():
    mean, variance = tf1.nn.moments(pairs, [0])
    updates = [
      moving_mean.assign(0.9 * moving_mean + 0.1 * mean),
      moving_variance.assign(0.9 * moving_variance + 0.1 * variance),
    ]
    with tf1.control_dependencies(updates):
      return tf1.identity(mean), tf1.identity(variance)

  def of_past():
    return tf1.identity(moving_mean), tf1.identity(moving_variance)

  mean, variance = tf1.cond(is_training, of_batch, of_past)
  pairs = tf1.nn.batch_normalization(
    pairs, mean, variance, weight("beta", 3), weight("gamma", 3), 1e-3
  )
  deep = dense(tf1.reshape(rows, [-1, 12]), 4, "deep", tf1.nn.relu)
  logits = tf1.reduce_sum(first, [1, 2]) + tf1.reduce_sum(pairs, 1)
  logits += dense(deep, 1, "last")[:, 0]
  loss = tf1.reduce_mean(
    tf1.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
  )
  return program(
    [ids, values],
    loss,
    {**feed_dict, **more, **others, **extra},
    boundary=[rows, first],
    more=[labels],
    assigns_read=True,
  )


def partitioned_embeddings():
  """A table in three pieces, each a variable of its own."""
  ids, feed_dict = tokens("ids", WORDS, 4)
  labels, more = tokens("labels", 2)
  values = array("table", WORDS, 4)

  def initial(shape, dtype=None, partition_info=None):
    begin = partition_info.var_offset if partition_info else [0, 0]
    return values[begin[0] : begin[0] + shape[0]]

  with tf1.variable_scope(
    "parts", partitioner=tf1.fixed_size_partitioner(3), dtype=tf1.float64
  ):
    table = tf1.get_variable("table", [WORDS, 4], initializer=initial)
  words = tf1.nn.embedding_lookup(table, ids, partition_strategy="div")
  whole = tf1.convert_to_tensor(table)
  h = tf1.reduce_mean(words, 1)
  logits = dense(dense(h, 4, "hidden", tf1.tanh), 2, "logits")
  loss = cross_entropy(logits, labels)
  loss += 0.01 * tf1.reduce_sum(tf1.square(whole))
  return program(
    [ids], loss, {**feed_dict, **more}, boundary=[words], more=[labels]
  )


def feature_columns():
  """Strings in hash buckets and numbers in ranges, through feature columns."""
  city = tf1.placeholder(tf1.string, [None, 1], "city")
  age = tf1.placeholder(tf1.float32, [None, 1], "age")
  labels = tf1.placeholder(tf1.float32, [None], "labels")
  feed_dict = {
    city: np.array([["Basel"], ["Turin"], ["Basel"]]),
    age: np.array([[7.0], [31.0], [64.0]], np.float32),
    labels: np.array([1.0, 0.0, 1.0], np.float32),
  }
  column = tf1.feature_column

  def initial(shape, dtype=None, partition_info=None):
    return array("rows", *[int(n) for n in shape], dtype=np.float32)

  buckets = column.bucketized_column(
    column.numeric_column("age"), boundaries=[18.0, 40.0]
  )
  hashed = column.categorical_column_with_hash_bucket("city", 6)
  columns = [
    column.numeric_column("age", normalizer_fn=lambda x: x / 100.0),
    column.embedding_column(hashed, 3, initializer=initial),
    buckets,
  ]
  wide = weight("wide", 6, 1, dtype=np.float32)
  x = column.input_layer({"city": city, "age": age}, columns)
  ids = tf1.strings.to_hash_bucket_fast(city, 6)
  h = dense(x, 4, "hidden", tf1.nn.relu)
  logits = dense(h, 1, "last")[:, 0]
  logits += tf1.reduce_sum(tf1.nn.embedding_lookup(wide, ids), [1, 2])
  loss = tf1.reduce_mean(
    tf1.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
  )
  return program([city, age], loss, feed_dict, boundary=[x], more=[city])


def model_function():
  """A function of features, labels, mode and params, fed by a dataset."""
  batches = {"x": array("x", 6, BATCH, 4), "y": integers("y", 3, 6, BATCH)}
  dataset = tf1.data.Dataset.from_tensor_slices(batches)
  iterator = tf1.data.make_initializable_iterator(dataset)
  batch = iterator.get_next()
  made = {}

  def model(features, labels, mode, params):
    h = features["x"]
    penalty = 0.0
    for k, units in enumerate(params["hidden"]):
      h = dense(h, units, f"hidden_{k}", tf1.nn.elu)
      if mode == "train":
        noise = tf1.random_uniform(tf1.shape(h), dtype=tf1.float64, seed=11 + k)
        made.setdefault("noise", []).append(noise)
        h *= tf1.cast(noise > 0.3, tf1.float64) / 0.7
      made.setdefault("layers", []).append(h)
    logits = dense(h, 3, "logits")
    for variable in tf1.trainable_variables():
      penalty += params["l2"] * tf1.nn.l2_loss(variable)
    loss = cross_entropy(logits, labels) + penalty
    return Spec(mode, loss, {"classes": tf1.argmax(logits, 1)})

  spec = model(
    {"x": batch["x"]}, batch["y"], "train", {"hidden": [5, 4], "l2": 0.01}
  )
  return program(
    [batch["x"]],
    spec.loss,
    {},
    setup=[iterator.initializer],
    frozen=[batch["x"], batch["y"]] + made["noise"],
  )


def dqn():
  """Q-learning against a target network that follows slowly."""
  before, feed_dict = features("before", 4)
  after, more = features("after", 4)
  actions, others = tokens("actions", 3)
  rewards, extra = features("rewards")

  def network(x, trainable):
    h = x
    for k, units in enumerate([5, 3]):
      kernel = weight(
        f"kernel_{k}", h.shape.as_list()[-1], units, trainable=trainable
      )
      bias = weight(f"bias_{k}", units, trainable=trainable)
      layers.append((kernel, bias))
      h = tf1.nn.bias_add(tf1.matmul(h, kernel), bias)
      h = tf1.nn.relu(h) if k == 0 else h
    return h

  layers = []
  with tf1.variable_scope("online"):
    values = network(before, trainable=True)
  with tf1.variable_scope("target"):
    following = network(after, trainable=False)
  with tf1.variable_scope("online", reuse=True):
    choices = tf1.argmax(network(after, trainable=True), 1)
  best = tf1.reduce_sum(
    following * tf1.one_hot(choices, 3, dtype=tf1.float64), 1
  )
  target = tf1.stop_gradient(rewards + 0.9 * best)
  with tf1.control_dependencies([target]):
    follow_ops = [
      slow.assign(0.9 * slow + 0.1 * fast)
      for pair, other in zip(layers[:2], layers[2:4])
      for fast, slow in zip(pair, other)
    ]
  taken = tf1.reduce_sum(values * tf1.one_hot(actions, 3, dtype=tf1.float64), 1)
  error = target - taken
  huber = tf1.where(
    tf1.abs(error) < 1.0, 0.5 * tf1.square(error), tf1.abs(error) - 0.5
  )
  with tf1.control_dependencies(follow_ops):
    loss = tf1.reduce_mean(huber)
  return program(
    [before],
    loss,
    {**feed_dict, **more, **others, **extra},
    boundary=[taken],
    more=[after, rewards],
    frozen=[target],
    assigns_read=True,
  )


def highway():
  """Highway and residual layers, with dropout by a placeholder."""
  x, feed_dict = features("x", 4)
  labels, more = tokens("labels", 3)
  keep = tf1.placeholder_with_default(np.float64(1.0), [], "keep")
  h, noises, layers = dense(x, 4, "input"), [], []
  for k in range(3):
    with tf1.variable_scope(f"layer_{k}"):
      gate = dense(h, 4, "gate", tf1.sigmoid)
      h = gate * dense(h, 4, "change", tf1.nn.relu) + (1.0 - gate) * h
      noise = tf1.random_uniform(tf1.shape(h), dtype=tf1.float64, seed=20 + k)
      noises.append(noise)
      h += dense(h * tf1.floor(noise + keep) / keep, 4, "residual", tf1.tanh)
      layers.append(h)
  loss = cross_entropy(dense(h, 3, "logits"), labels)
  return program(
    [x],
    loss,
    {**feed_dict, **more, keep: 0.7},
    boundary=layers[1:2],
    more=[labels],
    frozen=noises,
  )
