"""Starts the tasks of a cluster on this machine, for tests, and ends them.

  python scripts/cluster.py --tasks=2 --threads=1 --ports=2222,2223
  python scripts/train_seq2seq.py --cluster=grpc://127.0.0.1:2222 \\
    --placement=encoder=0,decoder=1 ...

Each task is a process with a `tf.train.Server`. They run until Ctrl-C, SIGTERM
or the end of `--seconds`. The last line on standard output, printed when all
tasks answer, is one JSON object: `target`, `addresses`, `process_ids`,
`log_dir`. A server has no authentication and listens on all interfaces: use it
on private networks only.
"""

import signal
import sys
import time

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_float("seconds", None, "How long to run; until Ctrl-C by default.")
CLUSTER = "tangle.pipeline.clusters.LocalCluster"
command_line.define(CLUSTER, log_dir=None)
flags.declare_key_flag("log_dir")  # which absl has


def show(cluster):
  """Prints where the tasks are, for a person and for programs."""
  from tangle.pipeline import clusters
  from tangle.training import records

  ids = [cluster.process_id(k) for k in range(len(cluster.addresses))]
  print(f"target: {cluster.target} (for tf.compat.v1.Session)")
  for k, address in enumerate(cluster.addresses):
    print(f"{clusters.device(k)}: {address}, process {ids[k]}")
  print(f"logs: {cluster.log_dir}")
  figures = {
    "target": cluster.target,
    "addresses": cluster.addresses,
    "process_ids": ids,
    "log_dir": cluster.log_dir,
  }
  print(records.to_json(figures), flush=True)


def wait(cluster, seconds):
  """Waits, and says on standard error when a task ends by itself."""
  alive = list(range(len(cluster.addresses)))
  end = None if seconds is None else time.monotonic() + seconds
  while alive and (end is None or time.monotonic() < end):
    time.sleep(0.1)
    for k in [k for k in alive if not cluster.is_alive(k)]:
      alive.remove(k)
      print(f"Task {k} has ended; see {cluster.log_of(k)}.", file=sys.stderr)


def interrupt(*unused):
  raise KeyboardInterrupt


def main():
  from tangle.pipeline import clusters

  for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has
    signal.signal(number, interrupt)  # a job in the background ignore SIGINT
  settings = command_line.take(CLUSTER, FLAGS)
  try:
    with clusters.LocalCluster(**settings) as cluster:
      show(cluster)
      wait(cluster, FLAGS.seconds)
  except KeyboardInterrupt:
    print("Interrupted; the tasks have been ended.", file=sys.stderr)


if __name__ == "__main__":
  command_line.run(main)
