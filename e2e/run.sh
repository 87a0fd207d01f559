#!/usr/bin/env bash
# Runs the end-to-end tests on the test bed, and takes the bed down again unless it was up before.
# One argument picks some of them:
#   servers         the Rust tests against real servers and stand-ins, of all systems
#   servers-NAME    those of one system
#   NAME            the tests on Kubernetes whose name holds it, in any case: e2e/run.sh influxdb
# With CLUSTER=current the current kubectl context takes the bed's place: see docs/testing.md.
set -euo pipefail
# shellcheck source=e2e/bed.sh
source "$(dirname "$0")/bed.sh"
# shellcheck source=e2e/servers.sh
source "$root/e2e/servers.sh"
filter=${1:-}

case $filter in
  "" | servers) chosen=("${systems[@]}") ;;
  servers-*) chosen=("${filter#servers-}") ;;
  *) chosen=() ;;
esac
if [ "${CLUSTER:-}" = current ] && [ ${#chosen[@]} -gt 0 ]; then
  echo "skipped: the Rust tests against servers need the test bed and not CLUSTER=current"
  chosen=()
fi
for system in "${chosen[@]}"; do
  echo "== servers: $system"
  "servers_$system"
done
case $filter in servers | servers-*) exit ;; esac

if [ "${CLUSTER:-}" != current ]; then take_bed; fi
cd "$root/e2e"
go test ./... -count=1 -timeout 40m -v -run "(?i)${filter}" 2>&1 | grep -vE '^=== (RUN|PAUSE|CONT|NAME)|no test files'
exit "${PIPESTATUS[0]}"
