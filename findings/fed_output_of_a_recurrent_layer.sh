#!/usr/bin/env bash
# TensorFlow 2.21.0: Session.run silently ignores a value that is fed for the
# output of a Keras recurrent layer when another recurrent layer reads it.
#
# The layer's output ends in a transpose, and the next layer begins with one.
# The graph optimizer cancels the two, though the tensor between them is fed.
#
# Seen: "largest change when h is fed: 0.0", and another number with the graph
# optimizer's arithmetic rewriting turned off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0" "keras==3.15.1"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

tf1 = tf.compat.v1


def largest_change(config):
  tf1.reset_default_graph()
  with tf1.Graph().as_default():
    x = tf1.placeholder(tf.float32, [None, 5, 3])
    h = tf.keras.layers.LSTM(4, return_sequences=True)(x)
    y = tf.keras.layers.LSTM(4)(h)
    with tf1.Session(config=config) as sess:
      sess.run(tf1.global_variables_initializer())
      batch = np.ones([2, 5, 3], np.float32)
      fed = sess.run(y, {x: batch, h: np.zeros([2, 5, 4])})
      return float(np.abs(fed - sess.run(y, {x: batch})).max())


off = tf1.ConfigProto()
rewriting = off.graph_options.rewrite_options
rewriting.arithmetic_optimization = rewriter_config_pb2.RewriterConfig.OFF
change = largest_change(None)
print("TensorFlow", tf.__version__)
print("largest change when h is fed:", change)
print("without arithmetic rewriting:", largest_change(off))
assert change == 0.0, "the fed value counts now"
assert largest_change(off) > 0.0, "the optimizer was not the cause"
PROGRAM
