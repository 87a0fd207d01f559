#!/usr/bin/env bash
# Runs the benchmarks on the test bed, and takes it down again unless it was up before.
set -euo pipefail
# shellcheck source=e2e/bed.sh
source "$(dirname "$0")/../e2e/bed.sh"

# shellcheck source=e2e/servers.sh
source "$root/e2e/servers.sh"

take_elasticdump
if [ "${BENCH:-}" != kuzzle ]; then take_bed; fi
cd "$root/e2e"
go run ./cmd/bench ${BENCH:+-only "$BENCH"} -binary "$binary" -multielasticdump "$multielasticdump"
