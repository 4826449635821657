# make demo       the whole loop on synthetic mammograms, 2 cores, no GPU
# make test       the everyday tests, about ten minutes on two cores
# make test-slow  the long ones: kills, resumes, whole trainings, the browser, the commands of the documentation
# make chaos      strike the product's commands for MINUTES by the schedule of SEED; ONLY=n repeats one strike
# make coverage   the everyday tests with a report of line coverage
# make check      format, lint, types, import contracts
# make format     put the sources into shape
# make lock       resolve requirements.lock and requirements-dev.lock anew from pyproject.toml
# make image      build the container image of k8s/
# make clean      remove what was built; runs and archives stay
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow chaos coverage check format lock image clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TOOLS := .venv/ready-dev
TORCH ?= cuda
DEMO_OUT ?= out/demo
PYTEST_ARGS ?=
# what a lock file names; with the same versions, but without their hashes, for CPUs
locked = $(if $(filter cpu,$(TORCH)),--torch-backend cpu --constraint $(1) setuptools --requirements pyproject.toml $(2),--require-hashes --requirements $(1))
UV_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
SEED ?= 1
MINUTES ?= 20
ONLY ?= 0
# the wheel's own Node, and no question to a server about newer versions
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help:
	@sed -n '/^SHELL/q; s/^# //p' Makefile

# what the product needs; TORCH=cpu takes torch without CUDA, a quarter of the size, for machines without such a GPU
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, $(PYTHON) is {sys.version.split()[0]}: make PYTHON=python3.12 …")'
	@echo "Installing into .venv, once: 7 GB with torch for NVIDIA GPUs (make TORCH=cpu …: for CPUs alone, 2 GB), minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV_INSTALL) $(call locked,requirements.lock)
	$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	touch $(READY)

# and what tests and checks need beside it
$(TOOLS): requirements-dev.lock $(READY)
	$(UV_INSTALL) $(call locked,requirements-dev.lock,--group dev)
	touch $(TOOLS)

demo: $(READY)
	$(BIN)/mammoloop demo --out $(DEMO_OUT)

# those without Ray on all cores; 5 is pytest's answer where PYTEST_ARGS chooses none of a kind
test: $(TOOLS)
	$(BIN)/pytest -n auto -m "not slow and not ray" $(PYTEST_ARGS) || [ $$? -eq 5 ]
	$(BIN)/pytest -m "ray and not slow" $(PYTEST_ARGS) || [ $$? -eq 5 ]

test-slow: $(TOOLS)
	$(BIN)/pytest -n auto -m "slow and not ray" $(PYTEST_ARGS) || [ $$? -eq 5 ]
	$(BIN)/pytest -m "slow and ray" $(PYTEST_ARGS) || [ $$? -eq 5 ]

chaos: $(TOOLS)
	$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES) --only $(ONLY)

coverage: $(TOOLS)
	$(BIN)/pytest -m "not slow" --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

check: $(TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(TOOLS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --python-version 3.11 -o requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --constraint requirements-dev.lock --universal --generate-hashes --no-emit-index-url --python-version 3.11 -o requirements.lock

image:
	docker build --file k8s/Dockerfile --tag mammoloop:0.1.0-ray2.60.0 .

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
