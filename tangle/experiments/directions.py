"""Directions of translation: from one source, or several at once, to a target.

A direction is written `en-de`, or `de+fr-en` if it reads two sources at once.
"""

import collections

from tangle import errors


class Direction(collections.namedtuple("Direction", ["sources", "target"])):
  """From the sources, a tuple of names, to the target, a name."""

  __slots__ = ()

  @property
  def sides(self):
    """The names of the sources and of the target, a tuple."""
    return (*self.sources, self.target)

  def __str__(self):
    return f"{'+'.join(self.sources)}-{self.target}"


PAIR = Direction(("source",), "target")
"""The direction of pairs whose sides have no names of their own."""


def names_of(directions):
  """Lists the names of all sides, each once, those of sources first."""
  sources = [name for direction in directions for name in direction.sources]
  targets = [direction.target for direction in directions]
  return list(dict.fromkeys(sources + targets))


def parse(sources, targets, directions=None, held_out=None):
  """Reads the directions to train, and those to measure only.

  Args:
    sources: names of the sources; `de+fr` stands for two that are read at once.
    targets: names of the targets.
    directions: texts such as `"en-de"`; by default from each of `sources` to
      each of `targets` that is not among them.
    held_out: likewise; directions that are measured, but not trained.

  Returns:
    Two lists of `Direction`s: those to train, and those held out.

  Raises:
    ArgumentError: if names or directions are not as described, no direction is
      left to train, none trains the encoder or the decoder of a held-out one,
      or one decoder would read different numbers of sources.
  """
  sources, targets = list(sources), list(targets)
  groups = [tuple(text.split("+")) for text in sources]
  for what, found in (("sources", sources), ("targets", targets)):
    if not found or len(set(found)) < len(found) or "" in found:
      raise errors.ArgumentError(
        f"directions: {what} must be one name or more, each once, got {found}."
      )
  every = [
    Direction(group, target)
    for group in groups
    for target in targets
    if target not in group
  ]
  known = {name for group in groups for name in group}
  wanted = [_read(text, known, targets, every) for text in directions or ()]
  left_out = [_read(text, known, targets, every) for text in held_out or ()]
  trained = [one for one in wanted or every if one not in left_out]
  if not trained:
    remedy = "Hold out fewer" if every else "Give a target that is no source"
    raise errors.ArgumentError(
      f"directions: none is left to train from {sources} to {targets}, with "
      f"{list(map(str, left_out))} held out. {remedy}."
    )
  for one in left_out:
    for what, its, there in (
      ("encoder", one.sources, {s for d in trained for s in d.sources}),
      ("decoder", [one.target], {d.target for d in trained}),
    ):
      for name in its:
        if name not in there:
          raise errors.ArgumentError(
            f"directions: {one} is held out, and no other direction trains the "
            f"{what} of {name!r}. Train one that does."
          )
  _check_decoders(trained + left_out)
  return trained, left_out


def _read(text, sources, targets, every):
  """Returns the `Direction` of a text."""
  for target in targets:
    if text.endswith(f"-{target}"):
      group = tuple(text[: -len(target) - 1].split("+"))
      if sources.issuperset(group) and len(set(group)) == len(group):
        return Direction(group, target)
  raise errors.ArgumentError(
    f"directions: there is no direction {text!r}; there are "
    f"{', '.join(map(str, every))}. Two sources read at once are written "
    f"de+fr-en."
  )


def _check_decoders(directions):
  """Raises if a decoder would have to find a source in two places."""
  places = {}
  for one in directions:
    own = places.setdefault(one.target, (len(one.sources), {}))
    same = own[0] == len(one.sources)
    for k, name in enumerate(one.sources):
      same = same and own[1].setdefault(name, k) == k
    if not same:
      raise errors.ArgumentError(
        f"directions: the decoder of {one.target!r} attends to {own[0]} "
        f"sources, each in its place: {list(own[1])}; {one} has others. Give "
        f"all directions to a target as many sources, in one order."
      )
