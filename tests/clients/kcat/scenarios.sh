#!/usr/bin/env bash
# The scenarios of tests/src/clients.rs with kcat. Topics come from auto-creation: kcat has no
# admin commands.
set -u

kcat() { "${KCAT:-kcat}" -b "$BOOTSTRAP_SERVERS" -q "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

connect() {
  kcat -L > "$work/metadata" || fail "no metadata"
  grep -q '^ 1 brokers:' "$work/metadata" || fail "expected one broker: $(cat "$work/metadata")"
}

# Keys, null values and repeated headers survive each codec.
produce() {
  local codec=$1 topic=produce-$1
  for i in $(seq 300); do
    if ((i % 50 == 0)); then echo "key $i:"; else echo "key $i:a value to compress, number $i"; fi
  done > "$work/sent"
  kcat -P -t "$topic" -p 0 -K : -Z -H trace=first -H trace=second -X compression.codec="$codec" \
    "$work/sent" -l || fail "produce failed"
  kcat -C -t "$topic" -p 0 -o beginning -e -f '%k:%s%h\n' > "$work/read" || fail "consume failed"
  sed 's/$/trace=first,trace=second/' "$work/sent" > "$work/expected"
  same "$(cat "$work/expected")" "$(cat "$work/read")"
  same 6 "$(kcat -C -t "$topic" -p 0 -o beginning -e -f '%S\n' | grep -c -x -e -1)"
}

acks() {
  seq 100 | kcat -P -t "acks-$1" -p 0 -X acks="$1" || fail "produce failed"
  same "$(seq 100)" "$(kcat -C -t "acks-$1" -p 0 -o beginning -c 100)"
}

idempotence() {
  seq 2000 | kcat -P -t idempotence -p 0 -X enable.idempotence=true -X batch.num.messages=10 \
    || fail "produce failed"
  same "$(seq 2000)" "$(kcat -C -t idempotence -p 0 -o beginning -e)"
}

consume_beginning() {
  seq 50 | kcat -P -t consume-beginning -p 0 || fail "produce failed"
  same "$(seq 50)" "$(kcat -C -t consume-beginning -p 0 -o beginning -e)"
}

consume_end() {
  seq 50 | kcat -P -t consume-end -p 0 || fail "produce failed"
  "$KCAT" -b "$BOOTSTRAP_SERVERS" -C -t consume-end -p 0 -o end -c 10 \
    > "$work/end" 2> "$work/end.log" &
  local consumer=$!
  wait_for grep -q 'Reached end of topic' "$work/end.log"
  seq 51 60 | kcat -P -t consume-end -p 0 || fail "produce failed"
  wait "$consumer"
  same "$(seq 51 60)" "$(cat "$work/end")"
}

consume_offset() {
  seq 0 49 | kcat -P -t consume-offset -p 0 || fail "produce failed"
  same "$(seq 33 49)" "$(kcat -C -t consume-offset -p 0 -o 33 -e)"
  same "$(seq 45 49)" "$(kcat -C -t consume-offset -p 0 -o -5 -e)"
}

consume_timestamp() {
  seq 10 | kcat -P -t consume-timestamp -p 0 || fail "produce failed"
  sleep 0.02
  local middle
  middle=$(date +%s%3N)
  sleep 0.02
  seq 11 20 | kcat -P -t consume-timestamp -p 0 || fail "produce failed"
  same "consume-timestamp [0] offset 10" "$(kcat -Q -t "consume-timestamp:0:$middle")"
  same "$(seq 11 20)" "$(kcat -C -t consume-timestamp -p 0 -o "s@$middle" -e)"
}

unknown_topic() {
  kcat -C -t unknown -p 0 -o beginning -e -X allow.auto.create.topics=false \
    > "$work/unknown" 2>&1 && fail "expected an error"
  grep -q 'Unknown topic or partition' "$work/unknown" || fail "$(cat "$work/unknown")"
  kcat -L | grep -q '"unknown"' && fail "the topic was created"
  true
}

auto_create() {
  echo v0 | kcat -P -t auto-created || fail "produce failed"
  same v0 "$(kcat -C -t auto-created -o beginning -e)"
}

# Against the broker's default of 1 MiB, as kcat cannot configure a topic.
oversize_record() {
  echo v0 | kcat -P -t oversize -p 0 || fail "produce failed"
  head -c 2000000 /dev/zero | tr '\0' x > "$work/large"
  "$KCAT" -b "$BOOTSTRAP_SERVERS" -P -t oversize -p 0 -X message.max.bytes=3000000 \
    "$work/large" > "$work/answer" 2>&1 && fail "expected an error"
  grep -q 'Message size too large' "$work/answer" || fail "not refused: $(cat "$work/answer")"
  echo v1 | kcat -P -t oversize -p 0 || fail "produce failed"
  same "$(printf 'v0\nv1')" "$(kcat -C -t oversize -p 0 -o beginning -e)"
}

# The ledger of the harness decides about this one. kcat reports a delivery without saying of
# what, but one partition's come in the order in which its records were sent; and it reports them
# only while there is something to send, hence the slow writer.
interrupted() {
  local how=$1 log=$work/$1.log before
  : > "$log"
  for i in $(seq 1500); do
    echo "value-$i"
    sleep 0.002
  done | "$KCAT" -b "$BOOTSTRAP_SERVERS" -P -E -vvv -t "$how" -p 0 -X enable.idempotence=true \
    -X linger.ms=1 2> "$log" &
  local producer=$!
  wait_for eval '(($(deliveries "$log" | wc -l) >= 200))'
  before=$(deliveries "$log" | wc -l)
  acked 1 "$before" "$log"
  echo "$how"
  read -r answer
  same "done" "$answer"
  wait "$producer" || fail "the producer failed: $(tail -n 1 "$log")"
  acked $((before + 1)) 1500 "$log"
  kcat -C -t "$how" -p 0 -o beginning -e -f 'read %p %o %s\n'
}

deliveries() { sed -n 's/.*delivered to partition \([0-9]*\) (offset \([0-9]*\)).*/\1 \2/p' "$1"; }

acked() {
  deliveries "$3" | awk -v from="$1" -v to="$2" \
    'NR >= from && NR <= to { print "acked", $0, "value-" NR }'
}

# A member of a consumer group, as tests/src/clients/groups/group.rs directs it. kcat takes this
# process over, so that killing it kills the member. It commits by itself and does not tell.
member() {
  local session=$MEMBER_SESSION_MS strategy=range
  [ -z "${MEMBER_COOPERATIVE-}" ] || strategy=cooperative-sticky
  local options=(-X "session.timeout.ms=$session" -X "heartbeat.interval.ms=$((session / 10))"
    -X auto.offset.reset=earliest -X auto.commit.interval.ms=100
    -X topic.metadata.refresh.interval.ms=500 -X "partition.assignment.strategy=$strategy")
  [ -z "${MEMBER_INSTANCE-}" ] || options+=(-X "group.instance.id=$MEMBER_INSTANCE")
  exec 5<&0
  { read -r _ <&5 && kill "$$"; } > /dev/null &
  exec "$KCAT" -E -b "$BOOTSTRAP_SERVERS" -u -f 'read %t:%p %o\n' "${options[@]}" \
    -G "$MEMBER_GROUP" "$MEMBER_TOPIC" > >(exec sed -u -e '
      /^% Group .* rebalanced/!b
      /: incremental .* of 0 partition(s)/d
      s/.*: incremental assignment of .*):/assigned/
      s/.*: incremental revoke of .*):/revoked/
      s/.*): \(assigned\|revoked\):/\1/
      s/ \[\([0-9]*\)\],\{0,1\}/:\1/g') 2>&1 < /dev/null
}

# What the scenarios are made of.

scenario() {
  name=$1
  shift
  if ("$@"); then echo "ok $name"; fi
}

lacks() { echo "n/a $1 kcat has no command for it"; }

fail() {
  echo "FAIL $name ${*//$'\n'/ }"
  exit 1
}

same() { [ "$1" = "$2" ] || fail "$(diff <(echo "$1") <(echo "$2") | head -n 5)"; }

wait_for() {
  for _ in $(seq 600); do
    "$@" && return
    sleep 0.05
  done
  fail "waited 30 s for: $*"
}

[ -z "${MEMBER_GROUP-}" ] || member

echo "version $("$KCAT" -V | sed -n 's/.*Version \([0-9.]*\).*librdkafka \([0-9.]*\).*/\1, librdkafka \2/p')"
scenario connect connect
lacks create-topic
for codec in none gzip snappy lz4 zstd; do scenario "produce-$codec" produce "$codec"; done
for level in 0 1 all; do scenario "acks-$level" acks "$level"; done
scenario idempotence idempotence
scenario consume-beginning consume_beginning
scenario consume-end consume_end
scenario consume-offset consume_offset
scenario consume-timestamp consume_timestamp
scenario unknown-topic unknown_topic
scenario auto-create auto_create
scenario oversize-record oversize_record
lacks delete-records
lacks create-partitions
lacks delete-topic
lacks describe-configs
lacks alter-configs
lacks log-dirs
lacks dump-log
lacks group-admin
scenario restart interrupted restart
scenario kill interrupted kill
