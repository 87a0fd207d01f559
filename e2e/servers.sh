# Sourced by run.sh: the library against real servers and stand-ins, without Kubernetes in between.
# Each system is a function `servers_NAME` and a word in `systems`. A real server of the bed needs
# `take_bed` first; a stand-in needs nothing.
# shellcheck shell=bash
systems=(s3 clouds influxdb kuzzle cnosdb rethinkdb emqx)

# rust_tests NAME ...: runs tests/NAME.rs.
rust_tests() {
  local name arguments=()
  for name in "$@"; do arguments+=(--test "$name"); done
  cargo test --locked --manifest-path "$root/Cargo.toml" "${arguments[@]}"
}

# standin SYSTEM: starts one that lives until the script ends, and sets `address` to its address.
standin() {
  local program=$root/target/tools/bin/standin output
  if [ -z "${standin_built:-}" ]; then
    (cd "$root/e2e" && go build -o "$program" ./cmd/standin)
    standin_built=yes
  fi
  exec {output}< <(exec "$program" --listen 127.0.0.1:0 "$@")
  at_exit end_process "$!"
  if ! read -r -t 30 address <&"$output"; then
    echo "the stand-in for $1 did not say its address" >&2
    return 1
  fi
}

# It may have ended by itself.
end_process() { kill "$1" 2>/dev/null; }

servers_s3() {
  take_bed
  eval "$(bed env)"
  LIFEBOAT_TEST_S3_ENDPOINT=$LIFEBOAT_BED_S3_HTTP LIFEBOAT_TEST_S3_BUCKET=dr-exports \
    LIFEBOAT_TEST_S3_ACCESS_KEY=lifeboat-rw LIFEBOAT_TEST_S3_SECRET_KEY=lifeboat-rw-secret \
    LIFEBOAT_TEST_S3_READ_ACCESS_KEY=lifeboat-ro LIFEBOAT_TEST_S3_READ_SECRET_KEY=lifeboat-ro-secret \
    LIFEBOAT_TEST_S3_TLS_ENDPOINT=$LIFEBOAT_BED_S3_HTTPS LIFEBOAT_TEST_S3_TLS_CA=$LIFEBOAT_BED_S3_CA \
    rust_tests s3 s3_catalog
}

# The real azurite, and a stand-in for Google Cloud Storage.
servers_clouds() {
  local tools=$root/target/tools/azurite output port line
  if [ ! -x "$tools/node_modules/.bin/azurite-blob" ]; then
    npm install --silent --no-audit --no-fund --prefix "$tools" azurite@3.37.0
  fi
  rm -rf "$tools/data"
  port=$(free_port)
  exec {output}< <(exec "$tools/node_modules/.bin/azurite-blob" --disableTelemetry \
    --location "$tools/data" --blobHost 127.0.0.1 --blobPort "$port")
  at_exit end_process "$!"
  while read -r -t 60 line <&"$output" && [[ $line != *"successfully listen"* ]]; do :; done
  if [[ $line != *"successfully listen"* ]]; then
    echo "azurite did not say that it listens" >&2
    return 1
  fi
  standin gcs
  LIFEBOAT_TEST_AZURE_ENDPOINT=http://127.0.0.1:$port/devstoreaccount1 \
    LIFEBOAT_TEST_GCS_ENDPOINT=http://$address rust_tests clouds
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

servers_influxdb() {
  take_bed
  eval "$(bed env)"
  at_exit bed influx stop lab-a --delete
  at_exit bed influx stop lab-b --delete
  local a b
  a=$(influx_url lab-a)
  b=$(influx_url lab-b)
  LIFEBOAT_TEST_INFLUX_A=$a LIFEBOAT_TEST_INFLUX_B=$b \
    LIFEBOAT_TEST_INFLUX_CLI=$(command -v influx) LIFEBOAT_TEST_INFLUXD=$(command -v influxd) \
    rust_tests influxdb
}

influx_url() { bed influx start "$1" | grep -oE 'http://[0-9.]+:[0-9]+' | head -n 1; }

servers_kuzzle() {
  local program=$root/target/tools/bin/elastic output urls
  (cd "$root/e2e" && go build -o "$program" ./cmd/elastic)
  exec {output}< <(cd "$root/e2e" && exec "$program" --count 2)
  at_exit end_process "$!"
  if ! read -r -t 600 -a urls <&"$output"; then
    echo "Elasticsearch did not start" >&2
    return 1
  fi
  take_elasticdump
  LIFEBOAT_TEST_KUZZLE_A=${urls[0]} LIFEBOAT_TEST_KUZZLE_B=${urls[1]} \
    LIFEBOAT_TEST_ELASTICDUMP=$multielasticdump rust_tests kuzzle
}

# take_elasticdump: installs the vendor's tool, and sets `multielasticdump` to its path.
take_elasticdump() {
  local dump=$root/target/tools/elasticdump
  if [ ! -e "$dump/node_modules/elasticdump" ]; then
    npm install --silent --no-audit --no-fund --prefix "$dump" elasticdump@6.125.1
  fi
  multielasticdump=$dump/node_modules/elasticdump/bin/multielasticdump
}

servers_cnosdb() {
  local a
  standin cnosdb
  a=$address
  standin cnosdb
  LIFEBOAT_TEST_CNOSDB_A=http://$a LIFEBOAT_TEST_CNOSDB_B=http://$address rust_tests cnosdb
}

# The vendor's client tools, and where they are.
rethinkdb_tools() {
  local tools=$root/target/tools/rethinkdb
  if [ ! -x "$tools/bin/rethinkdb-restore" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet rethinkdb==2.4.10.post1
  fi
  export LIFEBOAT_TEST_RETHINKDB_TOOLS=$tools/bin
}

servers_rethinkdb() {
  local a b
  rethinkdb_tools
  standin rethinkdb
  a=$address
  standin rethinkdb
  b=$address
  LIFEBOAT_TEST_RETHINKDB_A=$a LIFEBOAT_TEST_RETHINKDB_B=$b rust_tests rethinkdb
}

servers_emqx() {
  local a b
  standin emqx
  a=http://$address
  standin emqx
  b=http://$address
  LIFEBOAT_TEST_EMQX_A=$a LIFEBOAT_TEST_EMQX_B=$b rust_tests emqx
}
