"""Multiplexers: K branches, and a selector that chooses among them.

    outputs = mux.route(selector, inputs, [plus, times])
    outputs = mux.switch("plus", inputs, {"plus": plus, "times": times})

| | selector | what runs |
|---|---|---|
| `where` | per example | every branch, on every example |
| `route` | per example | every branch, on its own examples |
| `switch` | per batch | one branch |
| `select` | per example | nothing: chooses among existing tensors |

Use `switch` if a whole batch takes one branch, `route` if the examples take
different branches, and `where` for networks that need all B rows. Measured
with `scripts/benchmark.py mux`, `where` is as fast as `route` only for two
branches of 16 units; with 8, `route` takes 0.4 of its time, and with 8 of 512
units 0.15. All give the same values and gradients, if the networks treat
rows one by one.
"""

from tangle.mux.masking import where
from tangle.mux.routing import route
from tangle.mux.selection import select
from tangle.mux.switching import switch

__all__ = ["route", "select", "switch", "where"]
