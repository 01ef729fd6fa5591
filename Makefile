# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# Python 3.9 to 3.11 gets stack A (TensorFlow 2.15, Keras 2), newer ones stack B (newest TensorFlow,
# Keras 3). PYTHON=python3.12 or STACK=b choose otherwise.

PYTHON ?= python3
STACK ?= $(shell $(PYTHON) -c "import sys; print('a' if sys.version_info < (3, 12) else 'b')")
VENV ?= .venv-$(STACK)
BIN := $(VENV)/bin
ONLY_a := ,addons,serving
EXTRAS := efficientnet,onnx,dev$(ONLY_$(STACK))
READY := $(VENV)/.ready
TESTS ?=
# Test files at a time; a worker takes some 3 GB.
WORKERS ?= 2
# What `make test-trt` exports and converts with.
PYTHON_A ?= python3.11
PYTHON_B ?= python3.11
PYTHON_C ?= python3.10

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test trt-env test-trt lint format clean

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

# The real TF-TRT, without a GPU: some 1.9 GB to download, 5 GB on disk. PYTHON_C=path/to/python3.10
# where `python3.10` does not start one.
trt-env: .venv-trt/.ready

test-trt: .venv-trt/.ready
	$(MAKE) STACK=a VENV=.venv-a PYTHON=$(PYTHON_A) .venv-a/.ready
	$(MAKE) STACK=b VENV=.venv-b PYTHON=$(PYTHON_B) .venv-b/.ready
	.venv-trt/bin/python -m pytest --noconftest tests/export/test_tf_trt_segmentation.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv-a .venv-b .venv-trt runs build *.egg-info

$(READY): setup.cfg pyproject.toml requirements/stack_$(STACK).txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements/stack_$(STACK).txt --editable ".[$(EXTRAS)]"
	touch $(READY)

.venv-trt/.ready: requirements/stack_c.txt
	$(PYTHON_C) -m venv .venv-trt
	.venv-trt/bin/pip install --quiet --requirement requirements/stack_c.txt
	touch .venv-trt/.ready
