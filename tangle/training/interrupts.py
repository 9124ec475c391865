"""Signal handling that ends a run between steps, not within one."""

import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
  """Records SIGINT and SIGTERM, as a context manager, for a loop to check.

  The second signal raises KeyboardInterrupt at once, with its name. Outside the
  main thread, where Python allows no signal handlers, nothing is recorded. The
  end of the context sets the earlier handlers again.

  Attributes:
    received: the name of the first signal; `None` before it.
  """

  def __init__(self):
    """Creates the context manager; installs no handler yet."""
    self._before = {}
    self.received = None

  def __enter__(self):
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *_):
    for number, handler in self._before.items():
      # `None`: the handler was not set from Python.
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    self._before = {}

  def _note(self, number, frame):
    del frame
    if self.received is not None:
      raise KeyboardInterrupt(signal.Signals(number).name)
    # No print here: the handler could interrupt another print.
    self.received = signal.Signals(number).name
