#!/usr/bin/env bash
# SciPy 1.17.1: `scipy.sparse.csgraph.maximum_flow` takes a graph with int64
# capacities and reads them modulo 2 ** 32, with no error and no warning. Floats
# are refused with a message about the type; int64, which NumPy makes of Python's
# ints, is not. So a flow of bytes is wrong from 2 GiB on.
#
# Seen: "capacity 2147483647: flow 2147483647", "capacity 2147483653: flow 0",
# "capacity 4294967301: flow 5".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "scipy==1.17.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
import scipy
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

print("SciPy", scipy.__version__)
for capacity, expected in (
  (2**31 - 1, 2**31 - 1),
  (2**31 + 5, 0),
  (2**32 + 5, 5),
):
  graph = csr_matrix(np.array([[0, capacity], [0, 0]]))
  assert graph.dtype == np.int64, graph.dtype
  flow = maximum_flow(graph, 0, 1).flow_value
  print(f"capacity {capacity}: flow {flow}")
  assert flow == expected, flow
try:
  maximum_flow(csr_matrix(np.array([[0, 1.0], [0, 0]])), 0, 1)
  raise AssertionError("floats are taken now")
except ValueError as error:
  print("floats:", error)
PROGRAM
