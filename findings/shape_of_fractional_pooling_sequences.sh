#!/usr/bin/env bash
# TensorFlow 2.21.0: the pooling sequences that `tf.raw_ops.FractionalMaxPool` and
# `FractionalAvgPool` return have one element more than their static shapes say.
#
# A region needs both of its borders, so that n regions have n + 1 entries. The
# shape function gives n. A placeholder with the static shape of such a tensor
# refuses its value. (1.15.5 does the same.)
#
# Seen: "FractionalMaxPool: static [5] [5], returned (6,) (6,)".
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
print("TensorFlow", tf.__version__)
for name in ("FractionalMaxPool", "FractionalAvgPool"):
  with tf1.Graph().as_default(), tf1.Session() as sess:
    x = tf1.placeholder(tf.float32, [1, 8, 8, 1])
    pool = getattr(tf.raw_ops, name)
    rows, columns = list(pool(value=x, pooling_ratio=[1.0, 1.5, 1.5, 1.0]))[1:]
    found = sess.run([rows, columns], {x: np.ones([1, 8, 8, 1])})
    told = [t.shape.as_list() for t in (rows, columns)]
    print(f"{name}: static {told[0]} {told[1]}, returned "
          f"{found[0].shape} {found[1].shape}")
    assert told == [[5], [5]], told
    assert [len(value) for value in found] == [6, 6], "the shapes agree now"
PROGRAM
