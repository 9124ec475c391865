"""Tangle's legacy model on g2p training, as a pipeline or in joint graphs.

Split: one graph per bucket of the encoder and of the decoder. Joint: one graph
per pair of buckets that occurs, from the same builders.
"""

import numpy as np

from tangle.benchmarks.peers import ours
from tangle.compat import tf1
from tangle.pipeline import joint, pipeline
from tangle.seq2seq.legacy import builders, cells, parts, wrappers


def make_model(task):
  """Returns the `parts.AttentionModel` of a `g2p.Task`, `task`."""
  sizes = task.sizes
  layers = [cells.BasicLSTMCell(sizes.units) for _ in range(sizes.layers)]
  cell = layers[0] if sizes.layers == 1 else wrappers.MultiRNNCell(layers)
  return parts.AttentionModel(cell, *task.symbols, sizes.units)


def make_pipeline(task):
  """Returns a pipeline of encoder and decoder for a `g2p.Task`, `task`."""
  model = make_model(task)
  sources, targets = (sorted(set(side)) for side in zip(*task.pairs))
  found = pipeline.Pipeline()
  found.add("encoder", builders.encoder_builder(model), sources)
  found.add(
    "decoder",
    builders.decoder_builder(model),
    targets,
    reads=builders.reads("encoder"),
  )
  return found


def build(task, optimizer, threads, mode):
  """Builds a contender in its own graph and session.

  Args:
    task: a `g2p.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and between ops.
    mode: one of `ours.MODES`.

  Returns:
    A function without arguments that trains on the cycle and returns the mean
    loss, and a dict of versions.

  Raises:
    ArgumentError: if the mode is unknown.
  """
  ours.check_mode("peers.g2p_ours.build", mode)
  with tf1.Graph().as_default() as graph:
    found, update = make_pipeline(task), ours.make_optimizer(optimizer)
    if mode == "split":
      trainer = found.minimize(update, optimizer.clip_norm)
    else:
      pairs = [{"encoder": s, "decoder": t} for s, t in task.pairs]
      trainer = joint.JointTrainer(
        found, update, optimizer.clip_norm, combinations=pairs
      )
    sess = open_session(graph, threads)
    load(sess, task)
  cycle = [
    {
      "encoder": {"source": batch.source},
      "decoder": {
        "inputs": batch.inputs,
        "targets": batch.targets,
        "weights": batch.weights,
      },
    }
    for batch in task.batches
  ]

  def step():
    return np.mean([trainer.step(sess, batch).loss for batch in cycle])

  return step, {"tensorflow": tf1.VERSION}


def open_session(graph, threads):
  """Opens a session.

  Args:
    graph: the graph that it runs.
    threads: threads within an op, and between ops.

  Returns:
    A `tf1.Session`.
  """
  return tf1.Session(
    graph=graph,
    config=tf1.ConfigProto(
      intra_op_parallelism_threads=threads,
      inter_op_parallelism_threads=threads,
    ),
  )


def load(sess, task):
  """Initializes all variables; sets the trainable ones to the task's weights.

  Args:
    sess: a session, whose graph is the default one.
    task: a `g2p.Task`.
  """
  sess.run(tf1.global_variables_initializer())
  variables = {v.op.name: v for v in tf1.trainable_variables()}
  drawn = task.draw({k: v.shape.as_list() for k, v in variables.items()})
  for name, array in drawn.items():
    variables[name].load(array, sess)
