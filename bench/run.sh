#!/bin/bash
# Tollgate beside nginx on this machine, in one run, against the same upstream. Prints a table; see README.md.
#
# Needs nginx, wrk, curl and taskset. ROUNDS, SECONDS_EACH and CONNECTIONS may be set; TOLLGATE names the binary;
# PROFILE=FILE records the gateway's threads with perf into it and prints where they spend their time.
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PATH:/usr/sbin
BINARY=${TOLLGATE:-$(cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/tollgate}
ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-5} CONNECTIONS=${CONNECTIONS:-64}
UPSTREAM_PORT=18601 PROXY_PORT=18602 GATEWAY_PORT=18603 PORTAL_PORT=18604 OPS_PORT=18605
TOKEN=bench-token-of-one-run-$RANDOM$RANDOM$RANDOM$RANDOM
DIR=$(mktemp -d) HERTZ=$(getconf CLK_TCK)
GATEWAY_PID=
# With two cores or more the proxy has one to itself; load and upstream share another.
if [ "$(nproc)" -ge 2 ]; then PROXY_CPU="taskset -c 0" LOAD_CPU="taskset -c 1"; else PROXY_CPU= LOAD_CPU=; fi

finish() {
    [ -n "$GATEWAY_PID" ] && kill "$GATEWAY_PID" 2>/dev/null && wait "$GATEWAY_PID" 2>/dev/null
    for name in upstream proxy; do [ -f "$DIR/$name.pid" ] && kill "$(cat "$DIR/$name.pid")" 2>/dev/null; done
    rm -rf "$DIR"
}
trap finish EXIT

start_nginx() { # name, cpu
    sed "s#DIR#$DIR#g; s#UPSTREAM_PORT#$UPSTREAM_PORT#g; s#PROXY_PORT#$PROXY_PORT#g" "$1.conf" > "$DIR/$1.conf"
    $2 nginx -c "$DIR/$1.conf" -p "$DIR" -e "$DIR/$1-start.log"
}

api() { # method, path, body
    curl -sS -f -X "$1" "http://127.0.0.1:$PORTAL_PORT/api/v1$2" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$3"
}
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }

start_gateway() {
    TOLLGATE_GATEWAY_LISTEN=127.0.0.1:$GATEWAY_PORT TOLLGATE_PORTAL_LISTEN=127.0.0.1:$PORTAL_PORT TOLLGATE_OPS_LISTEN=127.0.0.1:$OPS_PORT \
        TOLLGATE_GATEWAY_THREADS=1 TOLLGATE_LOG_FILTER=warn TOLLGATE_ADMIN_TOKEN=$TOKEN \
        $PROXY_CPU "$BINARY" serve --data-dir "$DIR/data" > "$DIR/tollgate.log" 2>&1 &
    GATEWAY_PID=$!
    for _ in $(seq 200); do curl -sf "http://127.0.0.1:$OPS_PORT/readyz" > /dev/null 2>&1 && break; sleep 0.05; done
    api PUT /config '{"apis":[{"name":"bench","base_path":"/","openapi":{"openapi":"3.0.3","info":{"title":"bench","version":"1"},
      "paths":{"/time":{"get":{"operationId":"getTime","responses":{"200":{"description":"ok"}}}}}},
      "upstream":{"targets":[{"url":"http://127.0.0.1:'$UPSTREAM_PORT'"}]}}],
      "products":[{"name":"bench","title":"Bench","apis":["bench"],"plans":[{"name":"plan","title":"Plan","price":{"currency":"USD"},
      "limits":[{"requests":1000000,"per":"second","algorithm":"token_bucket","burst":1000000},{"requests":1000000000,"per":"period"}]}]}]}' > /dev/null
    account=$(api POST /accounts '{"name":"bench","email":"bench@example.com"}' | field id)
    consumer=$(api POST /consumers "{\"account_id\":\"$account\",\"name\":\"bench\"}" | field id)
    api POST /subscriptions "{\"consumer_id\":\"$consumer\",\"product\":\"bench\",\"plan\":\"plan\"}" > /dev/null
    KEY=$(api POST "/consumers/$consumer/credentials" '{"type":"api_key"}' | field secret)
    sleep 1
    curl -sf "http://127.0.0.1:$GATEWAY_PORT/time" -H "X-API-Key: $KEY" > /dev/null
}

ticks() { cat "$@" 2>/dev/null | sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'; }
nginx_ticks() { for pid in $(pgrep -P "$(cat "$DIR/proxy.pid")"); do echo "/proc/$pid/stat"; done | xargs cat | sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'; }
tollgate_ticks() { ticks "/proc/$GATEWAY_PID/stat"; }
gateway_ticks() { ticks $(grep -l '^gateway' /proc/"$GATEWAY_PID"/task/*/comm | sed 's/comm$/stat/'); }
resident() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }

load() { # port, seconds -> "requests requests/s p50 p99"
    $LOAD_CPU wrk -t1 -c"$CONNECTIONS" -d"${2}s" --latency -H "X-API-Key: $KEY" "http://127.0.0.1:$1/time" > "$DIR/wrk"
    if grep -q 'Non-2xx' "$DIR/wrk"; then cat "$DIR/wrk" >&2; exit 1; fi
    awk '/requests in/ { n = $1 } /Requests\/sec/ { r = $2 } /50%/ { a = $2 } /99%/ { b = $2 } END { print n, r, a, b }' "$DIR/wrk"
}

start_nginx upstream "$LOAD_CPU"
start_nginx proxy "$PROXY_CPU"
start_gateway
echo "$(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)"
echo "$(nginx -v 2>&1), $("$BINARY" version); $CONNECTIONS connections, $ROUNDS rounds of $SECONDS_EACH s each, alternating; proxy: ${PROXY_CPU:-not pinned}"
printf '%-9s %5s %10s %9s %9s %14s %16s\n' proxy round requests/s p50 p99 'CPU us/request' 'gateway threads'
load $PROXY_PORT 1 > /dev/null; load $GATEWAY_PORT 1 > /dev/null
for round in $(seq "$ROUNDS"); do
    before=$(nginx_ticks); read -r n rate p50 p99 <<< "$(load $PROXY_PORT "$SECONDS_EACH")"; after=$(nginx_ticks)
    cpu=$(awk "BEGIN { printf \"%.2f\", ($after - $before) / $HERTZ * 1e6 / $n }")
    printf '%-9s %5d %10.0f %9s %9s %14s\n' nginx "$round" "$rate" "$p50" "$p99" "$cpu"; echo "nginx $rate $cpu 0" >> "$DIR/sums"
    before=$(tollgate_ticks) inner=$(gateway_ticks); read -r n rate p50 p99 <<< "$(load $GATEWAY_PORT "$SECONDS_EACH")"
    # What the requests still cost after their answers, until usage is in the ledger, is theirs too.
    sleep 2; after=$(tollgate_ticks) outer=$(gateway_ticks)
    cpu=$(awk "BEGIN { printf \"%.2f\", ($after - $before) / $HERTZ * 1e6 / $n }")
    own=$(awk "BEGIN { printf \"%.2f\", ($outer - $inner) / $HERTZ * 1e6 / $n }")
    printf '%-9s %5d %10.0f %9s %9s %14s %16s\n' tollgate "$round" "$rate" "$p50" "$p99" "$cpu" "$own"; echo "tollgate $rate $cpu $own" >> "$DIR/sums"
done
middle() { awk -v who="$1" -v at="$2" '$1 == who { print $at }' "$DIR/sums" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
awk "BEGIN { printf \"median: requests/s %.2f of nginx; CPU a request: gateway threads %.2f x nginx, whole process with metering %.2f x\n\", \
    $(middle tollgate 2) / $(middle nginx 2), $(middle tollgate 4) / $(middle nginx 3), $(middle tollgate 3) / $(middle nginx 3) }"
echo "resident: tollgate $(($(resident "$GATEWAY_PID") / 1024)) MiB after $(awk '$1 == "tollgate"' "$DIR/sums" | wc -l) rounds"
echo "records lost or shed: $(curl -s "http://127.0.0.1:$OPS_PORT/metrics" | awk '/^tollgate_usage_gaps_total/ { sum += $NF } END { print sum + 0 }')"

if [ -n "${PROFILE:-}" ]; then
    threads=$(grep -l '^gateway' /proc/"$GATEWAY_PID"/task/*/comm | sed 's#.*/task/\([0-9]*\)/comm#\1#' | paste -sd,)
    load $GATEWAY_PORT 6 > /dev/null & sleep 0.5
    perf record -q -F 499 -t "$threads" -o "$PROFILE" -- sleep 5 && wait $!
    perf report -i "$PROFILE" --stdio --no-children --sort dso,symbol --percent-limit 0.3 2> /dev/null | grep -v '^#' | grep . || true
fi

kill "$GATEWAY_PID"; wait "$GATEWAY_PID" || true; GATEWAY_PID=
started=$(date +%s%N)
"$BINARY" demo --json --port-offset 10500 --data-dir "$DIR/demo" > "$DIR/demo.json" & GATEWAY_PID=$!
until [ -s "$DIR/demo.json" ]; do sleep 0.01; done
echo "demo: ready after $((($(date +%s%N) - started) / 1000000)) ms on an empty data directory"
sleep 5; echo "demo: idle with $(($(resident "$GATEWAY_PID") / 1024)) MiB resident"
