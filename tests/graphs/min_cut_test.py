import itertools
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import cheap, cut, min_cut
from tests import case


def network_of(outputs, sources):
  """Returns the network of the gradients of `outputs`, and these."""
  graph = tf1.get_default_graph()
  before = len(graph.get_operations())
  upstream = [tf1.placeholder(y.dtype, y.shape) for y in outputs]
  targets = tf1.gradients(outputs, sources, grad_ys=upstream)
  reach = cut.cut(
    targets,
    set(graph.get_operations()[before:]).__contains__,
    {ph.name for ph in upstream},
    {t.name for t in sources},
    keep=lambda t: not cheap.is_cheap(t.op),
    shapes=None,
  )
  return min_cut.Network(reach, targets)


def bytes_of(network):
  return np.array(
    [t.shape.num_elements() * t.dtype.size for t in network.tensors], float
  )


class NetworkTest(case.GraphTestCase):
  def least(self, network, prices=None):
    prices = bytes_of(network) if prices is None else prices
    repeated = network.solve(prices, np.full(len(network.ops), 1e-6))
    return repeated, network.kept(repeated)

  def names(self, network, kept):
    return sorted(network.tensors[k].op.type for k in np.flatnonzero(kept))

  def test_an_lstm_cell_keeps_its_gates_and_no_more(self):
    x = tf1.placeholder(tf1.float32, [8, 4])
    z = tf1.matmul(x, tf1.placeholder(tf1.float32, [4, 64]))
    c = tf1.placeholder(tf1.float32, [8, 16])
    i, g, f, o = tf1.split(z, 4, axis=1)
    c_next = tf1.sigmoid(f) * c + tf1.sigmoid(i) * tf1.tanh(g)
    h = tf1.sigmoid(o) * tf1.tanh(c_next)
    network = network_of([h], [z, c])
    _, kept = self.least(network)
    # Four gates and c, before or after the functions: 5 of what were 6.
    self.assertEqual(bytes_of(network)[kept].sum(), 5 * 8 * 16 * 4)
    nothing = np.zeros(len(network.ops), bool)
    self.assertEqual(
      bytes_of(network)[network.kept(nothing)].sum(), 6 * 8 * 16 * 4
    )

  def test_of_an_op_of_several_outputs_each_counts(self):
    x = tf1.placeholder(tf1.float32, [6, 4])
    y = tf1.square(x)  # as large as its halves together
    a, b = tf1.split(y, 2)
    network = network_of([tf1.sin(a) + tf1.sin(b)], [x])
    _, kept = self.least(network)
    self.assertEqual(self.names(network, kept), ["Placeholder"])
    network = network_of([tf1.sin(a)], [y])
    _, kept = self.least(network)
    self.assertEqual(self.names(network, kept), ["Split"])

  def test_a_draw_is_kept_by_its_smallest_trace(self):
    x = tf1.placeholder(tf1.float32, [100])
    mask = tf1.random_uniform([100]) < 0.5
    y = x * tf1.cast(mask, tf1.float32)
    network = network_of([y], [x])
    _, kept = self.least(network)
    self.assertIn("Less", self.names(network, kept))  # one byte for four
    self.assertNotIn("RandomUniform", self.names(network, kept))

  def test_no_work_is_repeated_for_nothing(self):
    x = tf1.placeholder(tf1.float32, [10])
    h = tf1.tanh(x)
    network = network_of([tf1.sin(tf1.tanh(h))], [h])
    repeated, kept = self.least(network)
    # sin and the second tanh need one tensor, which must be kept anyway.
    self.assertEqual(kept.sum(), 1)
    self.assertEqual(repeated.sum(), 0)

  @parameterized.parameters(*range(6))
  def test_no_choice_is_cheaper(self, seed):
    rng = np.random.RandomState(seed)
    tensors = [tf1.placeholder(tf1.float32, [4]) for _ in range(2)]
    for _ in range(7):
      a, b = [tensors[k] for k in rng.randint(0, len(tensors), 2)]
      make = [tf1.multiply, lambda a, b: tf1.sin(a), tf1.atan2][rng.randint(3)]
      tensors.append(make(a, b))
    network = network_of([tf1.add_n(tensors[-2:])], tensors[:2])
    prices = rng.randint(1, 100, len(network.tensors)).astype(float)
    _, kept = self.least(network, prices)
    found = [
      prices[network.kept(np.array(choice, bool))].sum()
      for choice in itertools.product([False, True], repeat=len(network.ops))
    ]
    self.assertGreater(len(found), 1)
    self.assertEqual(prices[kept].sum(), min(found))

  def test_a_high_price_of_work_repeats_nothing(self):
    x = tf1.placeholder(tf1.float32, [10])
    network = network_of([tf1.sin(tf1.square(x)) * tf1.exp(x)], [x])
    prices = bytes_of(network)
    repeated = network.solve(prices, np.full(len(network.ops), 1e9))
    self.assertFalse(repeated.any())
    repeated = network.solve(prices, np.zeros(len(network.ops)))
    self.assertTrue(repeated.any())

  def test_where_nothing_can_be_repeated_nothing_is_solved(self):
    x = tf1.placeholder(tf1.float32, [2, 2])
    network = network_of([tf1.matmul(x, x)], [x])
    self.assertEmpty(network.solve(bytes_of(network), np.zeros(0)))

  def test_terabytes_are_weighed_to_the_byte(self):
    x = tf1.placeholder(tf1.float32, [10])
    network = network_of([tf1.sin(tf1.square(x))], [x])
    place = [t.op.type for t in network.tensors].index("Square")
    for much, kept_type in ((-1, "Square"), (1, "Placeholder")):
      prices = np.full(len(network.tensors), 2.0**40)
      prices[place] = much  # x is needed in any case
      prices[place] += 1
      repeated = network.solve(prices, np.full(len(network.ops), 1.0))
      self.assertEqual(bool(repeated.any()), kept_type == "Placeholder")


class SolversTest(parameterized.TestCase):
  def draw(self, seed):
    """Returns a network with capacities of few bits, or many, and infinite."""
    rng = np.random.RandomState(seed)
    nodes, edges = rng.randint(2, 8), rng.randint(1, 25)
    largest = [1 << 6, 1 << 33, 1 << 57][seed % 3]

    def capacities(shape, infinite):
      found = rng.randint(0, largest, shape, np.int64) // (nodes + edges)
      return np.where(rng.rand(shape) < infinite, min_cut._INFINITE, found)

    ends = rng.randint(0, nodes, [2, edges])
    tails, heads = ends[:, ends[0] != ends[1]]
    return (
      capacities(nodes, 0.0),
      capacities(nodes, 0.2) * (rng.rand(nodes) < 0.5),
      tails,
      heads,
      capacities(len(tails), 0.3),
    )

  def price(self, side, from_source, to_sink, tails, heads, capacities):
    cut = ~side[tails] & side[heads]
    parts = from_source[side], to_sink[~side], capacities[cut]
    return sum(int(x) for part in parts for x in part)

  @parameterized.parameters(*range(24))
  def test_is_the_smallest_side_of_the_cheapest_cuts(self, seed):
    network = self.draw(seed)
    nodes = len(network[0])
    sides = [
      np.array(side) for side in itertools.product([False, True], repeat=nodes)
    ]
    prices = [self.price(side, *network) for side in sides]
    best = [s for s, price in zip(sides, prices) if price == min(prices)]
    found = min_cut._find_by_scipy(*network)
    self.assertEqual(self.price(found, *network), min(prices))
    np.testing.assert_array_equal(found, np.logical_and.reduce(best))

  @parameterized.parameters(*range(60))
  def test_both_find_the_same(self, seed):
    if min_cut.maxflow is None:
      self.skipTest("PyMaxflow is not installed.")
    network = self.draw(seed)
    np.testing.assert_array_equal(
      min_cut._find_by_scipy(*network), min_cut._find_by_pymaxflow(*network)
    )

  def test_either_is_used(self):
    network = min_cut.Network.__new__(min_cut.Network)
    network.__dict__.update(
      ops=[None], tensors=[None] * 2, _makers=[-1, 0], _reads=[(0, 0)]
    )
    network._needed = np.array([1])
    prices = np.array([1.0, 3.0])
    for module in {None, min_cut.maxflow}:
      with mock.patch.object(min_cut, "maxflow", module):
        self.assertTrue(network.solve(prices, np.array([1.0]))[0])
        self.assertFalse(network.solve(prices, np.array([9.0]))[0])


if __name__ == "__main__":
  absltest.main()
