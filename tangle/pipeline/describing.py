"""Describes pipelines and their trainers in one line, for `repr`."""

from tangle.partial import residuals


def pipeline(found):
  """Returns the line for a `Pipeline`: its sub-models, buckets and reads."""
  parts = []
  for name, node in found.nodes.items():
    text = name
    if node.buckets != [None]:
      text += f" (buckets {', '.join(map(str, node.buckets))})"
    sources = [str(s) for read in node.reads.values() for s in read]
    if sources:
      text += f" reads {', '.join(sources)}"
    parts.append(text)
  is_built = any(node.graphs for node in found.nodes.values())
  state = "built" if is_built else "not built"
  return (
    f"<Pipeline {found.name!r}, {state}: {'; '.join(parts) or 'no sub-models'}>"
  )


def trainer(found):
  """Returns the line for a `Trainer`: variables, residuals at last buckets."""
  parts = []
  for name, node in found.pipeline.nodes.items():
    bucket, graph = list(node.graphs.items())[-1]
    at = "" if bucket is None else f" at bucket {bucket}"
    kept = residuals.describe(graph.kept())
    parts.append(f"{name}{at} keeps {kept.summary}")
  return (
    f"<Trainer of Pipeline {found.pipeline.name!r}: {len(found.variables)} "
    f"variables; {'; '.join(parts)}>"
  )


def joint_trainer(found):
  """Returns the line for a `JointTrainer`: its joint graphs and variables."""
  return (
    f"<JointTrainer of Pipeline {found.pipeline.name!r}: "
    f"{len(found.combinations)} joint graphs of {list(found.pipeline.nodes)}, "
    f"{len(found.variables)} variables>"
  )
