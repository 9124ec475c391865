"""Tests of models: those without attention."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, models
from tests.seq2seq.legacy import reference, support


def features(*shape):
  """Draws [T, B, V], the same at each call."""
  rng = np.random.RandomState(7)
  full = shape + (support.BATCH, support.TARGETS)
  return rng.standard_normal(full).astype(np.float32)


def of_symbols(name, *sizes):
  """Returns a function that gives a `build` of `run_model`."""

  def make(
    cell, layers, projection=False, feed_previous=False, library=support.ours
  ):
    def build(source, target):
      if name == "embedding_tied_rnn_seq2seq":  # the table is the target's
        source = [ids % support.TARGETS for ids in source]
      return getattr(library, name)(
        source,
        target,
        library.cell(cell, layers),
        *sizes,
        support.DEPTH,
        output_projection=support.make_projection() if projection else None,
        feed_previous=support.called(feed_previous),
      )

    return build

  return make


def of_features(name, **more):
  """Returns a function that gives a `build` of `run_model`."""

  def make(cell, layers, library=support.ours):
    def build(source, target):
      del source  # neither side has symbols
      return getattr(library, name)(
        support.steps(features(2)),
        support.steps(features(len(target))),
        library.cell(cell, layers, support.TARGETS),
        **more,
      )

    return build

  return make


embedding = of_symbols(
  "embedding_rnn_seq2seq", support.SOURCES, support.TARGETS
)
embedding_tied = of_symbols("embedding_tied_rnn_seq2seq", support.TARGETS)
basic = of_features("basic_rnn_seq2seq")
tied = of_features("tied_rnn_seq2seq")

EMBEDDED = (
  ("gru", "gru_cell", 1),
  ("lstm", "basic_lstm_cell", 2),
  ("gru_fed_back", "gru_cell", 2, False, True),
  ("lstm_projected_fed_back", "lstm_cell", 1, True, True),
  ("gru_fed_back_by_tensor", "gru_cell", 1, True, lambda: tf1.constant(True)),
)


@support.needs_contrib
class ContribTest(support.LegacyTestCase):
  def assert_contribs(self, make, *arguments):
    self.shorten()
    ours = self.run_model(make(*arguments))
    theirs = self.run_model(
      make(*arguments, library=support.theirs), support.theirs.sequence_loss
    )
    self.assert_same(ours, theirs)

  @parameterized.named_parameters(*EMBEDDED)
  def test_embedding_rnn_is_contribs(self, *arguments):
    self.assert_contribs(embedding, *arguments)

  @parameterized.named_parameters(*EMBEDDED)
  def test_embedding_tied_rnn_is_contribs(self, *arguments):
    self.assert_contribs(embedding_tied, *arguments)

  @parameterized.named_parameters(
    ("basic_gru", basic, "gru_cell", 1),
    ("basic_lstm", basic, "basic_lstm_cell", 2),
    ("tied_gru", tied, "gru_cell", 2),
    ("tied_lstm", tied, "lstm_cell", 1),
    (
      "tied_loop",
      of_features(
        "tied_rnn_seq2seq",
        loop_function=lambda output, step: output * float(step),
      ),
      "gru_cell",
      1,
    ),
  )
  def test_models_of_features_are_contribs(self, *arguments):
    self.assert_contribs(*arguments)

  @parameterized.named_parameters(
    ("embedding", embedding, "gru_cell"),
    ("embedding_tied", embedding_tied, "lstm_cell"),
    ("basic", basic, "basic_lstm_cell"),
    ("tied", tied, "gru_cell"),
  )
  def test_variables_are_contribs(self, make, cell):
    ours = self.described(make(cell, 2))
    theirs = self.described(make(cell, 2, library=support.theirs))
    self.assertEqual(ours, theirs)

  @parameterized.named_parameters(
    ("embedding", embedding, "gru_cell"), ("basic", basic, "basic_lstm_cell")
  )
  def test_share_cell_is_contrib_with_the_usual_deepcopy_patch(
    self, make, cell
  ):
    self.shorten()
    ours = self.run_model(make(cell, 2, library=support.sharing))
    theirs = self.run_model(
      make(cell, 2, library=support.patched), support.patched.sequence_loss
    )
    self.assert_same(ours, theirs)


class FormulaTest(support.LegacyTestCase):
  @parameterized.named_parameters(("given", False), ("fed_back", True))
  def test_embedding_rnn_is_the_formula(self, feed_previous):
    build = embedding("gru_cell", 2, feed_previous=feed_previous)
    ours = self.run_model(build, wanted=False)
    weights = ours.values
    scope = "embedding_rnn_seq2seq/"
    _, states = reference.encode(
      weights, scope, "gru_cell", 2, support.UNITS, self.source
    )
    scope += "embedding_rnn_decoder/"
    table = weights[scope + "embedding"]

    def look_up(output):
      return table[reference.best(output)]

    outputs, states = reference.rnn_decode(
      weights,
      scope + "rnn_decoder/",
      "gru_cell",
      2,
      states,
      table[self.target[:-1]],
      feed_previous=look_up if feed_previous else None,
    )
    self.assert_close(ours.outputs, outputs, 2e-6)
    self.assert_close(ours.state[1], states[1], 2e-6)

  def test_embedding_tied_rnn_is_the_formula(self):
    build = embedding_tied("lstm_cell", 1)
    ours = self.run_model(build, wanted=False)
    weights = ours.values
    scope = "embedding_tied_rnn_seq2seq/"
    table = weights[scope + "embedding"]
    scope += "combined_tied_rnn_seq2seq/tied_rnn_seq2seq/"
    outputs = self.encode_and_decode(
      weights,
      scope,
      scope,
      "lstm_cell",
      support.UNITS,
      table[self.source % support.TARGETS],
      table[self.target[:-1]],
      True,
    )
    self.assert_close(ours.outputs, outputs, 2e-6)

  @parameterized.named_parameters(
    (
      "basic",
      basic,
      "basic_rnn_seq2seq/rnn/",
      "basic_rnn_seq2seq/rnn_decoder/",
    ),
    ("tied", tied) + ("combined_tied_rnn_seq2seq/tied_rnn_seq2seq/",) * 2,
  )
  def test_models_of_features_are_the_formula(self, make, encoder, decoder):
    build = make("gru_cell", 1)
    ours = self.run_model(build, wanted=False)
    outputs = self.encode_and_decode(
      ours.values,
      encoder,
      decoder,
      "gru_cell",
      support.TARGETS,
      features(2),
      features(3),
      False,
    )
    self.assert_close(ours.outputs, outputs, 2e-6)

  def encode_and_decode(
    self, weights, encoder, decoder, cell, units, source, target, projected
  ):
    states = reference.zero_states(cell, 1, support.BATCH, units, np.float32)
    run = reference.rnn_decode
    _, states = run(weights, encoder, cell, 1, states, source, projected)
    return run(weights, decoder, cell, 1, states, target, projected)[0]


class OtherModelsTest(support.LegacyTestCase):
  @parameterized.named_parameters(
    ("embedding", embedding, "gru_cell"), ("basic", basic, "basic_lstm_cell")
  )
  def test_share_cell_leaves_the_encoders_variables_only(self, make, cell):
    make(cell, 1, library=support.sharing)(*self.inputs())
    names = support.by_name(tf1.global_variables())
    kernels = [name for name in names if f"{cell}/" in name]
    self.assertNotEmpty(kernels)
    for name in kernels:
      self.assertIn("/rnn/", name)

  def test_a_tied_model_may_decode_fewer_symbols(self):
    ids = [tf1.placeholder(tf1.int32, [None])]
    outputs, _ = models.embedding_tied_rnn_seq2seq(
      ids, ids, cells.GRUCell(3), 9, 4, num_decoder_symbols=5
    )
    self.assertEqual(outputs[0].shape.as_list(), [None, 5])

  def test_tied_inputs_of_two_depths_raise(self):
    source = [tf1.placeholder(tf1.float32, [None, 4])]
    target = [tf1.placeholder(tf1.float32, [None, 5])]
    with self.assertRaisesRegex(errors.ShapeError, "basic_rnn_seq2seq"):
      models.tied_rnn_seq2seq(source, target, cells.GRUCell(3))

  def test_a_tied_projection_is_for_all_symbols(self):
    ids = [tf1.placeholder(tf1.int32, [None])]
    pair = tf1.zeros([3, 5]), tf1.zeros([5])
    with self.assertRaisesRegex(errors.ShapeError, r"must be \[3, 9\]"):
      models.embedding_tied_rnn_seq2seq(
        ids, ids, cells.GRUCell(3), 9, 4, 5, output_projection=pair
      )

  @parameterized.named_parameters(
    ("basic", models.basic_rnn_seq2seq, ()),
    ("tied", models.tied_rnn_seq2seq, ()),
    ("embedding", models.embedding_rnn_seq2seq, (6, 5, 4)),
    ("embedding_tied", models.embedding_tied_rnn_seq2seq, (5, 4)),
  )
  def test_no_inputs_and_unknown_cells_raise(self, model, sizes):
    floats = [tf1.placeholder(tf1.float32, [None, 4])]
    ids = [tf1.placeholder(tf1.int32, [None])]
    inputs = ids if sizes else floats
    with self.assertRaisesRegex(errors.ArgumentError, "decoder_inputs"):
      model(inputs, [], cells.GRUCell(3), *sizes)
    with self.assertRaisesRegex(errors.ArgumentError, "encoder_inputs"):
      model([], inputs, cells.GRUCell(3), *sizes)
    with self.assertRaisesRegex(errors.ArgumentError, "cell must be"):
      model(inputs, inputs, None, *sizes)
    self.assertEmpty(tf1.global_variables())


if __name__ == "__main__":
  absltest.main()
