#!/usr/bin/env bash
# TensorFlow 2.21.0: the gradient of an op that read a reference variable uses
# the value that a later op of the same run has assigned, not the value read.
#
# y = m * x is computed with m = 0.5, then m becomes 1.5, then the gradient of
# y * y is taken: 2 y m. y is 0.5 x, as ordered, but m is 1.5. With a resource
# variable m is 0.5.
#
# Seen: "reference 1.5, resource 0.5" at x = 1.
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


def gradient(use_resource):
  with tf1.Graph().as_default():
    x = tf1.placeholder(tf.float32, [])
    m = tf1.get_variable(
      "m", initializer=np.float32(0.5), use_resource=use_resource
    )
    y = m * x
    with tf1.control_dependencies([y]):
      added = tf1.assign_add(m, 1.0)
    with tf1.control_dependencies([added]):
      last = tf1.identity(y * y)
    upstream = tf1.placeholder(tf.float32, [])
    with tf1.control_dependencies([last]):
      given = tf1.identity(upstream)
    found = tf1.gradients(last, x, given)[0]
    with tf1.Session() as sess:
      sess.run(m.initializer)
      value, slope = sess.run([last, found], {x: 1.0, upstream: 1.0})
      assert value == 0.25, value
      return float(slope)


print("TensorFlow", tf.__version__)
reference, resource = gradient(False), gradient(True)
print(f"reference {reference}, resource {resource}")
assert resource == 0.5
assert reference == 1.5, "the value that was read counts now"
PROGRAM
