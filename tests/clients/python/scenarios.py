"""The scenarios of tests/src/clients.rs with confluent-kafka (librdkafka)."""

import os
import sys
import time

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
)

from member import member

BOOTSTRAP = {"bootstrap.servers": os.environ["BOOTSTRAP_SERVERS"]}
WITHIN = 30  # seconds; only a broker that does not answer takes as long


def connect(admin):
    cluster = admin.describe_cluster().result(WITHIN)
    same(1, len(cluster.nodes))
    check(cluster.cluster_id, "no cluster id")
    same([1], list(admin.list_topics(timeout=WITHIN).brokers))


def create_topic(admin):
    make(admin, "created", partitions=3, config={"retention.ms": "60000"})
    topic = describe(admin, "created")
    same([1, 1, 1], [partition.leader.id for partition in topic.partitions])
    fails(KafkaError.TOPIC_ALREADY_EXISTS, lambda: make(admin, "created"))


def produce(admin, codec):
    """Keys, values and headers of every kind, null and empty and repeated ones included."""
    topic = make(admin, f"produce-{codec}", partitions=3)
    sent = {}
    for i in range(300):
        value = None if i % 50 == 0 else f"value {i} of a compressible text " * (i % 7)
        headers = [("trace", b"id %d" % i), ("trace", None), ("empty", b"")]
        sent[1_700_000_000_000 + i] = (f"key {i % 10}", value, headers)

    producer = Producer(BOOTSTRAP | {"acks": "all", "compression.type": codec, "linger.ms": 20})
    places = {}
    for timestamp, (key, value, headers) in sent.items():
        producer.produce(topic, value, key, timestamp=timestamp, headers=headers,
                         on_delivery=into(places, timestamp))
    flush(producer)

    for message in read(topic, partitions=3):
        timestamp = message.timestamp()[1]
        key, value, headers = sent.pop(timestamp)
        same(places[timestamp], (message.partition(), message.offset()))
        same(key.encode(), message.key())
        same(None if value is None else value.encode(), message.value())
        same(headers, message.headers())
    same({}, sent)


def acks(admin, level):
    topic = make(admin, f"acks-{level}")
    places = send(topic, range(100), {"acks": level})
    if level != "0":
        same([(0, i) for i in range(100)], list(places.values()))
    same(numbered(range(100)), values(poll(topic, OFFSET_BEGINNING, 100)))


def idempotence(admin):
    topic = make(admin, "idempotence")
    config = {"enable.idempotence": True, "max.in.flight": 5, "batch.num.messages": 10}
    places = send(topic, range(2000), config)
    same([(0, i) for i in range(2000)], list(places.values()))
    same(numbered(range(2000)), values(read(topic)))


def consume_beginning(admin):
    topic = make(admin, "consume-beginning")
    send(topic, range(50))
    same(numbered(range(50)), values(poll(topic, OFFSET_BEGINNING, 50)))


def consume_end(admin):
    topic = make(admin, "consume-end")
    send(topic, range(50))
    consumer = open_consumer({"enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    end = wait_for(lambda: consumer.poll(0.2), "the end")
    same((KafkaError._PARTITION_EOF, 50), (end.error() and end.error().code(), end.offset()))
    send(topic, range(50, 60))
    received = []
    while len(received) < 10:
        message = wait_for(lambda: consumer.poll(0.2), "a record")
        if not message.error():  # the end again, when we are faster than the producer
            received.append(message)
    same(numbered(range(50, 60)), values(received))
    consumer.close()


def consume_offset(admin):
    topic = make(admin, "consume-offset")
    send(topic, range(50))
    same(numbered(range(33, 50)), values(poll(topic, 33, 17)))


def consume_timestamp(admin):
    topic = make(admin, "consume-timestamp")
    start = int(time.time() * 1000) - 60_000
    producer = Producer(BOOTSTRAP)
    for i in range(50):
        producer.produce(topic, f"v{i}", timestamp=start + 100 * i)
    flush(producer)
    consumer = open_consumer()
    [found] = consumer.offsets_for_times([TopicPartition(topic, 0, start + 2_950)], timeout=WITHIN)
    consumer.close()
    same(30, found.offset)
    same(numbered(range(30, 50)), values(poll(topic, found.offset, 20)))


def unknown_topic(admin):
    fails(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: describe(admin, "unknown"))
    delete = admin.delete_topics(["unknown"])["unknown"]
    fails(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: delete.result(WITHIN))
    consumer = open_consumer({"allow.auto.create.topics": False})
    error = consumer.list_topics("unknown", timeout=WITHIN).topics["unknown"].error
    consumer.close()
    same(KafkaError.UNKNOWN_TOPIC_OR_PART, error and error.code())
    check("unknown" not in admin.list_topics(timeout=WITHIN).topics, "the topic was created")


def auto_create(admin):
    send("auto-created", range(1))
    same(["v0"], values(read("auto-created")))


def oversize_record(admin):
    topic = make(admin, "oversize", config={"max.message.bytes": "10000"})
    producer = Producer(BOOTSTRAP)
    answers = []
    for value in ["v0", "x" * 20_000, "v1"]:
        producer.produce(topic, value, on_delivery=lambda error, _: answers.append(error))
        producer.flush(WITHIN)
    same([None, KafkaError.MSG_SIZE_TOO_LARGE, None], [error and error.code() for error in answers])
    same(["v0", "v1"], values(read(topic)))


def delete_records(admin):
    topic = make(admin, "delete-records")
    send(topic, range(50))
    target = TopicPartition(topic, 0, 20)
    deleted = admin.delete_records([target])[target].result(WITHIN)
    same(20, deleted.low_watermark)
    same(numbered(range(20, 50)), values(read(topic)))
    consumer = open_consumer({"auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, 0, 10)])
    error = wait_for(lambda: consumer.poll(0.2), "an error").error()
    consumer.close()
    same(KafkaError._AUTO_OFFSET_RESET, error and error.code())


def create_partitions(admin):
    topic = make(admin, "create-partitions")

    def grow(count):
        admin.create_partitions([NewPartitions(topic, count)])[topic].result(WITHIN)

    grow(3)
    wait_for(lambda: len(describe(admin, topic).partitions) == 3, "three partitions")
    places = {}
    producer = Producer(BOOTSTRAP)
    producer.produce(topic, "v0", partition=2, on_delivery=into(places, "v0"))
    flush(producer)
    same({"v0": (2, 0)}, places)
    fails(KafkaError.INVALID_PARTITIONS, lambda: grow(2))


def delete_topic(admin):
    topic = make(admin, "delete-topic")
    send(topic, range(10))
    first = describe(admin, topic).topic_id
    admin.delete_topics([topic])[topic].result(WITHIN)
    wait_for(lambda: topic not in admin.list_topics(timeout=WITHIN).topics, "the topic gone")
    make(admin, topic)

    def created_again():
        try:
            return str(describe(admin, topic).topic_id) != str(first)
        except KafkaException:
            return False  # not known to the broker yet

    wait_for(created_again, "a new topic id")
    send(topic, range(90, 91))
    same(["v90"], values(read(topic)))


def describe_configs(admin):
    name = make(admin, "describe-configs", config={"max.message.bytes": "12345"})
    topic = configs(admin, ConfigResource.Type.TOPIC, name)
    same("12345", topic["max.message.bytes"].value)
    same(ConfigSource.DYNAMIC_TOPIC_CONFIG.value, topic["max.message.bytes"].source)
    same("delete", topic["cleanup.policy"].value)
    same(ConfigSource.DEFAULT_CONFIG.value, topic["cleanup.policy"].source)
    broker = configs(admin, ConfigResource.Type.BROKER, "1")
    same("1", broker["node.id"].value)
    check(broker["node.id"].is_read_only, "node.id can be altered")


def alter_configs(admin):
    topic = make(admin, "alter-configs")

    def alter(name, value, how=AlterConfigOpType.SET):
        entry = ConfigEntry(name, value, incremental_operation=how)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(WITHIN)

    def retention():
        return configs(admin, ConfigResource.Type.TOPIC, topic)["retention.ms"].value

    alter("retention.ms", "123456")
    wait_for(lambda: retention() == "123456", "the value set")
    alter("retention.ms", None, AlterConfigOpType.DELETE)
    wait_for(lambda: retention() == "604800000", "the default")
    fails(KafkaError.INVALID_CONFIG, lambda: alter("retention.ms", "soon"))
    fails(KafkaError.INVALID_CONFIG, lambda: alter("retentoin.ms", "1"))


def group_admin(admin):
    """A group that only ever commits: listed, described, read, reset and deleted."""
    topic, group = make(admin, "group-admin"), "group-admin"
    send(topic, range(50))
    consumer = open_consumer({"group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 20, "noted")], asynchronous=False)
    consumer.close()

    def listed():
        groups = admin.list_consumer_groups().result(WITHIN).valid
        return group in [listing.group_id for listing in groups]

    def committed():
        request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
        answer = admin.list_consumer_group_offsets([request])[group].result(WITHIN)
        return answer.topic_partitions[0].offset

    check(listed(), "not listed")
    described = admin.describe_consumer_groups([group])[group].result(WITHIN)
    same(ConsumerGroupState.EMPTY, described.state)
    same(20, committed())
    reset = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 5)])
    admin.alter_consumer_group_offsets([reset])[group].result(WITHIN)
    same(5, committed())
    admin.delete_consumer_groups([group])[group].result(WITHIN)
    check(not listed(), "still listed")
    again = admin.delete_consumer_groups([group])[group]
    fails(KafkaError.GROUP_ID_NOT_FOUND, lambda: again.result(WITHIN))


def interrupted(admin, how):
    """The ledger of the harness decides about this one."""
    topic = make(admin, how, partitions=3)
    producer = Producer(BOOTSTRAP | {"enable.idempotence": True, "batch.num.messages": 20})

    def acked(error, message):
        if error is None:
            value = message.value().decode()
            print("acked", message.partition(), message.offset(), value)

    def produce_range(numbers):
        for i in numbers:
            producer.produce(topic, f"value-{i}", f"key-{i % 100}", on_delivery=acked)
            producer.poll(0)

    produce_range(range(500))
    flush(producer)
    produce_range(range(500, 1000))
    print(how)
    same("done", sys.stdin.readline().strip())
    produce_range(range(1000, 1500))
    flush(producer)
    for message in read(topic, partitions=3):
        print("read", message.partition(), message.offset(), message.value().decode())


# What the scenarios are made of.


def main():
    print(f"version {confluent_kafka.version()}, librdkafka {confluent_kafka.libversion()[0]}")
    admin = AdminClient(BOOTSTRAP)
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
    print("n/a log-dirs the library has no call for it")
    print("n/a dump-log the library reads no files")
    scenario("group-admin", group_admin, admin)
    scenario("restart", interrupted, admin, "restart")
    scenario("kill", interrupted, admin, "kill")


def scenario(name, run, *arguments):
    try:
        run(*arguments)
        print("ok", name)
    except Exception as error:
        print("FAIL", name, type(error).__name__, str(error).replace("\n", " "))


def check(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def same(expected, found):
    check(expected == found, f"expected {expected!r}, found {found!r}")


def fails(code, action):
    try:
        action()
    except KafkaException as error:
        same(code, error.args[0].code())
    else:
        raise AssertionError(f"expected error {code}, found success")


def wait_for(attempt, what):
    deadline = time.monotonic() + WITHIN
    while not (result := attempt()):
        check(time.monotonic() < deadline, f"expected {what}")
        time.sleep(0.02)
    return result


def make(admin, topic, partitions=1, config=None):
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
    admin.create_topics([new])[topic].result(WITHIN)
    return topic


def describe(admin, topic):
    return admin.describe_topics(TopicCollection([topic]))[topic].result(WITHIN)


def configs(admin, kind, name):
    resource = ConfigResource(kind, name)
    return admin.describe_configs([resource])[resource].result(WITHIN)


def into(places, name):
    """A delivery callback that notes where the record went."""

    def delivered(error, message):
        if error is not None:
            raise KafkaException(error)
        places[name] = (message.partition(), message.offset())

    return delivered


def flush(producer):
    same(0, producer.flush(WITHIN))


def send(topic, numbers, config=None):
    producer = Producer(BOOTSTRAP | (config or {"acks": "all"}))
    places = {}
    for value in numbered(numbers):
        producer.produce(topic, value, "k", on_delivery=into(places, value))
    flush(producer)
    return places


def open_consumer(config=None):
    # A group id is demanded even of a consumer that never joins one.
    fixed = {"group.id": "none", "enable.auto.commit": False}
    return Consumer(BOOTSTRAP | fixed | (config or {}))


def poll(topic, offset, count, partition=0):
    """`count` messages of a partition from `offset` on."""
    consumer = open_consumer()
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages = consumer.consume(count, timeout=WITHIN)
    consumer.close()
    for message in messages:
        if message.error():
            raise KafkaException(message.error())
    return messages


def read(topic, partitions=1):
    """Everything between beginning and end of all partitions."""
    messages = []
    for partition in range(partitions):
        consumer = open_consumer()
        at = TopicPartition(topic, partition)
        start, end = consumer.get_watermark_offsets(at, timeout=WITHIN)
        consumer.close()
        if end > start:
            messages += poll(topic, start, end - start, partition)
    return messages


def values(messages):
    return [message.value().decode() for message in messages]


def numbered(numbers):
    return [f"v{i}" for i in numbers]


if "MEMBER_GROUP" in os.environ:
    member()
else:
    main()
