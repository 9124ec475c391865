"""Tests of decoders."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, decoders
from tests.seq2seq.legacy import reference, support

WIDTH = support.TARGETS


def memory_and_state(rng, dtype=np.float32):
  """Draws a memory [B, 4, 2] and a state [B, U]."""
  memory = rng.standard_normal([support.BATCH, 4, 2]).astype(dtype)
  state = rng.standard_normal([support.BATCH, support.UNITS]).astype(dtype)
  return memory, state


class DecodersTest(support.LegacyTestCase):
  def setUp(self):
    super().setUp()
    self.memory, self.state = memory_and_state(self.rng)
    shape = [3, support.BATCH, WIDTH]
    self.inputs_np = self.rng.standard_normal(shape).astype(np.float32)

  def loop(self, output, step):
    """A loop function for outputs [B, V]."""
    return tf1.nn.softmax(output) * float(step)

  def attention(self, library, loop=False, **more):
    """Returns a `build` of `run_model` for the attention decoder."""

    def build(source, target):
      del source, target
      return library.attention_decoder(
        support.steps(self.inputs_np),
        tf1.constant(self.state),
        tf1.constant(self.memory),
        library.cell("gru_cell"),
        output_size=WIDTH,
        loop_function=self.loop if loop else None,
        **more,
      )

    return build

  @parameterized.named_parameters(
    ("plain", {}),
    ("loop", {"loop": True, "num_heads": 2}),
    ("attends_first", {"initial_state_attention": True, "scope": "mine"}),
  )
  @support.needs_contrib
  def test_attention_decoder_is_contribs(self, more):
    ours = self.run_model(self.attention(support.ours, **more))
    theirs = self.run_model(
      self.attention(support.theirs, **more), support.theirs.sequence_loss
    )
    self.assert_same(ours, theirs)

  def rnn(self, library, loop):
    def build(source, target):
      del source, target
      state = np.zeros([support.BATCH, WIDTH], np.float32)
      return library.rnn_decoder(
        support.steps(self.inputs_np),
        tf1.constant(state),
        library.cell("gru_cell", 1, WIDTH),
        loop_function=self.loop if loop else None,
      )

    return build

  @parameterized.named_parameters(("given", False), ("loop", True))
  def test_rnn_decoder_is_the_formula(self, loop):
    build = self.rnn(support.ours, loop)
    ours = self.run_model(build)
    steps = iter(range(1, 9))
    outputs, states = reference.rnn_decode(
      ours.values,
      "rnn_decoder/",
      "gru_cell",
      1,
      [np.zeros([support.BATCH, WIDTH], np.float32)],
      self.inputs_np,
      False,
      (lambda x: reference.softmax(x) * next(steps)) if loop else None,
    )
    self.assert_close(ours.outputs, outputs.astype(np.float32), 2e-6)
    self.assert_close(ours.state[0], states[0].astype(np.float32), 2e-6)
    if support.theirs:
      theirs = self.run_model(
        self.rnn(support.theirs, loop), support.theirs.sequence_loss
      )
      self.assert_same(ours, theirs)

  def embedding(self, kind, library, feed_previous, update):
    def build(source, target):
      del source
      memory = [tf1.constant(self.memory)] if "attention" in kind else []
      return getattr(library, kind)(
        target,
        tf1.constant(self.state),
        *memory,
        library.cell("gru_cell"),
        support.TARGETS,
        support.DEPTH,
        output_projection=support.make_projection(),
        feed_previous=feed_previous,
        update_embedding_for_previous=update,
      )

    return build

  @parameterized.named_parameters(
    ("rnn", "embedding_rnn_decoder"),
    ("attention", "embedding_attention_decoder"),
  )
  @support.needs_contrib
  def test_embedding_decoders_are_contribs(self, kind):
    for update in (True, False):
      with self.subTest(update=update):
        ours = self.run_model(self.embedding(kind, support.ours, True, update))
        theirs = self.run_model(
          self.embedding(kind, support.theirs, True, update),
          support.theirs.sequence_loss,
        )
        self.assert_same(ours, theirs)

  def test_memory_of_unknown_length_gives_the_same_numbers(self):
    memory_ph = tf1.placeholder(tf1.float32, [None, None, 2])
    outputs = {}
    for name, memory in (
      ("unknown", memory_ph),
      ("known", tf1.constant(self.memory)),
    ):
      with tf1.variable_scope("", reuse=tf1.AUTO_REUSE):
        outputs[name], _ = decoders.embedding_attention_decoder(
          support.steps(self.target),
          tf1.constant(self.state),
          memory,
          cells.GRUCell(support.UNITS),
          support.TARGETS,
          support.DEPTH,
          num_heads=2,
        )
    sess = self.session()
    found = sess.run(outputs, {memory_ph: self.memory})
    self.assert_close(np.stack(found["unknown"]), np.stack(found["known"]), 0)
    longer = np.repeat(self.memory, 5, axis=1)  # as many of each: same mean
    found = sess.run(outputs, {memory_ph: longer})
    self.assert_close(
      np.stack(found["unknown"]), np.stack(found["known"]), 1e-6
    )

  def test_ops_lie_in_the_scope(self):
    inputs, memory = support.steps(self.inputs_np), tf1.constant(self.memory)
    state, cell = tf1.constant(self.state), cells.GRUCell(support.UNITS)
    before = len(self.graph.get_operations())
    decoders.attention_decoder(inputs, state, memory, cell, scope="mine")
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "mine/")

  @parameterized.named_parameters(
    ("heads", errors.ArgumentError, "num_heads", {"num_heads": 0}),
    ("size", errors.ArgumentError, "output_size", {"output_size": -1}),
    ("inputs", errors.ArgumentError, "decoder_inputs", {"decoder_inputs": []}),
    ("cell", errors.ArgumentError, "cell must be", {"cell": None}),
    (
      "states",
      errors.ShapeError,
      "attention_states",
      {"attention_states": np.zeros([2, 3], np.float32)},
    ),
    (
      "state",
      errors.ShapeError,
      "initial_state",
      {"initial_state": np.zeros([2, 9], np.float32)},
    ),
    ("dtype", errors.DtypeError, "attention_states", {"dtype": tf1.float64}),
  )
  def test_bad_arguments_raise(self, error, message, more):
    arguments = {
      "decoder_inputs": support.steps(self.inputs_np),
      "initial_state": tf1.constant(self.state),
      "attention_states": tf1.constant(self.memory),
      "cell": cells.GRUCell(support.UNITS),
    }
    arguments.update(more)
    with self.assertRaisesRegex(error, f"attention_decoder: .*{message}"):
      decoders.attention_decoder(**arguments)

  @parameterized.parameters(False, True)
  def test_step_by_step_is_the_whole(self, attends):
    state, memory = tf1.constant(self.state), tf1.constant(self.memory)
    settings = {"num_heads": 2, "initial_state_attention": attends}
    arguments = [
      state,
      memory,
      cells.GRUCell(support.UNITS),
      support.TARGETS,
      support.DEPTH,
    ]
    inputs = support.steps(self.target)
    whole, final = decoders.embedding_attention_decoder(
      inputs, *arguments, **settings
    )
    variables = tf1.global_variables()
    with tf1.variable_scope("", reuse=True):
      step, (contexts, before) = decoders.embedding_attention_start(
        *arguments, **settings
      )
    outputs, before = [], (contexts, before)
    for symbols in inputs:
      output, before = step(symbols, before)
      outputs.append(output)
    self.assertEqual(tf1.global_variables(), variables)
    with support.quick_session(self.graph) as sess:
      support.load(sess, variables)
      found, desired = sess.run([(outputs, before[1]), (whole, final)])
    self.assert_close(np.stack(found[0]), np.stack(desired[0]), 1e-6)
    self.assert_close(found[1], desired[1], 1e-6)

  @parameterized.named_parameters(
    ("symbols", errors.ArgumentError, "num_symbols", {"num_symbols": 0}),
    ("size", errors.ArgumentError, "embedding", {"embedding_size": 0}),
    ("cell", errors.ArgumentError, "cell must be", {"cell": None}),
    ("heads", errors.ArgumentError, "num_heads", {"num_heads": 0}),
    ("dtype", errors.DtypeError, "attention_states", {"dtype": tf1.float64}),
  )
  def test_bad_arguments_of_a_start_raise(self, error, message, more):
    arguments = {
      "initial_state": tf1.constant(self.state),
      "attention_states": tf1.constant(self.memory),
      "cell": cells.GRUCell(support.UNITS),
      "num_symbols": support.TARGETS,
      "embedding_size": support.DEPTH,
    }
    arguments.update(more)
    with self.assertRaisesRegex(error, f"attention_decoder: .*{message}"):
      decoders.embedding_attention_start(**arguments)

  def test_unroll_hands_on_output_and_state(self):
    seen = []

    def feed(step, previous):
      seen.append((step, previous))
      return step

    outputs, state = decoders.unroll(
      lambda x, state: (x + 10, state + x), feed, 3, 100
    )
    self.assertEqual(outputs, [10, 11, 12])
    self.assertEqual(state, 103)
    self.assertEqual(seen, [(0, None), (1, 10), (2, 11)])


if __name__ == "__main__":
  absltest.main()
