"""Tests that no docstring, comment, message or page has a puzzling phrase.

The list grows: a phrase that made a reader stop, and is never right in this
project, gets a line with what to write instead. Spaces of a phrase match any
white space, so that a line break hides nothing.
"""

import ast
import io
import pathlib
import re
import tokenize

from absl.testing import absltest

ROOT = pathlib.Path(__file__).resolve().parent.parent

PHRASES = {
  "shares? right": "accuracy",
  "from nothing": "from scratch",
  "(sums?|reductions?) over nothing": "no-op sum",
  "in nobody's": "say what it is not: 'not wrapped by another session'",
  "for nobody": "unused; 'that nothing reads'",
  "ox ploughing": "boustrophedon order: each second row runs backward",
  "before its time": "say what it waits for",
  "(as|is|are|was|were|be) told (in|of|on)": "is described, reported, listed",
  "(as|is|are|was|were) told[.,;:]": "given, specified",
  "(is|are|was|were) told by": "is described by, is measured by",
  "known, told or": "known, specified or",
  "cannot be told(?! apart)": "cannot be determined",
  "(stands?|standing|stood) already": "already exists",
  "(known )?to stand against": "known to fail",
  "as ever": "as before",
  "(goes|go|going|went) on (with|from|where|there|after)": (
    "resumes, continues"
  ),
  "(that|which|and) (goes|go|went) on": "that resumes, continues",
  "anew": "again, from scratch",
  "heeds?": "uses, ignores",
  "once and for all": "once",
  "keeps what it keeps": "chooses its residuals itself",
  "what is not said": "unknown, unspecified",
  "nobody answers": "no task answers",
  "there must be an? \\w+ at least": "there must be at least one",
  "(give|have) one \\w+ at least": "at least one",
  "bettered": "improved",
  "better it": "improve it",
  "lest": "so that ... not",
  "(is|are) to be had": "is available, can be computed",
  "can be had": "can be computed",
  "beside which": "start a new sentence",
  "whatever of it": "the part that",
  "(is|it) worth nothing": "gains nothing, has no effect",
  "(of|is) who knows": "say what the predictor is",
  "who reads which": "say which network",
  "updates' worth": "as many updates",
  "know their damage": "detects damage",
  "nobody was asked": "was not requested",
  "those that are there the same": "compares with the existing ones",
  "all of which a checkpoint": "a checkpoint has all of them",
  "whatever `call` makes": "arguments of `call`",
  "neither gets nor takes": "say which tensor has no effect",
  "what tells passes": "say what distinguishes the passes",
  "computes less again": "recomputes fewer ops",
  "on the way of a gradient": "on the gradient's path",
  "graph aside": "scratch graph",
  "what it takes for the same": "say when two sizes count as equal",
  "(examples|rows|words|steps) a (batch|second|step)": "per batch, per second",
  "(images|labels) a class": "per class",
  "nats an? (target )?(symbol|token|phoneme)": "nats per symbol",
  "names no": "has no ... of this name",
  r"such[)]": "say how many examples, words or lines",
  "nothing is cut": "say what is not truncated",
  "choose among those": "say what to write: 'Use these names.'",
  "is only unknown": "if only ... is unknown",
}


def prose_of(source):
  """Yields (first line, text) of the docstrings and comments of a module.

  A docstring is a string that is a statement of its own. Comments on
  successive lines are one text.
  """
  begins, comment, last = True, [], 0
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    line = token.start[0]
    if token.type == tokenize.COMMENT:
      if comment and line > last + 1:
        yield last - len(comment) + 1, "\n".join(comment)
        comment = []
      comment.append(token.string.lstrip("#"))
      last = line
    elif token.type == tokenize.STRING and begins:
      yield line, token.string
    if token.type not in (tokenize.COMMENT, tokenize.NL):
      begins = token.type in (
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        getattr(tokenize, "ENCODING", None),
      )
  if comment:
    yield last - len(comment) + 1, "\n".join(comment)


def messages_of(source):
  """Yields (first line, text) of the string literals of a module.

  Adjacent literals are one text; `{}` is in the place of a value.
  """
  inside = set()
  for node in ast.walk(ast.parse(source)):  # an f-string before its parts
    text = getattr(node, "value", getattr(node, "s", None))
    if isinstance(node, ast.JoinedStr):
      inside.update(id(part) for part in node.values)
      parts = [getattr(p, "value", getattr(p, "s", None)) for p in node.values]
      text = "".join(p if isinstance(p, str) else "{}" for p in parts)
    if isinstance(text, str) and id(node) not in inside:
      yield node.lineno, text


PATTERNS = [
  (
    re.compile(
      rf"\b{phrase}".replace(" ", r"\s+")
      + (r"\b" if phrase[-1].isalpha() or phrase[-1] == ")" else ""),
      re.IGNORECASE,
    ),
    remedy,
  )
  for phrase, remedy in PHRASES.items()
]


def find(texts):
  """Returns a message for each phrase found: its line, itself and the remedy.

  Args:
    texts: pairs of the number of a text's first line and the text.
  """
  found = []
  for first, text in texts:
    for pattern, remedy in PATTERNS:
      for match in pattern.finditer(text):
        line = first + text.count("\n", 0, match.start())
        words = " ".join(match.group().split())
        found.append((line, f'{line}: "{words}"; write: {remedy}'))
  return [message for _, message in sorted(found)]


def find_in_files(paths, texts_of):
  """Returns the findings in files: one line per finding, with the file."""
  return "\n".join(
    f"{path.relative_to(ROOT)}:{message}"
    for path in paths
    for message in find(texts_of(path.read_text(encoding="utf-8")))
  )


class ProseTest(absltest.TestCase):
  def test_docstrings_and_comments_are_plain(self):
    paths = [
      *sorted((ROOT / "tangle").rglob("*.py")),
      *sorted((ROOT / "scripts").rglob("*.py")),
    ]
    found = find_in_files(paths, prose_of)
    if found:
      self.fail(f"Rewrite these:\n{found}\n")

  def test_messages_are_plain(self):
    paths = [
      *sorted((ROOT / "tangle").rglob("*.py")),
      *sorted((ROOT / "scripts").rglob("*.py")),
    ]
    found = find_in_files(paths, messages_of)
    if found:
      self.fail(f"Rewrite these:\n{found}\n")

  def test_pages_are_plain(self):
    names = "README.md", "CHANGELOG.md", "BUILD_NOTES.md"
    paths = [ROOT / name for name in names]
    paths += sorted((ROOT / "docs").rglob("*.md"))
    found = find_in_files(paths, lambda text: [(1, text)])
    if found:
      self.fail(f"Rewrite these:\n{found}\n")

  def test_a_phrase_is_found_in_docstrings_and_comments(self):
    source = '''"""Returns the share
right."""

NAME = "the share right"
"""Not from nothing."""


class A:
  """One.

  Weights stand already.
  """

  def run(self):
    # The Share
    # right.
    return "from nothing"  # as was told.
'''
    found = find(prose_of(source))
    lines = [message.split(";")[0] for message in found]
    self.assertCountEqual(
      lines,
      [
        '1: "share right"',
        '5: "from nothing"',
        '11: "stand already"',
        '15: "Share right"',
        '17: "was told."',
      ],
    )

  def test_a_phrase_is_found_in_a_message_of_several_literals(self):
    source = """
raise ValueError(
  f"The weights of {name} are read "
  f"anew from {path!r}, from "
  "nothing."
)
"""
    lines = [message.split(";")[0] for message in find(messages_of(source))]
    self.assertEqual(lines, ['3: "anew"', '3: "from nothing"'])

  def test_a_finding_has_the_remedy(self):
    found = find([(7, "Trained\nfrom  nothing at all.")])
    self.assertEqual(found, ['8: "from nothing"; write: from scratch'])

  def test_plain_prose_passes(self):
    text = "Tensors are told apart by name. Least loss; lasting accuracy."
    self.assertEqual(find([(1, text)]), [])


if __name__ == "__main__":
  absltest.main()
