"""What makes two runs of the same training the same, bit by bit.

Measured on a CPU with 1, 2 and 8 threads inside an op: 35 cases of ops, each 15
times, and 7 optimizers with a sparse gradient, each 12 times:

- TensorFlow 1.15.5: every op gives the same bits each time, with any number of
  threads.
- TensorFlow 2.21: all but `ResourceScatterAdd` do. It adds rows with the same
  index in the order in which threads come. So gradient descent with a sparse
  gradient differs from run to run with more than one thread; Adam, Adagrad,
  momentum, RMSProp, FTRL and Adadelta sum such rows up before and do not.
- On both, matrix products with a long inner dimension, large sums, the gradient
  of a bias and of a convolution's filter have other bits with another number of
  threads inside an op. How many ops run at once makes no difference.

So the same bits need the same TensorFlow, the same number of threads inside an
op, and, for sparse gradient descent on TensorFlow 2, either one such thread, or
`TF_DETERMINISTIC_OPS=1` in the environment before TensorFlow is imported. Also
the randomness must be in the checkpoint: stateless random ops, with
`step_seed`; a stateful random op such as dropout with an int as seed begins its
numbers again in a new process.
"""

import hashlib

import numpy as np

from tangle.compat import tf1


def session_config():
  """Returns a configuration with which runs repeat on machines alike.

  Each op runs in one thread; several ops may still run at once.

  It has to be that of the first session of the process: TensorFlow makes the
  threads for the inside of ops once, and later sessions use the same, whatever
  their configuration says.

  Returns:
    A `tf.compat.v1.ConfigProto`, to be changed further.
  """
  return tf1.ConfigProto(intra_op_parallelism_threads=1)


def step_seed(seed, step):
  """Returns the seed of a step's stateless random ops.

  Different steps and seeds have seeds that have nothing to do with each other,
  so that what is added for one op in a step, as by `feedforward.shift_seed`,
  does not give the seed of another op in another step.

  Args:
    seed: of the run, an int.
    step: how many steps have been done, an int.

  Returns:
    `[2]` int32, to be fed to a placeholder.
  """
  text = f"{int(seed)}/{int(step)}".encode("ascii")
  return np.frombuffer(hashlib.sha256(text).digest()[:8], "<i4").copy()
