#!/usr/bin/env bash
# TensorFlow 2.21.0: a GraphDef that holds a while loop can be imported twice
# into one graph, and both copies run, but only one of them can be
# differentiated.
#
# The gradient of a loop gives it new functions whose names are made of those of
# its functions, which the two copies share.
#
# Seen: InvalidArgumentError, "Attempting to add a duplicate function with name:
# while_cond_..._rewritten".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import tensorflow as tf

tf1 = tf.compat.v1
with tf1.Graph().as_default() as graph:
  x = tf1.placeholder(tf.float32, [], "x")
  loop = tf.while_loop(lambda k, v: k < 3, lambda k, v: (k + 1, v * v), [0, x])
  tf1.identity(loop[1], "y")
  graph_def = graph.as_graph_def()
with tf1.Graph().as_default():
  x = tf1.placeholder(tf.float32, [])
  ys = [
    tf1.import_graph_def(graph_def, {"x:0": x}, ["y:0"], name=name)[0]
    for name in ("first", "second")
  ]
  with tf1.Session() as sess:
    print("TensorFlow", tf.__version__, "values", sess.run(ys, {x: 2.0}))
  tf1.gradients(ys[0], x)
  try:
    tf1.gradients(ys[1], x)
  except tf.errors.InvalidArgumentError as error:
    print(str(error)[:80])
    assert "duplicate function" in str(error)
  else:
    raise AssertionError("both copies can be differentiated now")
PROGRAM
