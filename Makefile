# Everything a person or the build machine runs. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# The server for the tests of the MongoDB store; pinned, as it is young.
SECANTUS := SecantusDB==0.7.0b3
MONGO_VENV := .tools/mongo-venv
MONGO_MARK := $(MONGO_VENV)/installed-$(SECANTUS)
MONGO_BIN := $(CURDIR)/$(MONGO_VENV)/bin/secantusd-py
# No server of our own where another one is named or the tests are left out.
MONGO_NEEDED := $(if $(or $(MONGODB_URI),$(MONGO_TEST_BIN),$(filter off,$(MONGO_TESTS))),,$(MONGO_MARK))

# What holds the API against its description in the tests; pinned, as each version looks for more.
SCHEMATHESIS := schemathesis==4.32.5
SCHEMATHESIS_VENV := .tools/schemathesis-venv
SCHEMATHESIS_MARK := $(SCHEMATHESIS_VENV)/installed-$(SCHEMATHESIS)
SCHEMATHESIS_PROGRAM := $(CURDIR)/$(SCHEMATHESIS_VENV)/bin/schemathesis
SCHEMATHESIS_NEEDED := $(if $(or $(SCHEMATHESIS_BIN),$(filter off,$(API_TESTS))),,$(SCHEMATHESIS_MARK))

.PHONY: help setup build test soak mongo schemathesis demo lint docs deny bench-proxy bench-config bench-queue bench-transform bench-memory bench-limits bench-logs bench-fleet

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what the build needs through apt where it may, or names it.
	@missing=(); \
	command -v cmake >/dev/null || missing+=(cmake); \
	command -v cc >/dev/null || missing+=(build-essential); \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	if [ $${#missing[@]} -gt 0 ]; then \
	  if [ "$$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo -n); fi; \
	  if command -v apt-get >/dev/null && "$${as_root[@]}" true 2>/dev/null; then \
	    echo "setup: installing $${missing[*]}"; \
	    "$${as_root[@]}" apt-get update -qq; \
	    "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"; \
	  else \
	    echo "setup: please install: $${missing[*]}" >&2; exit 1; \
	  fi; \
	fi
	@command -v $(CARGO) >/dev/null || { echo "setup: please install Rust, see https://rustup.rs" >&2; exit 1; }

build: setup ## Builds every program (dev profile).
	$(CARGO) build --workspace --bins

test: build $(MONGO_NEEDED) $(SCHEMATHESIS_NEEDED) ## Runs all tests: real processes on free ports. MONGODB_URI names a server, MONGO_TESTS=off leaves MongoDB out, API_TESTS=off Schemathesis.
	@export MONGO_TEST_BIN="$(or $(MONGO_TEST_BIN),$(MONGO_BIN))"; \
	export SCHEMATHESIS_BIN="$(or $(SCHEMATHESIS_BIN),$(SCHEMATHESIS_PROGRAM))"; \
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  echo "test: $(CARGO) nextest run, then the documentation's examples"; \
	  $(CARGO) nextest run --workspace; \
	  $(CARGO) nextest run -p filters --features javascript javascript; \
	  $(CARGO) test --workspace --doc --quiet; \
	else \
	  echo "test: $(CARGO) test (cargo-nextest is not installed; it is optional)"; \
	  $(CARGO) test --workspace; \
	  $(CARGO) test -p filters --features javascript javascript; \
	fi

# Rounds of the long run; each kills the gateway once.
SOAK_ROUNDS ?= 1000

soak: build ## Kills the gateway under load a thousand times (SOAK_ROUNDS) and looks for lost events.
	KILL_ROUNDS=$(SOAK_ROUNDS) $(CARGO) test --package integration-tests --test it -- --nocapture durability

mongo: setup $(MONGO_MARK) ## Installs the MongoDB-wire server of the tests into .tools.

$(MONGO_MARK):
	@echo "mongo: installing $(SECANTUS) from PyPI into $(MONGO_VENV)"
	@rm -rf $(MONGO_VENV)
	@python3 -m venv $(MONGO_VENV)
	@$(MONGO_VENV)/bin/pip install --quiet --disable-pip-version-check $(SECANTUS) || { \
	  echo "mongo: cannot install $(SECANTUS); set MONGODB_URI to a replica set, or MONGO_TESTS=off to leave these tests out" >&2; \
	  exit 1; }
	@touch $@

schemathesis: setup $(SCHEMATHESIS_MARK) ## Installs Schemathesis, which tests the API, into .tools.

$(SCHEMATHESIS_MARK):
	@echo "schemathesis: installing $(SCHEMATHESIS) from PyPI into $(SCHEMATHESIS_VENV)"
	@rm -rf $(SCHEMATHESIS_VENV)
	@python3 -m venv $(SCHEMATHESIS_VENV)
	@$(SCHEMATHESIS_VENV)/bin/pip install --quiet --disable-pip-version-check $(SCHEMATHESIS) || { \
	  echo "schemathesis: cannot install $(SCHEMATHESIS); set API_TESTS=off to leave these tests out" >&2; \
	  exit 1; }
	@touch $@

demo: build ## Shows calls through a hot-pushed route, and events to subscribers that fail; stays up until Ctrl-C, or ends after the tour with DEMO_ONCE=1.
	@exec $(TARGET)/debug/demo

lint: setup ## Formatting, clippy, documentation, and cargo-deny where it is installed.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory docs
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(MAKE) --no-print-directory deny; \
	else echo "lint: cargo-deny is not installed (cargo install --locked cargo-deny)"; fi

# The documentation is for those who work on the programs, so private items are part of it and may be linked to.
docs: ## Builds the documentation and fails for a broken link.
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
	  $(CARGO) doc --workspace --no-deps --document-private-items

deny: ## Licences, sources and duplicates of the dependencies. Advisories need a database from the network: `cargo deny check advisories`.
	$(CARGO) deny --all-features check licenses bans sources

bench-proxy: setup ## The gateway beside nginx, HAProxy and Envoy; writes target/bench/proxy.json.
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --package benches --bin proxy

bench-limits: ## What a request pays for its limits.
	$(CARGO) run --release --package benches --bin limits

bench-logs: setup ## Lists, dashboard and analytics at a million delivery logs; writes target/bench/logs.json.
	$(CARGO) build --release --package control-plane --bins
	$(CARGO) run --release --package benches --bin logs -- $(ARGS)

bench-config: setup ## Time from a PUT to the live route at 10,000 routes; writes target/bench/config.json.
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --package benches --bin config

bench-fleet: mongo ## Two control planes on one MongoDB: a change at one, live at the gateway of the other; writes target/bench/fleet.json.
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --package benches --bin fleet

bench-memory: ## Memory over config swaps and a churn of HTTP/2; ARGS='--swaps 10000 --churn-seconds 600' for the long run.
	$(CARGO) build --release --package gateway --bins
	$(CARGO) run --release --package benches --bin memory -- $(ARGS)

bench-transform: ## What mapping tables, lookups and scripts cost on one thread; prints its figures.
	$(CARGO) run --release --package benches --bin transform

bench-queue: setup ## The event flow: durable 202s, deliveries, latency, restart, bad neighbours; writes target/bench/queue.json.
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --package benches --bin queue
