# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null && $$p -c 'import sys,venv,ensurepip; raise SystemExit(not (3,11) <= sys.version_info[:2] < (3,14))' 2>/dev/null && echo $$p && break; done)
PACKAGES := shared/contracts shared/runtime services/gateway services/db-worker services/cloud-worker services/ai-worker clients/cli dev tools
PY := .venv/bin/python

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.ready: requirements/bootstrap.txt requirements/dev.txt $(wildcard */*/pyproject.toml dev/pyproject.toml tools/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Nexpo needs Python 3.11, 3.12 or 3.13 with venv; none was found on PATH." >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(PY) -m uv pip sync -q --python $(PY) --require-hashes requirements/dev.txt
	@$(PY) -m uv pip install -q --python $(PY) --no-deps --no-build-isolation $(foreach p,$(PACKAGES),-e ./$(p))
	@touch $@

.PHONY: install
install: .venv/.ready ## Make the environment in .venv

.PHONY: lock
lock: .venv/.ready ## Pin every dependency again, with hashes
	@$(PY) -m nexpo_tools.lock $(if $(UPGRADE),--upgrade)

.PHONY: generate
generate: .venv/.ready ## Write everything that comes from the protos
	@$(PY) -m nexpo_tools.generate

.PHONY: release-contract
release-contract: .venv/.ready ## Make the protos as they are what must not break
	@$(PY) -m nexpo_tools.buf

.PHONY: lint
lint: .venv/.ready ## Check style, types, imports, protos and generated code
	@$(PY) -m nexpo_tools.lint

.PHONY: format
format: .venv/.ready ## Format Python, and mend what ruff can
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format --quiet .
