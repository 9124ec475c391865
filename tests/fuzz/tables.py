"""The form of the tables of ops that random programs are made of.

An op takes and gives values of certain kinds and shapes. A pattern is a kind
and dimensions, with blanks between:

    "f * a"    float, any shape of one dimension or more, the last is `a`
    "i"        an integer scalar
    "f 2 b"    float, `[2, b]`

Kinds: `f` float, `i` integer, `b` bool, `z` complex, or a dtype. The same
letter means the same size throughout an op, `*` the same shape, `f` and `i` the
same dtype, `z` the dtype whose parts are `f`. What an op gives may compute with
letters: `"f * a+b"`. `code` is Python for the op: `{0}` its first argument,
`{a}` a size, `{f}` its float dtype, `{z}` its complex dtype, `{seed}` a number
of its own, `{resource}` and `{trainable}` what kind of variable it has, drawn
as bools. `bound` tells how large the values become: `p`, `q`, `r` are those of
the arguments.
"""

from typing import NamedTuple, Tuple

KINK = "kink"  # numbers by differences are not to be had
RANDOM = "random"  # draws
FLOW = "flow"  # makes a conditional or a loop
STATE = "state"  # changes a variable
ASSIGNED = "assigned"  # changes a variable that the gradient reads
NARROW = "narrow"  # computes in float32


class Op(NamedTuple):
  """An op of random programs; see the module."""

  name: str
  takes: Tuple[str, ...]
  code: str
  gives: Tuple[str, ...]
  bound: str = "p"
  marks: Tuple[str, ...] = ()
  when: str = "True"


def op(name, takes, code, gives, bound="p", marks=(), when="True"):
  """Makes an `Op` of strings that hold patterns, with commas between."""
  marks = (marks,) if isinstance(marks, str) else tuple(marks)
  takes = tuple(t.strip() for t in takes.split(",") if t.strip())
  gives = tuple(t.strip() for t in gives.split(","))
  return Op(name, takes, code, gives, bound, marks, when)


def unary(code, bound="p", marks=(), when="True"):
  """Makes an `Op` of floats of any shape, named by the function it calls."""
  name = code.split("(")[0].split(".")[-1]
  return op(name, "f *", code, "f *", bound, marks, when)
