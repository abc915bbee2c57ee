"""A member of a consumer group, as tests/src/clients/groups/group.rs directs it."""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError


class Report(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        print("assigned", *names(assigned))

    def on_partitions_revoked(self, revoked):
        print("revoked", *names(revoked))


async def member():
    session = int(os.environ["MEMBER_SESSION_MS"])
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["BOOTSTRAP_SERVERS"],
        group_id=os.environ["MEMBER_GROUP"],
        group_instance_id=os.environ.get("MEMBER_INSTANCE"),
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=session,
        heartbeat_interval_ms=session // 10,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=500,
    )
    topic = os.environ["MEMBER_TOPIC"]
    by = {"pattern": topic} if "MEMBER_PATTERN" in os.environ else {"topics": [topic]}
    consumer.subscribe(**by, listener=Report())
    await consumer.start()
    leave = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while not leave.done():
        await step(consumer)
    await consumer.stop()


async def step(consumer):
    batches = await poll(consumer)
    for at, batch in batches.items():
        for record in batch:
            print(f"read {at.topic}:{at.partition} {record.offset}")
    if batches:
        await asyncio.sleep(0.02)
        await commit(consumer, {at: batch[-1].offset + 1 for at, batch in batches.items()})


async def poll(consumer):
    try:
        return await consumer.getmany(timeout_ms=100, max_records=10)
    except KafkaError as error:  # the broker is away
        print("not polled:", repr(error))
        await asyncio.sleep(0.05)
        return {}


async def commit(consumer, reached):
    """Not reported: the library may send it in the next generation, after the partition's next
    owner has begun to read.
    """
    try:
        await consumer.commit(reached)
    except KafkaError as error:
        print("not committed:", repr(error))


def names(partitions):
    return [f"{at.topic}:{at.partition}" for at in partitions]
