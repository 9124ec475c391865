"""Throughput of a training, over all its runs."""

import time

import numpy as np

from tangle.seq2seq import vocabulary


def count_words(batch):
  """Counts the words of the targets of a batch, without PAD and EOS.

  Args:
    batch: sub-model → feed → array. One sub-model, the decoder, is fed
      `"inputs"`, `[B, T]`. Positions of positive weight in `"weights"` count;
      without weights all do. `"targets"` are ids; EOS does not count as a word.

  Returns:
    An int.
  """
  fed = _decoder(batch)
  if "weights" not in fed:
    return int(np.size(fed["inputs"]))
  counts = np.asarray(fed["weights"]) > 0
  if "targets" in fed:
    counts = counts & (np.asarray(fed["targets"]) != vocabulary.EOS_ID)
  return int(np.sum(counts))


def count_examples(batch):
  """Returns the number of examples of a batch, which is as in `count_words`."""
  return len(_decoder(batch)["inputs"])


def _decoder(batch):
  """Returns the feeds of the sub-model that has targets."""
  (found,) = (fed for fed in batch.values() if "inputs" in fed)
  return found


class ThroughputMeter:
  """Wraps a trainer, and counts the examples, words and seconds of its steps.

  It is a part of the state of `training.loop.Loop`.
  """

  def __init__(self, trainer, count=count_words):
    """Wraps a trainer.

    Args:
      trainer: an object with `step(sess, batch)`, whose batches are as in
        `count_words`.
      count: a function of a batch that returns how many words it has; `None` if
        words are not defined.
    """
    self._trainer, self._count = trainer, count
    self._seconds, self._examples, self._words = 0.0, 0, 0

  def step(self, sess, batch):
    """Makes a step of the trainer, and returns its result."""
    begin = time.perf_counter()
    result = self._trainer.step(sess, batch)
    self._seconds += time.perf_counter() - begin
    self._examples += count_examples(batch)
    self._words += self._count(batch) if self._count else 0
    return result

  def shown(self, progress):
    """Returns a callable as `progress`, which also shows the throughput."""
    unit = "words" if self._count else "examples"

    def show(step, steps, result):
      note = f"{self.figures()[f'{unit}_per_s']:,.0f} {unit}/s"
      progress(step, steps, result, note)

    return show

  def figures(self):
    """Returns the figures, a dict.

    They are `train_s`, the seconds spent in steps, `examples_per_s` and, if
    words are counted, `words_per_s`.
    """
    per_s = 1 / self._seconds if self._seconds else 0.0
    found = {
      "train_s": self._seconds,
      "examples_per_s": self._examples * per_s,
    }
    if self._count:
      found["words_per_s"] = self._words * per_s
    return found

  def state(self):
    """Returns what a checkpoint needs."""
    return {
      "seconds": self._seconds,
      "examples": self._examples,
      "words": self._words,
    }

  def restore(self, state):
    """Resumes from what `state` returned."""
    self._seconds = float(state["seconds"])
    self._examples, self._words = int(state["examples"]), int(state["words"])
