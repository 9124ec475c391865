"""All programs by name."""

import collections

from tests.programs import images, recurrent, tabular

ALL = collections.OrderedDict(
  (build.__name__, build)
  for build in [
    images.gan,
    images.vae,
    images.unet,
    images.siamese,
    images.spectral_norm,
    images.style_transfer,
    images.dilated_queue,
    images.wavenet,
    images.flow,
    recurrent.stateful_lm,
    recurrent.raw_rnn_decoder,
    recurrent.while_loop_decoder,
    recurrent.seq2seq,
    recurrent.beam_decoder,
    recurrent.ctc,
    recurrent.char_rnn,
    recurrent.tagger,
    recurrent.actor_critic,
    recurrent.policy_gradient,
    tabular.transformer,
    tabular.memory_network,
    tabular.word2vec,
    tabular.graph_convolution,
    tabular.factorization_machine,
    tabular.partitioned_embeddings,
    tabular.feature_columns,
    tabular.model_function,
    tabular.dqn,
    tabular.highway,
  ]
)
"""Name → a function that builds the program in the current graph."""
