"""Makes many steps and shows whether resident memory grows.

  python scripts/soak_memory.py --what=sub_model --disturb
  python scripts/soak_memory.py --what=pipeline
  python scripts/soak_memory.py --what=calls --disturb --steps=1000000
  python scripts/soak_memory.py --what=overlap --steps=100000

The last line on standard output is one JSON object with the figures.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import soak
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_enum("what", "sub_model", soak.NAMES, "What to run.")
flags.DEFINE_enum(
  "store", "device", ["device", "host", "session"], "Of the sub-model."
)
flags.DEFINE_integer("steps", 10000, "How many steps to run.")
flags.DEFINE_integer("warm_up", 1000, "Steps before memory is watched.")
flags.DEFINE_bool("disturb", False, "Discard every third, fail every fifth.")
flags.DEFINE_string("out_dir", "out/soak_memory", "Gets metrics.jsonl.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  try:
    found = soak.run(
      FLAGS.what, FLAGS.store, FLAGS.steps, FLAGS.warm_up, FLAGS.disturb
    )
  except errors.TangleError as error:
    sys.exit(f"soak_memory: {error}")
  figures = dict(found._asdict(), what=FLAGS.what, store=FLAGS.store)
  records.Records(FLAGS.out_dir).write(**figures)
  print(
    f"{found.steps} steps: {found.rss_bytes[0] / 2**20:.1f} MiB after the "
    f"warm-up, {found.rss_bytes[-1] / 2**20:.1f} MiB at the end, "
    f"growth {found.growth:.2%}, {found.seconds:.0f} s"
    + ("" if found.wrong is None else f", {found.wrong} wrong")
  )
  print(records.to_json(figures))


if __name__ == "__main__":
  app.run(main)
