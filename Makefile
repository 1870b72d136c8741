# `make help` lists what can be made. Everything is built with one profile into a cache outside the clone, so that a fresh clone
# does not compile the dependencies again. The nodes under test differ from those of `make build` in one feature of two crates.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export ASSAY_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/assay
export CARGO_TARGET_DIR ?= $(ASSAY_CACHE)/target
# Release code with the assertions on; see Cargo.toml.
PROFILE := testnet
BIN := $(CARGO_TARGET_DIR)/$(PROFILE)
# What is built and what is tested must be selected alike, or cargo would build dependencies twice.
SELECTION := --workspace --bins --tests --profile $(PROFILE)
# The nodes under test can be told to misbehave; nothing else is ever built that way.
UNDER_TEST := $(SELECTION) --features assay-node/faults
# The interpreter that Debian's numpy belongs to.
PYTHON ?= /usr/bin/python3
# Published models, fetched for the tests on real weights (84 and 93 MB). `MODELS=skip` leaves these out, and says so.
export MODELS ?= fetch
# llama.cpp, to which the engine is compared, is built from its source. `LLAMA_CPP=skip` leaves it out, and says so.
LLAMA_CPP ?= build
ENGINE_BENCH = $(CARGO) bench --locked -p assay-engine --bench engine -- $(BENCH)
# What the set-up found out about the machine.
CARGO = . "$(ASSAY_CACHE)/env"; cargo

step = @printf '\n==> %s\n' "$(1)"

.PHONY: help setup build test network fuzz twin lint specs demo bench bench-engine weights

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make this machine ready (Debian packages, Wasm target); may be repeated
	$(call step,Set-up)
	@scripts/setup.sh

build: setup ## Build the node, the command lines and the tests
	$(call step,Build (the first time about 20 minutes on two cores))
	@$(CARGO) build --locked $(SELECTION)

test: setup ## Run the tests: unit and integration, networks of four nodes, the twin, format and lints
	$(call step,Build for tests (the first time about 30 minutes on two cores))
	@$(CARGO) build --locked $(UNDER_TEST)
ifeq ($(MODELS),skip)
	$(call step,Tests (MODELS=skip: nothing is tested on published weights))
	@unset ASSAY_MINILM ASSAY_SMOLLM2; $(CARGO) test --locked $(UNDER_TEST) --no-fail-fast
else
	$(call step,Tests)
	@ASSAY_MINILM="$$(scripts/model.sh minilm)"; ASSAY_SMOLLM2="$$(scripts/model.sh smollm2)"; export ASSAY_MINILM ASSAY_SMOLLM2; \
		$(CARGO) test --locked $(UNDER_TEST) --no-fail-fast
endif
	@$(CARGO) test --locked --workspace --doc --profile $(PROFILE) --features assay-node/faults
	$(call step,Multi-node tests)
	@zombienet/run.sh "$(BIN)/assay-node"
	@$(MAKE) --no-print-directory twin
	@$(MAKE) --no-print-directory lint

network: setup ## Run the multi-node tests alone, faulty peers included (one of them: SCENARIO=corrupt)
	$(call step,Build for tests)
	@$(CARGO) build --locked $(UNDER_TEST)
	$(call step,Multi-node tests)
	@zombienet/run.sh "$(BIN)/assay-node" $(addprefix zombienet/,$(addsuffix .zndsl,$(SCENARIO)))

fuzz: setup ## Feed a million damaged inputs to what reads files from elsewhere (another number: INPUTS=100000, others: SEED=2)
	$(call step,Fuzz (about 3 minutes on two idle cores))
	@export ASSAY_FUZZ_INPUTS=$(or $(INPUTS),1000000) ASSAY_FUZZ_SEED=$(or $(SEED),1) RUST_BACKTRACE=0; $(CARGO) test --locked \
		--workspace --test fuzz --profile $(PROFILE) --features assay-node/faults -- --nocapture

twin: setup ## Run the Python twin of docs/exact.md, and compare it with the engine bit for bit
	$(call step,Build for tests)
	@$(CARGO) build --locked $(UNDER_TEST)
ifeq ($(MODELS),skip)
	$(call step,Twin (MODELS=skip: without the encoder on real weights))
	@unset ASSAY_MINILM; ASSAY_ENGINE="$(BIN)/assay-engine" PYTHONDONTWRITEBYTECODE=1 "$(PYTHON)" twin/check.py
else
	$(call step,Twin)
	@ASSAY_MINILM="$$(scripts/model.sh minilm)"; export ASSAY_MINILM; \
		ASSAY_ENGINE="$(BIN)/assay-engine" PYTHONDONTWRITEBYTECODE=1 "$(PYTHON)" twin/check.py
endif

lint: setup ## Check the format and the lints
	$(call step,Format)
	@cargo fmt --all --check
	$(call step,Lints (the first time about 8 minutes on two cores))
	@$(CARGO) clippy --locked $(UNDER_TEST) --benches -- -D warnings
	$(call step,Benchmarks of the pallets compile)
	@scripts/weights.sh --check

specs: build ## Write chain-specs/ anew from the runtime's presets: a new genesis
	$(call step,Chain specs)
	@"$(BIN)/assay-node" export-chain-spec --chain testnet --output chain-specs/testnet.json
	@"$(BIN)/assay-node" export-chain-spec --chain testnet --raw --output chain-specs/testnet.raw.json

demo: build ## Ask a local network of four validators: PROMPT="..." make demo
	$(call step,Demo)
	@BIN="$(BIN)" scripts/demo.sh

bench: ## Measure: the engine (make bench-engine), then jobs on a network (a part: BENCH=demo, 0.5b, 1b or network)
ifneq ($(BENCH),network)
	@$(MAKE) --no-print-directory bench-engine
endif
ifeq ($(filter demo 0.5b 1b,$(BENCH)),)
	@$(MAKE) --no-print-directory build
	$(call step,Jobs on four validators)
	@ASSAY_ENGINE="$(BIN)/assay-engine" ASSAY_REPORT="$(ASSAY_CACHE)/network-bench.txt" \
		zombienet/run.sh "$(BIN)/assay-node" zombienet/bench/network.zndsl
	@cat "$(ASSAY_CACHE)/network-bench.txt"
endif

bench-engine: setup ## Measure the engine beside candle and llama.cpp, and the cost of checking (a shape: BENCH=demo, 0.5b or 1b)
ifeq ($(LLAMA_CPP),skip)
	$(call step,Engine (about 15 minutes))
	@unset ASSAY_LLAMA_CPP; $(ENGINE_BENCH)
else
	$(call step,llama.cpp (the first time about 10 minutes on two cores) and then the engine (about 15 minutes))
	@ASSAY_LLAMA_CPP="$$(PYTHON="$(PYTHON)" scripts/llama-cpp.sh || true)"; export ASSAY_LLAMA_CPP; $(ENGINE_BENCH)
endif

weights: setup ## Measure the weights of our pallets and write them (some: PALLETS="jobs verification")
	$(call step,Weights)
	@scripts/weights.sh $(PALLETS)
