#!/usr/bin/env bash
# Private Redis 7 for tests, nothing on disk. Needs redis-server and redis-cli (Debian: redis-server; macOS: brew install redis).
#   redis.sh hold KIND PORT DIR   KIND: single (PORT), cluster (three masters, PORT..PORT+2, bus on +10000) or sentinel (master PORT,
#                                 replicas PORT+1 PORT+2, sentinels PORT+3..PORT+5, the master's name is "tollgate").
#                                 Prints "ready", runs until standard input closes, then kills all and removes DIR
#   redis.sh server PORT DIR      starts one server again
#   redis.sh kill PORT DIR        SIGKILL      redis.sh pause PORT DIR   SIGSTOP      redis.sh resume PORT DIR   SIGCONT
#   redis.sh start PORT DIR       the same, waiting until it answers; then redis.sh stop|kill|pause|resume DIR mean all servers of DIR
#   redis.sh find                 prints the server's program, or fails
set -euo pipefail
die() { echo "redis.sh: $*" >&2; exit 1; }
find_bin() {
  command -v redis-cli >/dev/null || die "no redis-cli found"
  command -v redis-server || die "no redis-server found"
}
server() { # PORT DIR args...
  local port=$1 d="$2/$1"; shift 2; mkdir -p "$d"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$d" --save "" --appendonly no --daemonize yes \
    --pidfile "$d/pid" --logfile "$d/log" --protected-mode no --enable-debug-command yes "$@" >/dev/null
}
up() { # PORT
  local i
  for ((i = 0; i < 500; i++)); do [ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ] && return; sleep 0.02; done
  die "no answer on $1"
}
cluster() { # PORT DIR
  local p i ok nodes=()
  for ((p = $1; p < $1 + 3; p++)); do
    server "$p" "$2" --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 2000
    nodes+=("127.0.0.1:$p")
  done
  for ((p = $1; p < $1 + 3; p++)); do up "$p"; done
  redis-cli --cluster create "${nodes[@]}" --cluster-yes >"$2/create.log" || { cat "$2/create.log" >&2; die create; }
  for ((i = 0; i < 400; i++)); do
    ok=0
    for ((p = $1; p < $1 + 3; p++)); do redis-cli -p "$p" cluster info | grep -q cluster_state:ok && ok=$((ok + 1)); done
    [ "$ok" = 3 ] && return
    sleep 0.05
  done
  die "cluster not ok"
}
sentinel() { # PORT DIR
  local p i d
  server "$1" "$2"
  for ((p = $1 + 1; p < $1 + 3; p++)); do server "$p" "$2" --replicaof 127.0.0.1 "$1"; done
  for ((p = $1; p < $1 + 3; p++)); do up "$p"; done
  for ((p = $1 + 3; p < $1 + 6; p++)); do
    d="$2/$p"; mkdir -p "$d"
    cat >"$d/sentinel.conf" <<C
port $p
bind 127.0.0.1
dir $d
daemonize yes
pidfile $d/pid
logfile $d/log
sentinel monitor tollgate 127.0.0.1 $1 2
sentinel down-after-milliseconds tollgate 1000
sentinel failover-timeout tollgate 5000
sentinel parallel-syncs tollgate 1
C
    redis-server "$d/sentinel.conf" --sentinel >/dev/null; up "$p"
  done
  for ((i = 0; i < 400; i++)); do
    redis-cli -p $(($1 + 3)) sentinel ckquorum tollgate 2>/dev/null | grep -q '^OK 3' &&
      redis-cli -p $(($1 + 3)) sentinel replicas tollgate | grep -c '^runid$' | grep -q 2 && return
    sleep 0.05
  done
  die "no quorum"
}
slay() { # DIR
  local f
  for f in "$1"/*/pid; do [ -s "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null || true; done
}
hold() { # KIND PORT DIR
  held=$3
  trap 'slay "$held"; rm -rf "$held"' EXIT
  mkdir -p "$held"
  case $1 in
    single) server "$2" "$3"; up "$2" ;;
    cluster) cluster "$2" "$3" ;;
    sentinel) sentinel "$2" "$3" ;;
    *) die "no kind $1" ;;
  esac
  echo ready
  cat >/dev/null || true
}
signal() { # SIGNAL [PORT] DIR
  local f
  if [ "$#" = 3 ]; then kill "-$1" "$(cat "$3/$2/pid")"; return; fi
  for f in "$2"/*/pid; do [ -s "$f" ] && kill "-$1" "$(cat "$f")" 2>/dev/null || true; done
}
stop() { # DIR: an orderly end
  local f p i
  for f in "$1"/*/pid; do
    [ -s "$f" ] || continue
    p=$(cat "$f"); kill -TERM "$p" 2>/dev/null || continue
    for ((i = 0; i < 200; i++)); do [ -e "$f" ] || break; sleep 0.02; done
  done
}
case ${1:-} in
  hold) hold "$2" "$3" "$4" ;;
  server | start) server "$2" "$3"; up "$2" ;;
  stop) stop "$2" ;;
  kill) shift; signal KILL "$@" ;;
  pause) shift; signal STOP "$@" ;;
  resume) shift; signal CONT "$@" ;;
  find) find_bin ;;
  *) sed -n "2,11p" "${BASH_SOURCE[0]}"; exit 2 ;;
esac
