# Two commands say most: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null && $$p -c 'import sys,venv,ensurepip; raise SystemExit(not (3,11) <= sys.version_info[:2] < (3,14))' 2>/dev/null && echo $$p && break; done)
PACKAGES := shared/contracts shared/runtime services/gateway services/db-worker services/cloud-worker services/ai-worker clients/cli standins dev tools
PY := .venv/bin/python

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.ready: requirements/bootstrap.txt requirements/dev.txt $(wildcard */*/pyproject.toml standins/pyproject.toml dev/pyproject.toml tools/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Nexpo needs Python 3.11, 3.12 or 3.13 with venv; none was found on PATH." >&2; exit 1; }
	@echo "Making the environment in .venv (once; about a minute where nothing is cached)." && begin=$$SECONDS && \
	{ test -x $(PY) || $(PYTHON) -m venv .venv; } && \
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt && \
	$(PY) -m uv pip sync -q --python $(PY) --require-hashes requirements/dev.txt && \
	$(PY) -m uv pip install -q --python $(PY) --no-deps --no-build-isolation $(foreach p,$(PACKAGES),-e ./$(p)) && \
	echo "The environment is ready after $$((SECONDS - begin)) s."
	@touch $@

.PHONY: install
install: .venv/.ready ## Make the environment in .venv

.PHONY: demo
demo: .venv/.ready ## Play an onboarding that finishes, one that is undone, one that survives a kill
	@$(PY) -m nexpo_dev.demo

.PHONY: picture
picture: .venv/.ready ## Draw the README's picture of the demo again, from a real run
	@DEMO_PICTURE=docs/demo.svg $(PY) -m nexpo_dev.demo

.PHONY: up
up: .venv/.ready ## Start the whole stack and keep it running; print addresses and what to try. Ports: make up PORTS=9450
	@$(PY) -m nexpo_dev $(if $(PORTS),--ports $(PORTS)) up

.PHONY: status
status: .venv/.ready ## Show what of the stack runs
	@$(PY) -m nexpo_dev status

.PHONY: down
down: .venv/.ready ## End the stack and delete its data
	@$(PY) -m nexpo_dev down

# As many workers as a small machine has cores; a file's tests stay together for their fixtures.
WORKERS ?= 2
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile -q --durations=20
.PHONY: test
test: .venv/.ready ## Run what every change must pass; JUnit XML in build/junit.xml. Narrow it: make test TESTS=dev
	@mkdir -p build
	@$(PYTEST) -m "not verify" --junitxml=build/junit.xml $(TESTS)

.PHONY: verify
verify: .venv/.ready ## Run the tests that are too long for every change; JUnit XML in build/verify.xml
	@mkdir -p build && rm -f build/verify.xml
	@$(PYTEST) -m verify --junitxml=build/verify.xml $(TESTS); code=$$?; \
	$(PY) -m tests.verified make verify $(if $(TESTS),TESTS="$(TESTS)") && exit $$code

RUNS ?= 20000
SEED ?= 1
.PHONY: simulate
simulate: .venv/.ready ## Simulate onboardings under every fault: make simulate RUNS=20000 SEED=1 [CASE=n]
	@$(PY) -m tests.simulation --runs $(RUNS) --seed $(SEED) $(if $(CASE),--case $(CASE))

.PHONY: chaos
chaos: .venv/.ready ## Kill, cut and fill at every place: the kill matrix and the faults of the world. ONLY="part of a name"
	@$(PY) -m tests.chaos all --only "$(ONLY)"

MINUTES ?= 10
.PHONY: soak
soak: .venv/.ready ## Load at 70 % of capacity while every 30 s a service is killed: make soak MINUTES=10
	@$(PY) -m tests.chaos soak --minutes $(MINUTES)

.PHONY: clean
clean: ## End the stack; delete its data, test results and caches (not .venv)
	@test ! -x $(PY) || $(PY) -m nexpo_dev down
	@rm -rf build .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: lock
lock: .venv/.ready ## Pin every dependency again, with hashes
	@$(PY) -m nexpo_tools.lock $(if $(UPGRADE),--upgrade)

.PHONY: generate
generate: .venv/.ready ## Write everything that comes from the protos
	@$(PY) -m nexpo_tools.generate
	@$(PY) -m nexpo_tools.golden

.PHONY: release-contract
release-contract: .venv/.ready ## Make the protos as they are what must not break
	@$(PY) -m nexpo_tools.buf

.PHONY: record
record: .venv/.ready ## Record the histories of operations that are not there: TESTS="..."
	@$(PY) -m tests.replay.record $(TESTS)

.PHONY: lint
lint: .venv/.ready ## Check style, types, imports, protos and generated code
	@$(PY) -m nexpo_tools.lint

.PHONY: format
format: .venv/.ready ## Format Python, and mend what ruff can
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format --quiet .

.venv/.bench-ready: .venv/.ready requirements/bench.txt
	@$(PY) -m uv pip install -q --python $(PY) --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

.PHONY: bench
bench: .venv/.bench-ready ## Measure what the house costs; figures in build/bench.json. Short: make bench BENCH=--quick
	@$(PY) -m bench $(BENCH)

.PHONY: pictures
pictures: .venv/.ready ## Write the figures and pictures of docs/benchmarks.md and docs/reliability.md from build/
	@$(PY) -m bench.report
	@$(PY) -m bench.reliability

.PHONY: verified
verified: .venv/.ready ## Write the last result of make verify into docs/reliability.md
	@$(PY) -m bench.reliability --only-verify
