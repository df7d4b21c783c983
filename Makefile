# make quickstart   from nothing to a finished report on real digits
# make test         lint, types, layer check, tests: what CI runs
# make mutants ROOM=bench/statistics   how many wrong changes of a room its tests notice
# Each makes its own .venv from the pinned versions in constraints.txt; Python 3.11 or newer is all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: quickstart test lint types tests varied mutants clean

quickstart: $(VENV)/run
	$(BIN)/edgekd compress pipelines/quickstart.yaml

test: lint types tests varied

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

tests: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The tests that train, computed as on a processor of ten years ago: no result may hang on one machine's rounding.
varied: $(VENV)/dev
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "trains and not slow"

$(VENV)/run: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable '.[learn,openvino]'
	touch $@

$(VENV)/dev: $(VENV)/run
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

mutants: $(VENV)/dev
	$(BIN)/python benchmarks/mutants/run.py $(ROOM)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
