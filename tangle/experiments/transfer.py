"""Transfer: what a trained calculator gains for a third encoder.

The encoder reads 8 × 8 images of handwritten digits, of which few have labels.
It is joined to the operations and decoders of the calculator: an image can take
four paths, through either operation and either decoder. Either all four paths
or only one of them have labels.
"""

import numpy as np

from tangle import errors, mux
from tangle.compat import tf1
from tangle.experiments import calculator, handwriting, plots, tallies, weights
from tangle.experiments import digits as digits_lib
from tangle.nets import feedforward

MODES = ("frozen", "fine_tuned", "from_scratch")
"""Train only the new encoder; train all weights; train all from scratch."""

PATHS = tuple(
  digits_lib.Path("image", operation, decoder)
  for operation in digits_lib.OPERATIONS
  for decoder in digits_lib.FORMATS
)
"""The four paths of an image."""

SERIES = {
  "all_paths": (PATHS, PATHS),
  "one_path": (PATHS[1:2], PATHS[:1] + PATHS[2:]),
}
"""Name → the paths that have labels, and those that are tested: all and all, or
`image/plus1/decimal` and the three others."""

PER_CLASS = (1, 2, 5, 10, 50)


class Joined:
  """The calculator in one graph, with an additional encoder of images.

  Attributes:
    weights: the `weights.Weights` of all seven networks.
    new: names of the weights of the encoder of images.
  """

  def __init__(self, units=32, hidden=64, learning_rate=0.005):
    """Builds the graph in the default graph; arguments are as for `measure`."""
    networks = calculator.Networks(units, hidden)
    self._calculator = calculator.OneGraph(networks, mux.where)
    self._calculator.minimize(tf1.train.AdamOptimizer(learning_rate))
    self._lessons = digits_lib.make_lessons()
    old = tf1.trainable_variables()
    self._pixels_ph = tf1.placeholder(tf1.float32, [None, 64], "pixels_ph")
    inner = feedforward.Dense(hidden, tf1.nn.relu, name="image_encoder_0")
    outer = feedforward.Dense(units, tf1.tanh, name="image_encoder_1")
    code = outer(inner(self._pixels_ph))
    self._targets, self._logits, self._factors, losses = {}, {}, {}, []
    for path in PATHS:
      result = networks.operations[path.operation](code)
      logits = networks.decoders[path.decoder](result)
      shape = [None, digits_lib.DEPTHS[path.decoder]]
      self._targets[path] = tf1.placeholder(tf1.float32, shape)
      self._factors[path] = tf1.placeholder(tf1.float32, [])
      self._logits[path] = logits
      found = networks.losses(path.decoder, logits, self._targets[path])
      losses.append(tf1.reduce_mean(found) * self._factors[path])
    self._loss = tf1.add_n(losses)
    encoder = [v for v in tf1.trainable_variables() if v not in old]
    optimizers = [tf1.train.AdamOptimizer(learning_rate) for _ in range(2)]
    self._encoder_op = optimizers[0].minimize(self._loss, var_list=encoder)
    self._all_op = optimizers[1].minimize(self._loss)
    self.new = tuple(variable.op.name for variable in encoder)
    self.weights = weights.Weights(tf1.trainable_variables())

  def train_calculator(self, sess, steps):
    """Trains the calculator's six networks on all eight paths."""
    for _ in range(steps):
      self._calculator.step(sess, self._lessons)

  def test_calculator(self, sess):
    """Returns the mean accuracy of the calculator's eight paths."""
    answers = self._calculator.answer(sess, self._lessons)
    accuracies = [digits_lib.accuracy(a, path) for path, a in answers.items()]
    return float(np.mean(accuracies))

  def train(self, sess, images, steps, frozen, paths=PATHS):
    """Trains for some steps, each on all images.

    Args:
      sess: a session.
      images: labelled `handwriting.Images`.
      steps: number of steps.
      frozen: whether only the encoder of images is trained.
      paths: those of `PATHS` whose losses are added.

    Returns:
      The loss before the last step, a float.
    """
    feed_dict = {self._pixels_ph: images.pixels}
    for path in PATHS:
      results = digits_lib.OPERATIONS[path.operation](images.digits)
      targets = digits_lib.write(results, path.decoder)
      feed_dict[self._targets[path]] = targets
      feed_dict[self._factors[path]] = float(path in paths)
    update_op = self._encoder_op if frozen else self._all_op
    for _ in range(steps):
      loss, _ = sess.run([self._loss, update_op], feed_dict)
    return float(loss)

  def test(self, sess, images, paths=PATHS):
    """Returns the mean accuracy of `paths` from `handwriting.Images`."""
    logits = {path: self._logits[path] for path in paths}
    found = sess.run(logits, {self._pixels_ph: images.pixels})
    right = [
      digits_lib.read(found[path], path.decoder)
      == digits_lib.OPERATIONS[path.operation](images.digits)
      for path in paths
    ]
    return float(np.mean(right))

  def count_changed(self, sess, start):
    """Counts the numbers of the calculator that differ from `start`, a dict."""
    old = [name for name in start if name not in self.new]
    return weights.count_changed(start, self.weights.read(sess), old)


@errors.named("transfer.measure")
def measure(
  per_class=PER_CLASS,
  seeds=10,
  units=32,
  hidden=64,
  calculator_steps=300,
  steps=200,
  learning_rate=0.005,
  *,
  data=None,
  progress=None,
  write_metrics=None,
):
  """Trains an encoder of images in all modes, with few labelled images.

  Each seed draws weights, trains a calculator, and draws labelled images. All
  modes then get the same images, the same initial new encoder, the same number
  of steps and the same optimizer. Everything runs in one graph, its weights set
  again before each training.

  Args:
    per_class: numbers of labelled images per class, to try in turn.
    seeds: how many trainings of each kind.
    units: length of the codes between networks.
    hidden: number of units in the hidden layer of each network.
    calculator_steps: steps of the calculator's training, all eight paths per
      step.
    steps: steps of each training on images, all labelled images per step.
    learning_rate: of Adam, everywhere.
    data: what `handwriting.load` returns; it is called for `None`.
    progress: called as `progress(trainings done, trainings)`.
    write_metrics: called after each training, as `write_metrics(series=, mode=,
      images=, seed=, accuracy=)`; `images` is per class and `accuracy` that of
      the test.

  Returns:
    A dict. `all_paths` and `one_path`, as in `SERIES`: mode → images per class
    → list of accuracies on held-out images, one per seed; `means` and
    `quartiles` of these; `calculator`, the accuracy of its eight paths:
    `before`, the worst of all seeds, and `after`, mode → series → mean;
    `frozen_changed`, how many frozen numbers differ in any bit after training.

  Raises:
    ArgumentError: if `per_class` is empty or has no ints, or one of them,
      `seeds`, `calculator_steps` or `steps` is less than 1.
    MissingPackageError: if `data` is `None` and scikit-learn not installed.
  """
  counts = tallies.check_counts(
    per_class,
    seeds=seeds,
    calculator_steps=calculator_steps,
    steps=steps,
  )
  pool, held_out = handwriting.load() if data is None else data
  names = "series", "mode", "images"
  trainings = len(SERIES) * len(MODES) * len(counts) * seeds
  tally = tallies.Tally(
    names, SERIES, MODES, trainings, progress, write_metrics
  )
  before, changed = [], 0
  after = {mode: {name: [] for name in SERIES} for mode in MODES[:2]}
  with tf1.Graph().as_default():
    joined = Joined(units, hidden, learning_rate)
    with tf1.Session() as sess:
      for seed in range(seeds):
        starts = make_starts(joined, sess, seed, calculator_steps)
        before.append(joined.test_calculator(sess))
        for count in counts:
          rng = np.random.RandomState([seed, count])
          images = handwriting.draw(pool, count, rng)
          for mode in MODES:
            for series, (shown, tested) in SERIES.items():
              joined.weights.load(sess, starts[mode])
              joined.train(sess, images, steps, mode == "frozen", shown)
              accuracy = joined.test(sess, held_out, tested)
              if mode in after:
                after[mode][series].append(joined.test_calculator(sess))
              if mode == "frozen":
                changed += joined.count_changed(sess, starts[mode])
              tally.add(series, mode, count, seed, accuracy)
  return dict(
    tally.accuracies,
    means=tally.reduce(np.mean),
    quartiles=tally.reduce(lambda values: np.percentile(values, [25, 75])),
    calculator={
      "before": min(before),
      "after": {
        mode: {series: np.mean(values) for series, values in found.items()}
        for mode, found in after.items()
      },
    },
    frozen_changed=changed,
  )


def make_starts(joined, sess, seed, steps):
  """Trains a calculator, and returns the initial weights of each mode.

  Args:
    joined, sess: a `Joined`, and its session.
    seed: decides all weights that are drawn.
    steps: steps of the calculator's training.

  Returns:
    Mode → name → array. The encoder of images is the same in all; the
    calculator is the trained one, or a newly initialized one.
  """
  rng = np.random.RandomState(seed)
  drawn, others = joined.weights.draw(rng), joined.weights.draw(rng)
  joined.weights.load(sess, drawn)
  joined.train_calculator(sess, steps)
  known = joined.weights.read(sess)
  others.update((name, known[name]) for name in joined.new)
  return {"frozen": known, "fine_tuned": known, "from_scratch": others}


def plot(found, path):
  """Draws both series that `measure` found.

  Args:
    found: what `measure` returns.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  sides = {
    "all_paths": "accuracy, all four paths labelled",
    "one_path": "accuracy, three paths without labels",
  }
  title = "An encoder of images joined to a trained calculator"
  plots.draw_by_labels(found, sides, path, title)
