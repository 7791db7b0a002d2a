# Candor. `make` alone says what there is; every target sets up what it needs first.
EXPERIMENT = joint
DATA =
TRIALS =
WORKERS =
SEEDS =
WORKSPACE = runs
ARGS =
PYTHON =
PROCESSES = 2

.DEFAULT_GOAL := help
.PHONY: help search ui report quick test lint check bench lock clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo "make search    run a study     EXPERIMENT=$(EXPERIMENT) DATA= TRIALS= WORKERS= SEEDS= WORKSPACE=$(WORKSPACE) ARGS="
	@echo "make ui        browse every run in the MLflow UI, on this machine only"
	@echo "make report    rebuild the tables, the figures and the page of EXPERIMENT from what MLflow holds"
	@echo "make quick     the tests that take no time: no training, no server, no browser"
	@echo "make test      all tests     PROCESSES=$(PROCESSES) ARGS="
	@echo "make check     formatting, lint, types, layers, and the tests"
	@echo "make bench     the benchmarks, as tables"
	@echo "make lock      write the lock files anew from pyproject.toml"
	@echo "make clean     remove the environment and every cache; WORKSPACE stays"
	@echo "DATA is a folder, a zip or a csv of labelled images; without it, the experiment's own choice."

search: .venv/run
	@.venv/bin/candor search "$(EXPERIMENT)" $(if $(DATA),--data "$(DATA)") $(if $(TRIALS),--trials "$(TRIALS)") \
	    $(if $(WORKERS),--workers "$(WORKERS)") $(if $(SEEDS),--seeds "$(SEEDS)") --workspace "$(WORKSPACE)" $(ARGS)

ui: .venv/run
	@.venv/bin/candor ui --workspace "$(WORKSPACE)" $(ARGS)

report: .venv/run
	@.venv/bin/candor report "$(EXPERIMENT)" --workspace "$(WORKSPACE)" $(ARGS)

# Two processes take the tests by groups: see tests/conftest.py.
PYTEST = .venv/bin/python -m pytest -n $(PROCESSES) --dist loadscope --no-loadscope-reorder

quick: .venv/dev
	$(PYTEST) -q -m "not slow" $(ARGS)

test: .venv/dev
	$(PYTEST) --durations=60 --durations-min=5 $(ARGS)

lint: .venv/dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint test

bench: .venv/dev
	.venv/bin/python -m benchmarks $(ARGS)

# A stamp is written when everything is in place. The mark `unfinished` lies in an environment while something
# is being installed: whoever finds it there was interrupted, and starts over.
PIP = .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input
define install
	@test ! -e .venv/unfinished && .venv/bin/python -m pip --version >/dev/null 2>&1 || { $(new_environment); }
	@echo "Installing what $(1) names; the first time this takes a few minutes ..."
	@touch .venv/unfinished
	@$(PIP) install --require-hashes -r $(1)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@rm .venv/unfinished
endef

# The development lock is a superset of the other one: with it, both are installed.
.venv/run: requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch .venv/run $@

define find_python
	for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	    "$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break; \
	    python=; \
	done; \
	test -n "$$python" || { \
	    echo "Candor needs Python 3.11, 3.12 or 3.13 with venv (Debian: apt install python3-venv), and found none; \
	install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
endef

# What is thrown away is moved first: half a folder must not be taken for an environment either.
discard = mkdir -p build .venv && rm -rf build/discarded && mv .venv build/discarded && rm -rf build/discarded
define new_environment
	$(find_python); $(discard) && mkdir .venv && touch .venv/unfinished && "$$python" -m venv .venv
endef

# uv reads every platform's markers, so that one lock file serves every machine, 3.11 to 3.13.
lock:
	@$(find_python); rm -rf build/lock && "$$python" -m venv build/lock
	@build/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
	@$(call compile,requirements.lock)
	@$(call compile,requirements-dev.lock --extra dev -c requirements.lock)
	@$(call compile,deploy/requirements.lock --extra postgres -c requirements.lock)
	@rm -rf build/lock

compile = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml -o $(1)

clean:
	$(discard)
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
