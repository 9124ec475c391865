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

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_list("inputs", [], "Where the sub-model begins: names of tensors.")
flags.DEFINE_list("outputs", [], "Where it ends.")
flags.DEFINE_string(
  "residuals", "frontier", "What to keep, as SubModel has it."
)
flags.DEFINE_integer(
  "unknown", 32, "What an unknown dimension counts as in bytes."
)
flags.DEFINE_integer("limit", 20, "How many names to list; 0 for all.")
flags.DEFINE_string("out_dir", None, "Gets split.json.")


def main(path):
  from tangle.experiments import meta_graphs

  ends = FLAGS.inputs, FLAGS.outputs
  if all(ends):
    found = meta_graphs.report(path, *ends, FLAGS.residuals, FLAGS.unknown)
    print(meta_graphs.format_report(found, FLAGS.limit))
    points = meta_graphs.list_cut_points(path, *ends)
    found["cut_points"] = points.to_dicts()
    print(points)
  else:
    found = meta_graphs.survey(path, FLAGS.limit)
    print(meta_graphs.format_survey(found))
    print("Name where to cut it: --inputs=... --outputs=...")
  if FLAGS.out_dir:
    os.makedirs(FLAGS.out_dir, exist_ok=True)
    with open(os.path.join(FLAGS.out_dir, "split.json"), "w") as file:
      json.dump(found, file, indent=1)
  return found


if __name__ == "__main__":
  command_line.run(main, positional=["one .meta file"])
