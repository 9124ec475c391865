#!/usr/bin/env bash
# TensorFlow 2.21.0: on the CPU, the gradient of a bias over 6,400 rows is 2,048
# in float16 if the bias is added by `+`, and 256 in bfloat16 if it is added by
# `tf.nn.bias_add`. The other way round, both are right.
#
# The kernels add the rows one by one in the type of the rows. A sum of ones then
# stops where one more is less than half of the last digit. `Sum` does so over
# rows in float16 and not in bfloat16, the gradient of `BiasAdd` in bfloat16 and
# not in float16. A table of embeddings has the same in both types: its gradient
# for one id in all rows, as optimizers sum it.
#
# Seen: "float16: + 2048, bias_add 6400, embedding 2048" and "bfloat16: + 6400,
# bias_add 256, embedding 256".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import tensorflow as tf

tf1 = tf.compat.v1
ROWS = 6400


def gradients(dtype):
  with tf1.Graph().as_default(), tf1.Session() as sess:
    x = tf1.placeholder_with_default(tf1.ones([ROWS, 4], dtype), [None, 4])
    b = tf1.placeholder_with_default(tf1.ones([4], dtype), [4])
    table = tf1.placeholder_with_default(tf1.ones([2, 4], dtype), [2, 4])
    rows = tf1.gather(table, tf1.zeros([ROWS], tf.int32))
    found = [
      tf1.gradients(x + b, b)[0],
      tf1.gradients(tf1.nn.bias_add(x, b), b)[0],
      tf1.convert_to_tensor(tf1.gradients(rows, table)[0])[0],
    ]
    return [int(sess.run(tf1.cast(each, tf.float32)).flat[0]) for each in found]


print("TensorFlow", tf.__version__)
seen = {dtype: gradients(dtype) for dtype in (tf.float16, tf.bfloat16)}
for dtype, (plus, bias_add, embedding) in seen.items():
  print(f"{dtype.name}: + {plus}, bias_add {bias_add}, embedding {embedding}")
assert seen[tf.float16] == [2048, 6400, 2048], seen
assert seen[tf.bfloat16] == [6400, 256, 256], seen
PROGRAM
