"""The scenarios of tests/src/clients.rs with kafka-python."""

import logging
import os
import sys
import time

import kafka
from kafka import (
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidPartitionsError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from member import member

BOOTSTRAP = {"bootstrap_servers": os.environ["BOOTSTRAP_SERVERS"]}
WITHIN = 30  # seconds; only a broker that does not answer takes as long


def connect(admin):
    cluster = admin.describe_cluster()
    same([1], [broker["broker_id"] for broker in cluster["brokers"]])
    check(cluster["cluster_id"], "no cluster id")


def create_topic(admin):
    make(admin, "created", partitions=3, config={"retention.ms": "60000"})
    topic = describe(admin, "created")
    same([1, 1, 1], [partition["leader_id"] for partition in topic["partitions"]])
    fails(TopicAlreadyExistsError, lambda: make(admin, "created"))


def produce(admin, codec):
    """Keys, values and headers, null, empty and repeated ones; headers cannot be null here."""
    topic = make(admin, f"produce-{codec}", partitions=3)
    sent = {}
    for i in range(300):
        value = None if i % 50 == 0 else (f"value {i} of a compressible text " * (i % 7)).encode()
        headers = [("trace", b"id %d" % i), ("trace", b"again"), ("empty", b"")]
        sent[1_700_000_000_000 + i] = (b"key %d" % (i % 10), value, headers)

    compression = None if codec == "none" else codec
    answers = {}
    with KafkaProducer(**BOOTSTRAP, compression_type=compression, linger_ms=20) as producer:
        for timestamp, (key, value, headers) in sent.items():
            answers[timestamp] = producer.send(topic, value, key, headers, timestamp_ms=timestamp)
        producer.flush(WITHIN)

    for record in read(topic, partitions=3):
        key, value, headers = sent.pop(record.timestamp)
        answer = answers[record.timestamp].get(WITHIN)
        same((answer.partition, answer.offset), (record.partition, record.offset))
        same((key, value, headers), (record.key, record.value, list(record.headers)))
    same({}, sent)


def acks(admin, level):
    topic = make(admin, f"acks-{level}")
    config = {"acks": level if level == "all" else int(level)}
    offsets = send(topic, range(100), {**config, "enable_idempotence": level == "all"})
    if level != "0":
        same(list(range(100)), offsets)
    same(numbered(range(100)), values(poll(topic, 0, 100)))


def idempotence(admin):
    topic = make(admin, "idempotence")
    config = {"enable_idempotence": True, "batch_size": 100}
    same(list(range(2000)), send(topic, range(2000), config))
    same(numbered(range(2000)), values(read(topic)))


def consume_beginning(admin):
    topic = make(admin, "consume-beginning")
    send(topic, range(50))
    with open_consumer() as consumer:
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        consumer.seek_to_beginning(at)
        same(numbered(range(50)), values(take(consumer, 50)))


def consume_end(admin):
    topic = make(admin, "consume-end")
    send(topic, range(50))
    with open_consumer() as consumer:
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        consumer.seek_to_end(at)
        same(50, consumer.position(at))
        send(topic, range(50, 60))
        same(numbered(range(50, 60)), values(take(consumer, 10)))


def consume_offset(admin):
    topic = make(admin, "consume-offset")
    send(topic, range(50))
    same(numbered(range(33, 50)), values(poll(topic, 33, 17)))


def consume_timestamp(admin):
    topic = make(admin, "consume-timestamp")
    start = int(time.time() * 1000) - 60_000
    with KafkaProducer(**BOOTSTRAP) as producer:
        for i in range(50):
            producer.send(topic, b"v%d" % i, timestamp_ms=start + 100 * i)
        producer.flush(WITHIN)
    at = TopicPartition(topic, 0)
    with open_consumer() as consumer:
        found = consumer.offsets_for_times({at: start + 2_950})[at]
        same((30, start + 3_000), (found.offset, found.timestamp))
        later = consumer.offsets_for_times({at: start + 5_000})[at]
        check(later is None, "an offset for a time after the last record")
    same(numbered(range(30, 50)), values(poll(topic, 30, 20)))


def unknown_topic(admin):
    fails(UnknownTopicOrPartitionError, lambda: admin.delete_topics(["unknown"]))
    [topic] = admin.describe_topics(["unknown"])
    same(UnknownTopicOrPartitionError.errno, topic["error_code"])
    with open_consumer({"allow_auto_create_topics": False}) as consumer:
        check(not consumer.partitions_for_topic("unknown"), "partitions of an unknown topic")
    check("unknown" not in admin.list_topics(), "the topic was created")


def auto_create(admin):
    send("auto-created", range(1))
    same(["v0"], values(read("auto-created")))


def oversize_record(admin):
    topic = make(admin, "oversize", config={"max.message.bytes": "10000"})
    with KafkaProducer(**BOOTSTRAP) as producer:
        producer.send(topic, b"v0").get(WITHIN)
        large = b"x" * 20_000
        fails(MessageSizeTooLargeError, lambda: producer.send(topic, large).get(WITHIN))
    send(topic, range(1, 2))  # the refusal ends an idempotent producer of this library
    same(["v0", "v1"], values(read(topic)))


def delete_records(admin):
    topic = make(admin, "delete-records")
    send(topic, range(50))
    at = TopicPartition(topic, 0)
    same(20, admin.delete_records({at: 20})[at]["low_watermark"])
    same(numbered(range(20, 50)), values(read(topic)))
    with open_consumer({"auto_offset_reset": "none"}) as consumer:
        consumer.assign([at])
        consumer.seek(at, 10)
        fails(OffsetOutOfRangeError, lambda: take(consumer, 1))


def create_partitions(admin):
    topic = make(admin, "create-partitions")
    admin.create_partitions({topic: 3})
    wait_for(lambda: len(describe(admin, topic)["partitions"]) == 3, "three partitions")
    with KafkaProducer(**BOOTSTRAP) as producer:
        answer = producer.send(topic, b"v0", partition=2).get(WITHIN)
    same((2, 0), (answer.partition, answer.offset))
    fails(InvalidPartitionsError, lambda: admin.create_partitions({topic: 2}))


def delete_topic(admin):
    topic = make(admin, "delete-topic")
    send(topic, range(10))
    first = describe(admin, topic)["topic_id"]
    admin.delete_topics([topic])
    wait_for(lambda: topic not in admin.list_topics(), "the topic gone")
    make(admin, topic)
    check(describe(admin, topic)["topic_id"] != first, "the same topic id again")
    send(topic, range(90, 91))
    same(["v90"], values(read(topic)))


def describe_configs(admin):
    name = make(admin, "describe-configs", config={"max.message.bytes": "12345"})
    topic = configs(admin, ConfigResourceType.TOPIC, name)
    same("12345", topic["max.message.bytes"]["value"])
    same("DYNAMIC_TOPIC_CONFIG", topic["max.message.bytes"]["config_source"])
    same("delete", topic["cleanup.policy"]["value"])
    same("DEFAULT_CONFIG", topic["cleanup.policy"]["config_source"])
    broker = configs(admin, ConfigResourceType.BROKER, "1")
    same("1", broker["node.id"]["value"])
    check(broker["node.id"]["read_only"], "node.id can be altered")


def alter_configs(admin):
    topic = make(admin, "alter-configs")

    def alter(name, value, how=AlterConfigOp.SET):
        change = ConfigResource(ConfigResourceType.TOPIC, topic, {name: (how, value)})
        return admin.alter_configs([change], raise_on_unknown=False)["topic"][topic]

    def retention():
        return configs(admin, ConfigResourceType.TOPIC, topic)["retention.ms"]["value"]

    same("OK", alter("retention.ms", "123456"))
    wait_for(lambda: retention() == "123456", "the value set")
    same("OK", alter("retention.ms", None, AlterConfigOp.DELETE))
    wait_for(lambda: retention() == "604800000", "the default")
    for name, value in [("retention.ms", "soon"), ("retentoin.ms", "1")]:
        answer = alter(name, value)
        check("InvalidConfigurationError" in answer, f"{name}={value}: {answer}")


def log_dirs(admin):
    topic = make(admin, "log-dirs")
    send(topic, range(50))
    [broker] = admin.describe_log_dirs([topic])
    [directory] = broker["log_dirs"]
    [described] = directory["topics"]
    check(described["partitions"][0]["partition_size"] > 0, "no bytes in the partition")


def group_admin(admin):
    """A group that only ever commits: listed, described, read, reset and deleted."""
    topic, group = make(admin, "group-admin"), "group-admin"
    send(topic, range(50))
    at = TopicPartition(topic, 0)
    with open_consumer({"group_id": group}) as consumer:
        consumer.assign([at])
        consumer.seek(at, 0)
        take(consumer, 20)
        consumer.commit({at: OffsetAndMetadata(20, "noted", -1)})
        same(20, consumer.committed(at))
    check(group in [listed["group_id"] for listed in admin.list_groups()], "not listed")
    same("Empty", admin.describe_groups([group])[group]["group_state"])
    committed = admin.list_group_offsets({group: None})[group]
    same((20, "noted"), (committed[at].offset, committed[at].metadata))
    admin.alter_group_offsets(group, {at: OffsetAndMetadata(5, "", -1)})
    same(5, admin.list_group_offsets({group: [at]})[group][at].offset)
    same("OK", admin.delete_groups([group])[group])
    check(group not in [listed["group_id"] for listed in admin.list_groups()], "still listed")
    same("GroupIdNotFoundError", admin.delete_groups([group])[group])


def interrupted(how):
    """The ledger of the harness decides about this one."""
    with KafkaAdminClient(**BOOTSTRAP) as fresh:  # the other waits before it connects again
        topic = make(fresh, how, partitions=3)
    with KafkaProducer(**BOOTSTRAP, enable_idempotence=True, batch_size=500) as producer:

        def produce_range(numbers):
            for i in numbers:
                value = f"value-{i}"
                answer = producer.send(topic, value.encode(), b"key-%d" % (i % 100))
                answer.add_callback(acked, value)

        def acked(value, answer):
            say("acked", answer.partition, answer.offset, value)

        produce_range(range(500))
        producer.flush(WITHIN)
        produce_range(range(500, 1000))
        say(how)
        same("done", sys.stdin.readline().strip())
        produce_range(range(1000, 1500))
        producer.flush(WITHIN)
    for record in read(topic, partitions=3):
        print("read", record.partition, record.offset, record.value.decode())


# What the scenarios are made of.


def main():
    print("version", kafka.__version__)
    admin = KafkaAdminClient(**BOOTSTRAP)
    scenario("connect", connect, admin)
    scenario("create-topic", create_topic, admin)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        scenario(f"produce-{codec}", produce, admin, codec)
    for level in ["0", "1", "all"]:
        scenario(f"acks-{level}", acks, admin, level)
    scenario("idempotence", idempotence, admin)
    scenario("consume-beginning", consume_beginning, admin)
    scenario("consume-end", consume_end, admin)
    scenario("consume-offset", consume_offset, admin)
    scenario("consume-timestamp", consume_timestamp, admin)
    scenario("unknown-topic", unknown_topic, admin)
    scenario("auto-create", auto_create, admin)
    scenario("oversize-record", oversize_record, admin)
    scenario("delete-records", delete_records, admin)
    scenario("create-partitions", create_partitions, admin)
    scenario("delete-topic", delete_topic, admin)
    scenario("describe-configs", describe_configs, admin)
    scenario("alter-configs", alter_configs, admin)
    scenario("log-dirs", log_dirs, admin)
    print("n/a dump-log the library reads no files")
    scenario("group-admin", group_admin, admin)
    # Those with members are directed by the harness: member.py.
    scenario("restart", interrupted, "restart")
    scenario("kill", interrupted, "kill")


def scenario(name, run, *arguments):
    try:
        run(*arguments)
        print("ok", name)
    except Exception as error:
        print("FAIL", name, type(error).__name__, str(error).replace("\n", " "))


def say(*words):
    """A line at once: callbacks come from the library's thread."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def check(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def same(expected, found):
    check(expected == found, f"expected {expected!r}, found {found!r}")


def fails(kind, action):
    try:
        action()
    except KafkaError as error:
        check(isinstance(error, kind), f"expected {kind.__name__}, found {error!r}")
    else:
        raise AssertionError(f"expected {kind.__name__}, found success")


def wait_for(attempt, what):
    deadline = time.monotonic() + WITHIN
    while not (result := attempt()):
        check(time.monotonic() < deadline, f"expected {what}")
        time.sleep(0.02)
    return result


def make(admin, topic, partitions=1, config=None):
    new = {"num_partitions": partitions, "replication_factor": 1, "configs": config or {}}
    admin.create_topics({topic: new}, wait_for_metadata=True)
    return topic


def describe(admin, topic):
    [described] = admin.describe_topics([topic])
    same(0, described["error_code"])
    return described


def configs(admin, kind, name):
    answer = admin.describe_configs([ConfigResource(kind, name)], config_filter="all")
    return answer[kind.name.lower()][name]


def send(topic, numbers, config=None):
    """Sends the values and returns their offsets."""
    with KafkaProducer(**BOOTSTRAP, **(config or {})) as producer:
        answers = [producer.send(topic, value.encode(), b"k") for value in numbered(numbers)]
        producer.flush(WITHIN)
        return [answer.get(WITHIN).offset for answer in answers]


def open_consumer(config=None):
    fixed = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
    return KafkaConsumer(**BOOTSTRAP, **(fixed | (config or {})))


def take(consumer, count):
    records = []
    deadline = time.monotonic() + WITHIN
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(200).values():
            records += batch
    return records


def poll(topic, offset, count, partition=0):
    """`count` records of a partition from `offset` on."""
    with open_consumer() as consumer:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        consumer.seek(at, offset)
        return take(consumer, count)


def read(topic, partitions=1):
    """Everything between beginning and end of all partitions."""
    records = []
    for partition in range(partitions):
        at = TopicPartition(topic, partition)
        with open_consumer() as consumer:
            start, end = consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at]
        if end > start:
            records += poll(topic, start, end - start, partition)
    return records


def values(records):
    return [record.value.decode() for record in records]


def numbered(numbers):
    return [f"v{i}" for i in numbers]


logging.basicConfig(level=logging.CRITICAL)
if "MEMBER_GROUP" in os.environ:
    member()
else:
    main()
