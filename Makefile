# Stable names: demo test unit e2e bench generate lint image faults cluster-up cluster-down.
SHELL := /bin/bash
TARGET := x86_64-unknown-linux-gnu
# PROFILE=dev builds in seconds and runs slowly: for work on one test.
PROFILE ?= release
export BINARY := $(CURDIR)/target/$(TARGET)/$(PROFILE:dev=debug)/lifeboat
BED := cd e2e && go run ./cmd/bed
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

# With CLUSTER=current the current kubectl context takes the test bed's place; see docs/testing.md.
ifneq ($(CLUSTER),current)
BED_BUILD := bed-build
endif

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: ## The main job, from nothing: two clusters, a backup a minute, a standby, a disaster.
	cd e2e && go run ./cmd/demo

.PHONY: test
test: lint unit image-binary $(BED_BUILD) e2e ## Everything that CI runs, from nothing.

.PHONY: unit
unit: ## Tests that need no cluster.
	cargo test --locked --quiet

.PHONY: e2e
e2e: image-binary $(BED_BUILD) ## Tests on two real clusters; E2E=name for one.
	e2e/run.sh $(E2E)

.PHONY: faults
faults: image-binary $(BED_BUILD) ## Kills, bad input and lost servers on the real clusters.
	e2e/run.sh "Once|Killed|BadInput"

.PHONY: bench
bench: image-binary bed-build ## Ratios against the vendor's tools, and memory.
	benches/run.sh

.PHONY: generate
generate: ## Write crds/, the chart's CRDs and the reference docs anew.
	LIFEBOAT_GENERATE=1 cargo test --locked --quiet --test generated

.PHONY: lint
lint: tools ## Formatting, lints, docs, dependencies.
	cargo fmt --check
	cargo clippy --locked --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	cargo deny --log-level error check licenses bans sources
	cd e2e && test -z "$$(gofmt -l .)" && go vet ./...

.PHONY: tools
tools: target/tools/bin/cargo-deny

target/tools/bin/cargo-deny:
	cargo install cargo-deny --locked --quiet --root target/tools --target-dir target/tools/build

.PHONY: image-binary
image-binary: ## The static binary.
	@echo "build: lifeboat, static, $(PROFILE)"
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile $(PROFILE) --target $(TARGET)

.PHONY: image
image: image-binary bed-build ## The image, as target/bed/lifeboat.tar.
	$(BED) image $(BINARY)

.PHONY: bed-build
bed-build: ## Kubernetes, InfluxDB and the object store, from source.
	$(BED) build

.PHONY: cluster-up
cluster-up: bed-build ## Two clusters, an object store and two databases; see e2e/bed/README.md.
	$(BED) up

.PHONY: image-load
image-load: ## Build the image from the binary and load it into both clusters.
	$(BED) image $(BINARY)

.PHONY: primary-stop
primary-stop: ## Lose the primary: its cluster and its database.
	$(BED) stop influxdb-primary
	$(BED) stop-cluster primary

.PHONY: cluster-down
cluster-down: ## Stop it all and leave nothing behind.
	$(BED) down
