"""Tests of shape_rules: what is said of shapes is so in every run."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.graphs import dims, shape_rules, symbols
from tests import case


def size_of(size, sizes):
  """Returns what a dimension is in a run; `None` where nothing is known."""
  if isinstance(size, int):
    return size
  if size[0] == symbols.SIZE:
    return sizes.get(size)
  above, below = (
    [size_of(part, sizes) for part in parts] for parts in size[1:]
  )
  if None in above + below:
    return None
  return int(np.prod(above)) // int(np.prod(below))


class ShapeRulesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    # Unknown sizes B and T, the one of `x` by another placeholder, too.
    self.x = tf1.placeholder(tf1.float64, [None, 3], "x")
    self.y = tf1.placeholder(tf1.float64, [None, 3], "y")
    self.z = tf1.placeholder(tf1.float64, [None, None, 4], "z")
    self.ids = tf1.placeholder(tf1.int32, [None, None], "ids")
    self.w = self.variable("w", self.normal(3, 5))

  def feed(self, batch, steps):
    return {
      self.x: self.normal(batch, 3),
      self.y: self.normal(batch, 3),
      self.z: self.normal(batch, steps, 4),
      self.ids: self.rng.randint(0, 3, [batch, steps]),
    }

  def known(self, *ends):
    """Notes down all ops, and checks what is known of all tensors in runs.

    Returns:
      The dimensions of `ends`.
    """
    found = dims.Dims()
    tensors = []
    for op in self.graph.get_operations():
      found.note(op)
      tensors += [
        t
        for t in op.outputs
        if found.of(t) is not None and t.dtype != tf1.resource
      ]
    with self.session() as sess:
      for batch, steps in ((2, 5), (1, 7), (6, 1), (1, 1)):
        sizes, seen = {}, []
        values = sess.run(tensors, self.feed(batch, steps))
        for tensor, value in zip(tensors, values):
          own = found.of(tensor)
          self.assertLen(own, np.ndim(value), tensor.name)
          seen += list(zip(own, np.shape(value), [tensor.name] * len(own)))
        for size, real, name in seen:
          if not isinstance(size, int) and size[0] == symbols.SIZE:
            self.assertEqual(sizes.setdefault(size, real), real, name)
        for size, real, name in seen:
          expected = size_of(size, sizes)
          self.assertIn(expected, (None, real), name)
    return [found.of(end) for end in ends]

  def test_elements(self):
    h = tf1.tanh(tf1.nn.bias_add(tf1.cast(self.x, tf1.float64), self.w[:, 0]))
    a, b = self.known(self.x, tf1.identity(h) * tf1.sigmoid(self.x) + 1.0)
    self.assertEqual(a, b)

  def test_broadcasting(self):
    row = tf1.reduce_max(self.x, 0, keepdims=True)
    column = tf1.reduce_max(self.x, 1, keepdims=True)
    both, thin = tf1.maximum(self.x, row), self.x - column
    x, found, other = self.known(self.x, both, thin)
    self.assertEqual(other, x)
    self.assertEqual(found, x)

  def test_what_is_added_is_alike(self):
    x, y, total = self.known(self.x, self.y, tf1.add_n([self.x, self.y]))
    self.assertEqual(x, y)
    self.assertEqual(x, total)

  def test_what_is_put_side_by_side_is_alike_elsewhere(self):
    joined = tf1.concat([self.x, self.y], 1)
    x, y, found = self.known(self.x, self.y, joined)
    self.assertEqual(x, y)
    self.assertEqual(found, (x[0], 6))
    below = tf1.concat([self.x, self.y, self.x], 0)
    x, found = self.known(self.x, below)
    self.assertNotEqual(found[0], x[0])

  def test_products(self):
    h = tf1.matmul(self.x, self.w)
    square = tf1.matmul(h, h, transpose_a=True)
    outer = tf1.matmul(h, h, transpose_b=True)
    scores = tf1.matmul(self.z, self.z, transpose_b=True)
    x, z, *found = self.known(self.x, self.z, h, square, outer, scores)
    expected = [(x[0], 5), (5, 5), (x[0], x[0]), (z[0], z[1], z[1])]
    self.assertEqual(found, expected)

  def test_reshapes(self):
    flat = tf1.reshape(self.z, [-1, 4])
    back = tf1.reshape(flat, tf1.shape(self.z))
    other = tf1.reshape(self.z + 1.0, [-1, 2])
    again = tf1.reshape(other, [-1, 4])
    shape = tf1.shape(self.z)
    pieces = tf1.reshape(flat, [shape[0], shape[1], 4])
    halves = tf1.reshape(flat, tf1.concat([shape[:2], [2, 2]], 0))
    z, flat, back, other, again, pieces, halves = self.known(
      self.z, flat, back, other, again, pieces, halves
    )
    self.assertEqual(back, z)
    self.assertEqual(flat, again)
    self.assertNotEqual(flat[0], other[0])
    self.assertEqual(pieces, z)
    self.assertEqual(halves, z[:2] + (2, 2))

  def test_axes(self):
    ends = [
      tf1.transpose(self.z, [1, 0, 2]),
      tf1.stack([self.x, self.y], 1),
      tf1.unstack(self.z, axis=2)[1],
      self.x[:, None],
      tf1.squeeze(tf1.expand_dims(self.x, -1), [2]),
      tf1.reduce_sum(self.z, 1),
      tf1.reduce_mean(self.z, -1, keepdims=True),
      tf1.expand_dims(self.z, 1),
    ]
    x, z, *found = self.known(self.x, self.z, *ends)
    self.assertEqual(found[0], (z[1], z[0], 4))
    self.assertEqual(found[1], (x[0], 2, 3))
    self.assertEqual(found[2], z[:2])
    self.assertEqual(found[4], x)
    self.assertEqual(found[5], (z[0], 4))
    self.assertEqual(found[6], z[:2] + (1,))
    self.assertEqual(found[7], (z[0], 1) + z[1:])

  def test_parts(self):
    left, right = tf1.split(self.z, 2, axis=2)
    sizes = tf1.concat([[1], tf1.shape(self.z)[1:2] - 1], 0)
    first, rest = tf1.split(self.z, sizes, axis=1, num=2)
    cut = tf1.slice(self.z, [0, 0, 1], [-1, -1, 2])
    some = tf1.slice(self.z, [0, 0, 0], [-1, 1, -1])
    z, *found = self.known(self.z, left, right, first, rest, cut, some)
    self.assertEqual(found[:2], [z[:2] + (2,)] * 2)
    self.assertEqual(found[2][::2], z[::2])
    self.assertNotEqual(found[2][1], found[3][1])
    self.assertEqual(found[4], z[:2] + (2,))

  def test_slices_of_the_size_of_something(self):
    part = self.z[:, 1:]
    sizes = tf1.shape_n([self.z, part])
    begin = sizes[0] - sizes[0]  # of which nothing is known
    ends = [
      tf1.slice(self.z, begin, sizes[1]),
      tf1.slice(self.z, begin, [-1, 1, 2]),
    ]
    z, part, like, rest = self.known(self.z, part, *ends)
    self.assertEqual(like, part)
    self.assertNotEqual(like[1], z[1])
    self.assertEqual(rest[1:], (1, 2))
    self.assertNotEqual(rest[0], z[0])

  def test_slices_with_strides(self):
    ends = [
      self.z[:, 1:, None, 0],
      self.z[..., 0],
      self.z[:, ::2],
      self.z[::-1, :, 1:3],
      self.x[None],
    ]
    x, z, *found = self.known(self.x, self.z, *ends)
    self.assertEqual(found[0][::2], (z[0], 1))
    self.assertNotEqual(found[0][1], z[1])
    self.assertEqual(found[2][::2], (z[0], 4))
    self.assertEqual(found[3][1:], (z[1], 2))
    self.assertEqual(found[4], (1,) + x)

  def test_gathers_and_fills(self):
    ends = [
      tf1.gather(self.w, self.ids),
      tf1.gather(self.w + 0.0, self.ids),
      tf1.fill(tf1.shape(self.x), 0.5),
      tf1.broadcast_to(self.w[0, 0], tf1.shape(self.z)),
      tf1.zeros_like(self.z),
    ]
    x, z, ids, *found = self.known(self.x, self.z, self.ids, *ends)
    self.assertEqual(found[0], ids + (5,))
    self.assertEqual(found[1], ids + (5,))
    self.assertEqual(found[2], x)
    self.assertEqual(found[3], z)
    self.assertEqual(found[4], z)

  def test_gradients(self):
    h = tf1.nn.relu(tf1.tanh(self.x) * tf1.sigmoid(self.y))
    upstream = tf1.concat([h, h], 1)[:, :3]
    found = tf1.gradients(h, [self.x, self.y], grad_ys=[tf1.identity(upstream)])
    self.known(*found)

  def test_what_is_not_known_has_no_rule(self):
    where = tf1.where(self.x[:, 0] > 0)
    self.assertIsNone(shape_rules.find(where.op))
    found, x = self.known(where, self.x)
    self.assertNotEqual(found[0], x[0])


if __name__ == "__main__":
  absltest.main()
