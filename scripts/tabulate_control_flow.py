"""Tries every store on every control flow construct, and writes a table.

  python scripts/tabulate_control_flow.py
  python scripts/tabulate_control_flow.py --pythons=.venv-tf1/bin/python

Gradients must equal those of the joint graph and central differences, or the
sub-model must be refused when it is made. `--pythons` names further
interpreters to try, with other TensorFlows. `control_flow_<variables>.md`, and
`.json` with the message of each refusal, are written to `--out_dir`. The last
line on standard output is one JSON object: kind of variables → version →
outcome → how often.
"""

import json
import os

from absl import flags

from tangle.experiments import command_line, control_flow

FLAGS = flags.FLAGS

flags.DEFINE_list("constructs", None, "Which to try; all by default.")
flags.DEFINE_list(
  "variables", list(control_flow.VARIABLES), "Kinds of variables."
)
flags.DEFINE_list("pythons", [], "Other interpreters to try it in, too.")
flags.DEFINE_string("out_dir", "out/control_flow", "Gets table and texts.")


def main():
  os.makedirs(FLAGS.out_dir, exist_ok=True)
  counts, names = {}, FLAGS.constructs
  for kind in FLAGS.variables:
    table = control_flow.tabulate(names, variables=kind)
    found = {control_flow.version(): table}
    for python in FLAGS.pythons:
      label, table = control_flow.tabulate_elsewhere(python, names, kind)
      found[label] = table
    text = control_flow.format_markdown(found)
    path = os.path.join(FLAGS.out_dir, f"control_flow_{kind}")
    with open(path + ".md", "w") as file:
      file.write(text + "\n")
    with open(path + ".json", "w") as file:
      json.dump(found, file, indent=1)
    print(f"\n{kind} variables\n\n{text}")
    counts[kind] = control_flow.count(found)
  return counts


if __name__ == "__main__":
  command_line.run(main)
