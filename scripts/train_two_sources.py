"""Trains a translator that reads two or more sources at once.

  python scripts/train_two_sources.py --train=train.de,train.fr,train.en \\
    --validation=val.de,val.fr,val.en --test=test.de,test.fr,test.en

The lines n of all files belong together; the target is the last file. There is
one encoder per source, and each side has its own buckets. A run that was
stopped resumes when it is started again. The last line on standard output is
one JSON object with the figures.
"""

import os

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/two_sources", "Folder of the run.")
LOAD = "tangle.experiments.aligned_task.load"
TRAIN = "tangle.experiments.two_sources.train"
command_line.define(LOAD, TRAIN)


def main():
  from tangle.experiments import aligned_task, two_sources
  from tangle.training import progress

  with progress.Bar() as bar:
    task = aligned_task.load(**command_line.take(LOAD, FLAGS))
    return two_sources.train(
      task,
      FLAGS.out_dir,
      progress=bar,
      report=bar.write,
      **command_line.take(TRAIN, FLAGS),
    )


if __name__ == "__main__":
  command_line.run(main)
