#!/usr/bin/env bash
# Kafka Connect in standalone mode, as bin/connect-standalone.sh of Kafka's distribution starts it,
# with its file source and file sink: a file's lines go to a topic and from there to another file.
set -u

work=$(mktemp -d)
worker=
trap 'stop_connect; rm -rf "$work"' EXIT

cat > "$work/worker.properties" << EOF
bootstrap.servers=$BOOTSTRAP_SERVERS
listeners=http://127.0.0.1:0
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename=$work/offsets
offset.flush.interval.ms=500
EOF
cat > "$work/source.properties" << EOF
name=source
connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector
file=$work/in
topic=lines
EOF
cat > "$work/sink.properties" << EOF
name=sink
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
file=$work/out
topics=lines
EOF

start_connect() {
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m -cp "$KAFKA_JARS" \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    org.apache.kafka.connect.cli.ConnectStandalone \
    "$work"/{worker,source,sink}.properties < /dev/null >> "$work/log" 2>&1 &
  worker=$!
}

# In order: Connect commits the offsets of both connectors before it ends.
stop_connect() {
  [ -n "$worker" ] || return
  kill "$worker" 2> /dev/null
  wait "$worker"
  worker=
}

lines() { seq -f 'line %g' "$1" "$2"; }

files() {
  lines 1 1000 > "$work/in"
  start_connect
  until_lines 1000
  same "$(lines 1 1000)" "$(cat "$work/out")"
}

connect_restart() {
  stop_connect
  lines 1001 1500 >> "$work/in"
  start_connect
  until_lines 1500
  stop_connect # were anything on its way again, it would be in the file by now
  same "$(lines 1 1500)" "$(cat "$work/out")"
}

# Connect's producer is not idempotent by default, and a sink goes back to its last commit: a line
# may come twice, but none may be missing.
broker_interrupted() {
  local from=$2 middle=$(($2 + 499)) to=$(($2 + 999))
  [ -n "$worker" ] || start_connect
  lines "$from" "$middle" >> "$work/in"
  until_lines "$((from + 20))"
  echo "$1"
  read -r answer
  same "done" "$answer"
  lines "$((middle + 1))" "$to" >> "$work/in"
  wait_for eval "grep -q -x 'line $to' '$work/out'"
  same "$(lines 1 "$to")" "$(sort -u -V "$work/out")"
  echo "after $1, $(($(wc -l < "$work/out") - to)) lines in all came twice"
}

# What the scenarios are made of.

scenario() {
  local name=$1
  shift
  reason=
  "$@"
  if [ -z "$reason" ]; then
    echo "ok $name"
  else
    echo "FAIL $name ${reason//$'\n'/ }"
    tail -n 20 "$work/log"
  fi
}

fail() { reason=${reason:-$*}; }

same() { [ "$1" = "$2" ] || fail "$(diff <(echo "$1") <(echo "$2") | head -n 5)"; }

until_lines() { wait_for eval "((\$(wc -l < '$work/out' 2> /dev/null || echo 0) >= $1))"; }

wait_for() {
  for _ in $(seq 600); do
    "$@" 2> /dev/null && return
    kill -0 "$worker" 2> /dev/null || break
    sleep 0.1
  done
  fail "waited 60 s, or until Connect ended, for: $*"
}

echo "version $(java -cp "$KAFKA_JARS" org.apache.kafka.tools.TopicCommand --version | cut -d ' ' -f 1)"
scenario files files
scenario connect-restart connect_restart
scenario broker-restart broker_interrupted restart 1501
scenario broker-kill broker_interrupted kill 2501
