# `make` alone prints the targets. Two commands do all the set-up: `make demo` runs the main job,
# `make test` passes the tests.
# Python 3.9 to 3.11 gets stack A (TensorFlow 2.15, Keras 2), newer ones stack B (newest TensorFlow,
# Keras 3). PYTHON=python3.12 or STACK=b choose otherwise.

SHELL := /bin/bash
PYTHON ?= python3
# Empty where PYTHON does not start.
VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])" 2>/dev/null)
OLD := 3.9 3.10 3.11
STACK ?= $(if $(filter $(VERSION),$(OLD)),a,b)
VENV ?= .venv-$(STACK)
BIN := $(VENV)/bin
# Beam on stack A alone: it needs an older NumPy and protobuf than what stack B is for.
ONLY_a := ,addons,serving,beam
EXTRAS := efficientnet,onnx,openvino,tflite,tflite-int8,formats,video,docs,dev$(ONLY_$(STACK))
READY := $(VENV)/.ready
TESTS ?=
# Test files at a time; a worker takes some 3 GB.
WORKERS ?= 2
# What `make test-trt` exports and converts with.
PYTHON_A ?= python3.11
PYTHON_B ?= python3.11
PYTHON_C ?= python3.10
# What `make test-rtx` runs NVIDIA's parser with.
PYTHON_RTX ?= python3.11

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help env demo docs test test-gpu trt-env test-trt test-rtx lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make env         make the environment $(VENV) and say how it goes"
	@echo "make demo        the main job on real images: train, evaluate, export, predict (some 6 minutes)"
	@echo "make docs        the documentation as a site, with pages of the API: site/index.html"
	@echo "make test        all tests; TESTS=\"tests/ops -k nms\" for some, WORKERS=1 for less memory"
	@echo "make test-gpu    what has to hold on a GPU, some 8 minutes; a table, and runs/gpu.json"
	@echo "make lint        ruff, as in CI; make format mends what it can"
	@echo "make test-trt    TF-TRT's real segmenter, without a GPU (1.9 GB to download; make trt-env)"
	@echo "make test-rtx    TensorRT for RTX, its parser and builder, without a GPU (100 MB to download)"
	@echo "make clean       remove environments, runs and builds"
	@echo "PYTHON=python3.12 takes another Python (now $(PYTHON)), STACK=a or b another TensorFlow (now $(STACK))"

env: $(READY)
	@echo "$(VENV) is ready: $(BIN)/tfmaskrcnn --help, or  source $(BIN)/activate"

demo: $(READY)
	$(BIN)/python examples/demo.py

# A warning fails it: a link to what is not there, a name that does not exist.
docs: $(READY)
	$(BIN)/python docs/site/build.py

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

# GPU="--only kernels" for a part; GPU=--miniature tries the run where there is no GPU.
GPU ?=
test-gpu: $(READY)
	mkdir -p runs
	$(BIN)/python -m tests.gpu --json runs/gpu.json $(GPU)

# The real TF-TRT, without a GPU: some 1.9 GB to download, 5 GB on disk. PYTHON_C=path/to/python3.10
# where `python3.10` does not start one.
trt-env: .venv-trt/.ready

test-trt: .venv-trt/.ready
	$(MAKE) STACK=a VENV=.venv-a PYTHON=$(PYTHON_A) .venv-a/.ready
	$(MAKE) STACK=b VENV=.venv-b PYTHON=$(PYTHON_B) .venv-b/.ready
	.venv-trt/bin/python -m pytest --noconftest tests/export/test_tf_trt_segmentation.py

# Engines are built, not run. PYTHON_RTX=path/to/python where `python3.11` does not start one.
test-rtx: .venv-rtx/.ready
	$(MAKE) STACK=a VENV=.venv-a PYTHON=$(PYTHON_A) .venv-a/.ready
	.venv-rtx/bin/python -m pytest --noconftest tests/export/test_rtx.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv-a .venv-b .venv-trt .venv-rtx runs build site *.egg-info

# A Python that does not start, or too old or new a one, is told in one sentence.
define check_python
	@$(1) -c "" 2>/dev/null || { \
	  echo "$(2)=$(1) does not start a Python; give one that does, such as $(2)=/usr/bin/python3" >&2; \
	  exit 2; }
endef

$(READY): setup.cfg setup.py pyproject.toml requirements/stack_$(STACK).txt
	$(call check_python,$(PYTHON),PYTHON)
	@case "$(STACK) $(VERSION)" in "a 3.9"|"a 3.10"|"a 3.11"|"b 3.1"[0-9]) ;; \
	  *) echo "Stack $(STACK) does not run on Python $(VERSION): A takes 3.9 to 3.11, B 3.10 and newer" >&2; \
	  exit 2;; esac
	@echo "$(VENV): Python $(VERSION), stack $(STACK); a gigabyte to download, some minutes"
	$(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(BIN)/pip install --progress-bar off --constraint requirements/stack_$(STACK).txt \
	  --editable ".[$(EXTRAS)]" | sed -n -u -e 's/^Collecting /  /p' -e 's/^Installing/  Installing/p'
	@touch $(READY)

.venv-trt/.ready: requirements/stack_c.txt
	$(call check_python,$(PYTHON_C),PYTHON_C)
	$(PYTHON_C) -m venv .venv-trt
	.venv-trt/bin/pip install --quiet --requirement requirements/stack_c.txt
	touch .venv-trt/.ready

.venv-rtx/.ready: requirements/rtx.txt
	$(call check_python,$(PYTHON_RTX),PYTHON_RTX)
	$(PYTHON_RTX) -m venv .venv-rtx
	.venv-rtx/bin/pip install --quiet --requirement requirements/rtx.txt
	touch .venv-rtx/.ready
