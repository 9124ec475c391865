"""Two decoders of a calculator whose losses compete for shared networks.

The calculator's six networks in one graph, but the loss of one decoder is
multiplied by 1000. The code, which both decoders read, is the boundary on which
gradients are combined; the decoders get the gradients of their own losses.
"""

from typing import Sequence

import numpy as np

from tangle import errors, gradients, mux
from tangle.compat import tf1
from tangle.experiments import calculator, plots, weights
from tangle.experiments import digits as digits_lib

BALANCES = {
  "uncertainty": lambda losses, code: gradients.UncertaintyWeighting(losses),
  "gradnorm": lambda losses, code: gradients.GradNorm(losses, [code]),
  "random": lambda losses, code: gradients.RandomWeighting(losses),
  "average": lambda losses, code: gradients.DynamicWeightAveraging(losses),
}
"""Name → function from losses and code to the object that balances them."""

METHODS = (
  tuple(m for m in gradients.METHODS if m not in ("mean", "weighted"))
  + tuple(BALANCES)
  + ("turns",)
)


class MultiTaskModel:
  """The networks of `calculator.Networks`, trained by one of `METHODS`.

  Its two losses are those of results in binary, and in decimal times `scale`.

  Attributes:
    weights: the `weights.Weights` of all six networks.
  """

  def __init__(self, method, scale, units, hidden, learning_rate):
    """Builds the graph of one of `METHODS`; the others are as for `compare`."""
    networks = calculator.Networks(units, hidden)
    self._model = calculator.OneGraph(networks, mux.where)
    self._lessons = digits_lib.make_lessons()
    self._feeds = self._model.feeds(self._lessons)
    variables, code = tf1.trainable_variables(), self._model.code
    self.weights = weights.Weights(variables)
    losses = [
      self._model.losses["binary"],
      self._model.losses["decimal"] * scale,
    ]

    def make():
      return tf1.train.AdamOptimizer(learning_rate)

    if method == "turns":
      self._ops = gradients.take_turns(losses, [make(), make()])
    elif method in BALANCES:
      balance = BALANCES[method](losses, code)
      self._ops = [[make().minimize(balance.loss), balance.update_op]]
      if method == "average":  # a step uses all data: it is an epoch
        self._ops.append(balance.end_epoch_op)
    else:
      found = gradients.of_losses(losses, variables, method, boundary=[code])
      pairs = zip(found.gradients, variables)
      self._ops = [make().apply_gradients(pairs)]
    self._reset_op = tf1.global_variables_initializer()

  def start(self, sess, rng):
    """Draws all weights, and resets optimizers and loss balances."""
    sess.run(self._reset_op)
    self.weights.load(sess, self.weights.draw(rng))

  def step(self, sess):
    """Trains on all digits through all paths; to be called after `start`."""
    for step_op in self._ops:
      sess.run(step_op, self._feeds)

  def test(self, sess):
    """Returns decoder → accuracy of its four paths."""
    accuracies = {form: [] for form in digits_lib.FORMATS}
    for path, logits in self._model.answer(sess, self._lessons).items():
      accuracies[path.decoder].append(digits_lib.accuracy(logits, path))
    return {form: float(np.mean(found)) for form, found in accuracies.items()}


def compare(
  calculator_methods: Sequence[str] = METHODS,
  seeds=2,
  steps=120,
  every=10,
  scale=1000.0,
  units=16,
  hidden=32,
  learning_rate=0.005,
  *,
  progress=None,
):
  """Trains the calculator with each method, with one loss scaled up.

  Each seed draws the same weights for all methods.

  Args:
    calculator_methods: some of `METHODS`.
    seeds: how many trainings by each method.
    steps: of each training; a step uses all digits on all paths.
    every: steps between evaluations, at most `steps`.
    scale: factor of the decimal decoder's loss.
    units: length of the codes between networks.
    hidden: number of units in the hidden layer of each network.
    learning_rate: of Adam.
    progress: called as `progress(trainings done, trainings)`.

  Returns:
    A dict: `curves`, decoder → method → step → list of accuracies, one per
    seed; `final`, method → decoder → mean at the last evaluation; `mean`,
    method → decoder → mean over all evaluations, which is higher for faster
    learning.

  Raises:
    ArgumentError: if a method is unknown, `seeds`, `steps`, `every`, `units` or
      `hidden` is less than 1, `every` is more than `steps`, or `scale` or
      `learning_rate` is not positive.
  """
  for method in calculator_methods:
    if method not in METHODS:
      raise errors.ArgumentError(
        f"multi_task.compare: calculator_methods must be among "
        f"{', '.join(METHODS)}, got {method!r}. Name some of them."
      )
  if min(seeds, steps, every) < 1 or not min(scale, learning_rate) > 0:
    raise errors.ArgumentError(
      f"multi_task.compare: seeds, steps and every must be at least 1, scale "
      f"and learning_rate positive, got {seeds}, {steps}, {every}, {scale} and "
      f"{learning_rate}. Give larger numbers."
    )
  if every > steps:  # there would be no evaluation
    raise errors.ArgumentError(
      f"multi_task.compare: every must be at most {steps} steps, got {every}."
    )
  curves = {
    form: {method: {} for method in calculator_methods}
    for form in digits_lib.FORMATS
  }
  done = 0
  for method in calculator_methods:
    with tf1.Graph().as_default():
      tf1.set_random_seed(0)
      model = MultiTaskModel(method, scale, units, hidden, learning_rate)
      with tf1.Session() as sess:
        for seed in range(seeds):
          model.start(sess, np.random.RandomState(seed))
          for step in range(1, steps + 1):
            model.step(sess)
            if step % every == 0:
              for form, accuracy in model.test(sess).items():
                curves[form][method].setdefault(step, []).append(accuracy)
          done += 1
          if progress is not None:
            progress(done, seeds * len(calculator_methods))

  def reduce(take):
    return {
      method: {form: take(curves[form][method]) for form in curves}
      for method in calculator_methods
    }

  return {
    "curves": curves,
    "final": reduce(lambda points: float(np.mean(points[max(points)]))),
    "mean": reduce(lambda points: float(np.mean(list(points.values())))),
  }


@errors.named("multi_task.plot")
def plot(figures, path):
  """Draws what `compare` found over steps, with a panel for each method.

  Args:
    figures: what `compare` returns.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  curves, names = figures["curves"], list(figures["final"])
  margin = (0.0, 0.4)
  drawing, panels = plots.open_panels(
    len(names),
    5,
    (3.0, 2.4),
    margin,
    sharex=True,
    sharey=True,
  )
  for axes, name in zip(panels, names):
    lines = {form: points[name] for form, points in curves.items()}
    plots.draw_means(axes, lines)
    axes.set_ylim(0, 1.05)
    plots.hide_edges(axes)
  plots.label_panels(panels, 5, names, "steps", "accuracy")
  panels[0].legend(frameon=False, fontsize=8)
  drawing.suptitle("Accuracy of two decoders with unequal losses", fontsize=10)
  drawing.tight_layout(rect=(0, 0, 1, 0.97))
  drawing.savefig(path, dpi=120)
