"""Tests of the page."""

import html.parser
import os
import tempfile

from absl.testing import absltest

from tangle.benchmarks.peers import page

ROWS = {
  "tangle_split": {
    "step_s": 0.0125,
    "to_pytorch": 1.25,
    "to_pytorch_quartiles": [1.125, 1.5],
    "rss_bytes": 123000000,
    "same_losses": True,
    "versions": {"tensorflow": "2.0"},
  },
  "odd_split": {"step_s": 1.0, "same_losses": False},
  "jax_split": {"reason": "jax <not> here"},
}


class Parser(html.parser.HTMLParser):
  """Collects cells and attributes; refuses tags that are not closed."""

  def __init__(self):
    super().__init__()
    self.open, self.texts, self.attributes = [], [], []

  def handle_starttag(self, tag, attrs):
    self.attributes += attrs
    if tag not in ("meta", "img"):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag, tag

  def handle_data(self, data):
    self.texts.append(data)


class PageTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    image = os.path.join(folder.name, "plot.png")
    with open(image, "wb") as file:
      file.write(b"\x89PNG")
    path = os.path.join(folder.name, "page.html")
    facts = {"processors": 2, "name": "a & b"}
    page.write(path, {"lstm": ROWS, "mlp": ROWS}, facts, {"lstm": [image]})
    with open(path, encoding="utf-8") as file:
      self.text = file.read()
    self.parser = Parser()
    self.parser.feed(self.text)

  def test_every_row_of_every_task_is_there(self):
    self.assertEmpty(self.parser.open)
    for name in ROWS:
      self.assertGreaterEqual(self.parser.texts.count(name), 2)
    for text in (
      "lstm",
      "mlp",
      "12.5 ms",
      "1 s",
      "1.25 [1.12, 1.50]",
      "123 MB",
    ):
      self.assertIn(text, self.parser.texts)
    self.assertIn("cannot run: jax <not> here", self.parser.texts)
    self.assertIn(": a & b", self.parser.texts)
    self.assertIn(": tensorflow 2.0", self.parser.texts)

  def test_the_ratios_that_there_are_are_drawn(self):
    with tempfile.TemporaryDirectory() as folder:
      found = page.draw(folder, "lstm", ROWS)
      self.assertEqual(found, [os.path.join(folder, "lstm_to_pytorch.png")])
      self.assertGreater(os.path.getsize(found[0]), 1000)

  def test_a_loss_that_differs_stands_out(self):
    self.assertEqual(self.text.count('<td class="wrong">no</td>'), 2)

  def test_nothing_is_loaded_from_elsewhere(self):
    sources = [v for k, v in self.parser.attributes if k in ("src", "href")]
    self.assertEqual(sources, ["data:image/png;base64,iVBORw=="])
    self.assertNotIn("http", self.text)


if __name__ == "__main__":
  absltest.main()
