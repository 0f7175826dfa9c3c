# Entrances to the project. `make` alone lists them; CI runs `check` and `test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml tools/setup.sh
	@echo "Setting up $(VENV) (a minute or so the first time)"
	@tools/setup.sh "$(PYTHON)" "$(VENV)"
	@touch $(READY)

.PHONY: setup
setup: $(READY) ## Make .venv with the locked packages and the promptlane command
	@echo "Ready: $(BIN)/promptlane"

.PHONY: run
run: $(READY) ## Start the proxy with a built-in fake provider and sample traffic; needs no account (ARGS=…)
	@$(BIN)/promptlane demo $(ARGS)

.PHONY: test
test: $(READY) ## Run the tests, on two cores (ARGS="tests/domain -k price" for some of them, on one)
	@$(BIN)/pytest $(or $(ARGS),--numprocesses 2 --dist loadfile)

.PHONY: check
check: $(READY) ## Everything that must hold before a commit, but for the tests themselves
	@$(MAKE) --no-print-directory --keep-going format-check lint types imports house

.PHONY: format-check
format-check: $(READY)
	@$(BIN)/ruff format --check .

.PHONY: house
house: $(READY)
	@$(BIN)/pytest -q tests/test_house.py tests/test_pages.py tests/test_troubleshooting.py

.PHONY: fmt
fmt: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lint
lint: $(READY) ## Lint with ruff
	@$(BIN)/ruff check .

.PHONY: types
types: $(READY) ## Check types with mypy (strict)
	@$(BIN)/mypy

.PHONY: imports
imports: $(READY) ## Check the floors of the house with import-linter
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(READY) ## Measure what the proxy costs, beside nginx and a bare pass-through in the same run
	@$(BIN)/python -m tools.bench $(ARGS)

.PHONY: bench-growth
bench-growth: $(READY) ## Measure what a call costs as bodies, connections, streams and the backlog grow
	@$(BIN)/python -m tools.bench --growth $(ARGS)

.PHONY: bench-memory
bench-memory: $(READY) ## Measure what connections, calls, bodies and streams hold in memory
	@$(BIN)/python -m tools.bench.memory $(ARGS)

.PHONY: bench-pages
bench-pages: $(READY) ## Measure the pages over a million calls, and calls while somebody looks at pages
	@$(BIN)/python -m tools.bench.pages build/pages $(ARGS)

.PHONY: profile
profile: $(READY) ## Sample where a loaded proxy spends its time (ARGS="--load stream --format flamegraph")
	@$(BIN)/python -m tools.bench.profile $(ARGS)

.PHONY: simulate
simulate: $(READY) ## Put the statistics of experiments to the test: simulated months, also through the real proxy
	@$(BIN)/python -m tools.simulate $(ARGS)

.PHONY: soak
soak: $(READY) ## Run the long tests: thousands of mixed calls, kills and outages
	@$(BIN)/pytest -m soak $(ARGS)

.PHONY: prices
prices: $(READY) ## Regenerate the base price table from a package's local data
	@$(BIN)/python -m tools.prices $(ARGS)

.PHONY: vocabulary
vocabulary: $(READY) ## Rebuild the checked-in token vocabulary and verify its hash
	@$(BIN)/python -m tools.vocabulary $(ARGS)

.PHONY: lock
lock: $(READY) ## Lock the newest allowed packages with hashes (commit the result)
	@$(LOCK) --upgrade --output-file requirements/run.txt
	@$(LOCK) --upgrade --extra dev --constraints requirements/run.txt --output-file requirements/dev.txt

.PHONY: docs
docs: $(READY) ## Regenerate the pages that are made from code
	@$(BIN)/python -m tools.docs

.PHONY: clean
clean: ## Remove what the tools made, and the virtual environment
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/sdk/node/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
