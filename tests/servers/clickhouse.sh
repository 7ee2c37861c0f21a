#!/usr/bin/env bash
# A private ClickHouse for tests: the real engine (libchdb.so, from npm) behind a small HTTP front (clickhouse/, built here).
#   clickhouse.sh install        fetch the engine and build the front, into the cache; repeated calls are quick
#   clickhouse.sh find           succeed when it is installed
#   clickhouse.sh start PORT DIR data under DIR/data; waits until it answers
#   clickhouse.sh stop DIR       SIGTERM, and wait
#   clickhouse.sh kill DIR       SIGKILL, and wait
#   clickhouse.sh hold PORT DIR  start, print "ready", run until standard input closes, then kill and remove DIR
# URL: clickhouse+http://default@127.0.0.1:PORT/DATABASE
# Cache: ${XDG_CACHE_HOME:-~/.cache}/tollgate-clickhouse/ENGINE. Unlike a server it knows no users, no replication, no
# asynchronous inserts, and buffers answers whole: what those do is not shown by a test that passes on it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=26.7.3-stable.1 # npm's "latest" has no chdb_stream_insert, without which the front cannot insert
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tollgate-clickhouse/$version"
engine="$cache/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
front="$cache/target/release/chdb-http"
die() { echo "clickhouse.sh: $*" >&2; exit 1; }

install() {
  mkdir -p "$cache"
  if [ ! -f "$engine" ]; then
    npm install --silent --no-audit --no-fund --save-exact --prefix "$cache" "@chdb/lib-linux-x64-gnu@$version" >/dev/null
  fi
  # Flags of the project's own build would only build the front again.
  env -u RUSTFLAGS CARGO_TARGET_DIR="$cache/target" cargo build --release --locked --quiet --manifest-path "$here/clickhouse/Cargo.toml"
}
find_it() {
  [ "$(uname -sm)" = "Linux x86_64" ] || die "the engine is to be had for Linux on x86-64 alone"
  [ -f "$engine" ] && [ -x "$front" ] || die "not installed: run tests/servers/clickhouse.sh install"
}
alive() { # PID: a zombie counts as gone
  case $(ps -o stat= -p "$1" 2>/dev/null) in "" | Z*) return 1 ;; *) return 0 ;; esac
}
start() { # PORT DIR
  find_it
  mkdir -p "$2/data"
  setsid "$front" "$engine" "$(cd "$2/data" && pwd)" "127.0.0.1:$1" >>"$2/log" 2>&1 </dev/null &
  echo $! >"$2/pid"
  for _ in $(seq 1200); do
    if grep -q "^ready $!$" "$2/log"; then return 0; fi
    alive "$!" || break
    sleep 0.05
  done
  tail -20 "$2/log" >&2
  die "not ready"
}
end() { # SIGNAL DIR
  local pid
  [ -f "$2/pid" ] || return 0
  pid=$(cat "$2/pid")
  kill "-$1" "$pid" 2>/dev/null || true
  for _ in $(seq 600); do
    if ! alive "$pid"; then rm -f "$2/pid"; return 0; fi
    sleep 0.05
  done
  kill -9 "$pid" 2>/dev/null || true
}
hold() { # PORT DIR
  trap 'end KILL "$held" || true; rm -rf "$held"' EXIT
  held=$2
  start "$1" "$2"
  echo ready
  cat >/dev/null || true
}
case ${1:-} in
  install) install ;;
  find) find_it ;;
  start) start "$2" "$3" ;;
  stop) end TERM "$2" ;;
  kill) end KILL "$2" ;;
  hold) hold "$2" "$3" ;;
  *) sed -n '2,12p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
