# Each target works from a fresh clone on a machine with CPython 3.11 or newer and gcc.
PYTHON ?= python3
BIN := .venv/bin
STOP_BUILD := build/stop

.PHONY: help demo test test-aside test-others lint check-style lane-integrations explore soak bench guard kernel docs package build compiled stop-build clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      share a real table between workers, kill one, lose nothing"
	@echo "make test      linters and all tests (some 12 minutes on 2 processors)"
	@echo "make bench     the benchmarks, with the peers beside us"
	@echo "make explore   the explorers to their full depth"
	@echo "make soak      random kills for SOAK_SECONDS (600)"
	@echo "make kernel    boot a patched Linux and compare it with the model"
	@echo "make docs      the site, in site/"
	@echo "make package   source distribution and wheel, in dist/, installed and tried once"
	@echo "make clean     remove what was built"

demo: build
	$(BIN)/scamem demo

# Two halves beside each other: tests that leave alone what the others count (searches of the
# interpreted core, models, sources), and the others, one by one, since they count processes,
# mappings, memory and files. Each half says all it has to say at its end; if either fails, so does
# this. Random kills, for which the processors are not shared, come last.
ASIDE := tests/explore tests/model tests/style tests/designs
test: lint stop-build
	+@$(MAKE) --no-print-directory -k -j2 --output-sync=target test-aside test-others
	$(BIN)/python -m pytest -q --soak-seconds=30 tests/soak

# Without what they need: `test` has made it, and two at once must not.
test-aside:
	$(BIN)/python -m pytest -q -p no:cacheprovider $(ASIDE)

test-others:
	$(BIN)/python -m pytest -q $(ASIDE:%=--ignore=%)

lint: .venv/installed-dev compiled
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The sizes, names and documents that no general linter knows; `test` runs them too.
check-style: .venv/installed-dev compiled
	$(BIN)/python -m pytest -q tests/style

# The libraries that scamem.integrations knows, with the large ones (torch, Dask), in an environment
# of their own: 6 GB. Root and the command `ip` make the two hosts that Dask's tests need.
LANE := build/lane-integrations
lane-integrations: compiled
	test -x $(LANE)/bin/python || $(PYTHON) -m venv $(LANE)
	$(LANE)/bin/python -m pip install -q --disable-pip-version-check \
		'setuptools>=77' 'Cython>=3.1' 'numpy>=2'
	$(LANE)/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation \
		-e '.[dev,integrations]'
	$(LANE)/bin/python -m pytest -q -p no:cacheprovider --timeout=300 tests/integrations
	$(LANE)/bin/python -m pytest -q -p no:cacheprovider --timeout=300 tests/examples \
		-k 'torch or dask or arrow or joblib or integrations'

# Exhaustive searches to their documented depth; `test` runs them to a smaller one.
explore: .venv/installed-dev stop-build
	$(BIN)/python -m pytest -q --timeout=0 --deep tests/explore tests/model

# Random kills for SOAK_SECONDS; `test` runs half a minute of them.
SOAK_SECONDS ?= 600
soak: .venv/installed-dev stop-build
	$(BIN)/python -m pytest -q --timeout=0 --soak-seconds=$(SOAK_SECONDS) tests/soak

bench: .venv/installed-bench build
	$(BIN)/python -m benchmarks

# Instructions of the main operations, counted by valgrind's callgrind and compared with
# benchmarks/guard.json, so noise on the machine does not matter. No part of `test`.
guard: .venv/installed-dev compiled
	$(BIN)/python -m benchmarks.guard

# Builds and boots a patched Linux under QEMU and compares it with the model: half an hour the first
# time, seconds the next. Needs packages of the distribution (docs/kernel.md); says which is missing.
kernel: build
	$(BIN)/python -m kernel

docs: .venv/installed-docs
	$(BIN)/python tools/generate_layout.py
	$(BIN)/zensical build --strict --clean

# What would be uploaded: checked, and the wheel installed into an environment of its own, with NumPy
# as its only requirement.
package: .venv/installed-package
	rm -rf dist build/package
	$(BIN)/python -m build -o dist
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/package
	build/package/bin/pip install -q --disable-pip-version-check dist/*.whl
	cd build/package && bin/python $(CURDIR)/examples/pool.py
	build/package/bin/python $(CURDIR)/tools/installed.py

# Both compile what changed, beside the sources, since the installations are editable ones. Each of
# those compiles everything, so the developers' one has what users' have, and no target needs both.
# A warning of the compilers fails the developers' build. It does not fail a user's, whose compiler
# may know warnings that ours does not.
COMPILE := $(BIN)/python setup.py -q build_ext --inplace
build: .venv/installed-all
	@$(COMPILE)

compiled: | .venv/installed-build
	@SCAMEM_WERROR=1 $(COMPILE)

# The library with the stop hook compiled in, apart from the installed one; tests start children
# in it through PYTHONPATH.
stop-build: .venv/installed-dev
	@SCAMEM_STOP_HOOK=1 SCAMEM_WERROR=1 $(BIN)/python setup.py -q build --build-base build/stop-objects \
		--build-lib $(STOP_BUILD)

.venv/bin/python:
	$(PYTHON) -m venv .venv

# What a build needs comes first, so that the editable installation compiles with the very
# Cython and NumPy that `build` uses later, and nothing is compiled twice.
.venv/installed-build: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check \
		'setuptools>=77' 'Cython>=3.1' 'numpy>=2'
	@touch $@

.venv/installed-dev: export SCAMEM_WERROR := 1
.venv/installed-%: .venv/installed-build
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation -e '.[$*]'
	@touch $@

.PRECIOUS: .venv/installed-%

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache site
	find src tests tools -name __pycache__ -type d -exec rm -rf {} +
	find src -name '*.so' -delete
