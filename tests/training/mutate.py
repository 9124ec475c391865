"""Mutates folders of runs, vocabularies and corpora, and reads them.

  python -m tests.training.mutate --count=20000

What was damaged, or made by somebody who means harm, is refused by a
`TangleError` of one line, or has no effect: a run that goes on has the weights
of one that was not touched, and it goes on from the newest checkpoint that is
whole. The last line on standard output is one JSON object; `wrong` is empty if
all is well.
"""

import argparse
import collections
import contextlib
import gzip
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import types

import numpy as np

from tangle import errors, files
from tangle.compat import tf1
from tangle.seq2seq import corpora, vocabulary
from tangle.training import checkpoints, loop, manifests, runs
from tests.training import folders

END = 10
HANG_S = 60
SETTINGS = {"network": {"units": 3}, "training": {"rate": 0.1}}
SYMBOLS = vocabulary.Vocabulary(["one", "tw\u00f6", "\u4e09"])
TEXTS = {"vocabulary.txt": SYMBOLS.text}
VALUES = [
  *(None, True, -1, 0, 2**70, 1.5, float("nan"), float("inf"), "", "x", "../x"),
  *("\ud800", "/dev/zero", [], {}, [[]], {"": None}, ["x"] * 9),
]


class Hang(BaseException):
  """Something has taken longer than `HANG_S`."""


class Numbers:
  """A source of the batches 0, 1, 2, ..., and their only stream."""

  position = 0

  def at(self, position):
    self.position = 0 if position is None else int(position)
    if not 0 <= self.position < 2**31:
      raise ValueError("there is no such position")
    return self

  def __next__(self):
    self.position += 1
    return self.position - 1


class Trainer:
  """Trains one weight, which the number of each step changes."""

  def __init__(self):
    """Makes the graph, and the session."""
    self.graph = tf1.Graph()
    with self.graph.as_default():
      self._w = tf1.get_variable(
        "w", initializer=np.float32([1.0, 2.0]), use_resource=True
      )
      self._x_ph = tf1.placeholder(tf1.float32, [])
      self._train_op = self._w.assign(self._w * 0.5 + self._x_ph)
      self._initialize = tf1.global_variables_initializer()
      self.checkpoints = checkpoints.Checkpoints("none", report=str)
      self.sess = tf1.Session()

  def step(self, sess, batch):
    """Makes a step, as `Loop` wants it."""
    sess.run(self._train_op, {self._x_ph: batch})
    return types.SimpleNamespace(loss=1.0 / (batch + 1))

  def run(self, folder, end=END):
    """Trains in a folder, or goes on there; returns outcome and weights."""
    found = self.checkpoints
    found.folder, found._damaged = os.path.join(folder, "checkpoints"), {}
    self.sess.run(self._initialize)
    started = runs.started(folder, SETTINGS, {"train": 5}, TEXTS, str)
    with started, self.graph.as_default():
      outcome = loop.train(
        self.sess,
        self,
        Numbers(),
        folder,
        end,
        checkpoints=found,
        report_every=2,
        checkpoint_every=3,
        report=str,
        locked=True,
      )
    return outcome, self.sess.run(self._w).tolist()


def damage_bytes(rng, content):
  """Returns other bytes than `content`."""
  content = bytearray(content)
  place = rng.randrange(len(content) + 1)
  kind = rng.randrange(6)
  if kind == 0 and content:
    content[place - 1] ^= 1 << rng.randrange(8)
  elif kind == 1:
    del content[place:]
  elif kind == 2:
    content[place:place] = bytes(rng.getrandbits(8) for _ in range(9))
  elif kind == 3:
    del content[place : place + rng.randrange(1, 50)]
  elif kind == 4:
    content[place:place] = content[: rng.randrange(1, 200)]
  else:
    content = bytearray(
      rng.choice([b"", b"\0" * 5, b"[" * 10**5, b"9" * 10**5])
    )
  return bytes(content)


def damage_json(rng, content, sign):
  """Changes a value somewhere in JSON; perhaps its digest, too."""
  whole = json.loads(content.decode())
  places = [(whole, key) for key in whole]
  for owner, key in places:
    value = owner[key]
    if isinstance(value, (dict, list)):
      keys = value if isinstance(value, dict) else range(len(value))
      places += [(value, inner) for inner in keys]
  owner, key = rng.choice(places)
  value = rng.choice(VALUES)
  if isinstance(owner, dict) and rng.random() < 0.3:
    owner[value if isinstance(value, str) else "other"] = owner.pop(key)
  else:
    owner[key] = value
  if sign and isinstance(whole.get("content"), dict):
    whole["sha256"] = files.digest_json(whole["content"])
  elif sign:
    parts = {name: whole[name] for name in whole if name != "sha256"}
    whole["sha256"] = files.digest_json(parts)
  return json.dumps(whole).encode()


def remove(path):
  """Removes a file, a folder or a link, if it is there."""
  if os.path.isdir(path) and not os.path.islink(path):
    shutil.rmtree(path)
  elif os.path.lexists(path):
    os.remove(path)


def replace(rng, path):
  """Puts something else in the place of a file or a folder."""
  remove(path)
  kind = rng.randrange(6)
  if kind == 1:
    os.mkdir(path)
  elif kind == 2:
    os.mkfifo(path)
  elif kind > 2:
    os.symlink(rng.choice(["nowhere", "/dev/zero", "/dev/full", path]), path)


def mutate(rng, folder):
  """Changes one thing in the folder of a run; returns whether it forged."""
  top = os.path.join(folder, "checkpoints")
  paths = sorted(
    os.path.join(parent, name)
    for parent, _, names in os.walk(folder)
    for name in names
    if _is_plain(os.path.join(parent, name))
  )
  kind, sign = rng.randrange(10), False
  if kind < 7:
    if kind > 3:
      paths = [path for path in paths if path.endswith(".json")]
    path = rng.choice(paths or [os.path.join(folder, ".lock")])
    if not _is_plain(path):
      return False
    with open(path, "rb") as file:
      content = file.read()
    if kind > 3:
      sign = rng.random() < 0.6
      with contextlib.suppress(ValueError, RecursionError):
        content = damage_json(rng, content, sign)
    else:
      content = damage_bytes(rng, content)
    with open(path, "wb") as file:
      file.write(content)
  elif kind == 7 and paths:
    path = rng.choice(paths)
    replace(rng, path if rng.random() < 0.7 else os.path.dirname(path))
  elif os.path.isdir(top) and not os.path.islink(top):
    _mix_up(rng, top)
  return sign


def _mix_up(rng, top):
  """Copies or renames a checkpoint, or files of one into another."""
  steps = [n for n in sorted(os.listdir(top)) if n.startswith("step-")]
  one, two = (os.path.join(top, rng.choice(steps or ["x"])) for _ in range(2))
  other = f"step-{rng.choice([1, 3, 6, 9, 12, 10**9]):08d}"
  other = rng.choice([other, "writing-x", "step-x", "removing-step-00000009"])
  other = os.path.join(top, other)
  with contextlib.suppress(OSError):
    if rng.random() < 0.5:
      for name in os.listdir(one):
        path = os.path.join(one, name)
        if one != two and rng.random() < 0.5 and _is_plain(path):
          os.remove(os.path.join(two, name))
          shutil.copy(path, os.path.join(two, name))
    elif not os.path.lexists(other):
      if rng.random() < 0.5:
        os.rename(one, other)
      else:
        shutil.copytree(one, other, symlinks=True)


def _is_plain(path):
  """Whether it is a file, which can be read to its end."""
  return os.path.isfile(path) and not os.path.islink(path)


def whole_steps(base, folder):
  """Returns the steps whose checkpoints are those of the base, in order."""
  found = []
  for step in (3, 6, 9):
    name = os.path.join("checkpoints", f"step-{step:08d}")
    wanted = folders.contents(os.path.join(base, name))
    there = _regular(os.path.join(folder, name))
    if there and _parsed(there) == _parsed(wanted):
      found.append(step)
  return found


def _parsed(contents):
  """Returns contents with parsed manifests, whose layout does not matter."""
  contents = dict(contents)
  with contextlib.suppress(ValueError, RecursionError, KeyError):
    content = json.loads(contents[manifests.NAME].decode())
    contents[manifests.NAME] = json.dumps(content, sort_keys=True)
  return contents


def _regular(folder):
  """Returns the contents of a folder of regular files, else `None`."""
  paths = [
    os.path.join(parent, name)
    for parent, names, others in os.walk(folder)
    for name in names + others
  ]
  if paths and all(map(_is_plain, paths)):
    return folders.contents(folder)
  return None


def only_checkpoints_differ(base, folder):
  """Whether all else in two folders of runs is the same."""
  if os.path.islink(folder) or not os.path.isdir(folder):
    return False
  for name in sorted(set(os.listdir(base)) | set(os.listdir(folder))):
    one, two = os.path.join(base, name), os.path.join(folder, name)
    if name in ("checkpoints", "summaries"):
      same = os.path.isdir(two) and not os.path.islink(two)
    else:
      same = _is_plain(one) and _is_plain(two)
      if same:
        with open(one, "rb") as first, open(two, "rb") as second:
          same = first.read() == second.read()
    if not same:
      return False
  return True


def try_run(rng, trainer, base, wanted, folder):
  """Mutates the folder of a run and goes on.

  Returns:
    A word for what has come of it, and what is wrong, "" for nothing.
  """
  forged = [mutate(rng, folder) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
  whole = whole_steps(base, folder)
  others_are_whole = only_checkpoints_differ(base, folder)
  try:
    outcome, w = trainer.run(folder)
  except errors.TangleError as error:
    if "\n" in str(error):
      return "refused", f"several lines: {error}"
    if folder not in str(error):
      return "refused", f"no file is named: {error}"
    if whole and others_are_whole and not any(forged):
      return "refused", f"steps {whole} are whole: {error}"
    return "refused", ""
  if w != wanted and not any(forged):
    return "went_on", f"weights {w}"
  last = whole[-1] if whole else None
  sound = outcome.resumed_from == last or any(forged) or not others_are_whole
  why = f"from {outcome.resumed_from}, whole are {whole}"
  return "went_on", "" if sound else why


def try_vocabulary(rng, folder):
  """Mutates a vocabulary and loads it."""
  path = os.path.join(folder, "vocabulary.txt")
  content = TEXTS["vocabulary.txt"].encode()
  for _ in range(rng.choice([1, 1, 2])):
    content = damage_bytes(rng, content)
  with open(path, "wb") as file:
    file.write(content)
  if rng.random() < 0.1:
    replace(rng, path)
  try:
    found = vocabulary.Vocabulary.load(path)
  except errors.TangleError:
    return "refused", ""
  if found.text.encode() not in (content, content + b"\n"):
    return "loaded", f"{content} became {found.symbols}"
  return "loaded", ""


def try_corpus(rng, folder):
  """Mutates one of two aligned files and reads them."""
  lines = "".join(f"{'ab ' * k}c\n" for k in range(9)).encode()
  ending = rng.choice(["", ".gz"])
  paths = [os.path.join(folder, f"{k}{ending}") for k in range(2)]
  packed = gzip.compress(lines) if ending else lines
  damaged = damage_bytes(rng, packed)
  for path, content in zip(paths, (packed, damaged)):
    with open(path, "wb") as file:
      file.write(content)
  try:
    found = list(corpora.ParallelCorpus(*paths))
  except errors.TangleError:
    return "refused", ""
  if ending and [two for _, two in found] != [one for one, _ in found]:
    return "read", "a damaged archive is read"
  return "read", ""


def run(count, seed=0, scratch=None):
  """Tries so many mutations.

  Args:
    count: how many.
    seed: of the mutations.
    scratch: a folder for those that are mutated.

  Returns:
    A dict of figures.
  """

  def ring(*_):
    raise Hang(f"longer than {HANG_S} seconds")

  before = signal.signal(signal.SIGALRM, ring)
  counts, wrong = collections.Counter(), []
  with tempfile.TemporaryDirectory(dir=scratch) as top:
    base = os.path.join(top, "base")
    trainer = Trainer()
    whole = os.path.join(top, "whole")
    _, wanted = trainer.run(whole)
    trainer.run(base, 9)
    shutil.rmtree(os.path.join(base, "summaries"))
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
      rng = random.Random(f"{seed}/{number}")
      folder = os.path.join(top, "mutated")
      shutil.copytree(base, folder)
      if number % 100 == 99:
        trainer.sess.close()
        trainer = Trainer()
      kind = ("vocabulary", "corpus", "run")[min(number % 6, 2)]
      signal.alarm(HANG_S)
      try:
        if kind == "run":
          word, fault = try_run(rng, trainer, base, wanted, folder)
        else:
          attempt = try_vocabulary if kind == "vocabulary" else try_corpus
          word, fault = attempt(rng, folder)
      except (Exception, Hang) as error:
        word, fault = "failed", f"{type(error).__name__}: {error}"
      signal.alarm(0)
      counts[f"{kind} {word}"] += 1
      if fault:
        wrong.append(f"{seed}/{number} {kind}: {fault}")
      remove(folder)
    trainer.sess.close()
    end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  signal.signal(signal.SIGALRM, before)
  return {
    "count": count,
    "counts": dict(counts),
    "grown_mb": (end - begin) / 1024,
    "wrong": wrong,
  }


def main():
  """Runs by hand; see the module."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--count", type=int, default=200)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--scratch", help="folder, such as one in memory")
  flags = parser.parse_args()
  figures = run(flags.count, flags.seed, flags.scratch)
  print(json.dumps(figures))
  return 1 if figures["wrong"] else 0


if __name__ == "__main__":
  sys.exit(main())
