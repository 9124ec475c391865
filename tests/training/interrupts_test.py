"""Tests of interrupts."""

import os
import signal
import threading

from absl.testing import absltest, parameterized

from tangle.training import interrupts


class InterruptsTest(parameterized.TestCase):
  @parameterized.parameters("SIGINT", "SIGTERM")
  def test_the_first_signal_is_noted_and_the_second_raises(self, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with interrupts.Interrupts() as signals:
      self.assertIsNone(signals.received)
      os.kill(os.getpid(), number)
      self.assertEqual(signals.received, name)
      with self.assertRaisesRegex(KeyboardInterrupt, name):
        os.kill(os.getpid(), number)
        signal.pause()
    self.assertIs(signal.getsignal(number), before)

  def test_handlers_are_put_back_after_an_error(self):
    before = signal.getsignal(signal.SIGTERM)
    with self.assertRaises(ZeroDivisionError):
      with interrupts.Interrupts():
        self.assertIsNot(signal.getsignal(signal.SIGTERM), before)
        raise ZeroDivisionError
    self.assertIs(signal.getsignal(signal.SIGTERM), before)

  def test_another_thread_notes_nothing(self):
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def run():
      with interrupts.Interrupts() as signals:
        found.append((signals.received, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertEqual(found, [(None, before)])


if __name__ == "__main__":
  absltest.main()
