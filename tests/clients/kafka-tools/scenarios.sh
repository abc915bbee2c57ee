#!/usr/bin/env bash
# The scenarios of tests/src/clients.rs with Apache Kafka's command-line tools. `tool` stands for
# the scripts in bin/ of Kafka's distribution, which start the same classes.
set -u

tool() {
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m -cp "$KAFKA_JARS" \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=error "$@"
}
kafka() { tool "org.apache.kafka.tools.$1" --bootstrap-server "$BOOTSTRAP_SERVERS" "${@:2}"; }
topics() { kafka TopicCommand "$@"; }
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP_SERVERS" "$@"; }
producer() { kafka ConsoleProducer "$@"; }
consumer() { kafka consumer.ConsoleConsumer --partition 0 --timeout-ms 30000 "$@" 2> /dev/null; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

connect() {
  kafka BrokerApiVersionsCommand > "$work/versions" || fail "no API versions"
  grep -q '(id: 1 rack: null isFenced: false)' "$work/versions" || fail "no broker with id 1"
  grep -q 'Produce(0): 0 to 13 \[usable: 13\]' "$work/versions" || fail "no Produce 13"
}

create_topic() {
  topics --create --topic created --partitions 3 --config retention.ms=60000 > "$work/out" \
    || fail "$(cat "$work/out")"
  topics --describe --topic created > "$work/out" || fail "describe failed"
  same 3 "$(grep -c 'Partition: [0-2].*Leader: 1.*Replicas: 1.*Isr: 1' "$work/out")"
  grep -q 'PartitionCount: 3.*ReplicationFactor: 1.*retention.ms=60000' "$work/out" \
    || fail "$(cat "$work/out")"
  refused 'already exists' topics --create --topic created
}

# Keys, null values and repeated headers survive each codec.
produce() {
  local topic=produce-$1
  for i in $(seq 300); do
    if ((i % 50 == 0)); then value=NULL; else value="a value to compress, number $i"; fi
    printf 'trace:first,trace:%s\tkey %s\t%s\n' "$i" $((i % 10)) "$value"
  done > "$work/sent"
  producer --topic "$topic" --compression-codec "$1" --reader-property parse.key=true \
    --reader-property parse.headers=true --reader-property null.marker=NULL < "$work/sent" \
    || fail "produce failed"
  consumer --topic "$topic" --offset earliest --max-messages 300 \
    --formatter-property print.key=true --formatter-property print.headers=true \
    --formatter-property null.literal=NULL > "$work/read"
  same "$(cat "$work/sent")" "$(cat "$work/read")"
}

acks() {
  seq 100 | producer --topic "acks-$1" --request-required-acks "$1" || fail "produce failed"
  same "$(seq 100)" "$(consumer --topic "acks-$1" --offset earliest --max-messages 100)"
}

idempotence() {
  seq 2000 | producer --topic idempotence --command-property enable.idempotence=true \
    --batch-size 100 || fail "produce failed"
  same "$(seq 2000)" "$(consumer --topic idempotence --offset earliest --max-messages 2000)"
  same idempotence:0:2000 "$(kafka GetOffsetShell --topic idempotence)"
}

consume_beginning() {
  seq 50 | producer --topic consume-beginning || fail "produce failed"
  same "$(seq 50)" "$(consumer --topic consume-beginning --offset earliest --max-messages 50)"
}

# The consumer does not say when it has found the end, so records are sent until it has seen one.
consume_end() {
  seq 50 | producer --topic consume-end || fail "produce failed"
  consumer --topic consume-end --offset latest --max-messages 1 > "$work/end" &
  local consumer=$!
  while kill -0 "$consumer" 2> /dev/null; do
    echo after
    sleep 0.2
  done | producer --topic consume-end
  same after "$(cat "$work/end")"
}

consume_offset() {
  seq 0 49 | producer --topic consume-offset || fail "produce failed"
  same "$(seq 33 49)" "$(consumer --topic consume-offset --offset 33 --max-messages 17)"
}

consume_timestamp() {
  local middle found
  seq 10 | producer --topic consume-timestamp || fail "produce failed"
  sleep 0.02
  middle=$(date +%s%3N)
  seq 11 20 | producer --topic consume-timestamp || fail "produce failed"
  found=$(kafka GetOffsetShell --topic consume-timestamp --time "$middle")
  same consume-timestamp:0:10 "$found"
  same "$(seq 11 20)" "$(consumer --topic consume-timestamp --offset 10 --max-messages 10)"
}

unknown_topic() {
  refused "Topic 'unknown' does not exist" topics --describe --topic unknown
  refused "Topic 'unknown' does not exist" topics --delete --topic unknown
  refused 'Could not match any topic-partitions' kafka GetOffsetShell --topic unknown
}

auto_create() {
  echo v0 | producer --topic auto-created 2> /dev/null || fail "produce failed"
  same v0 "$(consumer --topic auto-created --offset earliest --max-messages 1)"
}

oversize_record() {
  topics --create --topic oversize --config max.message.bytes=10000 > /dev/null
  echo v0 | producer --topic oversize || fail "produce failed"
  head -c 20000 /dev/zero | tr '\0' x | producer --topic oversize 2> "$work/err"
  grep -q RecordTooLargeException "$work/err" || fail "not refused: $(cat "$work/err")"
  echo v1 | producer --topic oversize || fail "produce failed"
  same "$(printf 'v0\nv1')" "$(consumer --topic oversize --offset earliest --max-messages 2)"
}

delete_records() {
  seq 0 49 | producer --topic delete-records || fail "produce failed"
  cat > "$work/delete.json" << 'JSON'
{ "version": 1, "partitions": [{ "topic": "delete-records", "partition": 0, "offset": 20 }] }
JSON
  kafka DeleteRecordsCommand --offset-json-file "$work/delete.json" > "$work/out"
  grep -q 'low_watermark: 20' "$work/out" || fail "$(cat "$work/out")"
  same delete-records:0:20 "$(kafka GetOffsetShell --topic delete-records --time earliest)"
  same "$(seq 20 49)" "$(consumer --topic delete-records --offset earliest --max-messages 30)"
}

create_partitions() {
  topics --create --topic create-partitions > /dev/null
  topics --alter --topic create-partitions --partitions 3 || fail "alter failed"
  same 3 "$(kafka GetOffsetShell --topic create-partitions | wc -l)"
  refused 'would not be an increase' topics --alter --topic create-partitions --partitions 2
}

delete_topic() {
  seq 10 | producer --topic delete-topic || fail "produce failed"
  topics --delete --topic delete-topic || fail "delete failed"
  wait_for eval '! topics --list | grep -q delete-topic'
  topics --create --topic delete-topic > /dev/null || fail "create failed"
  same delete-topic:0:0 "$(kafka GetOffsetShell --topic delete-topic)"
}

describe_configs() {
  topics --create --topic describe-configs --config max.message.bytes=12345 > /dev/null
  configs --describe --entity-type topics --entity-name describe-configs --all > "$work/out"
  grep -q 'max.message.bytes=12345.*DYNAMIC_TOPIC_CONFIG:max.message.bytes=12345' "$work/out" \
    || fail "$(grep max.message.bytes "$work/out")"
  grep -q 'cleanup.policy=delete.*DEFAULT_CONFIG:log.cleanup.policy=delete' "$work/out" \
    || fail "$(grep cleanup.policy "$work/out")"
  configs --describe --entity-type brokers --entity-name 1 --all > "$work/out"
  grep -q 'node.id=1 ' "$work/out" || fail "no node.id among the broker's configs"
}

alter_configs() {
  topics --create --topic alter-configs > /dev/null
  local entity="--entity-type topics --entity-name alter-configs"
  configs --alter $entity --add-config retention.ms=123456 > /dev/null || fail "alter failed"
  wait_for eval "configs --describe $entity | grep -q retention.ms=123456"
  configs --alter $entity --delete-config retention.ms > /dev/null || fail "delete failed"
  wait_for eval "! configs --describe $entity | grep -q retention.ms"
  refused InvalidConfigurationException configs --alter $entity --add-config retention.ms=soon
  refused InvalidConfigurationException configs --alter $entity --add-config retentoin.ms=1
}

log_dirs() {
  seq 100 | producer --topic log-dirs || fail "produce failed"
  kafka LogDirsCommand --describe --topic-list log-dirs > "$work/out" || fail "describe failed"
  grep -q '"partition":"log-dirs-0","size":[1-9]' "$work/out" || fail "$(cat "$work/out")"
}

# Every file of a partition with several segments, as the broker leaves it on its disk.
dump_log() {
  topics --create --topic dump-log --config segment.bytes=1048576 > /dev/null
  seq -f '%0200g' 15000 | producer --topic dump-log || fail "produce failed"
  restarted
  dump dump-log
  no_gaps
  same 15000 "$(grep -c '^| offset: .* payload: 00000' "$work/dump")"
  grep -q 'producerId: ' "$work/dump" || fail "no producer state in the snapshot"
}

# So that the files of all segments but the newest, which is open again, are on the disk.
restarted() {
  echo restart
  read -r answer
  same "done" "$answer"
}

# What Kafka's reader says of all files of a topic's partition, in $work/dump; it may find no fault.
dump() {
  local dir=$LOG_DIR/$1-0 logs indexes
  logs=("$dir"/*.log)
  newest=$(basename "${logs[-1]}" .log)
  ((${#logs[@]} > 1)) || fail "expected several segments in $dir"
  indexes=$(find "$dir" -name '*index' ! -name "$newest*")
  dump_files "$indexes" --index-sanity-check
  same "$(grep -c -v txnindex <<< "$indexes")" \
    "$(grep -c -E 'passed sanity check|is empty' "$work/dump")"
  dump_files "$indexes" --verify-index-only
  dump_files "$indexes $(find "$dir" -name '*.log' -o -name '*.snapshot')" \
    --deep-iteration --print-data-log
}

dump_files() {
  tool org.apache.kafka.tools.DumpLogSegments --files "$(echo $1 | tr ' ' ,)" "${@:2}" \
    > "$work/dump" 2>&1 || fail "$(tail -n 3 "$work/dump")"
  grep -i -E 'mismatch|corrupt|invalid bytes|exception|not found' "$work/dump" > "$work/faults" \
    && fail "$(head -n 3 "$work/faults")"
}

# The tool calls the first offset of any segment but the first "-1 is followed by ...".
no_gaps() {
  grep 'is followed by' "$work/dump" | grep -v '^ *-1 is followed by' > "$work/faults" \
    && fail "$(head -n 3 "$work/faults")"
}

# Transactions that the harness writes into a topic; $work/written has the fate, offset, key and
# value of each record.
written() {
  echo "k:v0" | producer --topic "$2" --reader-property parse.key=true \
    --reader-property key.separator=: || fail "produce failed"
  echo "$1 $2"
  echo "committed 0 k v0" > "$work/written"
  while read -r line && [ "$line" != "done" ]; do echo "$line"; done >> "$work/written"
}

# The records in a dump: offset, key, value.
dumped() {
  sed -n 's/^| offset: \([0-9]*\) .* key: \([^ ]*\) payload: \(.*\)$/\1 \2 \3/p' "$work/dump"
}

dump_transactions() {
  local topic=dump-transactions of_aborted
  topics --create --topic "$topic" > /dev/null
  written transactions "$topic"
  dump "$topic"
  no_gaps
  same "$(cut -d ' ' -f 2- "$work/written")" "$(dumped | sort -n)"
  grep -q 'endTxnMarker: COMMIT' "$work/dump" || fail "no committed transaction"
  grep -q 'currentTxnFirstOffset: OptionalLong\[' "$work/dump" || fail "no open transaction"
  # Each end of an aborted transaction is in the index of its segment.
  of_aborted=$(sed -n 's/^| offset: \([0-9]*\) .* endTxnMarker: ABORT .*/\1/p' "$work/dump" \
    | awk -v newest="$newest" '$1 < newest + 0' | sort -n)
  (($(wc -l <<< "$of_aborted") > 10)) || fail "too few aborted transactions: $of_aborted"
  same "$of_aborted" \
    "$(sed -n 's/^version: 0 .* lastOffset: \([0-9]*\) lastStable.*/\1/p' "$work/dump" | sort -n)"
}

# Of each key the newest committed record stays; of what was aborted, what is not compacted yet.
dump_compacted() {
  local topic=dump-compacted aborted
  topics --create --topic "$topic" --config cleanup.policy=compact > /dev/null
  written compacted "$topic"
  dump "$topic"
  dumped | sort > "$work/records"
  same '' "$(cut -d ' ' -f 2- "$work/written" | sort | comm -13 - "$work/records")"
  awk '$1 == "committed" { newest[$3] = $2 " " $3 " " $4 } END { for (k in newest) print newest[k] }' \
    "$work/written" | sort > "$work/newest"
  same '' "$(comm -23 "$work/newest" "$work/records")"
  aborted=$(grep ^aborted "$work/written" | cut -d ' ' -f 2- | sort | comm -12 - "$work/records" | wc -l)
  ((aborted * 4 < $(grep -c ^aborted "$work/written"))) || fail "$aborted aborted records are left"
}

# What group_admin committed: by its consumer, and by a reset.
dump_offsets() {
  local group='"data":{"group":"group-admin"'
  dump_files "$(echo "$LOG_DIR"/__consumer_offsets-0/*.log)" --deep-iteration --offsets-decoder
  same '"offset":20 "offset":5 <DELETE>' "$(grep "\"type\":\"1\",$group" "$work/dump" \
    | grep -o -E '"offset":[0-9]+|<DELETE>' | tr '\n' ' ' | sed 's/ $//')"
  same '"protocolType":"consumer" <DELETE>' "$(grep "\"type\":\"2\",$group" "$work/dump" \
    | grep -o -E '"protocolType":"consumer"|<DELETE>' | uniq | tr '\n' ' ' | sed 's/ $//')"
}

# Batches that the broker encoded anew, because the topic asks for another codec than the producer
# chose; recompressed.txt has what Apache Kafka stores. Sizes are each encoder's own.
recompressed() {
  local logs here
  here=$(dirname "$0")
  tool "$here/Recompressed.java" > "$work/out" 2>&1 || fail "$(tail -n 3 "$work/out")"
  logs=$(echo "$LOG_DIR"/recompressed-*-0/00000000000000000000.log)
  dump_files "$logs" --deep-iteration --print-data-log
  sed -E "s|^Dumping .*/(recompressed-.*-0)/.*|\\1|; s/(producerId|position|size|crc): [0-9]+ ?//g" \
    "$work/dump" > "$work/recompressed"
  same "$(cat "$here/recompressed.txt")" "$(cat "$work/recompressed")"
}

# A group of the console consumer: listed, described, its offsets reset, deleted.
group_admin() {
  local group="--group group-admin"
  seq 50 | producer --topic group-admin || fail "produce failed"
  same "$(seq 20)" "$(kafka consumer.ConsoleConsumer --topic group-admin $group \
    --command-property auto.offset.reset=earliest --max-messages 20 --timeout-ms 30000)"
  groups --list | grep -q -x group-admin || fail "not listed"
  same 20 "$(committed group-admin)"
  groups --reset-offsets $group --topic group-admin --to-offset 5 --execute > "$work/out" \
    || fail "$(cat "$work/out")"
  same 5 "$(committed group-admin)"
  groups --delete $group > "$work/out" || fail "$(cat "$work/out")"
  groups --list | grep -q -x group-admin && fail "still listed"
  refused GroupIdNotFoundException groups --delete $group
}

# A group at work: its state and its member described, what may not be done to it refused.
group_live() {
  local group="--group group-live" consumer
  seq 20 | producer --topic group-live || fail "produce failed"
  (exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m -cp "$KAFKA_JARS" \
    org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP_SERVERS" \
    --topic group-live $group --command-property auto.offset.reset=earliest \
    --command-property client.id=worker > "$work/live" 2> /dev/null) &
  consumer=$!
  wait_for eval '(($(wc -l < "$work/live") == 20))'
  groups --describe $group --state > "$work/out" || fail "$(cat "$work/out")"
  grep -q -E 'range +Stable +1 *$' "$work/out" || fail "$(cat "$work/out")"
  groups --describe $group --members --verbose > "$work/out" || fail "$(cat "$work/out")"
  grep -q -E ' worker +1 .*group-live\(0\)|group-live:0' "$work/out" || fail "$(cat "$work/out")"
  refused GroupNotEmptyException groups --delete $group
  refused GroupSubscribedToTopic groups --delete-offsets $group --topic group-live
  refused 'inactive' groups --reset-offsets $group --topic group-live --to-earliest --execute
  kill "$consumer"
  wait "$consumer"
  groups --describe $group --state 2>&1 | grep -q -E ' Empty +0 *$' || fail "the member did not leave"
}

groups() { kafka consumer.group.ConsumerGroupCommand "$@"; }
committed() { groups --describe --group "$1" 2> /dev/null | awk '$1 == "'"$1"'" { print $4 }'; }

elect_leaders() {
  topics --create --topic elect-leaders --partitions 2 > /dev/null
  for type in preferred unclean; do
    kafka LeaderElectionCommand --election-type "$type" --topic elect-leaders --partition 1 \
      > "$work/out" 2>&1 || fail "$(cat "$work/out")"
    same 'Valid replica already elected for partitions elect-leaders-1' "$(cat "$work/out")"
  done
  refused UnknownTopicOrPartition kafka LeaderElectionCommand --election-type preferred \
    --topic unknown --partition 0
}

# The offsets of a group as those of a Streams application, and topics with names of its internal
# ones.
streams_reset() {
  local app=streams-reset
  seq 20 | producer --topic "$app" || fail "produce failed"
  same "$(seq 20)" "$(kafka consumer.ConsoleConsumer --topic "$app" --group "$app" \
    --command-property auto.offset.reset=earliest --max-messages 20 --timeout-ms 30000)"
  same 20 "$(committed "$app")"
  topics --create --topic "$app-words-repartition" > /dev/null
  topics --create --topic "$app-store-changelog" > /dev/null
  kafka StreamsResetter --application-id "$app" --input-topics "$app" --force > "$work/out" 2>&1 \
    || fail "$(cat "$work/out")"
  same 0 "$(committed "$app")"
  wait_for eval "[ \"\$(topics --list | grep $app)\" = $app ]"
}

# A member of a consumer group, as tests/src/clients/groups/group.rs directs it. The tool takes
# this process over, so that killing it kills the member.
member() {
  local strategy=RangeAssignor session=$MEMBER_SESSION_MS package=org.apache.kafka
  [ -z "${MEMBER_COOPERATIVE-}" ] || strategy=CooperativeStickyAssignor
  local options=(--session-timeout "$session" --reset-policy earliest --verbose
    --assignment-strategy "$package.clients.consumer.$strategy"
    --command-config "$work/member.properties")
  [ -z "${MEMBER_INSTANCE-}" ] || options+=(--group-instance-id "$MEMBER_INSTANCE")
  printf '%s\n' max.poll.records=10 metadata.max.age.ms=500 \
    "heartbeat.interval.ms=$((session / 10))" > "$work/member.properties"
  exec 5<&0
  { read -r _ <&5 && kill "$$"; } > /dev/null &
  exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m -cp "$KAFKA_JARS" \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=error $package.tools.VerifiableConsumer \
    --bootstrap-server "$BOOTSTRAP_SERVERS" --topic "$MEMBER_TOPIC" --group-id "$MEMBER_GROUP" \
    "${options[@]}" > >(exec python3 -u "$(dirname "$0")/events.py") < /dev/null
}

# The ledger of the harness decides about this one.
interrupted() {
  printf 'retries=1000000\nenable.idempotence=true\nbatch.size=500\n' > "$work/$1.properties"
  kafka VerifiableProducer --topic "$1" --command-config "$work/$1.properties" \
    --value-prefix 1 --max-messages 3000 --throughput 1000 > "$work/$1.log" 2> /dev/null &
  local producer=$! before
  wait_for eval "((\$(acks_of $1 | wc -l) >= 500))"
  before=$(acks_of "$1" | wc -l)
  acks_of "$1" | head -n "$before"
  echo "$1"
  read -r answer
  same "done" "$answer"
  wait "$producer" || fail "the producer failed"
  acks_of "$1" | tail -n +$((before + 1))
  consumer --topic "$1" --offset earliest --max-messages "$(end_of "$1")" \
    --formatter-property print.partition=true --formatter-property print.offset=true \
    | sed 's/^Partition:\([0-9]*\)\tOffset:\([0-9]*\)\t/read \1 \2 /'
}

acks_of() {
  sed -n '/"producer_send_success"/s/.*"value":"\([^"]*\)","offset":\([0-9]*\),.*"partition":\([0-9]*\).*/acked \3 \2 \1/p' \
    "$work/$1.log"
}

end_of() { kafka GetOffsetShell --topic "$1" | cut -d : -f 3; }

# What the scenarios are made of.

scenario() {
  name=$1
  shift
  if ("$@"); then echo "ok $name"; fi
}

fail() {
  echo "FAIL $name ${*//$'\n'/ }"
  exit 1
}

same() { [ "$1" = "$2" ] || fail "$(diff <(echo "$1") <(echo "$2") | head -n 5)"; }

refused() {
  "${@:2}" > "$work/refused" 2>&1
  grep -q "$1" "$work/refused" || fail "expected '$1', found $(cat "$work/refused")"
}

wait_for() {
  for _ in $(seq 600); do
    "$@" && return
    sleep 0.05
  done
  fail "waited 30 s for: $*"
}

[ -z "${MEMBER_GROUP-}" ] || member

echo "version $(tool org.apache.kafka.tools.TopicCommand --version | cut -d ' ' -f 1)"
scenario connect connect
scenario create-topic create_topic
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
scenario delete-records delete_records
scenario create-partitions create_partitions
scenario delete-topic delete_topic
scenario describe-configs describe_configs
scenario alter-configs alter_configs
scenario log-dirs log_dirs
scenario dump-log dump_log
scenario group-admin group_admin
echo "n/a group-pattern the tools that tell what they are assigned take no pattern"
scenario restart interrupted restart
scenario kill interrupted kill
scenario dump-transactions dump_transactions
scenario dump-compacted dump_compacted
scenario dump-offsets dump_offsets
scenario recompressed recompressed
scenario group-live group_live
scenario elect-leaders elect_leaders
scenario streams-reset streams_reset
