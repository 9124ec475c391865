"""Measures how long a bucketed model takes to start, and its memory.

  python scripts/benchmark_startup.py
  python scripts/benchmark_startup.py --against=../older_checkout --rounds=3

The model is the attention model of g2p training with N + N buckets. Measured
are the seconds until every pair of buckets has had a training step, the memory
above that after the import, and exponents of their growth, "overall / tail"; 1
is linear. Then follows the time of `train_g2p.py --preset=demo` from the shell
to its first training step. Each measurement has its own process; `--against`
measures another checkout in turn. `metrics.jsonl`, with a record per point, is
written to `--out_dir`. The last line on standard output is one JSON object:
`points`, checkout -> list of figures; `exponents`, checkout -> figure ->
[overall, tail]; and `first_step`, checkout -> `import_s` and `beyond_import_s`,
the seconds of `import tensorflow` and all others.
"""

import shlex

from absl import flags

from tangle.benchmarks import startup, tables
from tangle.experiments import command_line
from tangle.training import progress, records

FLAGS = flags.FLAGS

SETTING = startup.Setting()

flags.DEFINE_list("buckets", ["3", "6", "12"], "Buckets on each side.")
for name, value in SETTING._asdict().items():
  flags.DEFINE_integer(name, value, f"{name} of the model.")
flags.DEFINE_integer("rounds", 1, "Measurements of each; the least counts.")
flags.DEFINE_string("against", None, "Another checkout of tangle.")
flags.DEFINE_string("script", "scripts/train_g2p.py --preset=demo", "To start.")
flags.DEFINE_string("out_dir", "out/benchmark_startup", "Gets the figures.")


def main():
  setting = startup.Setting(*(FLAGS[name].value for name in SETTING._fields))
  points = [int(text) for text in FLAGS.buckets]
  shared = {"rounds": FLAGS.rounds, "against": FLAGS.against}
  with progress.Bar(unit="process") as bar:
    found = startup.compare(points, setting, progress=bar.count, **shared)
  journal = records.Records(FLAGS.out_dir)
  for checkout, rows in found.items():
    for row in rows:
      journal.write(checkout=checkout, **row)
  print(tables.format_table(startup.table_rows(found), startup.FIGURES))
  figures = {"points": found, "exponents": startup.exponents(found)}
  if FLAGS.script:
    command = shlex.split(FLAGS.script)
    figures["first_step"] = startup.time_script(command, **shared)
    for checkout, seconds in figures["first_step"].items():
      print(
        f"{checkout}: first step {seconds['beyond_import_s']:.1f} s from the "
        f"shell, without {seconds['import_s']:.1f} s of import tensorflow"
      )
  return figures


if __name__ == "__main__":
  command_line.run(main)
