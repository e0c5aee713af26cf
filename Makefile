# Every target sets up what it needs: a virtual environment with the locked dependencies.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: plan apply test test-slow check format benchmarks clean

plan: $(READY)
	@$(BIN)/custody plan $(ARGS)

apply: $(READY)
	@$(BIN)/custody apply $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest -q -n 2 $(ARGS)

test-slow: $(READY)
	@$(BIN)/python -m pytest -q -m slow $(ARGS)

check: $(READY)
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not heavy" tests/unit

# All at a modest size, in some minutes; `make benchmarks ONLY=search_runs ARGS="--runs 50000"` runs one at another.
# MLFLOW and DVC in the environment add these peers.
ONLY ?= cost engine_start compiled_flow record_run plan_scale ledger_scale search_runs share serve
SIZE_plan_scale := --sizes 10,100
SIZE_ledger_scale := --records 1000,5000 --models 300
SIZE_search_runs := --runs 5000 --models 100
SIZE_share := --runs 1000 --models 50
SIZE_serve := --rounds 4 --seconds 2

benchmarks: $(READY)
	@set -e; $(foreach name,$(ONLY),echo "== benchmarks/$(name).py $(SIZE_$(name)) $(ARGS)"; $(BIN)/python benchmarks/$(name).py $(SIZE_$(name)) $(ARGS);)

format: $(READY)
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

# pip asks `rustc --version` to name itself; where rustc is rustup's shim, that would write to the home directory.
$(READY): export RUSTUP_HOME := $(CURDIR)/.venv/rustup
$(READY): requirements.lock pyproject.toml
	@echo "Setting up .venv from requirements.lock (once, two to three minutes) ..." >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "custody needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@$(BIN)/python -m custody.engine.template || echo "Prefect's schema will be made at the first apply." >&2
	@touch $@

clean:
	rm -rf .venv
