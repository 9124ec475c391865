import copy
import inspect
import pickle
import threading
from concurrent import futures

from absl.testing import absltest, parameterized

import tangle
from tangle import errors, nets
from tangle.compat import tf1

CLASSES = [
  value
  for _, value in inspect.getmembers(errors, inspect.isclass)
  if value.__module__ == errors.__name__ and value is not errors.TangleError
]


class TreeTest(parameterized.TestCase):
  def test_there_are_some(self):
    self.assertGreater(len(CLASSES), 5)

  @parameterized.named_parameters((c.__name__, c) for c in CLASSES)
  def test_has_the_root_and_one_builtin_exception_above(self, error):
    self.assertTrue(issubclass(error, errors.TangleError))
    builtins = [b for b in error.__bases__ if b.__module__ == "builtins"]
    self.assertLen(builtins, 1)
    self.assertIsNot(builtins[0], Exception)
    with self.assertRaises(builtins[0]):
      raise error("message")

  @parameterized.named_parameters((c.__name__, c) for c in CLASSES)
  def test_has_a_docstring(self, error):
    self.assertTrue(error.__doc__.strip().endswith("."))

  def test_the_builtin_is_what_others_would_catch(self):
    self.assertTrue(issubclass(errors.ShapeError, ValueError))
    self.assertTrue(issubclass(errors.DtypeError, TypeError))
    self.assertTrue(issubclass(errors.CallError, RuntimeError))
    self.assertTrue(issubclass(errors.MissingPackageError, ImportError))

  def test_a_similar_name_is_suggested(self):
    known = ["encoder.h", "decoder.h", 3]
    text = errors.suggest("encodr.h", known)
    self.assertEqual(text, " Perhaps 'encoder.h' is meant.")
    self.assertEqual(errors.suggest("nothing like it", known), "")
    self.assertEqual(errors.suggest(None, []), "")

  def test_an_error_is_summarized_in_one_line(self):
    texts = {
      "": "",
      "one": "one",
      "one\ntwo": "one",
      "No space\n\t [[{{node save/SaveV2}}]]": "No space",
      "Graph execution error:\n\nDetected at node x defined at:\n  File y\n"
      "No space\n\t [[{{node save/SaveV2}}]]\n\nOriginal stack": "No space",
    }
    for text, line in texts.items():
      self.assertEqual(errors.summarize(ValueError(text)), line)


# The source of a module of tangle, whose functions tell their `caller`.
SOURCE = """
import contextlib
import functools
import threading
from tangle import errors
from tangle.compat import tf1

def name(): return _name()
def _name(): return errors.caller()
def call(function): return (lambda: [function() for _ in "1"][0])()
def generate(): yield _name()
def partial(): return functools.partial(_name)()
def fail(): raise errors.CallError(f"{errors.caller()}: wrong")
def make():
  def inner(): return _name()
  return inner
_make = lambda: lambda: name()

@contextlib.contextmanager
def opened():
  yield
  fail()

def route(condition):
  found = []
  def branch():
    found.append(_name())
    return 1
  tf1.cond(condition, branch, branch)
  return found[0]

def square(x, found):
  @tf1.custom_gradient
  def inner(x):
    def gradient(dy):
      found.append(_name())
      return 2 * x * dy
    return x * x, gradient
  return inner(x)

class Plain:
  def __init__(self): self.made = _name()
  def __call__(self): return _name()
  def method(self): return self._method()
  def _method(self): return _name()
  def make(self): return lambda: (self, _name())[1]
  def call(self, function): return function()
  def submit(self, pool): return pool.submit(lambda: self._method()).result()
  @property
  def size(self): return _name()
  @classmethod
  def of(cls): return _name()
  @staticmethod
  def static(): return _name()

class Labelled(Plain):
  def __init__(self, label):
    self.before = _name()
    self._error_label = label
    super().__init__()

class _Thread:
  def __init__(self, task):
    self._task = task
    thread = threading.Thread(target=self._run)
    thread.start()
    thread.join()
  def _run(self): self.found = self._task()

def run(): return _Thread(lambda: _name()).found
"""


def load(name, source=SOURCE):
  """Executes a source as the module `name`; returns what it defines."""
  names = {"__name__": name}
  exec(source, names)
  return names


class CallerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.own = load("tangle.part.module")

  def test_is_the_public_function_that_the_user_called(self):
    own = self.own
    self.assertEqual(own["name"](), "module.name")
    self.assertEqual(own["call"](own["_name"]), "module.call")
    self.assertEqual(own["call"](load("tangle.other")["name"]), "module.call")
    self.assertEqual(own["partial"](), "module.partial")
    self.assertEqual(next(own["generate"]()), "module.generate")
    self.assertEqual(
      [own["call"](own["name"]) for _ in range(2)], ["module.call"] * 2
    )

  def test_has_the_package_that_exports_the_function(self):
    with tf1.Graph().as_default():
      with self.assertRaisesRegex(errors.GraphError, "^nets.dropout: "):
        nets.dropout(self.foreign(), 0.5)
      with self.assertRaisesRegex(errors.ArgumentError, "^cut_points: outputs"):
        tangle.cut_points([], [])

  def foreign(self):
    with tf1.Graph().as_default():
      return tf1.zeros([2])

  def test_is_the_class_and_the_method(self):
    plain = self.own["Plain"]()
    self.assertEqual(plain.made, "Plain")
    self.assertEqual(plain(), "Plain")
    self.assertEqual(plain.method(), "Plain.method")
    self.assertEqual(plain.size, "Plain.size")
    self.assertEqual(plain.of(), "Plain.of")
    self.assertEqual(type(plain).of(), "Plain.of")
    self.assertEqual(plain.static(), "Plain.static")

  def test_an_object_gives_its_label(self):
    one, other = (self.own["Labelled"](f"model {name!r}") for name in "xy")
    self.assertEqual(one.before, "Labelled")
    self.assertEqual(one.made, "model 'x'")
    self.assertEqual(one.method(), "model 'x': method")
    self.assertEqual(one.call(one.method), "model 'x': call")
    self.assertEqual(one.call(other.method), "model 'x': call, model 'y'")
    self.assertEqual(self.own["call"](one.method), "module.call, model 'x'")

  def test_a_closure_has_the_name_of_the_function_that_made_it(self):
    self.assertEqual(self.own["make"]()(), "module.make")
    self.assertEqual(self.own["Plain"]().make()(), "Plain.make")
    labelled = self.own["Labelled"]("model 'x'")
    self.assertEqual(labelled.make()(), "model 'x': make")

  def test_private_functions_give_no_name(self):
    self.assertEqual(self.own["_make"]()(), "module.name")
    self.assertEqual(self.own["_name"](), "module")

  def test_a_class_of_the_user_has_its_own_name(self):
    class Mine(self.own["Plain"]):
      def method(self):
        return super().method()

      def outer(self):
        return self.call(self.hook)

      def hook(self):
        return self.static()

    self.assertEqual(Mine().made, "Mine")
    self.assertEqual(Mine().method(), "Mine.method")
    self.assertEqual(Mine().outer(), "Plain.static")

  def test_a_function_of_the_user_between_ends_the_search(self):
    own = self.own

    def user():
      return own["name"]()

    self.assertEqual(own["call"](user), "module.name")
    self.assertEqual(
      own["call"](lambda: own["Plain"]().method()), "Plain.method"
    )

  @parameterized.parameters("experiments", "benchmarks")
  def test_a_module_of_programs_is_a_user(self, package):
    program = load(f"tangle.{package}.one")
    self.assertEqual(program["call"](self.own["name"]), "module.name")
    self.assertEqual(program["name"](), "one.name")
    other = load(f"tangle.{package}.other")
    self.assertEqual(other["call"](program["name"]), "one.name")

  def test_calls_by_tensorflow_are_calls_by_tangle(self):
    with tf1.Graph().as_default():
      condition = tf1.placeholder_with_default(True, [])
      self.assertEqual(self.own["route"](condition), "module.route")
      x, found = tf1.constant(3.0), []
      tf1.gradients(self.own["square"](x, found), x)
      self.assertEqual(set(found), {"module.square"})
      found = []

      def branch():
        found.append(self.own["name"]())
        return 1

      def route(condition):
        tf1.cond(condition, branch, branch)

      self.own["call"](lambda: route(condition))
      self.assertEqual(set(found), {"module.name"})

  def test_context_managers_are_named(self):
    with self.assertRaisesRegex(errors.CallError, "^module.opened: wrong$"):
      with self.own["opened"]():
        pass

  def test_in_a_thread_it_is_the_function_that_made_the_task(self):
    with futures.ThreadPoolExecutor(1) as pool:
      labelled = self.own["Labelled"]("model 'x'")
      self.assertEqual(labelled.submit(pool), "model 'x': submit")
      self.assertEqual(self.own["Plain"]().submit(pool), "Plain.submit")
      self.assertEqual(pool.submit(self.own["name"]).result(), "module.name")
    self.assertEqual(self.own["run"](), "module.run")
    found = []
    thread = threading.Thread(target=lambda: found.append(self.own["name"]()))
    thread.start()
    thread.join()
    self.assertEqual(found, ["module.name"])

  def test_an_error_keeps_its_message(self):
    with self.assertRaises(errors.CallError) as caught:
      self.own["call"](self.own["fail"])
    for error in (
      caught.exception,
      copy.copy(caught.exception),
      copy.deepcopy(caught.exception),
      pickle.loads(pickle.dumps(caught.exception)),
    ):
      self.assertIs(type(error), errors.CallError)
      self.assertEqual(str(error), "module.call: wrong")


if __name__ == "__main__":
  absltest.main()
