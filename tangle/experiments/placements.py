"""Flags of scripts that place sub-models on tasks of a cluster."""

import re
import socket

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters, faults

_NUMBER = re.compile(r"[0-9]+")

CONNECT_S = 5.0
"""Seconds in which a cluster must accept a connection."""

ANSWER_S = 10.0
"""Seconds in which all its tasks must then answer."""

TIMEOUT_S = 300.0
"""Seconds that a session run may take, so that none waits forever."""


def devices(cluster, placement, sub_models=("encoder", "decoder", "search")):
  """Returns the devices of sub-models, after checking the cluster.

  Args:
    cluster: the address of a task, or `None`.
    placement: texts such as `["encoder=0", "decoder=1"]`, or `None`.
    sub_models: names of the existing sub-models.

  Returns:
    A dict from sub-model to device.

  Raises:
    ArgumentError: if a text is malformed, a name is unknown or given twice, the
      address is malformed, or there is a placement without a cluster or on a
      task that it has not.
    TrainingError: if no server listens at the address, or a task does not
      answer.
  """
  tasks = parse(placement or (), sub_models)
  if tasks and not cluster:
    raise errors.ArgumentError(
      f"placement: {list(placement)} needs a cluster. Give the address of a "
      f"task, as in cluster='grpc://127.0.0.1:2222'."
    )
  if cluster is not None:
    check_cluster(cluster, tasks.values())
  return {name: clusters.device(task) for name, task in tasks.items()}


def parse(texts, sub_models):
  """Reads a placement.

  Args:
    texts: such as `["encoder=0", "decoder=1"]`.
    sub_models: names of the existing sub-models.

  Returns:
    A dict from sub-model to the index of a task.

  Raises:
    ArgumentError: if a text is malformed, or a name is unknown or given twice.
  """
  found = {}
  for text in texts:
    name, _, number = text.partition("=")
    if name not in sub_models:
      raise errors.ArgumentError(
        f"placement: {text!r} has no name of a sub-model. Write it as "
        f"'sub_model=task', with one of {list(sub_models)}."
      )
    if not _NUMBER.fullmatch(number):
      raise errors.ArgumentError(
        f"placement: {text!r} must give the number of a task, got {number!r}. "
        f"Tasks count from 0, as in '{name}=0'."
      )
    if name in found:
      raise errors.ArgumentError(
        f"placement: {name!r} is given twice, in {list(texts)}. Leave one of "
        f"them out: a sub-model lives on one task."
      )
    found[name] = int(number)
  return found


def check_cluster(target, tasks):
  """Checks that a cluster has the tasks needed, and that they answer.

  Args:
    target: `grpc://host:port` of any of them.
    tasks: indices of the tasks that are needed.

  Raises:
    ArgumentError: if `target` is malformed, or the cluster has not all tasks.
    TrainingError: if no server listens at `target`, or a task does not answer.
  """
  scheme, _, address = target.partition("://")
  host, _, port = address.rpartition(":")
  if scheme != "grpc" or not host or not _NUMBER.fullmatch(port):
    raise errors.ArgumentError(
      f"cluster: {target!r} must be the address of a task, such as "
      f"'grpc://127.0.0.1:2222'."
    )
  try:
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
  except (OSError, OverflowError) as error:
    raise errors.TrainingError(
      f"cluster: no task answers at {target!r} ({error}). Start the tasks, as "
      f"scripts/cluster.py does on this machine, or give the right address."
    ) from error
  names = {clusters.device(task): task for task in sorted(set(tasks))}
  failed = faults.ask(target, [*names, ""], ANSWER_S)
  lacking = [
    names[name]
    for name, error in failed.items()
    if name and isinstance(error, tf1.errors.InvalidArgumentError)
  ]
  if lacking:
    raise errors.ArgumentError(
      f"placement: the cluster at {target!r} has no task {lacking[0]} of the "
      f"job {clusters.JOB!r}. Place sub-models on tasks that it has, or start "
      f"more tasks."
    )
  if failed:
    silent = [name for name in failed if name] or ["one that is not needed"]
    raise errors.TrainingError(
      f"cluster: of the tasks at {target!r} these do not answer within "
      f"{ANSWER_S:g} s: {', '.join(silent)}. Start them; a session waits for "
      f"all tasks of its cluster."
    )


def session_config(config=None):
  """Returns a copy of a `ConfigProto`, or a new one, with a limit per run."""
  found = tf1.ConfigProto()
  if config is not None:
    found.CopyFrom(config)
  found.operation_timeout_in_ms = int(TIMEOUT_S * 1000)
  return found
