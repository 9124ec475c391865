"""The roofline: the speed of float32 matrix products alone."""

import time

import numpy as np

SHAPES = ((1024, 1024, 1024), (2560, 512, 1024), (512, 512, 512))
"""Rows, inner and columns of the products."""


def build(task, optimizer, threads, library, shapes=SHAPES):
  """Builds the products of one library.

  Args:
    task: not used; the candidates need it.
    optimizer: not used.
    threads: threads per product; numpy's are set before the process starts.
    library: numpy, torch or tensorflow.
    shapes: triples like those of `SHAPES`.

  Returns:
    A function without arguments that computes each product once and returns the
    best rate, in operations per second (a multiplication and an addition are
    two); and a dict of versions.
  """
  del task, optimizer
  make, versions = _LIBRARIES[library](threads)
  rng = np.random.RandomState(0)
  products = []
  for rows, inner, columns in shapes:
    left = rng.standard_normal([rows, inner]).astype(np.float32)
    right = rng.standard_normal([inner, columns]).astype(np.float32)
    products.append((2.0 * rows * inner * columns, make(left, right)))

  def step():
    rates = []
    for flops, product in products:
      begin = time.perf_counter()
      product()
      rates.append(flops / (time.perf_counter() - begin))
    return max(rates)

  return step, versions


def _numpy(threads):
  del threads
  return lambda a, b: lambda: np.dot(a, b), {}


def _torch(threads):
  import torch

  torch.set_num_threads(threads)

  def make(left, right):
    left, right = torch.from_numpy(left), torch.from_numpy(right)
    return lambda: torch.mm(left, right)

  return make, {"torch": torch.__version__}


def _tensorflow(threads):
  from tangle.compat import tf1

  graph = tf1.Graph()
  config = tf1.ConfigProto(intra_op_parallelism_threads=threads)
  sess = tf1.Session(graph=graph, config=config)

  def make(left, right):
    with graph.as_default():
      variables = [
        tf1.Variable(array, use_resource=True) for array in (left, right)
      ]
      op = tf1.matmul(*variables).op  # no value is fetched
      sess.run([variable.initializer for variable in variables])
    return lambda: sess.run(op)

  return make, {"tensorflow": tf1.VERSION}


_LIBRARIES = {"numpy": _numpy, "torch": _torch, "tensorflow": _tensorflow}
