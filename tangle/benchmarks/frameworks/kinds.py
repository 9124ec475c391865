"""The kinds of tasks, each a module with what the driver needs of its tasks.

Such a module has `NAMES` of tasks, the namedtuple `Sizes`, `SIZES` (task → name
→ sizes) and `make(name, sizes, seed, data)`, where `data` is the path of a file
that the driver wrote by `write(path, name, sizes, seed, files)`, if the kind
has data. A task of any kind has `name`, `sizes`, `flops` and `words`, the words
that a step trains on, 0 if there are none.
"""

from tangle import errors
from tangle.benchmarks.frameworks import g2p, jobs, networks

KINDS = {"networks": networks, "g2p": g2p, "jobs": jobs}
"""Name → module."""

NAMES = networks.NAMES + g2p.NAMES + jobs.NAMES
"""Names of all tasks."""


def find(task):
  """Returns the key in `KINDS` of a `task`; refuses one that is unknown."""
  for kind, module in KINDS.items():
    if task in module.NAMES:
      return kind
  raise errors.ArgumentError(
    f"frameworks.kinds.find: the task must be one of {NAMES}, got {task!r}."
  )


def find_sizes(task, size):
  """Returns the sizes of `task` that `size` names: tiny, small or design."""
  return KINDS[find(task)].SIZES[task][size]


def make(task, sizes, seed=0, data=""):
  """Makes a task, as `make` of its kind.

  Args:
    task: one of `NAMES`.
    sizes: the sizes of its kind, or a list of their values.
    seed: of all that is drawn.
    data: path of the file of data, for tasks that read one.

  Returns:
    A task.

  Raises:
    ArgumentError: if the name is unknown.
    DataError: if the file of data cannot be read.
  """
  module = KINDS[find(task)]
  return module.make(task, module.Sizes(*sizes), seed, data)
