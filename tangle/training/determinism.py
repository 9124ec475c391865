"""Bit-identical training: what it takes, and the helpers for it.

Measured on a CPU with 1, 2 and 8 intra-op threads: 35 op cases, each run 15
times, and 7 optimizers with a sparse gradient, each run 12 times:

- TensorFlow 1.15.5: every op gives the same bits each time, with any number of
  threads.
- TensorFlow 2.21: all ops do but `ResourceScatterAdd`. It adds rows with the
  same index in the order in which threads arrive. So gradient descent with a
  sparse gradient differs from run to run with more than one thread. Adam,
  Adagrad, momentum, RMSProp, FTRL and Adadelta sum such rows first and repeat.
- On both, the bits of matrix products with a long inner dimension, of large
  sums, and of the gradients of a bias and of a convolution's filter depend on
  the number of intra-op threads. The number of inter-op threads does not
  matter.

So to repeat bits, use the same TensorFlow and the same number of intra-op
threads. For sparse gradient descent on TensorFlow 2, also use one such thread,
or set `TF_DETERMINISTIC_OPS=1` in the environment before TensorFlow is
imported. The randomness must also be in the checkpoint: use stateless random
ops with `step_seed`. A stateful random op, such as dropout with an int as seed,
restarts its sequence in a new process.
"""

from __future__ import annotations

import hashlib

import numpy as np

from tangle.compat import tf1


def session_config() -> tf1.ConfigProto:
  """Returns a configuration with which runs repeat on machines of one kind.

  Each op runs in one thread; several ops may still run at once.

  Use it for the first session of the process: TensorFlow creates the intra-op
  threads once, and later sessions share them, whatever their own configuration
  says.

  Returns:
    A `tf.compat.v1.ConfigProto`, which may be changed further.
  """
  return tf1.ConfigProto(intra_op_parallelism_threads=1)


def step_seed(seed: int, step: int) -> np.ndarray:
  """Returns the seed of a step's stateless random ops.

  The seeds of different steps and runs are unrelated. So an offset that is
  added for one op in a step, as by `feedforward.shift_seed`, does not give the
  seed of another op in another step.

  Args:
    seed: the seed of the run.
    step: how many steps have been done.

  Returns:
    `[2]` int32, to feed to a placeholder.
  """
  text = f"{int(seed)}/{int(step)}".encode("ascii")
  return np.frombuffer(hashlib.sha256(text).digest()[:8], "<i4").copy()
