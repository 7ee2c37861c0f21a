#!/usr/bin/env bash
# A private PostgreSQL for tests. Needs the server's programs (Debian: postgresql-15; macOS: brew install postgresql).
#   postgres.sh start PORT DIR   initdb on first use (superuser postgres/postgres, scram on TCP, trust on the socket)
#   postgres.sh stop DIR         fast shutdown
#   postgres.sh kill DIR         SIGKILL of the postmaster and its children
#   postgres.sh hold PORT DIR    start, print "ready", run until standard input closes, then kill and remove DIR
#   postgres.sh find             print the folder of the server's programs, or fail
# URL: postgres://postgres:postgres@127.0.0.1:PORT/postgres     psql -h DIR/run -p PORT -U postgres
# DIR must be enterable by user postgres when this runs as root. fsync is off (only a power cut would lose data);
# PG_SAFE=1 turns it on. synchronous_commit stays on in both: with it off, kill -9 does lose acknowledged commits.
set -euo pipefail
die() { echo "postgres.sh: $*" >&2; exit 1; }
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
find_bin() {
  local candidate
  for candidate in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V -r) \
    "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")" /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ] && { echo "$candidate"; return 0; }
  done
  die "no PostgreSQL server programs found"
}

start() { # PORT DIR
  local bin dir fast="-c fsync=off -c full_page_writes=off"
  bin=$(find_bin)
  mkdir -p "$2"; dir=$(cd "$2" && pwd)
  mkdir -p "$dir/run"
  [ "$(id -u)" = 0 ] && chown postgres:postgres "$dir" "$dir/run"
  as test -x "$dir" || die "user postgres cannot enter $dir: choose a place under a world-readable path"
  if [ ! -f "$dir/data/PG_VERSION" ]; then
    as sh -c 'umask 077; echo postgres >"$1"' sh "$dir/pw"
    as "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 --no-sync \
      --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/pw" >"$dir/run/initdb.log" 2>&1 \
      || as "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C --no-sync \
        --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/pw" >"$dir/run/initdb.log"
  fi
  [ "${PG_SAFE:-}" = 1 ] && fast=""
  as "$bin/pg_ctl" -D "$dir/data" -l "$dir/run/log" -w -t 60 \
    -o "-p $1 -h 127.0.0.1 -k $dir/run -c shared_buffers=64MB -c max_connections=300 $fast" start >/dev/null </dev/null \
    || { tail -20 "$dir/run/log" >&2; die "not started"; }
}
alive() { # PID: a zombie counts as gone
  case $(ps -o stat= -p "$1" 2>/dev/null) in "" | Z*) return 1 ;; *) return 0 ;; esac
}
slay() { # DIR
  local pm pids p
  [ -f "$1/data/postmaster.pid" ] || return 0
  pm=$(head -1 "$1/data/postmaster.pid"); pids="$pm $(pgrep -P "$pm" || true)"
  # shellcheck disable=SC2086
  kill -9 $pids 2>/dev/null || true
  for p in $pids; do while alive "$p"; do sleep 0.02; done; done
  # a postmaster that nobody has reaped yet (no init in a container) would look alive to the next start
  rm -f "$1/data/postmaster.pid" "$1"/run/.s.PGSQL.*
}
hold() { # PORT DIR
  trap 'slay "$held" || true; rm -rf "$held"' EXIT
  held=$2
  start "$1" "$2"
  echo ready
  cat >/dev/null || true
}
case ${1:-} in
  start) start "$2" "$3" ;;
  stop) as "$(find_bin)/pg_ctl" -D "$(cd "$2" && pwd)/data" -w -m fast stop >/dev/null ;;
  kill) slay "$2" ;;
  hold) hold "$2" "$3" ;;
  find) find_bin ;;
  *) sed -n '2,10p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
