"""Tests of explanations of errors of runs."""

import re
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import run_errors
from tests import case

STORES = ("device", "host", "recompute")


class RunErrorsTestCase(case.GraphTestCase):
  def refusal(self, error, function, *arguments, cause=True):
    """Returns the text of the error that a call must raise, of one line."""
    with self.assertRaises(error) as caught:
      function(*arguments)
    found = caught.exception
    text = str(found)
    self.assertNotIn("\n", text)
    self.assertRegex(text, r"^[^:]+: .*\.$")
    if cause:
      self.assertIsInstance(found.__cause__, run_errors.ERRORS)
      self.assertIn("Traceback", repr(found.__cause__) + "Traceback")
    return text


class SubModelTest(RunErrorsTestCase):
  def build(self, store="device", use_resource=True):
    self.x = tf1.placeholder(tf1.float64, [None, None], name="x")
    self.z = tf1.placeholder(tf1.float64, [None, None], name="z")
    w = self.normal(3, 2)
    self.w = self.variable("w", w, use_resource=use_resource)
    for k in range(4):
      self.variable(f"other_{k}", w, use_resource=use_resource)
    y = tf1.tanh(tf1.matmul(self.x, self.w) + self.z)
    return tangle.SubModel([self.x], [y], store=store, name="enc")

  def feeds(self, rows=2, others=2):
    return {self.x: self.normal(rows, 3), self.z: self.normal(others, 2)}

  def assert_works(self, sub_model, sess):
    call = sub_model.forward(sess, self.feeds())
    gradients = call.backward([np.ones([2, 2])])
    self.assertEqual(gradients.inputs[0].shape, (2, 3))

  @parameterized.product(store=STORES, use_resource=[True, False])
  def test_variables_without_values_are_named(self, store, use_resource):
    sub_model = self.build(store, use_resource)
    sess = self.session(initialize=False)
    args = sub_model.forward, sess, self.feeds()
    text = self.refusal(errors.SessionError, *args)
    more = "and 2 more" if use_resource else "and more"
    names = f"variables 'w', 'other_0', 'other_1' {more} have no values"
    self.assertIn(f"SubModel 'enc': forward: the {names}", text)
    self.assertIn(" sess.run(tf.compat.v1.global_variables_init", text)
    sess.run([v.initializer for v in tf1.global_variables()[1:]])
    text = self.refusal(errors.SessionError, *args)
    self.assertIn("the variable 'w' has no value", text)
    sess.run(tf1.global_variables_initializer())
    self.assert_works(sub_model, sess)

  def test_the_line_to_write_has_the_graph_where_another_is_the_default(self):
    sub_model = self.build()
    sess = self.session(initialize=False)
    feeds = self.feeds()
    with tf1.Graph().as_default():
      text = self.refusal(errors.SessionError, sub_model.forward, sess, feeds)
    line = re.search(r"`with sess.graph.as_default\(\): (.*)`", text)
    with sess.graph.as_default():
      exec(line.group(1), {"sess": sess, "tf": mock.Mock(**{"compat.v1": tf1})})
    self.assert_works(sub_model, sess)

  def test_local_variables_have_an_initializer_of_their_own(self):
    x = tf1.placeholder(tf1.float64, [None], name="x")
    v = tf1.get_variable(
      "v",
      initializer=np.ones(1),
      trainable=False,
      use_resource=True,
      collections=[tf1.GraphKeys.LOCAL_VARIABLES],
    )
    sub_model = tangle.SubModel([x], [x * v])
    sess = self.session()
    args = sub_model.forward, sess, {x: np.ones(1)}
    text = self.refusal(errors.SessionError, *args)
    self.assertIn("local_variables_initializer", text)

  @parameterized.parameters(*STORES)
  def test_shapes_that_do_not_fit(self, store):
    sub_model = self.build(store)
    sess = self.session()
    args = sub_model.forward, sess, self.feeds(2, 3)
    text = self.refusal(errors.ShapeError, *args)
    self.assertIn("the batch sizes differ: 'x:0' (2, 3), 'z:0' (3, 2)", text)
    self.assertIn("Feed arrays with the same number of rows", text)
    self.assert_works(sub_model, sess)
    fed = {self.x: self.normal(2, 4), self.z: self.normal(2, 2)}
    text = self.refusal(errors.ShapeError, sub_model.forward, sess, fed)
    self.assertIn("shapes do not fit one another at the op 'MatMul'", text)
    self.assertIn("The fed shapes are: 'x:0' (2, 4), 'z:0' (2, 2)", text)
    self.assert_works(sub_model, sess)

  @parameterized.parameters(*STORES)
  def test_a_placeholder_that_is_not_fed(self, store):
    sub_model = self.build(store)
    sess = self.session()
    args = sub_model.forward, sess, {self.x: self.normal(2, 3)}
    text = self.refusal(errors.ArgumentError, *args)
    self.assertIn("the placeholder 'z:0' needs a value", text)
    self.assert_works(sub_model, sess)

  @parameterized.parameters(*STORES, "session")
  def test_a_backward_run_cannot_be_fed_more(self, store):
    sub_model = self.build(store)
    rate_ph = tf1.placeholder(tf1.float64, [], name="rate")
    step = rate_ph * sub_model.gradients.variables[0]
    sess = self.session()
    for fetch, name in (step, "rate"), (2 * self.x, "x"):
      call = sub_model.forward(sess, self.feeds())
      text = self.refusal(
        errors.ArgumentError, call.run, fetch, [np.ones([2, 2])]
      )
      self.assertRegex(
        text, f"the placeholder '{name}:0' needs a value, float64"
      )
      self.assertNotIn("Feed it", text)
      self.assertIn("fetch what is computed from SubModel.gradients", text)
      self.assertIn("Keep a setting that changes", text)
    self.assert_works(sub_model, sess)

  @parameterized.parameters(*STORES)
  def test_a_session_that_is_closed(self, store):
    sub_model = self.build(store)
    sess = self.session()
    call = sub_model.forward(sess, self.feeds())
    sess.close()
    text = self.refusal(
      errors.SessionError, sub_model.forward, sess, self.feeds()
    )
    self.assertIn("SubModel 'enc': forward: the session is closed", text)
    text = self.refusal(errors.SessionError, call.backward, [np.ones([2, 2])])
    self.assertIn("SubModel 'enc': backward: the session is closed", text)
    self.assertFalse(call.is_open)
    self.assert_works(sub_model, self.session())

  def test_what_is_no_session(self):
    sub_model = self.build()
    feeds = self.feeds()
    for sess in (feeds, None, tf1.Session, self.graph, self.x):
      text = self.refusal(
        errors.ArgumentError, sub_model.forward, sess, feeds, cause=False
      )
      self.assertIn("sess must be a session, got", text)
      self.assertIn("Call forward(sess, feed_dict)", text)

  def test_a_feed_dict_that_is_none(self):
    sub_model = self.build()
    sess = self.session()
    text = self.refusal(
      errors.ArgumentError, sub_model.forward, sess, sess, cause=False
    )
    self.assertIn("feed_dict must be a dict from tensor to array, got", text)

  def test_a_monitored_session_that_is_closed(self):
    sub_model = self.build()
    with tf1.train.MonitoredSession() as sess:
      pass
    text = self.refusal(
      errors.SessionError, sub_model.forward, sess, self.feeds(), cause=False
    )
    self.assertIn("the session is closed", text)


class ExplainTest(RunErrorsTestCase):
  def explain(self, sess, fetches, feed_dict):
    try:
      sess.run(fetches, feed_dict)
    except run_errors.ERRORS as error:
      fed = [
        run_errors.Fed(f"feed {t.op.name}", t, v) for t, v in feed_dict.items()
      ]
      return run_errors.explain(error, sess, fed)
    return self.fail("no error")

  def test_ids_out_of_range_name_the_feed_that_the_op_reads(self):
    ids = tf1.placeholder(tf1.int32, [None, None], name="ids")
    other = tf1.placeholder(tf1.int32, [None], name="other")
    table = tf1.constant(self.normal(5, 2))
    found = tf1.gather(table, tf1.reshape(ids, [-1]), name="look")
    feed_dict = {other: [9], ids: np.array([[0, 1], [9, 2]])}
    error = self.explain(self.session(), [found, other + 1], feed_dict)
    self.assertIsInstance(error, errors.ArgumentError)
    self.assert_message(
      error,
      "feed ids has the id 9 at [1, 0], which is out of the range of the "
      "op 'look': ids must be from 0 to 4.",
    )
    self.assertNotIn("feed other", str(error))

  def test_ids_that_the_graph_computes(self):
    ids = tf1.placeholder(tf1.int32, [None], name="ids")
    found = tf1.gather(tf1.range(5), ids * 3)
    error = self.explain(self.session(), found, {ids: np.array([2])})
    self.assert_message(error, "an id is 6, which", "from 0 to 4")

  def test_labels_out_of_range(self):
    labels = tf1.placeholder(tf1.int32, [None], name="labels")
    loss = tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=labels, logits=tf1.constant(self.normal(2, 3))
    )
    error = self.explain(self.session(), loss, {labels: np.array([1, -4])})
    self.assert_message(error, "feed labels has the id -4 at [1]", "0 to 2")

  def test_a_lookup_table_without_entries(self):
    lookup = tf1.lookup
    values = lookup.KeyValueTensorInitializer(["a"], [1])
    table = lookup.StaticHashTable(values, 0)
    found = table.lookup(tf1.constant(["a"]))
    sess = self.session()
    error = self.explain(sess, found, {})
    self.assertIsInstance(error, errors.SessionError)
    self.assert_message(error, "sess.run(tf.compat.v1.tables_initializer())")

  def test_a_session_closed_during_the_run(self):
    sess = self.session()
    sess.close()
    error = tf1.errors.CancelledError(None, None, "was cancelled")
    found = run_errors.explain(error, sess)
    self.assert_message(found, "closed during the run", "Open a new session")
    self.assertIsNone(run_errors.explain(error, self.session()))

  def test_errors_that_are_not_known_pass(self):
    x = tf1.placeholder(tf1.float64, [])
    checked = tf1.debugging.check_numerics(x, "bad number")
    sess = self.session()
    self.assertIsNone(self.explain(sess, checked, {x: np.nan}))
    for error in (
      tf1.errors.CancelledError(None, None, "a queue was closed"),
      tf1.errors.UnavailableError(None, None, "failed to connect"),
      tf1.errors.NotFoundError(
        None, None, "Container localhost (Could not find resource: localhost/q)"
      ),
      errors.TaskLostError("Attempted to use a closed Session."),
      RuntimeError("something else"),
      KeyboardInterrupt(),
    ):
      self.assertIsNone(run_errors.explain(error, sess))
      run_errors.reraise(error, sess)

  def test_an_unknown_error_of_a_sub_model_is_the_same_object(self):
    x = tf1.placeholder(tf1.float64, [], name="x")
    y = tf1.debugging.check_numerics(x * x, "bad number")
    sub_model = tangle.SubModel([x], [y])
    sess = self.session()
    with self.assertRaisesRegex(tf1.errors.OpError, "bad number") as caught:
      sub_model.forward(sess, {x: np.nan})
    self.assertIsNone(caught.exception.__cause__)
    self.assertEqual(sub_model.forward(sess, {x: 2.0}).outputs, [4.0])

  def test_nothing_is_explained_while_nothing_fails(self):
    x = tf1.placeholder(tf1.float64, [], name="x")
    sub_model = tangle.SubModel([x], [x * x])
    sess = self.session()
    with mock.patch.object(run_errors, "explain") as explain:
      with mock.patch.object(run_errors, "Fed") as fed:
        sub_model.forward(sess, {x: 2.0}).backward([1.0])
    explain.assert_not_called()
    fed.assert_not_called()


if __name__ == "__main__":
  absltest.main()
