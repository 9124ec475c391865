#!/usr/bin/env bash
# TensorFlow 2.21.0: two clients of one tf.train.Server that share no weight, as
# each has a variable scope of its own, share the step counts of Adam.
#
# The optimizer names its two powers of beta by the name scope in which
# `minimize` is called, not by the variables' scope: "beta1_power" in both
# programs. A server keeps variables by name, so that both count in one place.
# The first step of Adam is as long as the learning rate, 0.1, whatever the
# gradient is. Once the other client has made ten steps it is not.
#
# Seen: "shared ['beta1_power', 'beta2_power'], step of 0.1000 alone, 0.0482
# after the other's ten".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PROGRAM'
import tensorflow as tf

tf1 = tf.compat.v1
server = tf1.train.Server.create_local_server()


class Client:
  """A program with a graph and a session of its own."""

  def __init__(self, scope):
    with tf.Graph().as_default() as graph:
      with tf1.variable_scope(scope):
        self.w = tf1.get_variable("w", initializer=1.0)
      loss = self.w * self.w
      self.train = tf1.train.AdamOptimizer(0.1).minimize(loss)
      self.names = {v.op.name for v in tf1.global_variables()}
      self.initialize = tf1.global_variables_initializer()
    self.session = tf1.Session(server.target, graph=graph)

  def first_step(self):
    self.session.run(self.train)
    return 1.0 - self.session.run(self.w)


one, two = Client("one"), Client("two")
two.session.run(two.initialize)
alone = two.first_step()
two.session.run(two.initialize)
one.session.run(one.initialize)
for _ in range(10):
  one.session.run(one.train)
after = two.first_step()
shared = sorted(one.names & two.names)
print("TensorFlow", tf.__version__)
print(f"shared {shared}, step of {alone:.4f} alone, {after:.4f} after the other's ten")
assert shared == ["beta1_power", "beta2_power"], shared
assert abs(alone - 0.1) < 1e-4, alone
assert abs(after - 0.1) > 0.02, "the clients are apart now"
PROGRAM
