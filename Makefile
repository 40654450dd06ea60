# `make demo` and `make test` work on a fresh machine with Python >= 3.10 and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# What pip takes versions from. `make test CONSTRAINTS=` takes the newest instead.
CONSTRAINTS ?= --constraint constraints.txt
INSTALL = $(BIN)/python -m pip install --quiet $(CONSTRAINTS)
REQUIREMENTS = setup.cfg pyproject.toml constraints.txt
ISSUE_FORMS = $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

.PHONY: robustness test-lowest demo test lint constraints package bench figures notebooks docs docs-serve clean

demo: $(VENV)/.installed
	$(BIN)/coo-analyze --dataset sample --out runs/sample-x4

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(ISSUE_FORMS)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	@if [ -x $(BIN)/actionlint ]; then echo $(BIN)/actionlint; $(BIN)/actionlint; else \
	  echo "actionlint not installed (pip install '.[workflows]'): only the workflows' schema was checked"; fi

# Exact versions for CI, for every supported Python. `make constraints UPGRADE=--upgrade` takes the newest.
constraints: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet uv
	.ci/constraints.sh $(BIN)/uv $(UPGRADE)

# Wheel and sdist in dist/, checked as the release workflow checks them.
package: | $(VENV)/bin/python
	rm -rf build dist
	$(BIN)/python -m pip install --quiet build check-wheel-contents twine
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

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
	$(BIN)/python -m pytest -n 2 -m notebooks tests/docs/test_notebooks.py

# The site in site/, with figures made from the embedded images. MkDocs 1 is meant: what a version 2
# may bring is announced at each build otherwise.
docs: $(VENV)/.installed-models $(VENV)/.installed-docs
	env -u COO_DATA_HOME $(BIN)/python -m figures --out docs/generated
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(REQUIREMENTS) | $(VENV)/bin/python
	$(INSTALL) '.[cpu]'
	touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(VENV)/bin/python
	$(INSTALL) --editable '.[cpu,dev,cluster]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-models: $(REQUIREMENTS) | $(VENV)/bin/python
	$(INSTALL) --editable '.[cpu,models,train,perceptual]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(REQUIREMENTS) | $(VENV)/bin/python
	$(INSTALL) '.[cpu,bench]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-notebook $(VENV)/.installed-docs: $(VENV)/.installed-%: $(REQUIREMENTS) | $(VENV)/bin/python
	$(INSTALL) --editable '.[cpu,dev,cluster,$*]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-dev

clean:
	rm -rf $(VENV) site docs/generated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
