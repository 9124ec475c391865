"""Tests of loading pre-trained weights."""

import os

import h5py
import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.compat import tf1
from tests.combine import saved_test, support

F64 = tf1.float64


class ReplacedTest(support.CombineTestCase):
  """Files that have changed between `pretrained` and `load`."""

  def setUp(self):
    super().setUp()
    self.v = self.variable("v", np.ones(2))

  def refused(self, weights):
    sess = self.session()
    with self.assertRaises(errors.DataError) as caught:
      weights.load(sess)
    self.assert_message(
      caught.exception, "Pretrained.load: ", "loaded any more: ", "pretrained"
    )
    np.testing.assert_array_equal(sess.run(self.v), np.ones(2))

  def test_a_checkpoint(self):
    folder = self.folder()
    prefix = tf1.train.Saver([self.v]).save(self.session(), folder + "/model")
    weights = combine.pretrained(prefix, [self.v])
    for name in os.listdir(folder):
      os.remove(os.path.join(folder, name))
    self.refused(weights)
    with tf1.Graph().as_default():
      other = tf1.get_variable("other", initializer=np.ones(2))
      with tf1.Session() as sess:
        sess.run(other.initializer)
        tf1.train.Saver([other]).save(sess, prefix)
    self.refused(weights)

  def test_a_keras_file(self):
    path = self.folder() + "/model.h5"

    def write(name, value):
      with h5py.File(path, "w") as file:
        file[name] = value

    write("layer/v:0", np.zeros(2))
    weights = combine.pretrained(path, [self.v], mapping={"layer/v:0": "v"})
    for name, value in (("layer/w:0", np.zeros(2)), ("layer/v:0", np.zeros(3))):
      write(name, value)
      self.refused(weights)

  def test_a_session_on_another_graph_is_told_apart(self):
    prefix = tf1.train.Saver([self.v]).save(
      self.session(), self.folder() + "/model"
    )
    weights = combine.pretrained(prefix, [self.v])
    with tf1.Graph().as_default(), tf1.Session() as sess:
      for other in (sess, None):
        with self.assertRaisesRegex(errors.GraphError, "load: sess must be"):
          weights.load(other)


class PretrainedTest(support.CombineTestCase):
  def save(self, values):
    """Saves name → array; returns the prefix."""
    with tf1.Graph().as_default():
      for name, value in values.items():
        tf1.get_variable(name, initializer=value, use_resource=True)
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        return tf1.train.Saver().save(sess, self.folder() + "/model")

  def encoder(self):
    """Saves what two networks and an optimizer have; returns the values."""
    self.values = {
      "encoder/kernel": self.normal(2, 3),
      "encoder/bias": self.normal(3),
      "encoder/kernel/Adam": self.normal(2, 3),
      "decoder/kernel": self.normal(5, 4),
      "decoder/bias": self.normal(4),
    }
    return self.save(self.values)

  def model(self, units=3, dtype=F64):
    """Returns a model, called, whose part `base` is like the encoder."""
    model = combine.sequential(
      ("base", nets.Dense(units, dtype=dtype)), ("head", support.affine(2))
    )
    model(tf1.zeros([1, 2], dtype)) if dtype == F64 else model.part("base")(
      tf1.zeros([1, 2], dtype)
    )
    return model

  def assert_bits(self, variable, value):
    self.assertEqual(
      self.sess.run(variable).tobytes(), np.asarray(value).tobytes()
    )

  def test_by_scope_bit_by_bit_and_nothing_else_moves(self):
    prefix = self.encoder()
    model = self.model()
    weights = combine.pretrained(prefix, model.part("base"), "encoder")
    self.sess = self.session()
    head = model.part("head").variables[0]
    before = self.sess.run(head)
    report = weights.load(self.sess)
    kernel, bias = model.part("base").variables
    self.assert_bits(kernel, self.values["encoder/kernel"])
    self.assert_bits(bias, self.values["encoder/bias"])
    self.assert_bits(head, before)
    self.assertEqual(
      report,
      combine.LoadReport(
        prefix,
        {
          "sequential/base/dense/kernel": "encoder/kernel",
          "sequential/base/dense/bias": "encoder/bias",
        },
        [],
        ["encoder/kernel/Adam"],
        [],
      ),
    )
    self.assertEqual(weights.variables, [kernel, bias])
    for line in ("2 variables loaded", "from encoder/kernel", "1 left out"):
      self.assertIn(line, str(report))

  def test_bits_that_are_no_numbers_are_kept(self):
    value = np.array([np.nan, -0.0, np.inf, 5e-324])
    prefix = self.save({"a/v": value})
    variable = self.variable("b/v", np.zeros(4))
    weights = combine.pretrained(prefix, [variable], "a")
    self.sess = self.session()
    weights.load(self.sess)
    self.assert_bits(variable, value)

  def test_the_scope_is_that_of_the_part_by_default(self):
    prefix = self.encoder()
    dense = nets.Dense(3, dtype=F64, name="encoder")
    dense(tf1.zeros([1, 2], F64))
    for into in (dense, dense.variables, combine.Part(dense)):
      report = combine.pretrained(prefix, into).report
      self.assertEqual(list(report.loaded), ["encoder/kernel", "encoder/bias"])
      self.assertEqual(list(report.loaded), list(report.loaded.values()))

  def test_a_whole_model_and_an_empty_scope(self):
    model = self.model()
    self.sess = self.session()
    prefix = tf1.train.Saver().save(self.sess, self.folder() + "/model")
    values = self.sess.run(model.variables)
    self.fill(self.sess, model.variables)
    combine.pretrained(prefix, model).load(self.sess)
    for variable, value in zip(model.variables, values):
      self.assert_bits(variable, value)
    report = combine.pretrained(prefix, tf1.trainable_variables(), "").report
    self.assertLen(report.loaded, 3)

  @parameterized.named_parameters(("resource", True), ("reference", False))
  def test_by_mapping(self, use_resource):
    prefix = self.encoder()
    one, two = (
      self.variable(name, np.zeros([2, 3]), use_resource=use_resource)
      for name in ("one", "two")
    )
    self.sess = self.session()
    for mapping in ({"encoder/kernel": one}, {"encoder/kernel": "one"}):
      weights = combine.pretrained(prefix, [one, two], mapping=mapping)
      self.fill(self.sess, [one, two])
      before = self.sess.run(two)
      report = weights.load(self.sess)
      self.assert_bits(one, self.values["encoder/kernel"])
      self.assert_bits(two, before)
      self.assertEqual(report.missing, ["two"])
      self.assertIn("decoder/bias", report.left_out)

  def test_by_mapping_of_scopes(self):
    prefix = self.encoder()
    model = self.model()
    scope = model.part("base").variables[0].op.name.rpartition("/")[0]
    report = combine.pretrained(
      prefix, model.part("base"), mapping={"encoder/": scope + "/"}
    ).report
    self.assertLen(report.loaded, 2)

  def test_one_saved_value_may_go_to_several_variables(self):
    prefix = self.save({"e/v": self.normal(2)})
    variables = [self.variable(name, np.zeros(2)) for name in "ab"]
    self.sess = self.session()
    for variable in variables:
      mapping = {"e/v": variable}
      combine.pretrained(prefix, variables, mapping=mapping).load(self.sess)
    one, two = self.sess.run(variables)
    self.assertNotEqual(one.tobytes(), bytes(16))
    self.assertEqual(one.tobytes(), two.tobytes())

  def test_from_a_saved_model_of_tensorflow_1(self):
    dense = nets.Dense(3, dtype=F64, name="encoder")
    x_ph = tf1.placeholder(F64, [None, 2])
    y = dense(x_ph)
    self.sess = self.session()
    values = self.fill(self.sess, dense.variables)
    folder = os.path.join(self.folder(), "model")
    tf1.saved_model.simple_save(self.sess, folder, {"x": x_ph}, {"y": y})
    model = self.model()
    base = model.part("base")
    weights = combine.pretrained(folder, base, "encoder")
    self.sess.run(tf1.global_variables_initializer())
    weights.load(self.sess)
    for variable, value in zip(base.variables, values):
      self.assert_bits(variable, value)

  def test_from_a_saved_model_of_tensorflow_2(self):
    folder = saved_test.saved_model_of_tensorflow_2()
    kernel = np.random.RandomState(1).standard_normal([2, 3])
    mine = self.variable("mine/kernel", np.zeros([2, 3]))
    first = self.variable("first", np.zeros(3))
    self.sess = self.session()
    by_name = combine.pretrained(folder, [mine], "encoder")
    by_name.load(self.sess)
    self.assert_bits(mine, kernel)
    self.assertEqual(by_name.report.loaded, {"mine/kernel": "encoder/kernel"})
    combine.pretrained(
      folder, [mine, first], mapping={"kernel": mine, "layers/0": first}
    ).load(self.sess)
    self.assert_bits(first, np.arange(3.0))

  def test_missing_and_mismatched_raise_unless_allowed(self):
    prefix = self.encoder()
    base = self.model(units=4).part("base")
    extra = self.variable("sequential/base/dense/extra", 0.0)
    variables = base.variables + [extra]
    kernel, bias = (variable.op.name for variable in base.variables)
    with self.assertRaises(errors.DataError) as caught:
      combine.pretrained(prefix, variables, "decoder")
    self.assert_message(
      caught.exception,
      "not everything fits",
      "strict=False",
      f"{kernel} from decoder/kernel: float64 [2, 4] in the graph, float64 "
      "[5, 4] saved",
      f"1 missing, not loaded\n  {extra.op.name}",
    )
    report = combine.pretrained(
      prefix, variables, "decoder", strict=False
    ).report
    self.assertEqual(report.loaded, {bias: "decoder/bias"})
    self.assertEqual(report.missing, [extra.op.name])
    self.assertEqual([m.variable for m in report.mismatched], [kernel])

  def test_another_type_is_a_mismatch(self):
    prefix = self.encoder()
    base = self.model(dtype=tf1.float32).part("base")
    with self.assertRaisesRegex(errors.DataError, "float32 .* float64"):
      combine.pretrained(prefix, base, "encoder", strict=False)

  def test_a_checkpoint_without_the_scope_raises_and_names_those_there(self):
    prefix = self.encoder()
    model = self.model()
    before = self.count_ops()
    for settings in ({"scope": "encoding"}, {"mapping": {"encoding/": "x/"}}):
      with self.assertRaises(errors.DataError) as caught:
        combine.pretrained(prefix, model.part("base"), **settings)
      self.assert_message(
        caught.exception, "'encoding", "decoder/, encoder/", "encoder/kernel/"
      )
    self.assertEqual(self.count_ops(), before)

  def test_wrong_arguments(self):
    prefix = self.encoder()
    base = self.model().part("base")
    for into, settings, message in (
      (nets.Dense(3, name="new"), {}, "Call the network first"),
      ([], {}, "must have variables"),
      (base, {"scope": "a", "mapping": {}}, "not both"),
      (
        base,
        {"mapping": {"encoder/bias": "b"}},
        "no variable 'b'. Its v",
      ),
      (
        base,
        {"mapping": {"encoder/": "b/"}},
        "no variable 'b/'. Its v",
      ),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.pretrained(prefix, into, **settings)
    with self.assertRaisesRegex(errors.DataError, "cannot be read"):
      combine.pretrained(prefix + "_not", base)
    with self.assertRaisesRegex(errors.DataError, "nothing fits"):
      combine.pretrained(prefix, base, mapping={})

  def test_ops_are_in_the_scope(self):
    base = self.model().part("base")
    prefix = self.encoder()
    before = self.count_ops()
    combine.pretrained(prefix, base, "encoder", name="here")
    self.assert_ops_under("here", before)


if __name__ == "__main__":
  absltest.main()
