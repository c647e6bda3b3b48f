# Each habit is one word: `make help` lists them. A fresh Debian 12 with Python 3.11, Go and root can do all of them;
# Debian's packages that are missing are installed as they are needed.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

VENV := .venv
BIN  := $(VENV)/bin
# The tests and the lab talk to this machine alone; Prefect would report its use elsewhere.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A Python that really is 3.11 or later: a version manager's shim may be on the PATH and still refuse to run.
find_python = for python in $(or $(PYTHON),python3.11 python3); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then echo 'Python 3.11 or later is needed: install it, or name it: make setup PYTHON=…' >&2; exit 1; fi

.PHONY: help
help:  ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.installed  ## make .venv with everything pinned; does nothing when it is there

$(VENV)/.dependencies: requirements.txt
	@$(find_python); \
	if ! $$python -c 'import ensurepip' 2>/dev/null; then \
	  package=$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  echo "$$python cannot make virtual environments: installing $$package"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$$package" >/dev/null \
	    || { echo "Install Debian's package $$package as root, then run make again." >&2; exit 1; }; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "Making $(VENV) with $$($$python --version)"; \
	  $$python -m venv --clear $(VENV); \
	fi
	@echo "Installing $$(grep -c '^[a-z0-9].*==' requirements.txt) pinned packages: about a minute when nothing is cached"
	@$(BIN)/python -m pip install --progress-bar off --require-hashes -r requirements.txt \
	  | sed -un -e 's/^Collecting \([^ ;]*\).*/  \1/p' -e 's/^Installing collected.*/Unpacking them (half of the time)/p'
	@touch $@

$(VENV)/.installed: $(VENV)/.dependencies pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Ready: $(BIN)/downtime"

.PHONY: lint
lint: setup  ## style and likely mistakes (ruff, gofmt)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@unformatted=$$(gofmt -l lab); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted" >&2; exit 1; fi

.PHONY: format
format: setup  ## format the sources, and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	gofmt -w lab

.PHONY: types
types: setup  ## strict type check (mypy)
	$(BIN)/mypy

.PHONY: contracts
contracts: setup  ## who may import whom (import-linter)
	$(BIN)/lint-imports --no-logo

.PHONY: packages
packages: setup  ## Debian's packages that the tests need (root); those of the lab are among them
	@$(BIN)/python -m lab.packages

.PHONY: test
test: packages  ## every test but the long ones: real API server, real hosts
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

.PHONY: test-unit
test-unit: packages  ## pure functions: seconds, no cluster
	@$(BIN)/python -m pytest tests/unit

.PHONY: test-control-plane
test-control-plane: packages  ## a real API server with simulated nodes; no root
	@$(BIN)/python -m pytest tests/control_plane

.PHONY: test-hosts
test-hosts: packages  ## kubeadm hosts, SSH, power (root)
	@$(BIN)/python -m pytest tests/hosts

.PHONY: test-long
test-long: packages  ## the long repetitions that `make test` leaves out
	@$(BIN)/python -m pytest -m long

.PHONY: bench
bench: packages  ## measure: power loss to Running elsewhere, beside Kubernetes alone (7 minutes; no root)
	@$(BIN)/python -m bench

.PHONY: bench-hosts
bench-hosts: packages  ## the same on kubeadm hosts with real kubelets (10 minutes; root)
	@$(BIN)/python -m bench --hosts

.PHONY: bench-backup
bench-backup: packages  ## the same of a dump: streamed, hashed and encrypted beside kubectl exec (4 minutes; no root)
	@$(BIN)/python -m bench.backup

.PHONY: bench-forecast
bench-forecast: packages  ## the same of the forecast: 1,000 nodes, 10,000 pods, beside kubectl get pods (7 minutes; no root)
	@$(BIN)/python -m bench.forecast

.PHONY: demo
demo: setup  ## a node of a real cluster through planned maintenance, before your eyes (root)
	@$(BIN)/python -m lab.demo

.PHONY: demo-down
demo-down: setup  ## remove all that the demo made
	@$(BIN)/python -m lab.demo --down

# uv in a folder of its own, so that the lock does not hold what makes it. No address of a registry is written down.
LOCKER := $(VENV)/lock

.PHONY: lock
lock:  ## renew requirements.txt: every pin with hashes, from pyproject.toml
	@$(find_python); \
	test -x $(LOCKER)/bin/uv || { $$python -m venv $(LOCKER) && $(LOCKER)/bin/pip install --quiet uv==0.13.9; }
	@$(LOCKER)/bin/uv --quiet pip compile pyproject.toml --extra dev --upgrade \
	  --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --output-file requirements.txt

.PHONY: clean
clean:  ## remove .venv and what tools left; labs stay (`make demo-down` removes the demo's)
	rm -rf $(VENV) *.egg-info build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.lab/*' -prune -exec rm -rf {} +
