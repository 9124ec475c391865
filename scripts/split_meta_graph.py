"""Reports whether and how the graph of a .meta file can be split.

  python scripts/split_meta_graph.py model.ckpt.meta
  python scripts/split_meta_graph.py model.ckpt.meta --inputs=x --outputs=h

Without names it lists placeholders, ends and variables. With names it lists
where the graph can be cut between them, and describes the sub-model between
them: its variables, other tensors that must be fed, the stores that support it,
and its residuals and their bytes. It also reports what had to be repaired in
memory to import the file. The last line on standard output is one JSON object
with all results; `split.json` is written to `--out_dir`.
"""

import json
import os
import sys

from absl import app, flags

from tangle import errors
from tangle.experiments import meta_graphs
from tangle.partial import sizes
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_list("inputs", [], "Where the sub-model begins: names of tensors.")
flags.DEFINE_list("outputs", [], "Where it ends.")
flags.DEFINE_string(
  "residuals", "frontier", "What to keep, as SubModel has it."
)
flags.DEFINE_integer(
  "unknown", sizes.ASSUMED, "What an unknown dimension counts as in bytes."
)
flags.DEFINE_integer("limit", 20, "How many names to list; 0 for all.")
flags.DEFINE_string("out_dir", None, "Gets split.json.")


def main(argv):
  if len(argv) != 2:
    raise app.UsageError("Name one .meta file.")
  ends = FLAGS.inputs, FLAGS.outputs
  try:
    if all(ends):
      found = meta_graphs.report(argv[1], *ends, FLAGS.residuals, FLAGS.unknown)
      print(meta_graphs.format_report(found, FLAGS.limit))
      points = meta_graphs.list_cut_points(argv[1], *ends)
      found["cut_points"] = points.to_dicts()
      print(points)
    else:
      found = meta_graphs.survey(argv[1], FLAGS.limit)
      print(meta_graphs.format_survey(found))
      print("Name where to cut it: --inputs=... --outputs=...")
  except (errors.TangleError, OSError) as error:
    sys.exit(f"split_meta_graph: {error}")
  if FLAGS.out_dir:
    os.makedirs(FLAGS.out_dir, exist_ok=True)
    with open(os.path.join(FLAGS.out_dir, "split.json"), "w") as file:
      json.dump(found, file, indent=1)
  print(records.to_json(found))


if __name__ == "__main__":
  app.run(main)
