"""The scenarios of tests/src/clients.rs with aiokafka."""

import asyncio
import logging
import os
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.structs import OffsetAndMetadata

from member import member

BOOTSTRAP = {"bootstrap_servers": os.environ["BOOTSTRAP_SERVERS"]}
WITHIN = 30  # seconds; only a broker that does not answer takes as long


async def connect(admin):
    cluster = await admin.describe_cluster()
    same([1], [broker["node_id"] for broker in cluster["brokers"]])
    check(cluster["cluster_id"], "no cluster id")


async def create_topic(admin):
    await make(admin, "created", partitions=3, config={"retention.ms": "60000"})
    topic = await describe(admin, "created")
    same([1, 1, 1], [partition["leader"] for partition in topic["partitions"]])
    await fails(TopicAlreadyExistsError, make(admin, "created"))


async def produce(admin, codec):
    """Keys, values and headers of every kind, null and empty and repeated ones included."""
    topic = await make(admin, f"produce-{codec}", partitions=3)
    sent = {}
    for i in range(300):
        value = None if i % 50 == 0 else (f"value {i} of a compressible text " * (i % 7)).encode()
        headers = [("trace", b"id %d" % i), ("trace", None), ("empty", b"")]
        sent[1_700_000_000_000 + i] = (b"key %d" % (i % 10), value, headers)

    compression = None if codec == "none" else codec
    answers = {}
    async with producing(compression_type=compression, linger_ms=20) as producer:
        for timestamp, (key, value, headers) in sent.items():
            answers[timestamp] = await producer.send(
                topic, value, key, timestamp_ms=timestamp, headers=headers
            )
        await asyncio.wait_for(producer.flush(), WITHIN)

    for record in await read(topic, partitions=3):
        key, value, headers = sent.pop(record.timestamp)
        answer = await answers[record.timestamp]
        same((answer.partition, answer.offset), (record.partition, record.offset))
        same((key, value, headers), (record.key, record.value, list(record.headers)))
    same({}, sent)


async def acks(admin, level):
    topic = await make(admin, f"acks-{level}")
    config = {"acks": level if level == "all" else int(level)}
    offsets = await send(topic, range(100), **config)
    if level != "0":
        same(list(range(100)), offsets)
    same(numbered(range(100)), values(await poll(topic, 0, 100)))


async def idempotence(admin):
    topic = await make(admin, "idempotence")
    config = {"enable_idempotence": True, "max_batch_size": 200}
    same(list(range(2000)), await send(topic, range(2000), **config))
    same(numbered(range(2000)), values(await read(topic)))


async def consume_beginning(admin):
    topic = await make(admin, "consume-beginning")
    await send(topic, range(50))
    async with consuming(topic) as (consumer, at):
        await consumer.seek_to_beginning(at)
        same(numbered(range(50)), values(await take(consumer, 50)))


async def consume_end(admin):
    topic = await make(admin, "consume-end")
    await send(topic, range(50))
    async with consuming(topic, auto_offset_reset="latest") as (consumer, at):
        await consumer.seek_to_end(at)
        same(50, await consumer.position(at))
        await send(topic, range(50, 60))
        same(numbered(range(50, 60)), values(await take(consumer, 10)))


async def consume_offset(admin):
    topic = await make(admin, "consume-offset")
    await send(topic, range(50))
    same(numbered(range(33, 50)), values(await poll(topic, 33, 17)))


async def consume_timestamp(admin):
    topic = await make(admin, "consume-timestamp")
    start = int(time.time() * 1000) - 60_000
    async with producing() as producer:
        for i in range(50):
            await producer.send(topic, b"v%d" % i, timestamp_ms=start + 100 * i)
        await producer.flush()
    async with consuming(topic) as (consumer, at):
        found = (await consumer.offsets_for_times({at: start + 2_950}))[at]
        same((30, start + 3_000), (found.offset, found.timestamp))
        later = (await consumer.offsets_for_times({at: start + 5_000}))[at]
        check(later is None, "an offset for a time after the last record")
    same(numbered(range(30, 50)), values(await poll(topic, 30, 20)))


async def unknown_topic(admin):
    """Describing it would make it: the library always lets the broker do so."""
    answer = await admin.delete_topics(["unknown"])
    same([("unknown", UnknownTopicOrPartitionError.errno)], [*answer.topic_error_codes])
    check("unknown" not in await admin.list_topics(), "the topic was created")


async def auto_create(admin):
    await send("auto-created", range(1))
    same(["v0"], values(await read("auto-created")))


async def oversize_record(admin):
    topic = await make(admin, "oversize", config={"max.message.bytes": "10000"})
    async with producing() as producer:
        await producer.send_and_wait(topic, b"v0")
        await fails(MessageSizeTooLargeError, producer.send_and_wait(topic, b"x" * 20_000))
        await producer.send_and_wait(topic, b"v1")
    same(["v0", "v1"], values(await read(topic)))


async def delete_records(admin):
    topic = await make(admin, "delete-records")
    await send(topic, range(50))
    at = TopicPartition(topic, 0)
    same({at: 20}, await admin.delete_records({at: RecordsToDelete(20)}))
    same(numbered(range(20, 50)), values(await read(topic)))
    async with consuming(topic, auto_offset_reset="none") as (consumer, at):
        consumer.seek(at, 10)
        await fails(OffsetOutOfRangeError, take(consumer, 1))


async def create_partitions(admin):
    topic = await make(admin, "create-partitions")

    async def grow(count):
        answer = await admin.create_partitions({topic: NewPartitions(count)})
        for _, code, _ in answer.topic_errors:
            refuse(code)

    async def three():
        return len((await describe(admin, topic))["partitions"]) == 3

    await grow(3)
    await wait_for(three, "three partitions")
    async with producing() as producer:
        answer = await producer.send_and_wait(topic, b"v0", partition=2)
    same((2, 0), (answer.partition, answer.offset))
    await fails(InvalidPartitionsError, grow(2))


async def delete_topic(admin):
    topic = await make(admin, "delete-topic")
    await send(topic, range(10))
    await admin.delete_topics([topic])

    async def gone():
        return topic not in await admin.list_topics()

    await wait_for(gone, "the topic gone")
    await make(admin, topic)
    await send(topic, range(90, 91))
    same(["v90"], values(await read(topic)))


async def describe_configs(admin):
    name = await make(admin, "describe-configs", config={"max.message.bytes": "12345"})
    topic = await configs(admin, ConfigResourceType.TOPIC, name)
    same("12345", topic["max.message.bytes"])
    same("delete", topic["cleanup.policy"])
    broker = await configs(admin, ConfigResourceType.BROKER, "1")
    same("1", broker["node.id"])


async def alter_configs(admin):
    """This library has the old call only: what is not named goes back to its default."""
    topic = await make(admin, "alter-configs")

    async def alter(**values):
        values = {name.replace("_", "."): value for name, value in values.items()}
        change = ConfigResource(ConfigResourceType.TOPIC, topic, values)
        for answer in await admin.alter_configs([change]):
            for code, *_ in answer.resources:
                refuse(code)

    async def retention():
        return (await configs(admin, ConfigResourceType.TOPIC, topic))["retention.ms"]

    async def is_set():
        return await retention() == "123456"

    async def is_default():
        return await retention() == "604800000"

    await alter(retention_ms="123456")
    await wait_for(is_set, "the value set")
    await alter(segment_ms="123456")
    await wait_for(is_default, "the default")
    await fails(InvalidConfigurationError, alter(retention_ms="soon"))
    await fails(InvalidConfigurationError, alter(retentoin_ms="1"))


async def group_admin(admin):
    """A group that only ever commits: listed, described and read; there is no more."""
    topic, group = await make(admin, "group-admin"), "group-admin"
    await send(topic, range(50))
    async with consuming(topic, group_id=group) as (consumer, at):
        consumer.seek(at, 0)
        await take(consumer, 20)
        await consumer.commit({at: OffsetAndMetadata(20, "noted")})
        same(20, await consumer.committed(at))
    check((group, "") in await admin.list_consumer_groups(), "not listed")
    [described] = await admin.describe_consumer_groups([group])
    [(code, name, state, *_)] = described.groups
    same((0, group, "Empty"), (code, name, state))
    committed = (await admin.list_consumer_group_offsets(group))[at]
    same((20, "noted"), (committed.offset, committed.metadata))


async def interrupted(admin, how):
    """The ledger of the harness decides about this one."""
    topic = await make(admin, how, partitions=3)

    def acked(value, answer):
        if answer.exception() is None:
            answer = answer.result()
            print("acked", answer.partition, answer.offset, value)

    async with producing(enable_idempotence=True, max_batch_size=500) as producer:

        async def produce_range(numbers):
            for i in numbers:
                value = f"value-{i}"
                answer = await producer.send(topic, value.encode(), b"key-%d" % (i % 100))
                answer.add_done_callback(lambda answer, value=value: acked(value, answer))

        await produce_range(range(500))
        await producer.flush()
        under_way = asyncio.create_task(produce_range(range(500, 1000)))
        print(how)
        same("done\n", await asyncio.to_thread(sys.stdin.readline))
        await under_way
        await produce_range(range(1000, 1500))
        await producer.flush()
    for record in await read(topic, partitions=3):
        print("read", record.partition, record.offset, record.value.decode())


# What the scenarios are made of.


async def main():
    print("version", aiokafka.__version__)
    await scenario("connect", connect)
    await scenario("create-topic", create_topic)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        await scenario(f"produce-{codec}", produce, codec)
    for level in ["0", "1", "all"]:
        await scenario(f"acks-{level}", acks, level)
    await scenario("idempotence", idempotence)
    await scenario("consume-beginning", consume_beginning)
    await scenario("consume-end", consume_end)
    await scenario("consume-offset", consume_offset)
    await scenario("consume-timestamp", consume_timestamp)
    await scenario("unknown-topic", unknown_topic)
    await scenario("auto-create", auto_create)
    await scenario("oversize-record", oversize_record)
    await scenario("delete-records", delete_records)
    await scenario("create-partitions", create_partitions)
    await scenario("delete-topic", delete_topic)
    await scenario("describe-configs", describe_configs)
    await scenario("alter-configs", alter_configs)
    print("n/a log-dirs the library has no call for it")
    print("n/a dump-log the library reads no files")
    print("part group-admin listed, described and read only: the library has no calls for the rest")
    await scenario("group-admin", group_admin)
    print("n/a group-cooperative the library rebalances eagerly only")
    await scenario("restart", interrupted, "restart")
    await scenario("kill", interrupted, "kill")


async def scenario(name, run, *arguments):
    admin = AIOKafkaAdminClient(**BOOTSTRAP)
    try:
        await admin.start()
        await asyncio.wait_for(run(admin, *arguments), 2 * WITHIN)
        print("ok", name)
    except Exception as error:
        print("FAIL", name, type(error).__name__, str(error).replace("\n", " "))
    finally:
        await admin.close()


def check(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def same(expected, found):
    check(expected == found, f"expected {expected!r}, found {found!r}")


async def fails(kind, action):
    try:
        await action
    except KafkaError as error:
        check(isinstance(error, kind), f"expected {kind.__name__}, found {error!r}")
    else:
        raise AssertionError(f"expected {kind.__name__}, found success")


def refuse(code):
    """The admin client leaves the errors of its answers to its caller."""
    if code:
        raise for_code(code)


async def wait_for(attempt, what):
    deadline = time.monotonic() + WITHIN
    while not await attempt():
        check(time.monotonic() < deadline, f"expected {what}")
        await asyncio.sleep(0.02)


async def make(admin, topic, partitions=1, config=None):
    answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config or {})])
    for _, code, *_ in answer.topic_errors:
        refuse(code)

    async def led():
        [described] = await admin.describe_topics([topic])
        leaders = [partition["leader"] for partition in described["partitions"]]
        return leaders == [1] * partitions

    await wait_for(led, "a leader for each partition")
    return topic


async def describe(admin, topic):
    [described] = await admin.describe_topics([topic])
    same(0, described["error_code"])
    return described


async def configs(admin, kind, name):
    [answer] = await admin.describe_configs([ConfigResource(kind, name)])
    [(code, _, _, _, entries)] = answer.resources
    refuse(code)
    return {name: value for name, value, *_ in entries}


class producing:
    """A producer that is started and stopped."""

    def __init__(self, **config):
        self.config = BOOTSTRAP | {"acks": "all"} | config  # or it is not readable at once

    async def __aenter__(self):
        self.producer = AIOKafkaProducer(**self.config)
        await self.producer.start()
        return self.producer

    async def __aexit__(self, *_):
        await self.producer.stop()


class consuming:
    """A consumer of one partition that is started and stopped."""

    def __init__(self, topic, partition=0, **config):
        fixed = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
        self.config = BOOTSTRAP | fixed | config
        self.at = TopicPartition(topic, partition)

    async def __aenter__(self):
        self.consumer = AIOKafkaConsumer(**self.config)
        await self.consumer.start()
        self.consumer.assign([self.at])
        return self.consumer, self.at

    async def __aexit__(self, *_):
        await self.consumer.stop()


async def send(topic, numbers, **config):
    """Sends the values and returns their offsets."""
    async with producing(**config) as producer:
        answers = [await producer.send(topic, v.encode(), b"k") for v in numbered(numbers)]
        await asyncio.wait_for(producer.flush(), WITHIN)
        answers = [await answer for answer in answers]
    return [answer and answer.offset for answer in answers]


async def take(consumer, count):
    records = []
    deadline = time.monotonic() + WITHIN
    while len(records) < count and time.monotonic() < deadline:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            records += batch
    return records


async def poll(topic, offset, count, partition=0):
    """`count` records of a partition from `offset` on."""
    async with consuming(topic, partition) as (consumer, at):
        consumer.seek(at, offset)
        return await take(consumer, count)


async def read(topic, partitions=1):
    """Everything between beginning and end of all partitions."""
    records = []
    for partition in range(partitions):
        async with consuming(topic, partition) as (consumer, at):
            start = (await consumer.beginning_offsets([at]))[at]
            end = (await consumer.end_offsets([at]))[at]
        if end > start:
            records += await poll(topic, start, end - start, partition)
    return records


def values(records):
    return [record.value.decode() for record in records]


def numbered(numbers):
    return [f"v{i}" for i in numbers]


logging.basicConfig(level=logging.CRITICAL)
asyncio.run(member() if "MEMBER_GROUP" in os.environ else main())
