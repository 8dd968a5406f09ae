# Needs make and Python 3.11 or newer; everything else is installed into VENV by the first call.
#   VENV=folder      the virtual environment (default: the active conda environment unless it is base, else .venv);
#                    may be shared by several clones
#   CPU=1            when it is created: torch without CUDA, from PyTorch's own index (less than 1 GB instead of 3)
#   PYTHON=command   the Python that creates it (default: the first of the list below that is new enough)
#   NOTEBOOKS="01_data …"   the notebooks that `run` and `publish` execute (default: all)
#   FIGURES="matchers …"    what `figures` draws (default: all)
#   ARGS="--no-browser --port 9000 …"    for JupyterLab

WORKERS ?= 2
ifeq ($(VENV),)
ifneq ($(filter-out base,$(CONDA_DEFAULT_ENV)),)
VENV := $(CONDA_PREFIX)
endif
endif
ifeq ($(VENV),)
VENV := .venv
endif
ifeq ($(PYTHON),)
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$python"; break; fi; done)
endif

PY = "$(VENV)/bin/python"
# The clone itself comes first on the path: an environment shared by several clones always runs the one at hand.
export PYTHONPATH := $(CURDIR)
# Notebooks run on the environment's own kernel, whatever kernels and start-up files the user has.
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/build/ipython
# Figures appear in the page, whatever the shell prefers.
unexport MPLBACKEND

# One thread a worker: with more, parallel workers are slower than one. Figures of tests stay apart from those of `run`.
TEST = REIDLIB_PROFILE=ci REIDLIB_BUILD="$(CURDIR)/build/test" OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile
MOST = -m "not all"
NBVAL = notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout 120 --nbval-sanitize-with notebooks/sanitize.cfg

.PHONY: help run publish figures results badges test test-all test-wheel test-fast lint format bench wheel lab site install key clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 12

run: install ## execute the notebooks into build/ (profile: REIDLIB_PROFILE, else what the machine can do)
	@$(PY) -m reidlib.app.notebooks run $(NOTEBOOKS)

publish: install ## execute the notebooks and copy their outputs and figures to where they are committed
	@$(PY) -m reidlib.app.notebooks publish $(NOTEBOOKS)

figures: install ## draw the committed figures again into build/figures, without training
	@$(PY) -m reidlib.app.figures $(FIGURES)

results: install ## write what the pages say from reidlib/published: results, methods, numbers in prose
	@$(PY) -m reidlib.app.frontpage
	@$(PY) -m reidlib.app.regime

badges: install ## write badges, environment cells and README's table from the one repository address
	@$(PY) -m reidlib.app.notebooks badges

test: lint ## everything: ruff, all tests, all notebooks with their solutions (profile ci)
	$(TEST) tests $(NBVAL) $(MOST) --durations 10

test-all: lint ## the same, and all notebooks and solutions as if there were a GPU (an hour)
	$(TEST) tests $(NBVAL) --durations 10

test-wheel: install ## build wheel and sdist, and run commands and lessons outside the clone
	$(TEST) tests/test_wheel.py

test-fast: install ## the tests that take seconds
	$(TEST) tests -m "not slow and not integration"

lint: install ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: install ## let ruff mend what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: install ## speed, as ratios against the readable references
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file"; done

wheel: install ## write one file to upload where there is no clone (Colab, Kaggle, a lab machine): build/wheel/reidlib-*.whl
	@rm -rf build/lib build/wheel
	@$(PY) -m pip wheel --quiet --no-deps --wheel-dir build/wheel . && ls build/wheel/*.whl

lab: install ## open copies of the notebooks, in lab/, in JupyterLab (ARGS="--no-browser --port 9000")
	@$(PY) -m reidlib.app.lab $(ARGS)

site: install ## build the pages of the repository as one static site: build/site/index.html
	@$(PY) -m sphinx -W --keep-going --quiet -b html -c docs/site -d build/site-trees . build/site
	@echo "open build/site/index.html"

install: ## prepare the environment; does nothing when it is up to date
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" scripts/environment.py "$(VENV)" $(if $(CPU),--cpu)
	@mkdir -p build

key: # the name under which continuous integration keeps the environment
	@"$(PYTHON)" scripts/environment.py --key

clean: ## remove what can be made again: build/, twins, caches (runs/, lab/ and the environment stay)
	rm -rf build docs/api data/twins data/cache data/lent .pytest_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
