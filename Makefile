# Every everyday command of the project. `make` alone explains itself.
# Two commands are enough to see it work: `git clone ...` and `make demo`.

SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
CODE := broker connectors ownership schemas
STYLED := $(CODE) tests $(wildcard benchmarks)
QUICK := tests/unit tests/property tests/test_tidy.py
CORE_TESTS := $(addprefix tests/unit/,gate kafka lane ownership schemas) $(addprefix tests/property/test_, \
	decide_against_oracle.py express.py groups.py invariants.py projection.py wire.py)
ONCE ?=
SEED ?=
SEEDS ?=
MINUTES ?=
RATE ?=
KILL_EVERY ?=
EXAMPLES ?= 50000
INPUTS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check simulate chaos soak fuzz oracle mutants coverage-core bench lock clean

help: ## this list
	@echo "make <target>:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

# --- environment: one .venv; a stamp per lock says what is installed in it

# A stamp is older than its lock when the lock has changed: then pip runs again, with hashes.
$(VENV)/.python:
	@py=""; for c in python3.13 python3.12 python3.11 python3; do \
		if "$$c" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then py="$$c"; break; fi; done; \
	if [ -z "$$py" ]; then \
		echo "SoleSource needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install python3.11 (or 3.12, 3.13) with its venv module, then run make again." >&2; exit 1; fi; \
	echo "creating $(VENV) with $$($$py --version)"; \
	"$$py" -m venv $(VENV) || { echo "'$$py -m venv' failed: on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.python requirements/demo.txt requirements/build.txt pyproject.toml
	@echo "installing what running needs (requirements/demo.txt and build.txt, pinned with hashes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/demo.txt -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	@echo "installing what developing needs (requirements/dev.txt, pinned with hashes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.all: $(VENV)/.dev requirements/all.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/all.txt
	@touch $@

setup: $(VENV)/.dev ## the development environment in .venv

# --- seeing it work

demo: $(VENV)/.demo ## the whole path on this machine, no Docker (ONCE=1: run it through and stop)
	@$(BIN)/solesource demo $(if $(ONCE),--once)

# --- proving it

test: $(VENV)/.dev ## every test that pip alone can run: real Kafka, PostgreSQL and Tryton included
	@$(BIN)/python -m pytest -q -m "not browser and not counterpart"

test-all: $(VENV)/.all ## what needs a counterpart that pip cannot bring: chromium, javac
	@$(BIN)/python -m tests.counterparts
	@$(BIN)/python -m pytest -q -m "browser or counterpart"

check: $(VENV)/.dev ## style, types, direction of imports, quick tests
	@$(BIN)/ruff format --check $(STYLED)
	@$(BIN)/ruff check $(STYLED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q -m "not integration and not browser and not counterpart" $(wildcard $(QUICK))

simulate: $(VENV)/.dev ## the gate under faults, from a seed (SEED=17: its timeline; SEEDS=20000: that many)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

chaos: $(VENV)/.dev ## faults on a real cluster of three brokers, judged from outside (MINUTES=10 SEED=7)
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) --seed $(or $(SEED),7)

soak: $(VENV)/.dev ## a steady load for an hour, a worker killed every five minutes: is memory flat? (MINUTES=60 RATE=2000)
	@$(BIN)/python -m tests.chaos.soak --minutes $(or $(MINUTES),60) --rate $(or $(RATE),0) --kill-every $(or $(KILL_EVERY),5)

fuzz: $(VENV)/.dev ## hostile records, each judged and held within its limits (INPUTS=1000000 SEED=1)
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),100000) --seed $(or $(SEED),1)

oracle: $(VENV)/.dev ## many histories, judged by the gate and by its slow, obvious twin (EXAMPLES=50000)
	@$(BIN)/python -m tests.property --examples $(EXAMPLES)

mutants: $(VENV)/.dev ## small bugs planted in the core, one at a time: does a test see each? (20 minutes)
	@$(BIN)/python -m tests.mutation

coverage-core: $(VENV)/.dev ## every branch of the gate, the map and the schemas is walked by their own tests
	@HYPOTHESIS_PROFILE=quick $(BIN)/coverage run --branch --data-file=.coverage.core \
		--source=broker.gate,ownership,schemas -m pytest -q $(CORE_TESTS)
	@$(BIN)/coverage report --data-file=.coverage.core --skip-covered --fail-under=100

bench: $(VENV)/.dev ## how fast the gate is on this machine
	@$(BIN)/python -m benchmarks.run

# --- keeping house

lock: $(VENV)/.dev ## write requirements/*.txt again from *.in
	@cd requirements && for n in dev demo base sdk build all tryton datacontract; do \
		case $$n in dev|tryton|datacontract|all) constraint="";; *) constraint="-c dev.txt";; esac; \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $$constraint \
			$$n.in -o $$n.txt || exit 1; done

clean: ## remove what running and building left (not the download cache in your home)
	@if [ -x $(BIN)/solesource ]; then $(BIN)/solesource kafka down >/dev/null 2>&1 || true; fi
	@rm -rf $(VENV) .venv-tryton .venv-datacontract var build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
