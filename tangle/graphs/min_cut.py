"""Finds the tensors to keep between forward and backward by a minimum cut.

Every forward op runs either only in the forward run (done), or again in the
backward run (repeated). A tensor is kept if its op is done and an op of the
backward run reads it. As a network from the source (done) to the sink
(repeated):

    source -> op       capacity: the price of repeating the op
    op -> tensor       capacity: the price of keeping the tensor
    tensor -> reader   infinite: a repeated op must have its inputs
    source -> tensor   as op -> tensor, if the op cannot be repeated
    tensor -> sink     infinite, if the backward pass itself reads it

A minimum cut then separates done and repeated ops at the least price. An op
with several outputs pays for each kept output.

Among cuts of the same price this chooses the one that repeats the fewest ops.
It is unique, so that the result does not depend on the solver: SciPy, or
PyMaxflow if it is installed (Boykov & Kolmogorov 2004, "An Experimental
Comparison of Min-Cut/Max-Flow Algorithms for Energy Minimization in Vision"),
which is far faster than the SciPy of Python 3.7.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

try:
  import maxflow
except ImportError:
  maxflow = None

_INFINITE = 1 << 61
_TOTAL = 1 << 60  # the largest sum of all finite capacities
_BITS = 30  # of a flow in SciPy, which uses int32


class Network:
  """The tensors that a backward pass needs, and the ops that compute them.

  Attributes:
    tensors: the tensors that could be kept, in the order of the walk.
    ops: the forward ops that could be repeated.
  """

  def __init__(self, reach, targets):
    """Builds the network from a cut that recomputes as much as possible.

    Args:
      reach: a `cut.Cut` that keeps only tensors that may not be recomputed.
      targets: the gradients of that cut, tensors of any shapes.
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
    """Records a read by a forward op, or, for `None`, by the backward pass."""
    place = self._places.get(tensor.name)
    if place is None:
      return
    if reader is None:
      needed.add(place)
    else:
      self._reads.append((place, reader))

  def kept(self, repeated):
    """Returns which tensors are kept if certain ops are repeated.

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
      A bool array `[ops]`: which ops are repeated; of the cheapest choices, the
      one with the fewest.
    """
    count, total = len(self.ops), len(self.ops) + len(self.tensors)
    if not count:
      return np.zeros(0, bool)
    prices = np.concatenate([repeat_prices, keep_prices]).astype(np.float64)
    scale = _TOTAL / max(prices.sum() + total, 1.0)
    capacities = np.floor(prices * scale).astype(np.int64)
    makers = np.array(self._makers, np.int64)
    made = np.flatnonzero(makers >= 0)
    from_source = capacities.copy()
    from_source[count + made] = 0
    to_sink = np.zeros(total, np.int64)
    to_sink[count + self._needed] = _INFINITE
    reads = np.array(self._reads, np.int64).reshape([-1, 2])
    tails = np.concatenate([makers[made], count + reads[:, 0]])
    heads = np.concatenate([count + made, reads[:, 1]])
    between = np.concatenate(
      [capacities[count + made], np.full(len(reads), _INFINITE)]
    )
    find = _find_by_scipy if maxflow is None else _find_by_pymaxflow
    return find(from_source, to_sink, tails, heads, between)[:count]


def _find_by_pymaxflow(from_source, to_sink, tails, heads, capacities):
  """Finds the nodes that are on the sink's side of every minimum cut.

  Args:
    from_source, to_sink: int64 arrays `[nodes]`, capacities of the edges of
      each node to the two ends.
    tails, heads, capacities: int64 arrays `[edges]`, the other edges.

  Returns:
    A bool array `[nodes]`.
  """
  graph = maxflow.Graph[int](len(from_source), len(tails))
  nodes = graph.add_grid_nodes(len(from_source))
  graph.add_grid_tedges(nodes, from_source, to_sink)
  graph.add_edges(tails, heads, capacities, np.zeros_like(capacities))
  graph.maxflow()
  return graph.get_grid_segments(nodes)


def _find_by_scipy(from_source, to_sink, tails, heads, capacities):
  """Does the same as `_find_by_pymaxflow`.

  SciPy takes capacities as int32. So this finds the flow in units of a power of
  two, then augments it by the remaining capacities in smaller units.
  """
  # Nodes that must be on the sink's side are merged with the sink.
  count = len(from_source)
  source, sink = count, count + 1
  places = np.where(to_sink >= _INFINITE, sink, np.arange(count))
  nodes = np.arange(count)
  tails = np.concatenate([np.full(count, source), nodes, tails])
  heads = np.concatenate([nodes, np.full(count, sink), heads])
  capacities = np.concatenate([from_source, to_sink, capacities])
  places = np.concatenate([places, [source, sink]])
  tails, heads = places[tails], places[heads]
  useful = (capacities > 0) & (tails != sink)
  finite, infinite = [
    sparse.coo_matrix(
      (data[useful], (tails[useful], heads[useful])),
      shape=(count + 2, count + 2),
    ).tocsr()
    for data in (capacities % _INFINITE, capacities >= _INFINITE)
  ]
  capacity = finite + infinite.astype(np.int64) * _INFINITE
  # All finite capacities together are below 2 ** 60.
  left, shift, flow = capacity, _TOTAL.bit_length() - _BITS, 0
  while True:
    units = left.copy()
    units.data = np.minimum(left.data >> shift, 1 << _BITS).astype(np.int32)
    units.eliminate_zeros()
    found = csgraph.maximum_flow(units, source, sink)
    found = found.flow if hasattr(found, "flow") else found.residual
    flow = flow + found.astype(np.int64) * (1 << shift)
    left = capacity - flow
    left.eliminate_zeros()
    if not shift:
      break
    # Each edge of a cut can take less than one more unit.
    shift = max(0, shift + int(left.nnz).bit_length() - _BITS)
  reach = csgraph.breadth_first_order(
    left.T.tocsr(), sink, return_predecessors=False
  )
  on_side = np.zeros(count + 2, bool)
  on_side[reach] = True
  return on_side[places[:count]]
