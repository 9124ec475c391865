"""Compares a pipeline over several tasks of this machine with one process.

  python scripts/benchmark_cluster.py --micro_batches=2,4,8
  python scripts/benchmark_cluster.py --wait_s=0.2 --rows=64 --units=4

Each stage is on a task that computes with one thread; the joint graph runs in
one process of one thread. With `--wait_s` stages also wait, so that the number
of cores does not matter. A plot of the ratios and, per contender, a Gantt chart
of one step are written to `--out_dir`. The last line on standard output is one
JSON object: contender -> figures, and the load.
"""

import os

from absl import flags

from tangle.benchmarks import cluster, tables, timelines
from tangle.experiments import command_line

FLAGS = flags.FLAGS

command_line.define(cluster.compare)
flags.DEFINE_string("out_dir", "out/benchmark_cluster", "Gets the plots.")


def main():
  rows, runs = cluster.compare(**command_line.take(cluster.compare, FLAGS))
  os.makedirs(FLAGS.out_dir, exist_ok=True)
  path = os.path.join(FLAGS.out_dir, "cluster_to_joint.png")
  tables.plot_ratios(rows, "to_joint", "step to that of one process", path)
  for name, timeline in runs.items():
    path = os.path.join(FLAGS.out_dir, f"gantt_{name}.png")
    timelines.plot(timeline, f"One step as it ran: {name}", path)
  print(tables.format_table(rows, cluster.COLUMNS))
  load = list(os.getloadavg())
  print(f"load of the last minutes, of {os.cpu_count()} cores: {load}")
  return dict(rows, load=load)


if __name__ == "__main__":
  command_line.run(main)
