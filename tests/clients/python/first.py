"""Fresh groups one after another, as tests/src/first_record.rs directs them."""

import os
import sys
import time

from confluent_kafka import Consumer


def first(topic):
    for line in sys.stdin:
        address, group = line.split()
        started = time.perf_counter()
        consumer = Consumer({"bootstrap.servers": address, "group.id": group,
                             "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        while True:
            message = consumer.poll(1)
            if message and not message.error():
                break
        took = time.perf_counter() - started
        consumer.close()
        print("first", round(took * 1e6))


first(os.environ["FIRST_TOPIC"])
