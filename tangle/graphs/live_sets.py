"""Finds the live sets of a graph: the tensors that gradients pass through.

The ops through which gradients flow are sorted so that they can run in that
order. The live set after an op is the set of tensors that were computed before
and are read later. All gradient paths from below lead through it.

Only tensors that a gradient flows through and that depend on the inputs count.
A tensor that depends only on variables, such as a normalized kernel, is
computed on both sides of a cut, and its gradients are added.
"""

import collections
import itertools
from typing import Any, List, NamedTuple

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cheap, cut, gradient_paths, internals, walk

_MORE_LIGHT = """
AvgPool LRN MaxPool Merge ResourceGather ResourceGatherNd
SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits Switch
TensorListConcat TensorListFromTensor TensorListStack
"""
_LIGHT = cheap.TYPES | frozenset(_MORE_LIGHT.split())
"""Types of ops that do not separate two places of a network."""

_MOST_VIEWS = 8
"""For at most this many views of a tensor, a common view is searched."""


class Place(NamedTuple):
  """A place between two ops of the sweep.

  Attributes:
    position: the number of ops below, minus one.
    tensors: the tensors through which all gradient paths from below lead,
      except inputs that are read below and above.
  """

  position: int
  tensors: List[Any]


class Span(NamedTuple):
  """The first and last positions of a `Sweep` that use a tensor or variable."""

  first: int
  last: int


class _Node:
  """An op, or all ops of a TensorFlow 1 style loop or conditional.

  Attributes:
    ops: the ops.
    reads: name → tensor, of the outputs of other nodes that it reads.
    age: the greatest index of its ops in the graph.
    is_heavy: whether its work separates places.
    view_of: the tensor of which all its outputs are views, or `None`.
  """

  def __init__(self):
    self.ops = []
    self.reads = collections.OrderedDict()
    self.age = 0
    self.is_heavy = False
    self.view_of = None


class Sweep:
  """The ops between inputs and outputs that gradients flow through, in order.

  Attributes:
    inputs, outputs: lists of tensors.
    ops: all ops that the outputs depend on, producers before consumers, except
      those that only inputs depend on.
    all_ops: the same with these, which run if an input is not fed.
    variables: the trainable variables among `ops`.
    length: the number of positions: of ops through which gradients flow, where
      a TensorFlow 1 style loop counts as one.
    position: a dict from each of these ops to its position, from 0.
    spans: a dict from every other op in `all_ops` to the `Span` of the
      positions that read its outputs, directly or through such other ops. An
      output of the graph is read at `length`.
    input_spans: a dict from the name of an input to the `Span` of the positions
      that read it, likewise.
    variable_spans: a dict from the name of a variable to the `Span` of the
      positions where it is read and a gradient flows back to it.
    top: the last position of an op that is no view, see `gradient_paths.VIEWS`;
      -1 if there is none.
    heavy: for each position the number of heavy ops up to and including it:
      ops such as matrix products, whose work separates places, unlike
      element-wise ops. Without any, all but views count as heavy.
  """

  def __init__(self, inputs, outputs):
    """Sorts the ops.

    Args:
      inputs: tensors of any shapes where the graph begins.
      outputs: tensors of any shapes where it ends.
    """
    self.inputs = list(inputs)
    self.outputs = list(outputs)
    graph = self.outputs[0].graph
    self.ops = walk.ancestors(self.outputs, stop=self.inputs)
    self.all_ops = walk.ancestors(self.outputs)
    self.variables = walk.trainable_variables(self.ops, graph)
    self._arrived = gradient_paths.arriving(
      self.outputs, self.ops, stop=self.inputs
    )
    self._input_names = walk.names(self.inputs)
    self._flowing = self._find_flowing()
    nodes = self._order(self._make_nodes(graph))
    self.length = len(nodes)
    self.position = {op: k for k, node in enumerate(nodes) for op in node.ops}
    self._parents = {}
    for node in nodes:
      if node.view_of is not None:
        for tensor in node.ops[0].outputs:
          self._parents[tensor.name] = node.view_of
    self.heavy = list(itertools.accumulate(node.is_heavy for node in nodes))
    self.top = max(
      (k for k, node in enumerate(nodes) if node.view_of is None), default=-1
    )
    self._nodes = nodes
    self.spans = self._find_spans(self.all_ops)
    self.input_spans = self._find_input_spans()
    self.variable_spans = self._find_variable_spans()

  def _find_flowing(self):
    """Returns name → tensor, where gradients flow, above the inputs."""
    floats = [t for t in self.inputs if compat.is_differentiable(t.dtype)]
    handles = [variable.op.outputs[0] for variable in self.variables]
    reached = gradient_paths.reached_from(floats + handles, self.ops)
    names = reached & self._arrived & walk.dependents(self.inputs, self.ops)
    found = {t.name: t for t in floats if t.name in names}
    for op in self.ops:
      for tensor in op.outputs:
        if tensor.name in names and tensor.dtype.base_dtype != tf1.resource:
          found.setdefault(tensor.name, tensor)
    return found

  def _gives(self, op):
    """Lists outputs of `op` that gradients flow through, but no inputs."""
    return [
      tensor
      for tensor in op.outputs
      if tensor.name in self._flowing and tensor.name not in self._input_names
    ]

  def _make_nodes(self, graph):
    """Returns op → `_Node`, for the ops that gradients flow through."""
    ages = {op: age for age, op in enumerate(graph.get_operations())}
    by_key, found = {}, collections.OrderedDict()
    for op in self.ops:
      if self._gives(op):
        key = internals.outermost_context(op) or op
        found[op] = node = by_key.setdefault(key, _Node())
        node.ops.append(op)
        node.age = max(node.age, ages[op])
    for op, node in found.items():
      for tensor in op.inputs:
        if tensor.name in self._flowing:
          is_input = tensor.name in self._input_names
          if is_input or found.get(tensor.op) is not node:
            node.reads[tensor.name] = tensor
      is_view = op.type in gradient_paths.VIEWS and len(node.ops) == 1
      if is_view and len(node.reads) == 1:
        node.view_of = next(iter(node.reads.values()))
    for node in found.values():
      node.is_heavy = node.view_of is None and any(
        op.type not in _LIGHT or internals.in_v1_loop(op) for op in node.ops
      )
    if not any(node.is_heavy for node in found.values()):
      for node in found.values():
        node.is_heavy = node.view_of is None
    return found

  def _order(self, nodes):
    """Sorts nodes so that few tensors are live at a time.

    A node comes right before the first node that needs it. Of several that a
    node needs, the oldest comes first, but those with only cheap ops below come
    last.
    """
    works = {}  # node → whether heavy ops lie below it
    below = {}
    for node in nodes.values():
      found = [nodes.get(t.op) for t in node.reads.values()]
      below[node] = list(
        dict.fromkeys(n for n in found if n is not None and n is not node)
      )
      works[node] = node.is_heavy or any(works.get(n) for n in below[node])

    def needs(node):
      return iter(sorted(below[node], key=lambda n: (not works[n], n.age)))

    ends = [nodes[t.op] for t in self.outputs if t.op in nodes]
    seen, order = set(), []
    for end in sorted(dict.fromkeys(ends), key=lambda node: node.age):
      if end in seen:
        continue
      seen.add(end)
      stack = [(end, needs(end))]
      while stack:
        node, rest = stack[-1]
        for other in rest:
          if other not in seen:
            seen.add(other)
            stack.append((other, needs(other)))
            break
        else:
          stack.pop()
          order.append(node)
    return order

  def _find_spans(self, ops, counts=None):
    """Returns op → `Span` of its readers, along edges that `counts` allows."""
    spans = {}

    def widen(tensor, reader, span):
      if tensor.op in self.position:
        return
      if counts is None or counts(tensor, reader):
        old = spans.get(tensor.op, span)
        spans[tensor.op] = Span(
          min(span.first, old.first), max(span.last, old.last)
        )

    for tensor in self.outputs:
      widen(tensor, None, Span(self.length, self.length))
    for op in reversed(ops):
      place = self.position.get(op)
      span = spans.get(op) if place is None else Span(place, place)
      if span is not None:
        for tensor in op.inputs:
          widen(tensor, op, span)
    return spans

  def _find_input_spans(self):
    """Returns input name → `Span` of the readers of it or its views."""
    spans = {}

    def widen(name, span):
      old = spans.get(name, span)
      spans[name] = Span(min(span.first, old.first), max(span.last, old.last))

    for tensor in self.outputs:
      if tensor.name in self._input_names:
        widen(tensor.name, Span(self.length, self.length))
    roots = {}
    for op in self.ops:
      place = self.position.get(op)
      span = self.spans.get(op) if place is None else Span(place, place)
      for tensor in op.inputs if span is not None else ():
        root = self._root(tensor, roots)  # the reader may read a view
        if root.name in self._input_names:
          widen(root.name, span)
    return spans

  def _find_variable_spans(self):
    """Returns variable name → `Span` of the readers that give it gradients."""

    def counts(tensor, reader):
      if tensor.name in self._input_names or tensor.name not in self._arrived:
        return False
      return reader is None or not gradient_paths.is_end(reader)

    spans = self._find_spans(self.ops, counts)
    return {
      variable.name: spans[variable.op]
      for variable in self.variables
      if variable.op in spans
    }

  def taps(self):
    """Finds tensors on gradient paths that ops off these paths read.

    Returns:
      A list of (tensor, the position where it is made, the last position where
      a tensor computed from it is read). Reads of its shape do not count.
    """
    found = []
    for op, span in self.spans.items():
      if op.type in cut.SHAPES:
        continue
      for tensor in op.inputs:
        place = self.position.get(tensor.op)
        if place is not None and place < span.last:
          found.append((tensor, place, span.last))
    return found

  def places(self, most):
    """Yields the places with few live tensors, from inputs to outputs.

    Args:
      most: the largest number of live tensors of a place, apart from inputs.

    Yields:
      A `Place` for each position with at most `most` live tensors, if not only
      views lie above and all live tensors may be cut at. All views of one
      tensor count as one.
    """
    begins, ends = self._find_lives()
    groups = collections.OrderedDict()  # root → name → tensor
    roots = {}
    for position in range(self.top):
      for tensor in begins[position]:
        root = self._root(tensor, roots)
        if root.name not in self._input_names:
          views = groups.setdefault(root.name, collections.OrderedDict())
          views[tensor.name] = tensor
      for tensor in ends[position]:
        root = self._root(tensor, roots)
        if root.name not in self._input_names:
          del groups[root.name][tensor.name]
          if not groups[root.name]:
            del groups[root.name]
      if 0 < len(groups) <= most:
        named = [self._name(*group) for group in groups.items()]
        if None not in named:
          yield Place(position, named)

  def _find_lives(self):
    """Lists for each position the tensors that become live, or cease to be."""
    begins = [[] for _ in range(self.length + 1)]
    ends = [[] for _ in range(self.length + 1)]
    used = {name: [] for name in self._flowing}
    for position, node in enumerate(self._nodes):
      for op in node.ops:
        for tensor in self._gives(op):
          used[tensor.name].append(position)
      for name in node.reads:
        used[name].append(position)
    for tensor in self.outputs:
      if tensor.name in used:
        used[tensor.name].append(self.length)
    for name, places in used.items():
      if places and min(places) < max(places):
        begins[min(places)].append(self._flowing[name])
        ends[max(places)].append(self._flowing[name])
    return begins, ends

  def _root(self, tensor, known):
    """Returns the tensor that `tensor` is a view of, through all views."""
    if tensor.name not in known:
      chain = [tensor]
      while chain[-1].name in self._parents and chain[-1].name not in known:
        chain.append(self._parents[chain[-1].name])
      root = known.get(chain[-1].name, chain[-1])
      known.update((link.name, root) for link in chain)
    return known[tensor.name]

  def _name(self, root, views):
    """Returns the tensor to cut at for live views of one tensor, or `None`."""
    tensor = self._flowing[root]
    if root not in views and len(views) <= _MOST_VIEWS:
      chains = [self._chain(view) for view in views.values()]
      shared = set.intersection(*(walk.names(chain) for chain in chains))
      tensor = next(t for t in chains[0] if t.name in shared)
    while not gradient_paths.is_nameable(tensor):
      tensor = self._parents.get(tensor.name)
      if tensor is None:
        return None
    return tensor

  def _chain(self, tensor):
    chain = [tensor]
    while chain[-1].name in self._parents:
      chain.append(self._parents[chain[-1].name])
    return chain
