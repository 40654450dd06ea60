# `make demo` and `make test` work on a fresh machine with Python >= 3.10 and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: robustness test-lowest demo test lint bench figures notebooks docs docs-serve clean

demo: $(VENV)/.installed
	$(BIN)/coo-analyze --dataset sample --out runs/sample-x4

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Small sizes, minutes; `--full --dataset div2k` takes hours.
bench: $(VENV)/.installed-bench
	$(BIN)/python -m experiments.benchmarks

# All figures and tables, from the embedded images: minutes.
figures: $(VENV)/.installed-models
	$(BIN)/python -m figures

# How reliable it is, measured: an hour and a half. Writes the table of docs/reliability.md.
robustness: $(VENV)/.installed-models $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python -m experiments.robustness.measure
	$(BIN)/python -m experiments.robustness.measure --table

# The oldest supported versions of the dependencies. LOWEST is a Python that has wheels of them.
LOWEST ?= python3.10
test-lowest:
	experiments/robustness/lowest.sh $(LOWEST)

notebooks: $(VENV)/.installed-models $(VENV)/.installed-notebook
	$(BIN)/python -m pytest -m notebooks tests/test_notebooks.py

# The site in site/, with pictures made from the embedded images. MkDocs 1 is meant: what a version 2
# may bring is announced at each build otherwise.
docs: $(VENV)/.installed-models $(VENV)/.installed-docs
	env -u COO_DATA_HOME $(BIN)/python -m figures --out docs/generated
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet '.[cpu]'
	touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[cpu,dev,cluster]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-models: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[cpu,models,train,perceptual]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet '.[cpu,bench]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-notebook $(VENV)/.installed-docs: $(VENV)/.installed-%: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[cpu,dev,cluster,$*]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-dev

clean:
	rm -rf $(VENV) site docs/generated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
