#!/usr/bin/env bash
# TensorFlow 2.21.0: `tf.nn.sampled_softmax_loss` with as many samples as there
# are classes is not the softmax loss. All classes are drawn, each once, but their
# logits are corrected by the logarithms of expected counts, which are not 1.
#
# The default sampler estimates the counts by the number of tries that its draw
# took, so that the loss is another one in each run. With the uniform sampler
# they are equal for all classes, and the loss is right.
#
# Seen: "softmax 2.6994, sampled 2.71 to 2.78, uniform 2.6994" (the range
# differs from run to run).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
V = 6

with tf1.Graph().as_default(), tf1.Session() as sess:
  draw = np.random.RandomState(0)
  weights = tf1.constant(draw.randn(V, 3), tf.float32)
  biases = tf1.constant(draw.randn(V), tf.float32)
  inputs = tf1.constant(draw.randn(2, 3)[:1], tf.float32)
  labels = tf1.constant([[1]], tf.int64)
  logits = tf1.matmul(inputs, weights, transpose_b=True) + biases
  full = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=labels[:, 0], logits=logits
  )
  arguments = weights, biases, labels, inputs, V, V
  sampled = tf1.nn.sampled_softmax_loss(*arguments)
  uniform = tf1.nn.sampled_softmax_loss(
    *arguments,
    sampled_values=tf1.random.uniform_candidate_sampler(labels, 1, V, True, V),
  )
  full = float(sess.run(full)[0])
  runs = [float(sess.run(sampled)[0]) for _ in range(50)]
  uniform = [float(sess.run(uniform)[0]) for _ in range(50)]
print("TensorFlow", tf.__version__)
print(
  f"softmax {full:.4f}, sampled {min(runs):.2f} to {max(runs):.2f}, uniform "
  f"{max(uniform):.4f}"
)
assert np.allclose(uniform, full, rtol=1e-5), uniform
assert max(abs(np.array(runs) - full)) > 0.01, "it is the softmax loss now"
PROGRAM
