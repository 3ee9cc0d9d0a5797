# make lab   sets everything up in .venv and opens JupyterLab at the notebooks (make lab ARGS="--no-browser")
# make bench runs the benchmarks
# make test  sets up what the tests need and runs all of them            (make test ARGS="-k store")
# Needs python3 (3.11 or newer) with venv, and make. uv is used where it is there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
UV := $(shell command -v uv 2>/dev/null)
PIP := $(if $(UV),$(UV) pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check)
ARGS ?=
# what a browser, a server or a kernel is waited for is most of the time that tests take
WORKERS ?= 2

.PHONY: lab test setup check bench clean

lab: $(VENV)/lab.stamp
	$(BIN)/jupyter lab --notebook-dir=notebooks $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)
	CHATKIT_HISTORY=off $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=120 notebooks

setup: $(VENV)/lab.stamp

$(BIN)/python:
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

$(VENV)/lab.stamp: pyproject.toml | $(BIN)/python
	$(PIP) -q -e '.[local,lab]'
	$(BIN)/python -m chatkit models fetch
	touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	$(PIP) -q -e '.[local,lab,test]'
	$(BIN)/python -m chatkit models fetch
	touch $(VENV)/lab.stamp $@

bench: $(VENV)/test.stamp
	for script in $(filter-out %/fakeserver.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV)
