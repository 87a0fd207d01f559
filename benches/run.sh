#!/usr/bin/env bash
# Runs the benchmarks on the test bed, and takes it down again unless it was up before.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$PWD/target/x86_64-unknown-linux-gnu/release/lifeboat
cd e2e

bed() { go run ./cmd/bed "$@"; }
if [ ! -e /run/lifeboat-bed/home ]; then
  trap 'bed down' EXIT
fi
bed up
bed image "$binary"
go run ./cmd/bench ${BENCH:+-only "$BENCH"}
