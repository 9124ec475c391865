# Environments are made here and nowhere else: .venv for TensorFlow 2,
# .venv-tf1 for TensorFlow 1.15 on Python 3.7.

works = $(firstword $(foreach p,$(1),$(if $(shell $(p) -c 'print(1)' \
  2>/dev/null),$(p))))

PYTHON ?= $(call works,python3.11 python3.12 python3.13 python3.10 python3)
PYTHON37 ?= $(call works,python3.7 $(wildcard \
  $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.7.*/bin/python3.7))
TENSORFLOW2 ?= 2.21.*
TENSORFLOW1 ?= 1.15.5
WORKERS ?= 2
# A worker keeps to its own directories while it can, so that what a module
# caches is made once; tests use no `assert` that pytest need rewrite.
PYTEST = -m pytest -q -n $(WORKERS) --dist worksteal --assert=plain \
  -p no:cacheprovider tests
# Not for demo: scripts show errors only by themselves, unless this is set.
test test-tf1 docs: export TF_CPP_MIN_LOG_LEVEL ?= 2
test test-tf1: export TF_ENABLE_ONEDNN_OPTS ?= 0
# Ops of tests are too small to be shared out. Does not bind a ConfigProto.
test test-tf1: export TF_NUM_INTRAOP_THREADS ?= 1

.PHONY: demo test test-tf1 lint format docs clean

demo: .venv/ready
	.venv/bin/python scripts/train_g2p.py --preset=demo

test: .venv/ready
	.venv/bin/python $(PYTEST)

test-tf1: .venv-tf1/ready
	.venv-tf1/bin/python -W ignore::FutureWarning $(PYTEST)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# Pages end in build/docs. A warning, such as a link to nothing, is an error.
docs: .venv/docs-ready
	.venv/bin/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "The first page is build/docs/index.html."

.venv/docs-ready: .venv/ready
	.venv/bin/python -m pip install --quiet -e ".[docs]"
	touch $@

.venv/ready: setup.py
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found. Install one, \
	or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet "tensorflow==$(TENSORFLOW2)" \
	  -e ".[test,lint]"
	touch $@

.venv-tf1/ready: setup.py
	@test -n "$(PYTHON37)" || { echo "No Python 3.7 found. Install it, with \
	pyenv for one, or name it: make PYTHON37=/path/to/python3.7"; exit 1; }
	$(PYTHON37) -m venv .venv-tf1
	.venv-tf1/bin/python -m pip install --quiet --upgrade pip
	.venv-tf1/bin/python -m pip install --quiet "tensorflow==$(TENSORFLOW1)" \
	  -e ".[test]"
	touch $@

clean:
	rm -rf .venv .venv-tf1 build/docs out
