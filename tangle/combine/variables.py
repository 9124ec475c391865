"""Variables: who lists them, which are trainable, and which ops change them."""

import collections

from tangle.compat import tf1
from tangle.graphs import strategies

ASSIGNMENTS = {
  "Assign": "assign",
  "AssignAdd": "assign_add",
  "AssignSub": "assign_sub",
  "AssignVariableOp": "assign",
  "AssignAddVariableOp": "assign_add",
  "AssignSubVariableOp": "assign_sub",
}
"""Type of an op that changes a variable → the matching variable method."""


def listed(network):
  """Returns the variables that an object lists in its `variables`.

  Args:
    network: any object. Its `variables` is an attribute or property, or a
      method, which is then called without arguments.

  Returns:
    What `unwrapped` makes of them, in the same order; an empty list if the
    object has no `variables`.
  """
  found = getattr(network, "variables", ())
  return unwrapped(found() if callable(found) else found)


def unwrapped(variables):
  """Returns the variables in the graph, each with its own memory.

  Args:
    variables: an iterable of variables of TensorFlow; of Keras 3, which wrap
      them; or of a distribution strategy, which has one per device.

  Returns:
    A list of TensorFlow variables, in order. An item that has no op, such as an
    eager variable, is left out.
  """
  found = []
  for variable in variables:
    for part in strategies.components(variable):
      value = getattr(part, "value", None)
      found.append(value if hasattr(value, "op") else part)
  return [variable for variable in found if hasattr(variable, "op")]


def all_variables(graph):
  """Returns the variables that the collections of a graph list.

  Args:
    graph: a `tf.Graph`.

  Returns:
    A list: global variables, then local ones, then trainable ones that are
    neither, each once and in the order of its collection. For a variable of a
    distribution strategy, it has those of the devices.
  """
  keys = tf1.GraphKeys
  found = collections.OrderedDict()
  for key in (
    keys.GLOBAL_VARIABLES,
    keys.LOCAL_VARIABLES,
    keys.TRAINABLE_VARIABLES,
  ):
    for listed_one in graph.get_collection(key):
      for variable in strategies.components(listed_one):
        found.setdefault(variable.op.name, variable)
  return list(found.values())


def trainable(variables):
  """Returns those variables that their graph lists as trainable.

  Args:
    variables: a sequence of variables of one graph; may be empty.

  Returns:
    A list, in the order of `variables`.
  """
  if not variables:
    return []
  key = tf1.GraphKeys.TRAINABLE_VARIABLES
  names = {
    component.op.name
    for variable in variables[0].graph.get_collection(key)
    for component in strategies.components(variable)
  }
  return [variable for variable in variables if variable.op.name in names]


def changed_by(op):
  """Returns the variable that an op changes.

  Args:
    op: a `tf.Operation`.

  Returns:
    A variable. None if the type of `op` is not in `ASSIGNMENTS`, or the
    variable is in no collection of `all_variables`.
  """
  if op.type not in ASSIGNMENTS:
    return None
  name = op.inputs[0].op.name
  for variable in all_variables(op.graph):
    if variable.op.name == name:
      return variable
  return None
