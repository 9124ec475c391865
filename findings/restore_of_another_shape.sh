#!/usr/bin/env bash
# TensorFlow 2.21.0: `tf.train.Saver` restores a checkpoint of another shape into
# a resource variable. The variable's static shape stays what it was, and ops
# that were built by it compute with the other one. A reference variable refuses.
#
# A mean that is written as a sum over a known number of rows is wrong then, with
# no error.
#
# Seen: "static shape (3, 2), value (2, 3), mean 3.33 of numbers whose mean is 5.0".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import os
import tempfile

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
prefix = os.path.join(tempfile.mkdtemp(), "model")


def build(value, use_resource):
  return tf1.get_variable(
    "v", initializer=value.astype(np.float32), use_resource=use_resource
  )


with tf1.Graph().as_default(), tf1.Session() as sess:
  v = build(np.array([[1, 2, 3], [4, 5, 15]]), True)
  sess.run(v.initializer)
  tf1.train.Saver([v]).save(sess, prefix)

with tf1.Graph().as_default(), tf1.Session() as sess:
  v = build(np.zeros([3, 2]), True)
  rows = v.shape.as_list()[0]
  mean = tf1.reduce_mean(tf1.reduce_sum(v, 0) / rows)
  tf1.train.Saver([v]).restore(sess, prefix)
  value, found = sess.run([v, mean])
print("TensorFlow", tf.__version__)
print(
  f"static shape {v.shape}, value {value.shape}, mean {found:.2f} of numbers "
  f"whose mean is {value.mean()}"
)
assert value.shape == (2, 3), "the value has the variable's shape now"
assert abs(found - value.mean()) > 1.0, found

with tf1.Graph().as_default(), tf1.Session() as sess:
  v = build(np.zeros([3, 2]), False)
  try:
    tf1.train.Saver([v]).restore(sess, prefix)
    raise AssertionError("a reference variable takes it, too")
  except tf1.errors.InvalidArgumentError:
    pass
PROGRAM
