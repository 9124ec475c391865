"""Settings of Sphinx; `make docs` builds the pages."""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

project = "tangle"
author = "the authors of tangle"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "tangle"
exclude_patterns = ["_build"]

myst_heading_anchors = 3  # so that [text](page.md#a-heading) is checked

autodoc_member_order = "bysource"
autodoc_typehints = "description"  # type hints stand beside the arguments
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
default_role = "code"  # docstrings write `name` as Markdown does


def mark_code(app, what, name, obj, options, lines):
  """Makes reStructuredText of the Markdown of a docstring, in place.

  Indented blocks and tables after an empty line are literal, but in a section
  such as `Args:`. What returns has no type: a colon in it is only a colon.
  """
  del app, what, name, obj, options
  found, section, in_block = [], False, False
  for number, line in enumerate(lines):
    before = lines[number - 1] if number else ""
    if line and not line.startswith(" "):
      section = bool(re.fullmatch(r"[A-Z][A-Za-z ]*:", line))
    if before in ("Returns:", "Yields:"):
      line = f"  : {line.strip()}"
    special = line.startswith(("    ", "|")) and not section
    if special and not before.strip() and not in_block:
      found += ["::", ""]
      in_block = True
    elif line.strip() and not special:
      in_block = False
    if in_block:
      found.append("    " + line if line.startswith("|") else line)
    else:
      # `|x|` would be a substitution, and a letter after a backtick an error.
      parts = line.split("`")
      parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
      found.append(re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", "`".join(parts)))
  lines[:] = found


def setup(app):
  """Connects `mark_code`, before napoleon reads the docstring.

  Args:
    app: Sphinx.
  """
  app.connect("autodoc-process-docstring", mark_code, priority=100)
