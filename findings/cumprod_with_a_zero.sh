#!/usr/bin/env bash
# TensorFlow 2.21.0: the gradient of `tf.math.cumprod` is silently wrong where an
# entry is zero: 0 in place of 32 here. `tf.reduce_prod` is right.
#
# The gradient divides by the entries, with 0 for what is divided by zero. (1.15
# gives NaN there, which is at least noticed.)
#
# Seen: "cumprod [1. 0. 0. 0.], differences [ 1. 32.  0.  0.]".
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
POINT = np.array([2.0, 0.0, 3.0, 4.0])

with tf1.Graph().as_default(), tf1.Session() as sess:
  x = tf1.placeholder(tf.float64, [4])
  total = tf1.reduce_sum(tf1.cumprod(x))
  found = sess.run(tf1.gradients(total, x)[0], {x: POINT})
  product = sess.run(tf1.gradients(tf1.reduce_prod(x), x)[0], {x: POINT})
differences = []
for k in range(4):
  step = 1e-6 * np.eye(4)[k]
  ends = [np.cumprod(POINT + sign * step).sum() for sign in (1, -1)]
  differences.append((ends[0] - ends[1]) / 2e-6)
differences = np.round(differences, 3)
print("TensorFlow", tf.__version__)
print(f"cumprod {found}, differences {differences}")
assert list(product) == [0.0, 24.0, 0.0, 0.0], product
assert list(differences) == [1.0, 32.0, 0.0, 0.0], differences
assert list(found) == [1.0, 0.0, 0.0, 0.0], "the gradient is another one now"
PROGRAM
