# Sourced by the scripts that run something on the test bed. It sets `root` (the repository) and
# `binary` (the operator), and ends what the script started when that ends, however it ends.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=${BINARY:-$root/target/x86_64-unknown-linux-gnu/release/lifeboat}

at_exit_commands=()
# at_exit COMMAND ...: runs it when the script ends; the last one that was asked for comes first.
at_exit() { at_exit_commands=("$(printf '%q ' "$@")" "${at_exit_commands[@]}"); }
run_at_exit() {
  local command
  for command in "${at_exit_commands[@]}"; do eval "$command" || true; done
}
trap run_at_exit EXIT
trap 'exit 130' INT TERM

bed() { (cd "$root/e2e" && go run ./cmd/bed "$@"); }

bed_taken=
# take_bed brings the bed up with the operator's image, once; down again unless it was up before.
take_bed() {
  if [ -n "$bed_taken" ]; then return; fi
  bed_taken=yes
  if [ ! -e /run/lifeboat-bed/home ]; then at_exit bed down; fi
  bed up
  bed image "$binary"
}
