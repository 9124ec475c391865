#!/usr/bin/env bash
# TensorFlow 2.21.0: stop_gradients of tf.gradients, given one output of an op,
# stops gradients through all outputs of that op.
#
# With a, b = tf.split(x, 2), the gradient of b to x is None if a is in
# stop_gradients, though b does not depend on a.
#
# Seen: "[None]".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import tensorflow as tf

tf1 = tf.compat.v1
with tf1.Graph().as_default():
  x = tf1.placeholder(tf.float32, [4])
  a, b = tf1.split(x, 2)
  alone = tf1.gradients(b * b, x)
  found = tf1.gradients(b * b, x, stop_gradients=[a])
  print("TensorFlow", tf.__version__)
  print(found)
  assert alone[0] is not None
  assert found == [None], "only the gradient through a stops now"
PROGRAM
