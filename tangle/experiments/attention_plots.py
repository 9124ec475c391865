"""Plots of the attention weights of some examples."""

import os
from typing import Any, NamedTuple, Sequence

import numpy as np

from tangle import errors
from tangle.experiments import plots, tasks
from tangle.seq2seq import batches, vocabulary

FILE = "attention.png"
EXAMPLES = 4
"""How many examples are drawn."""

_LONGEST = 30  # tokens of a source that is drawn, so that ticks are legible


class Aligned(NamedTuple):
  """The attention of one decoded example to a source.

  Attributes:
    name: the name of the source.
    source: S tokens, in the order in which the encoder reads them.
    target: T decoded tokens, the last one EOS.
    weights: `[T, S]` floats; row t sums to 1 over the source positions.
  """

  name: str
  source: Sequence[str]
  target: Sequence[str]
  weights: Any


def write(out_dir, model, sess, task, report=print):
  """Draws the attention of validation examples, if that can be done.

  Args:
    out_dir: the folder of the run; gets `attention.png`.
    model: a `translator.Translator` of the attention model, in training.
    sess: its session.
    task: a `tasks.Task`; without validation data, training data are drawn.
    report: called with a line of text if matplotlib is missing, or the picture
      cannot be written.
  """
  split = "validation" if "validation" in task.encoded else "train"
  found = align(model, sess, task, split)
  try:
    draw(found, split, os.path.join(out_dir, FILE))
  except (errors.MissingPackageError, OSError) as error:
    report(f"No attention is drawn: {error}")


def align(model, sess, task, split):
  """Decodes the first examples of a split, and returns their attention.

  The examples are those of the direction that is trained first. Greedy search
  decodes them; then the decoder runs once more, with what was decoded as its
  input. The attention model does not feed its attention back, so the weights
  are those of the search.

  Args:
    model, sess, task: as for `write`.
    split: a key of `task.encoded`.

  Returns:
    A list of `Aligned`, one for each source of each example. Examples with more
    than 30 tokens in a source are skipped.
  """
  one = task.directions[0]
  examples = task.encoded[split][one].examples
  longest = np.max([side.lengths for side in examples.sides[:-1]], axis=0)
  chosen = np.flatnonzero(longest <= _LONGEST)[:EXAMPLES]
  sources = [examples[k][:-1] for k in chosen]
  convert = model.converter(sess, one)
  decoded, most = [()] * len(sources), task.buckets[one].longest[-1] - 1
  for batch in _batches(task, one, sources, decoded):
    symbols = convert(batch).symbols
    for index, ids in zip(batch.indices, symbols):
      decoded[index] = _until_eos(ids[:most])
  found = [None] * len(sources)
  for batch in _batches(task, one, sources, decoded):
    every = model.attention(sess, batch, one)
    for row, index in enumerate(batch.indices):
      found[index] = [
        _cut(task, name, one.target, batch, row, source.ids[row], weights[row])
        for name, source, weights in zip(one.sources, batch.sources, every)
      ]
  return [each for example in found for each in example]


def _batches(task, direction, sources, targets):
  """Returns the batches of some examples, of which there may be none."""
  if not sources:
    return ()
  return batches.PairBatches(
    [(*ids, target) for ids, target in zip(sources, targets)],
    task.buckets[direction],
    EXAMPLES,
    layout=tasks.LAYOUTS[task.layout],
  ).in_order()


def _until_eos(ids):
  ids = list(ids)
  return (
    ids[: ids.index(vocabulary.EOS_ID)] if vocabulary.EOS_ID in ids else ids
  )


def _cut(task, name, target, batch, row, ids, weights):
  """Returns the `Aligned` of a row and a source, without padding."""
  read, counts = ids != vocabulary.PAD_ID, batch.weights[row] > 0
  symbols = [task.vocabularies[side].symbols for side in (name, target)]
  return Aligned(
    name,
    [symbols[0][k] for k in ids[read]],
    [symbols[1][k] for k in batch.targets[row][counts]],
    weights[: len(counts), : len(read)][counts][:, read],
  )


@errors.named("attention_plots")
def draw(found, split, path):
  """Draws a matrix for each example: columns are source tokens, rows decoded.

  Args:
    found: a list of `Aligned`; nothing is drawn if it is empty.
    split: the name of the data, for the title.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
    OSError: if the file cannot be written.
  """
  if not found:
    return
  wide = max(4.0, 1.5 + 0.28 * max(len(each.source) for each in found))
  high = max(2.6, 1.4 + 0.24 * max(len(each.target) for each in found))
  drawing, panels = plots.open_panels(len(found), 2, (wide, high), (1.0, 0.6))
  for axes, each in zip(panels, found):
    image = axes.imshow(
      each.weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto"
    )
    axes.set_xticks(range(len(each.source)))
    axes.set_yticks(range(len(each.target)))
    upright = max(map(len, each.source)) > 2
    axes.set_xticklabels(each.source, rotation=90 if upright else 0)
    axes.set_yticklabels(each.target)
    axes.set(xlabel=f"{each.name} token", ylabel="decoded token")
  drawing.suptitle(f"Attention: examples of the {split} data, greedy search")
  drawing.tight_layout(rect=(0, 0, 0.9, 0.98))
  place = drawing.add_axes([0.91, 0.2, 0.015, 0.6])
  drawing.colorbar(image, cax=place, label="attention weight")
  drawing.savefig(path, dpi=120)
