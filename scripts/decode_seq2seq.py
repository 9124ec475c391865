"""Decodes a file, or lines that are typed, with trained weights.

  python scripts/decode_seq2seq.py --run_dir=out/en_de --in=test.en
  python scripts/decode_seq2seq.py --run_dir=out/en_de    # a prompt
  python scripts/decode_seq2seq.py --run_dir=out/all --direction=en-fr --in=a.en
  python scripts/decode_seq2seq.py --run_dir=out/two --in=test.de,test.fr

With --beam_size=5 --n_best=5 lines read "index ||| symbols ||| score", best
first. Except at the prompt, the last line on standard output is one JSON
object.
"""

import os
import sys

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "Folder of a training; needed.")
flags.DEFINE_list(
  "in", None, "Text file to decode, one for each source; a prompt without."
)
flags.DEFINE_string(
  "direction", None, "Such as en-fr, if the training has several directions."
)
flags.DEFINE_string("out", None, "File to write; decoded.txt in out_dir.")
flags.DEFINE_string("out_dir", None, "Folder to write to; run_dir by default.")
flags.DEFINE_list("references", [], "Text files to measure against, by BLEU.")
DECODER = "tangle.experiments.run_folder.decoders"
command_line.define(DECODER)


def check():
  problems = []
  if not FLAGS.run_dir or not os.path.isdir(FLAGS.run_dir):
    problems.append(
      f"--run_dir={FLAGS.run_dir or ''}: name the folder of a training"
    )
  if FLAGS.n_best > FLAGS.beam_size:
    problems.append(
      f"--n_best={FLAGS.n_best}: must be at most --beam_size={FLAGS.beam_size}"
    )
  return problems


def main():
  from tangle.experiments import decode, run_folder
  from tangle.training import progress

  search = command_line.take(DECODER, FLAGS)
  search["direction"] = FLAGS.direction
  in_paths, out_dir = FLAGS["in"].value, FLAGS.out_dir or FLAGS.run_dir
  if not in_paths:
    with run_folder.decoder(FLAGS.run_dir, **search) as decoder:
      decoder.prompt(sys.stdin, sys.stdout, n_best=FLAGS.n_best > 1)
    return None
  out_path = FLAGS.out or os.path.join(out_dir, "decoded.txt")
  with progress.Bar(unit="line") as bar:
    return decode.decode_file(
      FLAGS.run_dir, in_paths, out_path, FLAGS.references, bar.count, **search
    )


if __name__ == "__main__":
  command_line.run(main, check)
