"""Signals that end a run at the end of a step, not within it."""

import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
  """Notes SIGINT and SIGTERM, as a context, for a loop that asks for them.

  The second signal raises KeyboardInterrupt at once, with its name. Outside the
  main thread, where Python lets nobody handle signals, nothing is noted.

  Attributes:
    received: name of the first signal; `None` before.
  """

  def __init__(self):
    """Notes nothing yet."""
    self._before = {}
    self.received = None

  def __enter__(self):
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *_):
    for number, handler in self._before.items():
      # `None` is a handler that was not set from Python.
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    self._before = {}

  def _note(self, number, frame):
    del frame
    if self.received is not None:
      raise KeyboardInterrupt(signal.Signals(number).name)
    # Nothing is printed here: it could be in the midst of another print.
    self.received = signal.Signals(number).name
