#!/usr/bin/env bash
# Runs the end-to-end tests on the test bed, and takes the bed down again unless it was up before.
# An argument picks the tests whose name holds it, in any case: e2e/run.sh influxdb.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$PWD/target/x86_64-unknown-linux-gnu/release/lifeboat
filter=${1:-}
cd e2e

bed() { go run ./cmd/bed "$@"; }
if [ ! -e /run/lifeboat-bed/home ]; then
  trap 'bed down' EXIT
fi
bed up
bed image "$binary"
go test ./... -count=1 -timeout 45m -v -run "(?i)${filter}" 2>&1 | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'
exit "${PIPESTATUS[0]}"
