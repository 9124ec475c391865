"""Measures a pipeline laid over tasks of this machine, against one process.

  python scripts/benchmark_cluster.py --micro_batches=2,4 --rounds=10

Each stage is on a task of one thread; the joint graph runs in one process of
one thread. `--out_dir` gets a plot of the ratios and, for each contender, a
Gantt chart of one step. The last line on standard output is one JSON object:
contender -> figures, and the machine's load.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import cluster, tables
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_integer("stages", 2, "How many, each on a task.")
flags.DEFINE_integer("batch_size", 256, "Examples a step.")
flags.DEFINE_integer("units", 512, "Depth of the layers.")
flags.DEFINE_integer("layers", 4, "Layers of a stage.")
flags.DEFINE_list("micro_batches", ["2", "4", "8"], "Parts of a batch.")
flags.DEFINE_list("schedules", ["1f1b", "gpipe"], "Which schedules.")
flags.DEFINE_integer("rounds", 10, "Timed steps of each contender.")
flags.DEFINE_string("out_dir", "out/benchmark_cluster", "Gets the plots.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  try:
    rows, timelines = cluster.compare(
      FLAGS.stages,
      FLAGS.batch_size,
      FLAGS.units,
      FLAGS.layers,
      [int(count) for count in FLAGS.micro_batches],
      FLAGS.schedules,
      FLAGS.rounds,
    )
    os.makedirs(FLAGS.out_dir, exist_ok=True)
    path = os.path.join(FLAGS.out_dir, "cluster_to_joint.png")
    tables.plot_ratios(rows, "to_joint", "step to that of one process", path)
    for name, timeline in timelines.items():
      path = os.path.join(FLAGS.out_dir, f"gantt_{name}.png")
      cluster.plot_timeline(timeline, f"One step as it ran: {name}", path)
  except errors.TangleError as error:
    sys.exit(f"benchmark_cluster: {error}")
  print(tables.format_table(rows, cluster.COLUMNS))
  print(
    f"load of the last minutes, of {os.cpu_count()} cores:", os.getloadavg()
  )
  print(records.to_json(dict(rows, load=list(os.getloadavg()))))


if __name__ == "__main__":
  app.run(main)
