#!/usr/bin/env bash
# TensorFlow 2.21.0: a run with `trace_level=FULL_TRACE` fails while another run in
# the process is traced so. With `SOFTWARE_TRACE` both succeed.
#
# A full trace starts the profiler, of which a process has one. The run fails, not
# only its trace. (1.15.5 does the same, with UnavailableError.)
#
# Seen: "FULL_TRACE: AlreadyExistsError", "SOFTWARE_TRACE: traced".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import threading

import tensorflow as tf

tf1 = tf.compat.v1
print("TensorFlow", tf.__version__)
begun, done = threading.Event(), threading.Event()


def wait():
  begun.set()
  done.wait()
  return 1.0


with tf1.Graph().as_default(), tf1.Session() as sess:
  slow = tf1.py_func(wait, [], tf.float64)
  quick = tf1.constant(2.0) + 1.0
  found = {}
  for name in ("FULL_TRACE", "SOFTWARE_TRACE"):
    options = tf1.RunOptions(trace_level=getattr(tf1.RunOptions, name))
    begun.clear()
    done.clear()
    metadata = tf1.RunMetadata(), tf1.RunMetadata()
    other = threading.Thread(target=sess.run, args=(slow, None, options, metadata[0]))
    other.start()
    begun.wait()
    try:
      sess.run(quick, None, options, metadata[1])
      found[name] = "traced"
    except tf1.errors.OpError as error:
      found[name] = type(error).__name__
    done.set()
    other.join()
    print(f"{name}: {found[name]}")
assert found["FULL_TRACE"] == "AlreadyExistsError", "it is another error now, or none"
assert found["SOFTWARE_TRACE"] == "traced", found
PROGRAM
