# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# Python 3.9 to 3.11 gets stack A (TensorFlow 2.15, Keras 2), newer ones stack B (newest TensorFlow,
# Keras 3). PYTHON=python3.12 or STACK=b choose otherwise.

PYTHON ?= python3
STACK ?= $(shell $(PYTHON) -c "import sys; print('a' if sys.version_info < (3, 12) else 'b')")
VENV ?= .venv-$(STACK)
BIN := $(VENV)/bin
ONLY_a := ,addons,serving
EXTRAS := efficientnet,dev$(ONLY_$(STACK))
READY := $(VENV)/.ready
TESTS ?=

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint format clean

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest $(TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv-a .venv-b runs build *.egg-info

$(READY): setup.cfg pyproject.toml requirements/stack_$(STACK).txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements/stack_$(STACK).txt --editable ".[$(EXTRAS)]"
	touch $(READY)
