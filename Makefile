# make quickstart   from nothing to a finished report on real digits
# make test         lint, types, layer check, tests: what CI runs
# make packages     the sdist and the wheel, with the lowest and the newest packages, outside the clone
# make site         the documentation, in site/
# make mutants ROOM=bench/statistics   how many wrong changes of a room its tests notice
# Each makes its own .venv from the pinned versions in constraints.txt; Python 3.11 or newer is all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what is imported, when it is; pip would compile all of it.
INSTALL := $(BIN)/python -m pip --quiet --disable-pip-version-check install --no-compile --constraint constraints.txt
USED := $(addprefix tests/,system/test_quantize_run.py system/test_affinity.py trackers hub sweep \
	system/test_api.py::test_a_mapping_finds_what_the_command_line_made \
	system/test_api.py::test_the_student_of_a_run_and_of_its_bundle_answer_alike \
	system/test_onnx_file.py::test_a_file_is_quantized_measured_chosen_and_shipped)

# Where this is set, each of the hundred processes of a test run compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart test lint types tests varied packages site mutants clean

quickstart: $(VENV)/run
	$(BIN)/edgekd compress pipelines/quickstart.yaml

test: lint types tests varied

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

tests: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder

# The tests that train, computed as on a processor of ten years ago: no result may hang on one machine's rounding.
varied: $(VENV)/dev
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --max-worker-restart 0 --dist loadfile -m "trains and not slow" $$(grep -rl --include='*.py' mark.trains tests)

# Both in environments of their own; one run of everything a user does, outside the clone.
packages: $(VENV)/dev
	$(BIN)/python benchmarks/install/measure.py lowest-direct --output $(VENV)/lowest.json --tests $(USED)
	$(BIN)/python benchmarks/install/measure.py highest --output $(VENV)/newest.json --tests $(USED)

site: $(VENV)/site
	$(BIN)/mkdocs build --strict

$(VENV)/run: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[learn,openvino]'
	touch $@

# All that `run` has, and more, at once.
$(VENV)/dev: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[dev]'
	touch $(VENV)/run $@

$(VENV)/site: $(VENV)/dev
	$(INSTALL) --editable '.[docs]'
	touch $@

mutants: $(VENV)/dev
	$(BIN)/python benchmarks/mutants/run.py $(ROOM)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
