#!/usr/bin/env bash
# A private Apache Kafka (KRaft: broker and controller in one JVM) for tests, from the jars of Maven Central.
# Needs java (17 or newer), and mvn to install.
#   kafka.sh install                 fetch the jars once, into $KAFKA_LIB (default: ~/.cache/tollgate-kafka/VERSION/lib)
#   kafka.sh find                    print the folder of the jars, or fail
#   kafka.sh start PORT DIR [NODES]  format on first use, start, wait until ready; DIR survives stop and kill
#   kafka.sh hold PORT DIR           start, print "ready", run until standard input closes, then kill and remove DIR
#   kafka.sh stop DIR                SIGTERM, wait; data stays
#   kafka.sh kill DIR [NODE]         SIGKILL (all nodes, or the one named: 1, 2, 3)
#   kafka.sh startnode DIR NODE      start one killed node of DIR again
#   kafka.sh status DIR              pid and resident memory of each node
# Node n of NODES listens on PORT+10*(n-1) (plain), +1 (controller), +2 (SASL/PLAIN).
# SASL users: admin/admin-secret, tollgate/tollgate-secret.  KAFKA_HEAP=512m  KAFKA_CONF=file appended to server.properties
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/kafka/pom.xml")
lib=${KAFKA_LIB:-${XDG_CACHE_HOME:-$HOME/.cache}/tollgate-kafka/$version/lib}
heap=${KAFKA_HEAP:-512m}
ready_s=${KAFKA_READY_S:-60}
jvm=(-Xms64m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xss512k -Djava.awt.headless=true
     -Xlog:cds=off -Xlog:cds+dynamic=off)

die() { echo "kafka.sh: $*" >&2; exit 1; }
classpath() { printf '%s\n' "$lib"/*.jar | sort | paste -sd:; }
alive() { [ -s "$1/pid" ] && grep -qs '^State:.*[SRDT] (' "/proc/$(cat "$1/pid")/status"; } # a zombie counts as gone

install() {
  mkdir -p "$lib"
  mvn -B -q -f "$here/kafka/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$lib"
}

find_lib() {
  command -v java >/dev/null || die "java is not installed"
  ls "$lib"/kafka_2.13-*.jar >/dev/null 2>&1 || die "no jars in $lib: run $here/kafka.sh install"
  echo "$lib"
}

properties() { # PORT DIR NODE NODES
  local port=$(($1 + 10 * ($3 - 1))) voters="" n
  for ((n = 1; n <= $4; n++)); do voters+="${voters:+,}$n@127.0.0.1:$(($1 + 10 * (n - 1) + 1))"; done
  local rf=$(($4 >= 3 ? 3 : 1)) isr=$(($4 >= 3 ? 2 : 1))
  cat <<P
process.roles=broker,controller
node.id=$3
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),SASL_PLAINTEXT://127.0.0.1:$((port + 2))
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SASL_PLAINTEXT://127.0.0.1:$((port + 2))
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_tollgate="tollgate-secret";
log.dirs=$2/data
auto.create.topics.enable=false
default.replication.factor=$rf
min.insync.replicas=$isr
offsets.topic.replication.factor=$rf
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$rf
transaction.state.log.min.isr=$isr
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$rf
share.coordinator.state.topic.min.isr=$isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
background.threads=2
num.replica.fetchers=1
socket.request.max.bytes=104857600
P
  [ -z "${KAFKA_CONF:-}" ] || cat "$KAFKA_CONF"
}

launch() { # NODE_DIR
  local cds="$lib/../kafka.jsa" opt=()
  [ -f "$cds" ] && opt=("-XX:SharedArchiveFile=$cds")
  [ -n "${KAFKA_CDS_DUMP:-}" ] && opt=("-XX:ArchiveClassesAtExit=$cds")
  : >"$1/log"
  setsid java "${jvm[@]}" "${opt[@]}" "-Dlog4j2.configurationFile=$here/kafka/log4j2.xml" -cp "$(classpath)" \
    kafka.Kafka "$1/server.properties" >>"$1/log" 2>&1 </dev/null &
  echo $! >"$1/pid"
}

wait_ready() { # NODE_DIR
  local i
  for ((i = 0; i < ready_s * 20; i++)); do
    grep -q 'Kafka Server started' "$1/log" && return 0
    alive "$1" || { tail -20 "$1/log" >&2; die "broker in $1 died"; }
    sleep 0.05
  done
  tail -20 "$1/log" >&2; die "broker in $1 not ready after ${ready_s}s"
}

start() { # PORT DIR NODES
  find_lib >/dev/null
  mkdir -p "$2"; local dir n; dir=$(cd "$2" && pwd)
  [ -s "$dir/cluster.id" ] || head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c1-22 >"$dir/cluster.id"
  for ((n = 1; n <= $3; n++)); do
    local nd="$dir/node$n"; mkdir -p "$nd"; alive "$nd" && die "node $n in $dir already runs"
    properties "$1" "$nd" "$n" "$3" >"$nd/server.properties"
    [ -f "$nd/data/meta.properties" ] || java "${jvm[@]}" "-Dlog4j2.configurationFile=$here/kafka/log4j2.xml" \
      -cp "$(classpath)" kafka.tools.StorageTool format -t "$(cat "$dir/cluster.id")" \
      -c "$nd/server.properties" --ignore-formatted >"$nd/format.log" 2>&1 || { cat "$nd/format.log" >&2; die format; }
    launch "$nd"
  done
  for ((n = 1; n <= $3; n++)); do wait_ready "$dir/node$n"; done
}

end() { # SIGNAL DIR [NODE]
  local nd pids=() p i
  for nd in "$2"/node${3:-*}; do if alive "$nd"; then p=$(cat "$nd/pid"); pids+=("$p"); kill "-$1" "$p"; fi; done
  for p in "${pids[@]}"; do for ((i = 0; i < 600; i++)); do grep -qs '^State:.*[SRDT] (' "/proc/$p/status" || break; sleep 0.05; done; kill -9 "$p" 2>/dev/null || true; done
}

hold() { # PORT DIR
  trap 'end KILL "$held" || true; rm -rf "$held"' EXIT
  held=$2
  start "$1" "$2" 1
  echo ready
  cat >/dev/null || true
}

case ${1:-} in
  install) install ;;
  find) find_lib ;;
  hold) hold "$2" "$3" ;;
  start) start "$2" "$3" "${4:-1}" ;;
  stop) end TERM "$2" "${3:-*}" ;;
  kill) end KILL "$2" "${3:-*}" ;;
  startnode) launch "$(cd "$2/node$3" && pwd)"; wait_ready "$2/node$3" ;;
  status) for nd in "$2"/node*; do p=$(cat "$nd/pid"); echo "$(basename "$nd") pid $p $(grep VmRSS "/proc/$p/status" 2>/dev/null || echo down)"; done ;;
  *) sed -n '2,16p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
