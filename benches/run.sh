#!/usr/bin/env bash
# Runs the benchmarks on the test bed, and takes it down again unless it was up before.
set -euo pipefail
# shellcheck source=e2e/bed.sh
source "$(dirname "$0")/../e2e/bed.sh"

take_bed
cd "$root/e2e"
go run ./cmd/bench ${BENCH:+-only "$BENCH"}
