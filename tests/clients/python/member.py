"""A member of a consumer group, as tests/src/clients/groups/group.rs directs it."""

import os
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition


def member():
    session = int(os.environ["MEMBER_SESSION_MS"])
    cooperative = "MEMBER_COOPERATIVE" in os.environ
    config = {
        "bootstrap.servers": os.environ["BOOTSTRAP_SERVERS"],
        "group.id": os.environ["MEMBER_GROUP"],
        "partition.assignment.strategy": "cooperative-sticky" if cooperative else "range",
        "session.timeout.ms": session,
        "heartbeat.interval.ms": session // 10,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "topic.metadata.refresh.interval.ms": 500,
    }
    if "MEMBER_INSTANCE" in os.environ:
        config["group.instance.id"] = os.environ["MEMBER_INSTANCE"]
    consumer = Consumer(config)
    # librdkafka knows a pattern by its first character.
    consumer.subscribe([os.environ["MEMBER_TOPIC"]], on_assign=assigned, on_revoke=revoked,
                       on_lost=revoked)
    leave = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), leave.set()), daemon=True).start()
    while not leave.is_set():
        reached = {}
        for message in consumer.consume(10, timeout=0.1):
            if not message.error():
                place = f"{message.topic()}:{message.partition()}"
                say("read", place, message.offset())
                reached[message.topic(), message.partition()] = message.offset() + 1
        if reached:
            time.sleep(0.02)
            commit(consumer, reached)
    consumer.close()


def commit(consumer, reached):
    offsets = [TopicPartition(*at, offset) for at, offset in reached.items()]
    try:
        answers = consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        say("not committed:", error)
        return
    for at in answers:
        if not at.error:
            say("committed", f"{at.topic}:{at.partition}", at.offset)


def assigned(_, partitions):
    say("assigned", *names(partitions))


def revoked(_, partitions):
    say("revoked", *names(partitions))


def names(partitions):
    return [f"{at.topic}:{at.partition}" for at in partitions]


def say(*words):
    """A line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
