# `make demo` and `make test` set everything up by themselves; `make` alone lists the targets.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lock clean

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export TF_CPP_MIN_LOG_LEVEL := 2
activate := source .venv/bin/activate

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv from conda.yaml (quick when nothing changed)
	@./setup.sh

demo: setup ## from nothing to a prediction served by a promoted student
	@$(activate) && python tools/demo.py

test: lint ## every check: lint, then the tests
	@$(activate) && pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: setup ## ruff (rules, format) and mypy
	@$(activate) && ruff check . && ruff format --check . && mypy

lock: ## renew requirements.lock after a change of conda.yaml
	@PATH=".venv/bin:$$PATH"; tools/pins.sh | uv pip compile - --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --annotation-style line \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock

clean: ## remove .venv and caches; data, runs and models stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
