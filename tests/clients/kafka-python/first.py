"""Fresh groups one after another, as tests/src/first_record.rs directs them."""

import os
import sys
import time

from kafka import KafkaConsumer


def first(topic):
    for line in sys.stdin:
        address, group = line.split()
        started = time.perf_counter()
        consumer = KafkaConsumer(topic, bootstrap_servers=address, group_id=group,
                                 auto_offset_reset="earliest")
        next(consumer)
        took = time.perf_counter() - started
        consumer.close()
        print("first", round(took * 1e6))


first(os.environ["FIRST_TOPIC"])
