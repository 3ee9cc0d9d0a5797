# make lab   sets everything up in .venv and opens JupyterLab at the notebooks (make lab ARGS="--no-browser")
# make bench runs the benchmarks
# make test  sets up what the tests need and runs all of them            (make test ARGS="-k store")
# make test-short runs the part of the tests that each Python must pass, with the newest packages (make test-short PYTHON=python3.13)
# make test-wide  does so on every Python that is on this machine, and with the lowest versions that pyproject.toml allows;
#                 and it shows many more hostile documents in a browser than make test does (DOCUMENTS=64)
# make wheels asks the package index what there is for each system, and puts the table into docs/install.md (needs uv)
# make types checks the types of the pages' modules (make test does so too, where there is npm)
# Needs python3 (3.11 or newer) with venv, and make. uv is used where it is there.

PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
VENV := .venv
WINDOWS := $(filter Windows_NT,$(OS))
BIN := $(VENV)/$(if $(WINDOWS),Scripts,bin)
# the file itself: where the name lacked its .exe it was never there, and the environment was made again each time
VENV_PYTHON := $(BIN)/python$(if $(WINDOWS),.exe)
UV := $(shell command -v uv 2>/dev/null)
PIP := $(if $(UV),$(UV) pip install --python $(VENV_PYTHON),$(VENV_PYTHON) -m pip install --disable-pip-version-check)
ARGS ?=
# what a browser, a server or a kernel is waited for is most of the time that tests take
WORKERS ?= 2
DOCUMENTS ?= 64
TYPESCRIPT := 7.0.2

# imports, first answer, transcribe, panel, meter, store
SHORT := house main_job notebook_clips audio_opening audio_mono chat_panel usage_meter ledger_meter ledger_store
# names what a Python can do; nothing where it does not run (a shim of pyenv's may lead nowhere), or is too old
VERSION = $(shell $(1) -c "import sys, venv, ensurepip; sys.version_info >= (3, 11) and print('%d.%d' % sys.version_info[:2])" 2>/dev/null)

# where bytecode is forbidden (images of containers do so), each worker and each child compiles all that it imports
unexport PYTHONDONTWRITEBYTECODE

.PHONY: types wheels lab test test-short test-wide test-lowest test-fuzz setup check bench clean

lab: $(VENV)/lab.stamp
	$(BIN)/jupyter lab --notebook-dir=notebooks $(ARGS)

test: $(VENV)/test.stamp $(if $(shell command -v npm),$(VENV)/typescript-$(TYPESCRIPT).stamp)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(VENV_PYTHON) -m pytest -p no:nbval -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=20 $(ARGS)
	$(VENV_PYTHON) tests/checked_notebooks.py test-results/notebooks
	CHATKIT_HISTORY=off $(VENV_PYTHON) -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=120 test-results/notebooks

test-short: SHORT_VERSION := $(call VERSION,$(PYTHON))
test-short:
	$(if $(SHORT_VERSION),,$(error $(PYTHON) does not run here, or is older than 3.11))
	$(MAKE) --no-print-directory VENV=.venv-short-$(SHORT_VERSION) PYTHON=$(PYTHON) run-short

test-lowest:
	$(if $(UV),,$(error uv is not here, and only uv finds the lowest versions: pip install uv))
	$(MAKE) --no-print-directory VENV=.venv-short-lowest PYTHON=3.11 LOWEST="--resolution lowest-direct" run-short

test-wide:
	for python in $$($(PYTHON) tests/other_pythons.py --all); do $(MAKE) --no-print-directory test-short PYTHON=$$python || exit 1; done
	$(MAKE) --no-print-directory test-lowest
	$(MAKE) --no-print-directory test-fuzz

test-fuzz: $(VENV)/test.stamp
	CHATKIT_FUZZ_COUNT=$(DOCUMENTS) $(VENV_PYTHON) -m pytest -q -n 1 tests/browser/test_display_browser.py

.PHONY: run-short
run-short: $(VENV)/short.stamp
	$(VENV_PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(SHORT:%=tests/test_%.py) $(ARGS)

$(VENV)/short.stamp: pyproject.toml | $(VENV_PYTHON)
	$(PIP) -q $(if $(UV),$(or $(LOWEST),--upgrade),--upgrade --upgrade-strategy eager) -e ".[local,test-core]"
	$(VENV_PYTHON) -m chatkit models fetch
	touch $@

wheels:
	$(if $(UV),,$(error uv is not here, and only uv decides for other systems: pip install uv))
	$(PYTHON) tests/wheels.py docs/install.md

types: $(VENV)/typescript-$(TYPESCRIPT).stamp
	$(VENV)/node_modules/.bin/tsc -p tests/jsconfig.json

# renamed as the version changes, so that a new one is fetched
$(VENV)/typescript-$(TYPESCRIPT).stamp: | $(VENV_PYTHON)
	-npm install --no-save --no-audit --no-fund --loglevel=error --prefix $(VENV) typescript@$(TYPESCRIPT) && touch $@

setup: $(VENV)/lab.stamp

$(VENV_PYTHON):
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

$(VENV)/lab.stamp: pyproject.toml | $(VENV_PYTHON)
	$(PIP) -q -e ".[local,lab]"
	$(VENV_PYTHON) -m chatkit models fetch
	touch $@

$(VENV)/test.stamp: pyproject.toml | $(VENV_PYTHON)
	$(PIP) -q -e ".[local,lab,test]"
	$(VENV_PYTHON) -m chatkit models fetch
	touch $(VENV)/lab.stamp $@

bench: $(VENV)/test.stamp
	for script in $(filter-out %/fakeserver.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(VENV_PYTHON) $$script || exit 1; done

clean:
	rm -rf $(VENV) .venv-short-*
