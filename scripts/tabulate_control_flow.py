"""Tries every store on every construct of control flow, and writes a table.

  python scripts/tabulate_control_flow.py
  python scripts/tabulate_control_flow.py --pythons=.venv-tf1/bin/python

Gradients must be those of the joint graph and of central differences, or the
sub-model must be refused when it is made. `--pythons` names other interpreters,
with other TensorFlows, to try as well. `--out_dir` gets `control_flow.md`, and
`control_flow.json` with what each refusal said. The last line on standard
output is one JSON object: version → outcome → how often.
"""

import json
import os

from absl import flags

from tangle.experiments import command_line, control_flow

FLAGS = flags.FLAGS

flags.DEFINE_list("constructs", None, "Which to try; all by default.")
flags.DEFINE_list("pythons", [], "Other interpreters to try it in, too.")
flags.DEFINE_string("out_dir", "out/control_flow", "Gets table and texts.")


def main():
  found = {control_flow.version(): control_flow.tabulate(FLAGS.constructs)}
  for python in FLAGS.pythons:
    label, table = control_flow.tabulate_elsewhere(python, FLAGS.constructs)
    found[label] = table
  table = control_flow.format_markdown(found)
  os.makedirs(FLAGS.out_dir, exist_ok=True)
  with open(os.path.join(FLAGS.out_dir, "control_flow.md"), "w") as file:
    file.write(table + "\n")
  with open(os.path.join(FLAGS.out_dir, "control_flow.json"), "w") as file:
    json.dump(found, file, indent=1)
  print(table)
  return control_flow.count(found)


if __name__ == "__main__":
  command_line.run(main)
