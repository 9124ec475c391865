"""Programs on images and sound: convolutions, generators, flows."""

import numpy as np

from tangle.compat import tf1
from tests.programs.common import (
  Goal,
  Part,
  Program,
  array,
  batch_norm,
  conv2d,
  cross_entropy,
  dense,
  features,
  integers,
  program,
  scalar,
  state,
  tokens,
  up_conv2d,
  weight,
)


def _sigmoid_loss(logits, label):
  labels = label * tf1.ones_like(logits)
  return tf1.reduce_mean(
    tf1.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
  )


def gan():
  """A generator and a discriminator, with two losses and two optimizers."""
  z, feed_dict = features("z", 3)
  real, more = features("real", 4, 4, 1)
  with tf1.variable_scope("generator"):
    h = tf1.nn.relu(batch_norm(dense(z, 8, "project"), "norm"))
    h = up_conv2d(tf1.reshape(h, [-1, 2, 2, 2]), 2, "up")
    fake = conv2d(tf1.nn.relu(batch_norm(h, "norm_2")), 1, "out", 1, tf1.tanh)

  def discriminate(image):
    with tf1.variable_scope("discriminator", reuse=tf1.AUTO_REUSE):
      h = tf1.nn.leaky_relu(conv2d(image, 3, "conv", stride=2), 0.2)
      return dense(tf1.reshape(h, [-1, 12]), 1, "logit")

  real_logits, fake_logits = discriminate(real), discriminate(fake)
  d_loss = _sigmoid_loss(real_logits, 0.9) + _sigmoid_loss(fake_logits, 0.0)
  g_loss = _sigmoid_loss(fake_logits, 1.0)
  g_variables, d_variables = [
    [v for v in tf1.trainable_variables() if f"/{scope}/" in v.name]
    for scope in ("generator", "discriminator")
  ]
  parts = [
    Part([z], [fake]),
    Part([fake, real], [d_loss], d_variables, stop=True),
    Part([fake], [g_loss], []),
  ]
  return Program(
    [Goal(d_loss, d_variables, False), Goal(g_loss, g_variables)],
    {"split": parts},
    {**feed_dict, **more},
  )


def vae():
  """A variational autoencoder, which draws its code."""
  x, feed_dict = features("x", 6)
  h = dense(x, 5, "encoder", tf1.tanh)
  mean, log_variance = dense(h, 2, "mean"), dense(h, 2, "log_variance")
  noise = tf1.random_normal(tf1.shape(mean), dtype=tf1.float64, seed=7)
  z = mean + tf1.exp(0.5 * log_variance) * noise
  logits = dense(dense(z, 5, "decoder", tf1.tanh), 6, "logits")
  target = tf1.sigmoid(x)
  reconstruction = tf1.nn.sigmoid_cross_entropy_with_logits(
    labels=target, logits=logits
  )
  divergence = 0.5 * tf1.reduce_sum(
    tf1.square(mean) + tf1.exp(log_variance) - log_variance - 1.0, 1
  )
  loss = tf1.reduce_mean(tf1.reduce_sum(reconstruction, 1) + divergence)
  return program(
    [x],
    loss,
    feed_dict,
    boundary=[z, mean, log_variance],
    more=[x],
    frozen=[noise],
  )


def unet():
  """Segmentation: halves, doubles, and skips from one side to the other."""
  x, feed_dict = features("x", 8, 8, 1)
  labels, more = tokens("labels", 2, 8, 8)
  skips, h = [], x
  for level in range(2):
    h = conv2d(h, 2 + level, f"down_{level}", 1, tf1.nn.relu)
    skips.append(h)
    h = tf1.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
  bottom = conv2d(h, 4, "bottom", 1, tf1.nn.relu)
  h = bottom
  for level, skip in reversed(list(enumerate(skips))):
    h = up_conv2d(h, 2, f"up_{level}")
    h = conv2d(tf1.concat([skip, h], 3), 2, f"join_{level}", 1, tf1.nn.relu)
  loss = cross_entropy(conv2d(h, 2, "logits"), labels)
  return program(
    [x], loss, {**feed_dict, **more}, boundary=[bottom] + skips, more=[labels]
  )


def siamese():
  """Two images through one tower, and a contrastive loss."""
  left, feed_dict = features("left", 6, 6, 1)
  right, more = features("right", 6, 6, 1)
  same, labels = features("same")
  feed_dict = {**feed_dict, **more, same: (labels[same] > 0).astype(float)}

  def tower(image, reuse):
    with tf1.variable_scope("tower", reuse=reuse):
      h = conv2d(image, 2, "conv_1", 2, tf1.nn.relu)
      h = conv2d(h, 3, "conv_2", 2, tf1.nn.relu)
      return dense(tf1.reshape(h, [-1, 12]), 4, "code")

  codes = [tower(left, reuse=False), tower(right, reuse=True)]
  square = tf1.reduce_sum(tf1.square(codes[0] - codes[1]), 1)
  apart = tf1.maximum(2.0 - tf1.sqrt(square + 1e-6), 0.0)
  loss = tf1.reduce_mean(same * square + (1.0 - same) * tf1.square(apart))
  return program([left, right], loss, feed_dict, boundary=codes, more=[same])


def spectral_norm():
  """A critic whose kernels are divided by their largest singular value.

  The power iteration goes on from the vector that the last pass left.
  """
  x, feed_dict = features("x", 4, 4, 1)
  frozen = []

  def normalized(kernel, name):
    flat = tf1.reshape(kernel, [-1, kernel.shape.as_list()[-1]])
    u = weight(name, 1, flat.shape.as_list()[-1], trainable=False)
    v = tf1.nn.l2_normalize(tf1.matmul(u, flat, transpose_b=True))
    new = tf1.nn.l2_normalize(tf1.matmul(v, flat))
    v, new = tf1.stop_gradient(v), tf1.stop_gradient(new)
    frozen.extend([v, new])
    sigma = tf1.matmul(tf1.matmul(v, flat), new, transpose_b=True)
    with tf1.control_dependencies([u.assign(new)]):
      return kernel / tf1.reshape(sigma, [])

  kernel = normalized(weight("kernel", 3, 3, 1, 3), "u")
  h = tf1.nn.conv2d(x, kernel, strides=[1, 2, 2, 1], padding="SAME")
  h = tf1.reshape(tf1.nn.leaky_relu(h, 0.1), [-1, 12])
  score = tf1.matmul(h, normalized(weight("last", 12, 1), "last_u"))
  loss = tf1.reduce_mean(tf1.nn.relu(1.0 - score))
  return program(
    [x], loss, feed_dict, boundary=[h], frozen=frozen, assigns_read=True
  )


def style_transfer():
  """An image as the variable, moved to the Gram matrices of another one."""
  content, feed_dict = features("content", 6, 6, 2)
  style, more = features("style", 6, 6, 2)
  feed_dict = {ph: v[:1] for ph, v in {**feed_dict, **more}.items()}
  image = weight("image", 1, 6, 6, 2)
  kernels = [
    weight(f"vgg_{k}", 3, 3, 2 + k, 3 + k, trainable=False) for k in range(2)
  ]

  def describe(h):
    found = []
    for kernel in kernels:
      h = tf1.nn.conv2d(h, kernel, strides=[1, 1, 1, 1], padding="SAME")
      h = tf1.nn.relu(h)
      found.append(h)
      h = tf1.nn.avg_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    return found

  def gram(h):
    rows = tf1.reshape(h, [-1, h.shape.as_list()[-1]])
    return tf1.matmul(rows, rows, transpose_a=True) / 36.0

  ours = describe(image)
  loss = tf1.reduce_mean(tf1.square(ours[-1] - describe(content)[-1]))
  for mine, wanted in zip(ours, describe(style)):
    loss += tf1.reduce_sum(tf1.square(gram(mine) - gram(wanted)))
  steps = image[:, 1:] - image[:, :-1]
  loss += 0.1 * tf1.reduce_sum(tf1.square(steps))
  return program([content, style], loss, feed_dict)


def dilated_queue():
  """Dilated convolutions, fed by a queue."""
  queue = tf1.FIFOQueue(8, [tf1.float64, tf1.int32], [[2, 8, 1], [2]])
  batches = [array("batches", 6, 2, 8, 1), integers("labels", 3, 6, 2)]
  fill_op = queue.enqueue_many([tf1.constant(part) for part in batches])
  x, labels = queue.dequeue()
  h = x
  for level in range(3):
    depth = h.shape.as_list()[-1]
    kernel = weight(f"kernel_{level}", 3, depth, 3)
    h = tf1.nn.convolution(h, kernel, padding="SAME", dilation_rate=[2**level])
    h = tf1.nn.relu(h + weight(f"bias_{level}", 3, scale=0.1))
  code = tf1.reduce_mean(h, 1)
  loss = cross_entropy(dense(code, 3, "logits"), labels)
  return program(
    [x, labels],
    loss,
    {},
    boundary=[code, labels],
    setup=[fill_op],
    watched=[queue.size()],
    frozen=[x, labels],
  )


def wavenet():
  """Causal, dilated, gated convolutions with residuals and skips."""
  samples, feed_dict = tokens("samples", 5, 9)
  x = tf1.one_hot(samples, 5, dtype=tf1.float64)
  h = dense(x[:, :-1], 4, "input")
  skips = []
  for level in range(3):
    late = 2**level
    past = tf1.pad(h[:, :-late], [[0, 0], [late, 0], [0, 0]])
    with tf1.variable_scope(f"layer_{level}"):
      both = tf1.concat([past, h], 2)
      z = dense(both, 4, "filter", tf1.tanh)
      z *= dense(both, 4, "gate", tf1.sigmoid)
      skips.append(dense(z, 4, "skip"))
      h += dense(z, 4, "residual")
  total = tf1.add_n(skips)
  z = dense(tf1.nn.relu(total), 4, "post", tf1.nn.relu)
  loss = cross_entropy(dense(z, 5, "logits"), samples[:, 1:])
  return program([samples], loss, feed_dict, boundary=[total], more=[samples])


def flow():
  """An invertible flow whose first pass sets the scales from the data."""
  x, feed_dict = features("x", 4)
  temperature, more = scalar("temperature", 0.9)

  def normalize(x, name):
    with tf1.variable_scope(name):
      shift = weight("shift", 4)
      log_scale = weight("log_scale", 4)
      ready = state("ready", np.float64(0.0))

      def prepare():
        mean, variance = tf1.nn.moments(x, [0])
        scale = -0.5 * tf1.log(variance + 1e-6)
        assign_ops = [
          shift.assign(-mean),
          log_scale.assign(scale),
          ready.assign(1.0),
        ]
        with tf1.control_dependencies(assign_ops):
          return tf1.constant(True)

      # A number: a flag would be the memory that the pass changes.
      is_ready = tf1.greater(ready, 0.5)
      done = tf1.cond(is_ready, lambda: tf1.constant(True), prepare)
      with tf1.control_dependencies([done]):
        scale = log_scale.read_value()
        y = (x + shift.read_value()) * tf1.exp(scale)
    return y, tf1.reduce_sum(scale)

  def couple(x, name):
    with tf1.variable_scope(name):
      a, b = tf1.split(x, 2, 1)
      h = dense(dense(a, 5, "hidden", tf1.tanh), 4, "out")
      shift, log_scale = tf1.split(h, 2, 1)
      log_scale = tf1.tanh(log_scale)
      b = (b + shift) * tf1.exp(log_scale)
      return tf1.concat([b, a], 1), tf1.reduce_sum(log_scale, 1)

  terms, joints = [], []
  for k in range(2):
    x_k, term = normalize(joints[-1] if joints else x, f"norm_{k}")
    terms.append(term)
    x_k, term = couple(x_k, f"couple_{k}")
    terms.append(term)
    joints.append(x_k)
  energy = 0.5 * tf1.reduce_sum(tf1.square(joints[-1] / temperature), 1)
  loss = tf1.reduce_mean(energy - tf1.add_n([terms[1], terms[3]]))
  loss -= terms[0] + terms[2]
  return program(
    [x],
    loss,
    {**feed_dict, **more},
    boundary=[joints[0], terms[0], terms[1]],
    more=[temperature],
    assigns_read=True,
  )
