"""A graph of 100,000 ops, made once for all tests of a process.

40,000 ops stand for a forward pass and 60,000 for its backward pass:

    f_k = f_{k-1} + f_{k-1},    b_k = m_k * m_k

where m_k is b_{k+1} * f_{k-1} for odd k, else b_{k+1}. There are two ways
through every op, and 2^k ways to the k-th: a walk that recurs, or visits an op
for each way to it, does not end here.
"""

import contextlib
import functools
import sys
import time
from typing import Any, NamedTuple

from tangle.compat import tf1
from tests import case

LENGTH = 40_000
"""The number of forward ops; each has a backward op and a half."""

LIMIT_S = 20.0
"""What a walk may take on a machine that is shared; it takes about 2 s."""


class Chain(NamedTuple):
  """The graph.

  Attributes:
    graph: the `tf.Graph`.
    x, y: begin and end of the forward pass.
    upstream, gradient: begin and end of the backward pass.
  """

  graph: Any
  x: Any
  y: Any
  upstream: Any
  gradient: Any


@functools.lru_cache(maxsize=None)
def chain():
  """Returns the `Chain`: forward ops `f0` and so on, backward ones `b0`."""
  graph_def = tf1.GraphDef()

  def add(name, kind, *inputs):
    node = graph_def.node.add()
    node.name, node.op = name, kind
    node.input.extend(inputs)
    node.attr["dtype" if kind == "Placeholder" else "T"].type = 2  # float64
    return name

  forward = [add("x", "Placeholder")]
  for k in range(LENGTH):
    forward.append(add(f"f{k}", "AddV2", forward[-1], forward[-1]))
  backward = add("upstream", "Placeholder")
  for k in reversed(range(LENGTH)):
    if k % 2:
      backward = add(f"m{k}", "Mul", backward, forward[k])
    backward = add(f"b{k}", "Mul", backward, backward)
  with tf1.Graph().as_default() as graph:
    x, y, upstream, gradient = tf1.import_graph_def(
      graph_def,
      name="",
      return_elements=[
        "x:0",
        f"{forward[-1]}:0",
        "upstream:0",
        f"{backward}:0",
      ],
    )
  return Chain(graph, x, y, upstream, gradient)


class ChainTestCase(case.GraphTestCase):
  """Tests on the chain, which they must leave as it was."""

  def setUp(self):
    super().setUp()
    self.chain = chain()

  @contextlib.contextmanager
  def assert_linear(self):
    """Fails if the block takes long, or as deep a stack as the chain."""
    limit = sys.getrecursionlimit()
    self.assertLess(limit, LENGTH / 10)
    begin = time.process_time()
    yield
    self.assertLess(time.process_time() - begin, LIMIT_S)
