#!/usr/bin/env bash
# The fleet of docker-compose.yml without containers, for development: PostgreSQL, Kafka, ClickHouse and Redis by the scripts
# of tests/servers, then portal, metering, billing and two gateways as processes of their own. Ctrl-C ends all of it.
#   ops/fleet.sh [DIR]           data and logs in DIR (default: ./tollgate-data/fleet); kept between runs
# TOLLGATE names the program (default: target/release/tollgate); BASE is the first of twenty ports (default: 9400).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=${TOLLGATE:-target/release/tollgate}
dir=${1:-tollgate-data/fleet}
base=${BASE:-9400}
[ -x "$program" ] || { echo "$program is not there: cargo build --release" >&2; exit 1; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
# The user of PostgreSQL must be able to enter the folder of its data.
postgres_dir=/tmp/tollgate-fleet-$(echo "$dir" | cksum | cut -d' ' -f1)
servers=tests/servers
pids=()
finish() {
  trap - EXIT INT TERM
  [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait || true
  "$servers/kafka.sh" stop "$dir/kafka" || true
  "$servers/clickhouse.sh" stop "$dir/clickhouse" || true
  "$servers/postgres.sh" stop "$postgres_dir" || true
  "$servers/redis.sh" stop "$dir/redis" || true
}
trap finish EXIT INT TERM

"$servers/postgres.sh" start "$base" "$postgres_dir"
"$servers/kafka.sh" start "$((base + 1))" "$dir/kafka"
"$servers/clickhouse.sh" start "$((base + 5))" "$dir/clickhouse"
"$servers/redis.sh" start "$((base + 9))" "$dir/redis"

[ -f "$dir/token" ] || (umask 077; echo "tgt_$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$dir/token")
export TOLLGATE_ADMIN_TOKEN TOLLGATE_CONTROL_TOKEN
TOLLGATE_ADMIN_TOKEN=$(cat "$dir/token")
TOLLGATE_CONTROL_TOKEN=$TOLLGATE_ADMIN_TOKEN
export TOLLGATE_STORE_URL=postgres://postgres:postgres@127.0.0.1:$base/postgres
export TOLLGATE_USAGE_URL=kafka://127.0.0.1:$((base + 1))/tollgate-usage
export TOLLGATE_ANALYTICS_URL=clickhouse+http://default@127.0.0.1:$((base + 5))/tollgate
export TOLLGATE_COUNTERS_URL=redis://127.0.0.1:$((base + 9))
export TOLLGATE_SECRETS_MASTER_KEY_FILE=$dir/master.key
export TOLLGATE_CONTROL_URL=http://127.0.0.1:$((base + 6))
export TOLLGATE_PORTAL_LISTEN=127.0.0.1:$((base + 6))
export TOLLGATE_GATEWAY_PUBLIC_URL=http://127.0.0.1:$((base + 7))

role() { # NAME ROLES OPS_PORT [GATEWAY_PORT]
  TOLLGATE_NODE=$1 TOLLGATE_OPS_LISTEN=127.0.0.1:$3 TOLLGATE_GATEWAY_LISTEN=127.0.0.1:${4:-$((base + 7))} \
    "$program" serve --roles "$2" --data-dir "$dir/$1" >>"$dir/$1.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 600); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$3" && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && head -1 <&3 | grep -q 200) 2>/dev/null; then
      echo "$1 is ready; its log: $dir/$1.log"
      return 0
    fi
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  tail -5 "$dir/$1.log" >&2
  exit 1
}
role portal portal "$((base + 10))"
role metering metering "$((base + 11))"
role billing billing "$((base + 12))"
role gateway-1 gateway "$((base + 13))" "$((base + 7))"
role gateway-2 gateway "$((base + 14))" "$((base + 8))"

cat <<TEXT

portal     http://127.0.0.1:$((base + 6))/   (log-in: email and password in $dir/portal/first-admin)
gateways   http://127.0.0.1:$((base + 7))  http://127.0.0.1:$((base + 8))
apply      TOLLGATE_SERVER=$TOLLGATE_CONTROL_URL TOLLGATE_TOKEN=\$(cat $dir/token) $program apply -f FILE
Ctrl-C ends it.
TEXT
wait
