"""Programs with loops: recurrent layers, decoders, sums over paths."""

import numpy as np

from tangle.compat import tf1
from tests.programs.common import (
  BATCH,
  GRU,
  LSTM,
  array,
  cross_entropy,
  dense,
  features,
  program,
  scalar,
  state,
  time_major,
  tokens,
  weight,
)

WORDS = 7


def _lengths(name, *values):
  ph = tf1.placeholder(tf1.int32, [None], name)
  return ph, {ph: np.array(values, np.int32)}


def _embed(ids, name="embedding", units=4):
  with tf1.variable_scope("words", reuse=tf1.AUTO_REUSE):
    return tf1.nn.embedding_lookup(weight(name, WORDS, units), ids)


def stateful_lm():
  """A language model that goes on from the state of the last batch."""
  ids, feed_dict = tokens("ids", WORDS, 5)
  c_variable = state("c", array("c", BATCH, 4))
  h_variable = state("h", array("h", BATCH, 4))
  initial = (tf1.identity(c_variable), tf1.identity(h_variable))
  outputs, (c, h) = tf1.nn.dynamic_rnn(
    LSTM(4), _embed(ids[:, :-1]), initial_state=initial
  )
  with tf1.control_dependencies([c_variable.assign(c), h_variable.assign(h)]):
    outputs = tf1.identity(outputs)
  loss = cross_entropy(dense(outputs, WORDS, "softmax"), ids[:, 1:])
  return program(
    [ids], loss, feed_dict, boundary=[outputs], more=[ids], assigns_read=True
  )


def _encode(source, lengths):
  return tf1.nn.dynamic_rnn(
    GRU(4, "encoder"), _embed(source), lengths, dtype=tf1.float64
  )


def _attend(query, memory, keys):
  with tf1.variable_scope("attention", reuse=tf1.AUTO_REUSE):
    sought = tf1.matmul(query, weight("query", 4, 4))
    v = weight("v", 4)
  scores = tf1.reduce_sum(v * tf1.tanh(keys + tf1.expand_dims(sought, 1)), 2)
  weights = tf1.expand_dims(tf1.nn.softmax(scores), 2)
  return tf1.reduce_sum(weights * memory, 1)


def raw_rnn_decoder():
  """An attention decoder by `raw_rnn`, that reads its targets."""
  source, feed_dict = tokens("source", WORDS, 5)
  lengths, more = _lengths("lengths", 5, 3, 4)
  target, others = tokens("target", WORDS, 4)
  feed_dict.update({**more, **others})
  target_lengths, more = _lengths("target_lengths", 3, 4, 2)
  feed_dict.update(more)
  memory, final = _encode(source, lengths)
  keys = tf1.tensordot(memory, weight("keys", 4, 4), 1)
  words = tf1.TensorArray(tf1.float64, 4).unstack(time_major(_embed(target)))
  cell = GRU(4, "decoder")

  def step(time, output, cell_state, loop_state):
    begins = output is None
    cell_state = final if begins else cell_state
    finished = time >= target_lengths
    context = _attend(cell_state, memory, keys)
    word = tf1.cond(
      tf1.reduce_all(finished),
      lambda: tf1.zeros([tf1.shape(source)[0], 4], tf1.float64),
      lambda: words.read(tf1.minimum(time, 3)),
    )
    following = tf1.concat([word, context], 1)
    following.set_shape([None, 8])
    return finished, following, cell_state, output, None

  outputs, _, _ = tf1.nn.raw_rnn(cell, step)
  logits = dense(time_major(outputs.stack()), WORDS, "softmax")
  steps = tf1.shape(logits)[1]
  losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=target[:, :steps], logits=logits
  )
  mask = tf1.sequence_mask(target_lengths, steps, tf1.float64)
  loss = tf1.reduce_sum(losses * mask) / tf1.reduce_sum(mask)
  return program(
    [source],
    loss,
    feed_dict,
    boundary=[memory, final],
    more=[target],
  )


def while_loop_decoder():
  """An attention decoder by `while_loop`, that reads its own words."""
  source, feed_dict = tokens("source", WORDS, 4)
  lengths, more = _lengths("lengths", 4, 2, 3)
  target, others = tokens("target", WORDS, 3)
  memory, final = _encode(source, lengths)
  keys = tf1.tensordot(memory, weight("keys", 4, 4), 1)
  cell = GRU(4, "decoder")

  def step(time, ids, h, array_of_logits):
    context = _attend(h, memory, keys)
    output, h = cell(tf1.concat([_embed(ids), context], 1), h)
    with tf1.variable_scope("softmax", reuse=tf1.AUTO_REUSE):
      logits = dense(output, WORDS, "logits")
    chosen = tf1.cast(tf1.argmax(logits, 1), tf1.int32)
    return time + 1, chosen, h, array_of_logits.write(time, logits)

  begin = tf1.zeros_like(source[:, 0])
  _, _, _, array_of_logits = tf1.while_loop(
    lambda time, *_: time < 3,
    step,
    [tf1.constant(0), begin, final, tf1.TensorArray(tf1.float64, 3)],
  )
  loss = cross_entropy(time_major(array_of_logits.stack()), target)
  return program(
    [source],
    loss,
    {**feed_dict, **more, **others},
    boundary=[memory, final],
    more=[target],
  )


def seq2seq():
  """Two recurrent layers; the state of the first one is the boundary."""
  source, feed_dict = tokens("source", WORDS, 4)
  lengths, more = _lengths("lengths", 2, 4, 3)
  target, others = tokens("target", WORDS, 5)
  _, final = tf1.nn.dynamic_rnn(
    LSTM(4, "encoder"), _embed(source), lengths, dtype=tf1.float64
  )
  outputs, _ = tf1.nn.dynamic_rnn(
    LSTM(4, "decoder"), _embed(target[:, :-1]), initial_state=final
  )
  loss = cross_entropy(dense(outputs, WORDS, "softmax"), target[:, 1:])
  return program(
    [source],
    loss,
    {**feed_dict, **more, **others},
    boundary=list(final),
    more=[target],
  )


def beam_decoder():
  """A decoder that keeps the best beams, trained on their scores."""
  beams = 2
  source, feed_dict = features("source", 4)
  rewards, more = features("rewards", beams)
  h = dense(source, 4, "bridge", tf1.tanh)
  cell = GRU(4, "decoder")
  batch = tf1.shape(source)[0]
  rows = tf1.tile(tf1.expand_dims(tf1.range(batch), 1), [1, beams])

  def step(time, ids, h, scores):
    words = tf1.reshape(_embed(ids), [-1, 4])
    output, new = cell(words, tf1.reshape(h, [-1, 4]))
    with tf1.variable_scope("softmax", reuse=tf1.AUTO_REUSE):
      logits = dense(output, WORDS, "logits")
    found = tf1.reshape(tf1.nn.log_softmax(logits), [-1, beams, WORDS])
    total = tf1.expand_dims(scores, 2) + found
    scores, best = tf1.nn.top_k(tf1.reshape(total, [-1, beams * WORDS]), beams)
    parents = tf1.stack([rows, best // WORDS], 2)
    h = tf1.gather_nd(tf1.reshape(new, [-1, beams, 4]), parents)
    h.set_shape([None, beams, 4])
    return time + 1, best % WORDS, h, scores

  _, _, _, scores = tf1.while_loop(
    lambda time, *_: time < 3,
    step,
    [
      tf1.constant(0),
      tf1.zeros([batch, beams], tf1.int32),
      tf1.tile(tf1.expand_dims(h, 1), [1, beams, 1]),
      # All but one of the equal beams are out of the race.
      tf1.tile(tf1.constant([[0.0, -50.0]], tf1.float64), [batch, 1]),
    ],
  )
  risk = -tf1.reduce_sum(tf1.nn.softmax(scores) * rewards, 1)
  loss = tf1.reduce_mean(risk)
  return program(
    [source], loss, {**feed_dict, **more}, boundary=[h], more=[rewards]
  )


def ctc():
  """A recurrent layer over frames, and a CTC loss of sparse labels."""
  frames = tf1.placeholder(tf1.float32, [None, 6, 3], "frames")
  labels = tf1.sparse_placeholder(tf1.int32, name="labels")
  lengths, feed_dict = _lengths("lengths", 6, 5, 6)
  feed_dict[frames] = array("frames", BATCH, 6, 3, dtype=np.float32)
  feed_dict[labels] = tf1.SparseTensorValue(
    np.array([[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]], np.int64),
    np.array([1, 2, 0, 2, 1], np.int32),
    np.array([BATCH, 2], np.int64),
  )
  outputs, _ = tf1.nn.dynamic_rnn(
    LSTM(4, dtype=np.float32),
    time_major(frames),
    lengths,
    dtype=tf1.float32,
    time_major=True,
  )
  logits = dense(outputs, 4, "logits")
  loss = tf1.reduce_mean(tf1.nn.ctc_loss(labels, logits, lengths))
  return program([frames], loss, feed_dict, boundary=[logits])


def char_rnn():
  """Characters, unstacked and unrolled; the last state is given back."""
  ids, feed_dict = tokens("ids", WORDS, 5)
  c, more = features("c", 4)
  h, others = features("h", 4)
  parts = tf1.split(_embed(ids[:, :-1]), 4, 1)
  inputs = [tf1.squeeze(part, [1]) for part in parts]
  cell, outputs, cell_state = LSTM(4), [], (c, h)
  for x in inputs:
    output, cell_state = cell(x, cell_state)
    outputs.append(output)
  output = tf1.reshape(tf1.concat(outputs, 1), [-1, 4])
  logits = dense(output, WORDS, "softmax")
  loss = cross_entropy(logits, tf1.reshape(ids[:, 1:], [-1]))
  return program(
    [ids],
    loss,
    {**feed_dict, **more, **others},
    boundary=inputs,
    more=[c, h, ids],
  )


def tagger():
  """A recurrent layer each way, and the likelihood of a chain of tags."""
  tags, steps = 3, 5
  ids, feed_dict = tokens("ids", WORDS, steps)
  labels, more = tokens("labels", tags, steps)
  lengths, others = _lengths("lengths", 5, 3, 4)
  outputs, _ = tf1.nn.bidirectional_dynamic_rnn(
    LSTM(3), LSTM(3), _embed(ids), lengths, dtype=tf1.float64
  )
  emissions = dense(tf1.concat(outputs, 2), tags, "emissions")
  change = weight("transitions", tags, tags)
  by_time = tf1.TensorArray(tf1.float64, steps).unstack(time_major(emissions))

  def step(time, alpha):
    paths = tf1.expand_dims(alpha, 2) + tf1.expand_dims(change, 0)
    new = tf1.reduce_logsumexp(paths, 1) + by_time.read(time)
    return time + 1, tf1.where(time < lengths, new, alpha)

  _, alpha = tf1.while_loop(
    lambda time, _: time < steps, step, [tf1.constant(1), emissions[:, 0]]
  )
  mask = tf1.sequence_mask(lengths, steps, tf1.float64)
  chosen = tf1.one_hot(labels, tags, dtype=tf1.float64)
  score = tf1.reduce_sum(tf1.reduce_sum(emissions * chosen, 2) * mask, 1)
  pairs = tf1.stack([labels[:, :-1], labels[:, 1:]], 2)
  score += tf1.reduce_sum(tf1.gather_nd(change, pairs) * mask[:, 1:], 1)
  loss = tf1.reduce_mean(tf1.reduce_logsumexp(alpha, 1) - score)
  return program(
    [ids],
    loss,
    {**feed_dict, **more, **others},
    boundary=[emissions],
    more=[labels],
  )


def actor_critic():
  """Discounted returns by `scan`, with the entropy in the reward."""
  observations, feed_dict = features("observations", 5, 4)
  rewards, more = features("rewards", 5)
  actions, others = tokens("actions", 3, 5)
  discount, extra = scalar("discount", 0.9)
  h = dense(observations, 5, "torso", tf1.tanh)
  logits, values = dense(h, 3, "policy"), dense(h, 1, "value")[:, :, 0]
  log_probabilities = tf1.nn.log_softmax(logits)
  entropy = -tf1.reduce_sum(tf1.exp(log_probabilities) * log_probabilities, 2)
  returns = tf1.scan(
    lambda after, reward: reward + discount * after,
    time_major(rewards + 0.1 * entropy),
    initializer=values[:, -1],
    reverse=True,
  )
  advantages = time_major(returns) - values
  chosen = tf1.one_hot(actions, 3, dtype=tf1.float64)
  taken = tf1.reduce_sum(chosen * log_probabilities, 2)
  frozen = tf1.stop_gradient(advantages)
  loss = tf1.reduce_mean(0.5 * tf1.square(advantages) - taken * frozen)
  return program(
    [observations],
    loss,
    {**feed_dict, **more, **others, **extra},
    boundary=[logits, values],
    more=[rewards],
    frozen=[frozen],
  )


def policy_gradient():
  """Episodes of several lengths, each weighed by itself in a `map_fn`."""
  observations, feed_dict = features("observations", 5, 4)
  actions, more = tokens("actions", 3, 5)
  rewards, others = features("rewards", 5)
  lengths, extra = _lengths("lengths", 5, 2, 4)
  scale = weight("scale", 3)

  def episode(given):
    observation, action, reward, length = given
    h = dense(observation[:length], 4, "hidden", tf1.tanh)
    logits = dense(h, 3, "logits") * scale.read_value()
    losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=action[:length], logits=logits
    )
    gained = tf1.cumsum(reward[:length], reverse=True)
    return tf1.reduce_sum(losses * gained)

  with tf1.variable_scope("policy", reuse=tf1.AUTO_REUSE):
    losses = tf1.map_fn(
      episode,
      (observations, actions, rewards, lengths),
      dtype=tf1.float64,
    )
  return program(
    [observations],
    tf1.reduce_mean(losses),
    {**feed_dict, **more, **others, **extra},
  )
