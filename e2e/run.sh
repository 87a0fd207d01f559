#!/usr/bin/env bash
# Runs the end-to-end tests on the test bed, and takes the bed down again unless it was up before.
# An argument picks the tests whose name holds it, in any case: e2e/run.sh influxdb.
set -euo pipefail
cd "$(dirname "$0")/.."
bed=target/bed/bed
filter=${1:-}

if [ "${CLUSTER:-}" != current ]; then
  if ! "$bed" status >/dev/null 2>&1; then
    trap '"$bed" down' EXIT
  fi
  "$bed" up
  "$bed" image target/x86_64-unknown-linux-gnu/release/lifeboat
fi
cd e2e
go test ./... -count=1 -timeout 45m -v -run "(?i)${filter}" 2>&1 | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'
exit "${PIPESTATUS[0]}"
