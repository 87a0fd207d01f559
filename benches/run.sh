#!/usr/bin/env bash
# Runs the benchmarks on the test bed, and takes it down again unless it was up before. Those of Kuzzle and
# RethinkDB need no bed.
set -euo pipefail
# shellcheck source=e2e/bed.sh
source "$(dirname "$0")/../e2e/bed.sh"
# shellcheck source=e2e/servers.sh
source "$root/e2e/servers.sh"

case ${BENCH:-} in
  kuzzle | rethinkdb) ;;
  *) take_bed ;;
esac
take_elasticdump
rethinkdb_tools
cd "$root/e2e"
go run ./cmd/bench ${BENCH:+-only "$BENCH"} -binary "$binary" -multielasticdump "$multielasticdump" \
  -rethinkdb-tools "$LIFEBOAT_TEST_RETHINKDB_TOOLS"
