"""Ops of random programs: images, convolutions, pooling, normalization.

They take `[B, T, D]` for images of one channel, `[B, T, D, 1]`.
"""

import numpy as np

from tangle import compat
from tangle.compat import tf1
from tests.fuzz.tables import KINK, RANDOM, op


def image(x):
  """Gives `[B, T, D, 1]`."""
  return tf1.expand_dims(x, -1)


def flat(x):
  """Gives `[B, T, D]` of an image of one channel."""
  return tf1.squeeze(x, -1)


def colored(x):
  """Gives an image of three channels from 0.1 to 0.9."""
  x = tf1.stack([x, 0.5 * x + 0.3, -x], -1)
  return 0.1 + 0.8 * tf1.sigmoid(x)


def weights(x, shape, seed):
  """Gives a fixed filter of a shape."""
  values = np.random.RandomState(seed).uniform(-0.4, 0.4, shape)
  return tf1.constant(values, x.dtype)


def resized(x, name, height, width):
  """Resizes an image to another one of `[B, 2 T, D]`."""
  functions = {
    "bilinear": tf1.image.resize_bilinear,
    "bicubic": tf1.image.resize_bicubic,
    "nearest": tf1.image.resize_nearest_neighbor,
    "area": tf1.image.resize_area,
  }
  found = functions[name](image(x), [2 * height, width])
  return tf1.cast(flat(found), x.dtype)


def moved(x, height, width):
  """Scales and shifts an image, which this op does in float32."""
  found = tf1.raw_ops.ScaleAndTranslate(
    images=tf1.cast(image(x), tf1.float32),
    size=[height, width],
    scale=[1.2, 0.9],
    translation=[0.1, -0.2],
  )
  return tf1.cast(flat(found), x.dtype)


def cropped(x, rows):
  """Crops images to `[B, 2, 2]`; the boxes have a gradient as well."""
  boxes = 0.1 + 0.5 * tf1.sigmoid(tf1.reduce_mean(x, [1, 2]))[:, None]
  boxes = tf1.cast(boxes, tf1.float32) * [[0.1, 0.2, 1.1, 1.3]]
  found = tf1.image.crop_and_resize(
    image(x), boxes, tf1.range(tf1.shape(x)[0]), [2, 2]
  )
  del rows
  return tf1.cast(flat(found), x.dtype)


def patches(x):
  """Sums patches of two by two."""
  found = tf1.image.extract_image_patches(
    image(x), [1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"
  )
  return tf1.reduce_sum(found * 0.5, -1)


def boxes_kept(x):
  """Scales by how many boxes overlap little."""
  rows = tf1.cast(x[:, :1], tf1.float32)
  boxes = tf1.concat([rows, rows, rows + 1.0, rows + 1.0], 1)
  scores = tf1.cast(x[:, 0], tf1.float32)
  found = tf1.image.non_max_suppression(boxes, scores, 2)
  return x * (1.0 + tf1.cast(tf1.size(found), x.dtype))


def adjusted(x, name):
  """Changes the colors of an image; these ops have no gradient."""
  colors = tf1.cast(colored(x), tf1.float32)
  if name == "contrast":
    found = tf1.image.adjust_contrast(colors, 0.7)
  elif name == "hue":
    found = tf1.image.adjust_hue(colors, 0.2)
  elif name == "saturation":
    found = tf1.image.adjust_saturation(colors, 0.6)
  else:
    found = tf1.image.hsv_to_rgb(colors)
  found = tf1.stop_gradient(tf1.reduce_mean(found, -1))
  return x * tf1.cast(found, x.dtype)


def hsv(x):
  """Gives a mean of hue, saturation and value."""
  return tf1.reduce_mean(tf1.image.rgb_to_hsv(colored(x)), -1)


def glimpse(x):
  """Scales by a glimpse at the middle."""
  middle = tf1.zeros([tf1.shape(x)[0], 2])
  images = tf1.cast(image(x), tf1.float32)
  found = tf1.image.extract_glimpse(images, [1, 1], middle)
  return x * tf1.tanh(tf1.cast(found, x.dtype)[:, :, :, 0])


def convolution(x, seed):
  """Convolves an image with a filter that is fixed."""
  found = tf1.nn.conv2d(image(x), weights(x, [2, 2, 1, 1], seed), 1, "SAME")
  return flat(found)


def convolution_3d(x, seed):
  """Convolves a volume of one channel with a filter that is fixed."""
  volume = tf1.expand_dims(image(x), 1)
  filters = weights(x, [1, 2, 2, 1, 1], seed)
  found = tf1.nn.conv3d(volume, filters, [1] * 5, "SAME")
  return flat(tf1.squeeze(found, 1))


def filtered(x, y, channels):
  """Convolves over T with a filter that is computed, `[D, D]`."""
  return tf1.nn.conv1d(x, tf1.expand_dims(y, 0), 1, "SAME")


def transposed(x, seed, height, width):
  """Convolves an image in transposed order."""
  filters = weights(x, [2, 2, 1, 1], seed)
  shape = tf1.stack([tf1.shape(x)[0], height, width, 1])
  return flat(
    tf1.nn.conv2d_transpose(image(x), filters, shape, [1, 1, 1, 1], "SAME")
  )


def transposed_3d(x, seed, height, width):
  """Convolves a volume in transposed order."""
  filters = weights(x, [1, 2, 2, 1, 1], seed)
  volume = tf1.expand_dims(image(x), 1)
  shape = tf1.stack([tf1.shape(x)[0], 1, height, width, 1])
  found = tf1.nn.conv3d_transpose(volume, filters, shape, [1] * 5, "SAME")
  return flat(tf1.squeeze(found, 1))


def depthwise(x, seed):
  """Convolves each of two channels of its own."""
  pair = tf1.stack([x, tf1.sin(x)], -1)
  filters = weights(x, [2, 2, 2, 1], seed)
  found = tf1.nn.depthwise_conv2d(pair, filters, [1, 1, 1, 1], "SAME")
  return tf1.reduce_sum(found, -1)


def dilated(x, seed):
  """Takes maxima of sums with a filter."""
  filters = weights(x, [2, 2, 1], seed)
  return flat(
    tf1.raw_ops.Dilation2D(
      input=image(x),
      filter=filters,
      strides=[1, 1, 1, 1],
      rates=[1, 1, 1, 1],
      padding="SAME",
    )
  )


def pooled(x, name):
  """Pools over windows of two by two."""
  if name == "argmax":
    found = tf1.nn.max_pool_with_argmax(
      image(x), [1, 2, 2, 1], [1, 1, 1, 1], "SAME"
    )[0]
  elif name.endswith("3d"):
    pool = getattr(tf1.nn, name)
    volume = tf1.cast(tf1.expand_dims(image(x), 1), tf1.float32)
    found = pool(volume, [1, 1, 2, 2, 1], [1] * 5, "SAME")
    found = tf1.cast(tf1.squeeze(found, 1), x.dtype)
  else:
    pool = getattr(tf1.nn, name)
    found = pool(image(x), [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
  return flat(found)


def fractional(x, name, seed, shape):
  """Pools over windows that are drawn; sizes must be known."""
  found = getattr(tf1.raw_ops, name)(
    value=tf1.reshape(x, shape + (1,)),
    pooling_ratio=[1.0, 1.0, 1.0, 1.0],
    deterministic=True,
    seed=seed,
    seed2=seed + 1,
  )
  return flat(found.output)


def pool_slope(x, name):
  """Gives the gradient of pooling, by an op of its own."""
  y = pooled(x, name)
  return tf1.gradients(y, x, grad_ys=tf1.tanh(y))[0]


def filter_slope(x, seed):
  """Gives the gradient of a convolution to its filter, added to `x`."""
  pictures = image(x)
  filters = tf1.identity(weights(x, [2, 2, 1, 1], seed))
  y = tf1.nn.conv2d(pictures, filters, 1, "SAME")
  slope = tf1.gradients(y, filters, grad_ys=tf1.sin(y))[0]
  return x * tf1.tanh(0.1 * tf1.reduce_sum(slope))


def normalized(x, fused, size):
  """Normalizes over a batch by the fused op, of float32 at both versions."""
  narrow = tf1.cast(x, tf1.float32)[:, :, None, :]
  scale, offset = tf1.ones([size]), tf1.zeros([size])
  if fused == 3:
    found = tf1.nn.fused_batch_norm(narrow, scale, offset, epsilon=0.5)[0]
  else:
    found = tf1.raw_ops.FusedBatchNorm(
      x=narrow,
      scale=scale,
      offset=offset,
      mean=tf1.zeros([0]),
      variance=tf1.zeros([0]),
      epsilon=0.5,
    ).y
  return tf1.cast(found[:, :, 0, :], x.dtype)


def local_response(x):
  """Normalizes over near channels in float32."""
  narrow = tf1.cast(x, tf1.float32)[:, :, None, :]
  return tf1.cast(tf1.nn.lrn(narrow, 1)[:, :, 0, :], x.dtype)


def blocks(x, height, width, way):
  """Takes an image apart into blocks and puts it together again."""
  x = tf1.reshape(x, [-1, height, width, 1])
  if way == "depth":
    found = tf1.nn.depth_to_space(tf1.sin(tf1.nn.space_to_depth(x, 2)), 2)
  else:
    found = tf1.space_to_batch_nd(x, [2, 2], [[0, 0], [0, 0]])
    found = tf1.batch_to_space_nd(tf1.sin(found), [2, 2], [[0, 0], [0, 0]])
  return flat(found)


_IMAGE = "f a b c"
_FLOAT32 = (KINK, "narrow")


def _image(name, code, bound="p", marks=(), when="True"):
  return op(name, _IMAGE, f"images.{code}", _IMAGE, bound, marks, when)


OPS = tuple(
  op(f"resize_{name}", _IMAGE, f"images.resized({{0}}, {name!r}, {{b}}, {{c}})",
    "f a 2*b c", "2 * p", _FLOAT32, "b <= 4")
  for name in ("bilinear", "bicubic", "nearest")
) + tuple(
  _image(f"pool_{name}", f"pooled({{0}}, {name!r})", "p", _FLOAT32)
  for name in ("max_pool", "avg_pool", "max_pool3d", "avg_pool3d", "argmax")
) + tuple(
  _image(f"adjusted_{name}", f"adjusted({{0}}, {name!r})", "p", _FLOAT32)
  for name in ("contrast", "hue", "saturation", "hsv")
) + (
  op("resize_area", _IMAGE, "tf1.tile({0}, [1, 2, 1]) + tf1.stop_gradient("
    "images.resized({0}, 'area', {b}, {c}))", "f a 2*b c", "2 * p", _FLOAT32,
    "b <= 4"),
  _image("moved", "moved({0}, {b}, {c})", "p", _FLOAT32),
  op("cropped", _IMAGE, "images.cropped({0}, {a})", "f a 2 2", "p", _FLOAT32),
  _image("patches", "patches({0})", "2 * p"),
  op("boxes_kept", "f a b", "images.boxes_kept({0})", "f a b", "3 * p",
    _FLOAT32),
  _image("glimpse", "glimpse({0})", "p", _FLOAT32),
  _image("convolution_2d", "convolution({0}, {seed})", "2 * p"),
  _image("convolution_3d", "convolution_3d({0}, {seed})", "2 * p"),
  op("filtered", "f a b c, f c d", "images.filtered({0}, {1}, {c})", "f a b d",
    "p * q * c"),
  _image("transposed", "transposed({0}, {seed}, {b}, {c})", "2 * p"),
  _image("transposed_3d", "transposed_3d({0}, {seed}, {b}, {c})", "2 * p"),
  _image("depthwise", "depthwise({0}, {seed})", "2 * p + 2"),
  _image("dilated", "dilated({0}, {seed})", "p + 1", KINK),
  _image("max_drawn", "fractional("
    "{0}, 'FractionalMaxPool', {seed}, ({a}, {b}, {c}))", "p",
    (KINK, RANDOM)),
  _image("mean_drawn", "fractional("
    "{0}, 'FractionalAvgPool', {seed}, ({a}, {b}, {c}))", "p",
    (KINK, RANDOM)),
  _image("max_slope", "pool_slope({0}, 'max_pool')", "4 * p", KINK),
  _image("mean_slope", "pool_slope({0}, 'avg_pool')", "4 * p", KINK),
  _image("max_slope_3d", "pool_slope({0}, 'max_pool3d')", "4 * p", _FLOAT32),
  _image("mean_slope_3d", "pool_slope({0}, 'avg_pool3d')", "4 * p", _FLOAT32),
  _image("filter_slope", "filter_slope({0}, {seed})"),
  _image("normalized_3", "normalized({0}, 3, {c})", "9", _FLOAT32),
  _image("normalized_1", "normalized({0}, 1, {c})", "9", _FLOAT32),
  _image("local_response", "local_response({0})", "p", _FLOAT32),
  _image("blocks", "blocks({0}, {b}, {c}, 'depth')", "1",
    when="b % 2 == c % 2 == 0"),
  _image("batches", "blocks({0}, {b}, {c}, 'batch')", "1",
    when="b % 2 == c % 2 == 0"),
)  # fmt: skip
if not compat.IS_TF1:  # 1.15 has no gradient for it
  OPS += (_image("hsv", "hsv({0})", "1", KINK),)
