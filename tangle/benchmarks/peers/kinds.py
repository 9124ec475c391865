"""The kinds of tasks, and what the harness needs to know of each.

A task of any kind has `name`, `flops` and `words`, the words that a step trains
on, 0 if there are none. One module per kind and framework trains it; `roster`
lists them.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from tangle import errors
from tangle.benchmarks.peers import g2p, jobs, tasks


class Kind(NamedTuple):
  """A kind of tasks.

  Attributes:
    names: names of its tasks.
    sizes_type: a namedtuple of a task's sizes.
    sizes: name → sizes.
    make: function of name, sizes, seed and data, the path of a file that the
      driver wrote; returns the task.
    optimizer: function of sizes that returns the `tasks.Optimizer`; None if
      the user chooses it.
  """

  names: Tuple[str, ...]
  sizes_type: Any
  sizes: Dict[str, Any]
  make: Callable[..., Any]
  optimizer: Optional[Callable[..., Any]] = None


KINDS = {
  "networks": Kind(
    tasks.NAMES,
    tasks.Sizes,
    tasks.SIZES,
    lambda name, sizes, seed, data: tasks.make(name, sizes, seed),
  ),
  "g2p": Kind(
    (g2p.NAME,),
    g2p.Sizes,
    g2p.SIZES,
    lambda name, sizes, seed, data: g2p.make(sizes, seed, data),
  ),
  **{
    name: Kind((name,), jobs.Sizes, sizes, jobs.make, jobs.optimizer)
    for name, sizes in jobs.SIZES.items()
  },
}
"""Name → `Kind`; each of the real jobs is its own kind."""

NAMES = tuple(name for kind in KINDS.values() for name in kind.names)
"""Names of all tasks."""


def find(name):
  """Returns the kind of a task.

  Args:
    name: one of `NAMES`.

  Returns:
    A key of `KINDS`.

  Raises:
    ArgumentError: if the name is unknown.
  """
  for key, kind in KINDS.items():
    if name in kind.names:
      return key
  raise errors.ArgumentError(
    f"peers.kinds.find: the task must be one of {NAMES}, got {name!r}."
  )


def choose_sizes(name, size):
  """Returns the sizes of a task.

  Args:
    name: one of `NAMES`.
    size: tiny, small or design.

  Returns:
    Sizes of the task's kind.

  Raises:
    ArgumentError: if the name of the task or of the size is unknown.
  """
  sizes = KINDS[find(name)].sizes
  if size not in sizes:
    raise errors.ArgumentError(
      f"peers.kinds.choose_sizes: the size must be one of {sorted(sizes)}, got "
      f"{size!r}."
    )
  return sizes[size]


def make(name, sizes, seed=0, data=""):
  """Makes a task.

  Args:
    name: one of `NAMES`.
    sizes: the sizes of its kind, or a list of their values.
    seed: of all that is drawn.
    data: path of the file of batches, for tasks that read one.

  Returns:
    A task.

  Raises:
    ArgumentError: if the name is unknown.
  """
  kind = KINDS[find(name)]
  return kind.make(name, kind.sizes_type(*sizes), seed, data)
