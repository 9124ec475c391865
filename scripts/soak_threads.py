"""Runs sub-models from many threads at once, and checks every gradient.

  python scripts/soak_threads.py
  python scripts/soak_threads.py --stores=session --threads=16

Eight threads share two sub-models and a session; each runs 1,000 pairs of
forward and backward, several open at once, some calls discarded. The last line
on standard output is one JSON object: store → figures. The same is written to
`metrics.jsonl` in `--out_dir`.
"""

from absl import flags

from tangle.benchmarks import threads
from tangle.experiments import command_line
from tangle.partial import sub_model
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_list("stores", list(sub_model.STORES), "The stores to try.")
flags.DEFINE_string("out_dir", "out/soak_threads", "For metrics.jsonl.")
command_line.define(threads.run, store=None)


def main():
  figures = {}
  journal = records.Records(FLAGS.out_dir)
  for store in FLAGS.stores:
    settings = command_line.take(threads.run, FLAGS)
    found = threads.run(**dict(settings, store=store))
    figures[store] = found._asdict()
    journal.write(store=store, **figures[store])
    print(f"{store}: {dict(figures[store])}", flush=True)
  return figures


if __name__ == "__main__":
  command_line.run(main)
