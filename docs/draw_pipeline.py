"""Draws docs/pipeline.svg: what happens in one training step of a pipeline.

python docs/draw_pipeline.py
"""

import pathlib

STYLE = """
text { font-family: Helvetica, Arial, DejaVu Sans, sans-serif }
text { font-size: 14px; fill: #222 }
.small { font-size: 12px; fill: #555 }
.bold { font-weight: bold }
.box { fill: #fff; stroke: #555 }
.forward { fill: #dce9f8; stroke: #2f6db3 }
.backward { fill: #fbe5d0; stroke: #b9661c }
.store { fill: #ececec; stroke: #777; stroke-dasharray: 4 3 }
.update { fill: #dff0df; stroke: #3a883a }
line { stroke: #333; stroke-width: 1.5; marker-end: url(#head) }
"""


def box(kind, x, y, width, lines, height=50):
  """Returns a rectangle with centred lines of text."""
  found = [
    f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" '
    f'rx="6"/>'
  ]
  first = y + height / 2 - 9 * (len(lines) - 1) + 5
  for number, line in enumerate(lines):
    found.append(label(x + width / 2, first + 18 * number, line, "", "middle"))
  return "\n".join(found)


def label(x, y, text, kind="small", anchor="start"):
  """Returns a line of text."""
  return (
    f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
    f"{text}</text>"
  )


def arrow(x1, y1, x2, y2):
  """Returns an arrow from the first place to the second."""
  return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def draw():
  """Returns the picture as SVG."""
  parts = [
    label(150, 24, "sub-model “encoder”", "bold", "middle"),
    label(150, 42, "one graph per bucket: N", "small", "middle"),
    label(570, 24, "sub-model “decoder”", "bold", "middle"),
    label(570, 42, "one graph per bucket: M", "small", "middle"),
    box("forward", 40, 60, 220, ["run 1: forward"]),
    box("store", 40, 140, 220, ["residuals wait", "in the runtime"]),
    box("backward", 40, 220, 220, ["run 3: backward", "no forward op runs"]),
    box("forward", 460, 60, 220, ["run 2: forward"]),
    box("backward", 460, 220, 220, ["run 2: backward"]),
    box("update", 40, 310, 640, ["one optimizer updates all variables"], 40),
    arrow(150, 110, 150, 137),
    arrow(150, 190, 150, 217),
    arrow(570, 110, 570, 217),
    arrow(150, 270, 150, 307),
    arrow(570, 270, 570, 307),
    arrow(260, 85, 457, 85),
    arrow(460, 245, 263, 245),
    label(360, 76, "boundary values", "small", "middle"),
    label(360, 236, "their gradients", "small", "middle"),
  ]
  return "\n".join(
    [
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 370" '
      'width="720" role="img">',
      "<title>One training step of a pipeline of two sub-models</title>",
      f"<style>{STYLE}</style>",
      '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" '
      'refY="4" orient="auto"><path d="M0,0 L9,4 L0,8 z" fill="#333"/>'
      "</marker></defs>",
      '<rect width="720" height="370" fill="#fff"/>',
      *parts,
      "</svg>\n",
    ]
  )


if __name__ == "__main__":
  path = pathlib.Path(__file__).with_name("pipeline.svg")
  path.write_text(draw(), encoding="utf-8")
