"""The networks of a `translator.Translator`, and their names."""

import numpy as np

from tangle import errors
from tangle.experiments import directions as directions_lib
from tangle.seq2seq import attention_model, encoders, vocabulary
from tangle.seq2seq.legacy import cells, parts, tutorial, wrappers


def sub_models(directions):
  """Returns the names of the sub-models.

  Args:
    directions: all `Direction`s.

  Returns:
    A dict from (`"encoder"`, source), (`"decoder"`, target) or (`"search"`,
    target) to a name such as `"en_encoder"`. A single direction from one source
    has `"encoder"`, `"decoder"` and `"search"`.
  """
  alone = is_plain(directions)
  sources = dict.fromkeys(name for d in directions for name in d.sources)
  targets = dict.fromkeys(d.target for d in directions)
  parts_of = [("encoder", name) for name in sources]
  parts_of += [(part, n) for n in targets for part in ("decoder", "search")]
  return {
    (part, name): part if alone else f"{name}_{part}" for part, name in parts_of
  }


def is_plain(directions):
  """Returns whether there is a single direction, from one source."""
  return len(directions) == 1 and all(len(d.sources) == 1 for d in directions)


def make_attention(vocabularies, directions, units, layers, embedding_dim):
  """Makes the attention models of all targets, which share encoders.

  Args:
    vocabularies: name of a side → `Vocabulary`.
    directions: all `Direction`s.
    units, layers, embedding_dim: as for `Translator`.

  Returns:
    Two dicts: from source to what has its encoder, and from target to its
    `attention_model.AttentionModel`.
  """
  sizes = {name: len(symbols) for name, symbols in vocabularies.items()}
  settings = units, layers, embedding_dim
  if is_plain(directions):
    ((source,), target) = [*directions][0]
    model = attention_model.AttentionModel(
      sizes[source], sizes[target], *settings
    )
    return {source: model}, {target: model}
  shared = {
    name: encoders.Encoder(sizes[name], *settings, masks=masks)
    for name, masks in _number_masks(directions).items()
  }
  models = {
    one.target: attention_model.AttentionModel(
      [sizes[name] for name in one.sources], sizes[one.target], *settings
    )
    for one in directions
  }
  return shared, models


def _number_masks(directions):
  """Returns source → number of its encoder's first dropout mask.

  Sources that are read together have different masks.
  """
  found = {}
  for name in directions_lib.names_of(directions):
    together = [d.sources for d in directions if name in d.sources]
    taken = {found.get(other) for group in together for other in group}
    if together:
      k = next(k for k in range(len(found) + 1) if k not in taken)
      found[name] = k
  return {name: encoders.first_mask(k) for name, k in found.items()}


def make_legacy(
  vocabularies,
  direction,
  units,
  layers,
  embedding_dim,
  cell,
  heads=1,
  num_sampled=None,
):
  """Makes the embedding attention model of the translate tutorial.

  Args:
    vocabularies: name of a side → `Vocabulary`.
    direction: the `Direction`, from one source.
    units, layers, embedding_dim, cell, heads, num_sampled: as for `Translator`.

  Returns:
    As `make_attention`; both have the `legacy.parts.AttentionModel`.

  Raises:
    ArgumentError: if `cell` is neither gru nor lstm.
  """
  sizes = [len(vocabularies[name]) for name in direction.sides]
  makers = {"gru": cells.GRUCell, "lstm": cells.BasicLSTMCell}
  if cell not in makers:
    raise errors.ArgumentError(
      f"Translator: cell must be one of {sorted(makers)}, got {cell!r}."
    )
  layer = [makers[cell](units) for _ in range(layers)]
  one = layer[0] if layers == 1 else wrappers.MultiRNNCell(layer)
  projection = None
  if num_sampled and num_sampled < sizes[1]:  # as in the tutorial
    projection = tutorial.OutputProjection(sizes[1], units, num_sampled)
  model = parts.AttentionModel(
    one, *sizes, embedding_dim, num_heads=heads, output_projection=projection
  )
  return {direction.sources[0]: model}, {direction.target: model}


def log_frequencies(targets, size):
  """Returns the log frequency of each symbol among targets, including EOS.

  If the bias of the logits starts at zero and the vocabulary is large, the
  first steps change all weights to learn the frequencies. This saturates the
  tanh of the attentional vector: 98 % of it was saturated after 16 steps in one
  measurement.

  Args:
    targets: `rows.Rows`, without EOS.
    size: V.

  Returns:
    `[V]` floats; a symbol that does not occur counts as one tenth of an
    occurrence.
  """
  counts = np.full([size], 0.1)
  for ids in targets:
    np.add.at(counts, ids, 1.0)
  counts[vocabulary.EOS_ID] += len(targets)
  return np.log(counts / counts.sum())
