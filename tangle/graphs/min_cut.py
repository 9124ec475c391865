"""Finds the tensors to keep between forward and backward by a minimum cut.

Every forward op is either done, in the forward run, or repeated, in the
backward run. A tensor is kept if its op is done and something in the backward
run reads it. As a network from the source (done) to the sink (repeated):

    source -> op       capacity: the price of repeating the op
    op -> tensor       capacity: the price of keeping the tensor
    tensor -> reader   infinite: what a repeated op reads must be there
    source -> tensor   as op -> tensor, where the op cannot be repeated
    tensor -> sink     infinite, where the backward pass itself reads it

A minimum cut then separates what is done from what is repeated at the least
price. An op of several outputs pays for each of those that are kept.

The flow is found by PyMaxflow (Boykov & Kolmogorov 2004, "An Experimental
Comparison of Min-Cut/Max-Flow Algorithms for Energy Minimization in Vision").
"""

import numpy as np

from tangle import errors

_INFINITE = 1 << 61
_TOTAL = 1 << 60  # what all finite capacities may come to


class Network:
  """What a backward pass needs, and from what that can be had.

  Attributes:
    tensors: the tensors that could be kept, in the order of the walk.
    ops: the forward ops that could be repeated.
  """

  def __init__(self, reach, targets):
    """Reads a cut that goes as far back as it may.

    Args:
      reach: a `cut.Cut` that keeps only what may not be computed again.
      targets: the gradients that it was made for, tensors of any shapes.
    """
    self.ops = list(reach.recomputed)
    repeated = {op: k for k, op in enumerate(self.ops)}
    self.tensors = list(reach.kept)
    self._places = {tensor.name: k for k, tensor in enumerate(self.tensors)}
    self._first = len(self.tensors)
    self._makers = [-1] * self._first
    for k, op in enumerate(self.ops):
      for tensor in op.outputs:
        if tensor.name not in self._places:
          self._places[tensor.name] = len(self.tensors)
          self.tensors.append(tensor)
          self._makers.append(k)
    self._reads, needed = [], set()
    for op in reach.copied:
      for tensor in op.inputs:
        self._note(tensor, repeated.get(op), needed)
    for tensor in targets:
      self._note(tensor, None, needed)
    self._needed = np.array(sorted(needed), np.int64)

  def _note(self, tensor, reader, needed):
    """Notes that a forward op, or for `None` the backward pass, reads."""
    place = self._places.get(tensor.name)
    if place is None:
      return
    if reader is None:
      needed.add(place)
    else:
      self._reads.append((place, reader))

  def kept(self, repeated):
    """Tells what is kept if certain ops are repeated.

    Args:
      repeated: bool array `[ops]`.

    Returns:
      A bool array `[tensors]`.
    """
    read = np.zeros(len(self.tensors), bool)
    read[self._needed] = True
    for place, reader in self._reads:
      read[place] |= repeated[reader]
    makers = np.array(self._makers, np.int64)
    done = np.ones(len(makers), bool)
    done[makers >= 0] = ~repeated[makers[makers >= 0]]
    return read & done

  def solve(self, keep_prices, repeat_prices):
    """Finds the cheapest choice of ops to repeat.

    Args:
      keep_prices: array `[tensors]`, not negative.
      repeat_prices: array `[ops]`, not negative.

    Returns:
      A bool array `[ops]`: which ops are repeated.

    Raises:
      MissingPackageError: if PyMaxflow is not installed.
    """
    maxflow = import_maxflow("min_cut")
    count, total = len(self.ops), len(self.ops) + len(self.tensors)
    if not count:
      return np.zeros(0, bool)
    prices = np.concatenate([repeat_prices, keep_prices]).astype(np.float64)
    scale = _TOTAL / max(prices.sum() + total, 1.0)
    capacities = np.floor(prices * scale).astype(np.int64)
    graph = maxflow.Graph[int](total, total + len(self._reads))
    nodes = graph.add_grid_nodes(total)
    makers = np.array(self._makers, np.int64)
    from_source, to_sink = capacities.copy(), np.zeros(total, np.int64)
    from_source[count:][makers >= 0] = 0
    to_sink[count + self._needed] = _INFINITE
    graph.add_grid_tedges(nodes, from_source, to_sink)
    made = np.flatnonzero(makers >= 0)
    _add_edges(graph, makers[made], count + made, capacities[count + made])
    if self._reads:
      reads = np.array(self._reads, np.int64)
      infinite = np.full(len(reads), _INFINITE, np.int64)
      _add_edges(graph, count + reads[:, 0], reads[:, 1], infinite)
    graph.maxflow()
    # What the source does not reach any more is repeated.
    return graph.get_grid_segments(nodes)[:count]


def _add_edges(graph, tails, heads, capacities):
  graph.add_edges(tails, heads, capacities, np.zeros_like(capacities))


def import_maxflow(caller):
  """Imports the package that finds flows.

  Args:
    caller: what messages name as the place of an error.

  Returns:
    The module.

  Raises:
    MissingPackageError: if PyMaxflow is not installed.
  """
  try:
    import maxflow
  except ImportError as error:
    raise errors.MissingPackageError(
      f"{caller}: PyMaxflow is not installed. Install it with: "
      f"pip install tangle-graph[min_cut]"
    ) from error
  return maxflow
