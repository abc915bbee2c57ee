"""Fresh groups one after another, as tests/src/first_record.rs directs them."""

import asyncio
import os
import sys
import time

from aiokafka import AIOKafkaConsumer


async def first(topic):
    while line := await asyncio.to_thread(sys.stdin.readline):
        address, group = line.split()
        started = time.perf_counter()
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=group,
                                    auto_offset_reset="earliest")
        await consumer.start()
        await consumer.getone()
        took = time.perf_counter() - started
        await consumer.stop()
        print("first", round(took * 1e6))


asyncio.run(first(os.environ["FIRST_TOPIC"]))
