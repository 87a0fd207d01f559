#!/usr/bin/env bash
# Runs the end-to-end tests on the test bed, and takes the bed down again unless it was up before.
# An argument picks the tests whose name holds it, in any case: e2e/run.sh influxdb. The Rust tests
# against the bed's servers are named `servers`.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
filter=${1:-}

bed() { (cd "$root/e2e" && go run ./cmd/bed "$@"); }
if [ ! -e /run/lifeboat-bed/home ]; then
  trap 'bed down' EXIT
fi
bed up
bed image "$root/target/x86_64-unknown-linux-gnu/release/lifeboat"

# The library against real servers, without Kubernetes in between.
if [ -z "$filter" ] || [ "$filter" = servers ]; then
  eval "$(bed env)"
  lab() { bed influx start "$1" | grep -oE 'http://[0-9.]+:[0-9]+' | head -n 1; }
  LIFEBOAT_TEST_INFLUX_A=$(lab lab-a) LIFEBOAT_TEST_INFLUX_B=$(lab lab-b) \
    LIFEBOAT_TEST_INFLUX_CLI=$(command -v influx) LIFEBOAT_TEST_INFLUXD=$(command -v influxd) \
    LIFEBOAT_TEST_S3_ENDPOINT=$LIFEBOAT_BED_S3_HTTP LIFEBOAT_TEST_S3_BUCKET=dr-exports \
    LIFEBOAT_TEST_S3_ACCESS_KEY=lifeboat-rw LIFEBOAT_TEST_S3_SECRET_KEY=lifeboat-rw-secret \
    LIFEBOAT_TEST_S3_READ_ACCESS_KEY=lifeboat-ro LIFEBOAT_TEST_S3_READ_SECRET_KEY=lifeboat-ro-secret \
    LIFEBOAT_TEST_S3_TLS_ENDPOINT=$LIFEBOAT_BED_S3_HTTPS LIFEBOAT_TEST_S3_TLS_CA=$LIFEBOAT_BED_S3_CA \
    cargo test --locked --manifest-path "$root/Cargo.toml" --test s3 --test s3_catalog --test influxdb
  bed influx stop lab-a --delete
  bed influx stop lab-b --delete
  if [ "$filter" = servers ]; then exit; fi
fi

cd e2e
go test ./... -count=1 -timeout 40m -v -run "(?i)${filter}" 2>&1 | grep -vE '^=== (RUN|PAUSE|CONT|NAME)|no test files'
exit "${PIPESTATUS[0]}"
