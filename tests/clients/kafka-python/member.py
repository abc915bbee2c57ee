"""A member of a consumer group, as tests/src/clients/groups/group.rs directs it."""

import os
import signal
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError

# One poll must see a rejoin through. When a leader rejoins because its metadata changed and poll
# times out between the requests Join and Sync, the assignment is never taken (kafka-python 3.0.12,
# `join_group_async`): `need_rejoin` is false again as soon as the leader has assigned, so that no
# later poll looks at the answer to Sync. The member then neither reads nor beats, for good; against
# Apache Kafka as against any broker, and nearly always where poll is given 5 ms. So poll waits as
# long as there is nothing to read, as the library's iterator does, and a signal ends it.
NOT_CUT_SHORT = 600_000  # milliseconds


class Report(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        say("assigned", *names(assigned))

    def on_partitions_revoked(self, revoked):
        say("revoked", *names(revoked))


def member():
    # Where a shell started the run in its background, SIGINT is ignored from there on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    session = int(os.environ["MEMBER_SESSION_MS"])
    cooperative = "MEMBER_COOPERATIVE" in os.environ
    assignor = CooperativeStickyAssignor if cooperative else RangePartitionAssignor
    consumer = KafkaConsumer(
        bootstrap_servers=os.environ["BOOTSTRAP_SERVERS"],
        group_id=os.environ["MEMBER_GROUP"],
        group_instance_id=os.environ.get("MEMBER_INSTANCE"),
        partition_assignment_strategy=(assignor,),
        session_timeout_ms=session,
        heartbeat_interval_ms=session // 10,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=10,
        metadata_max_age_ms=500,
    )
    topic = os.environ["MEMBER_TOPIC"]
    by = {"pattern": topic} if "MEMBER_PATTERN" in os.environ else {"topics": [topic]}
    consumer.subscribe(**by, listener=Report())
    threading.Thread(target=leave_when_told, daemon=True).start()
    try:
        while True:
            step(consumer)
    except KeyboardInterrupt:
        consumer.close()


def leave_when_told():
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGINT)


def step(consumer):
    batches = poll(consumer)
    for at, batch in batches.items():
        for record in batch:
            say(f"read {at.topic}:{at.partition} {record.offset}")
    if batches:
        time.sleep(0.02)
        commit(consumer, {at: batch[-1].offset + 1 for at, batch in batches.items()})


def poll(consumer):
    try:
        return consumer.poll(NOT_CUT_SHORT)
    except KafkaError as error:  # the broker is away
        say("not polled:", repr(error))
        time.sleep(0.05)
        return {}


def commit(consumer, reached):
    try:
        consumer.commit()
    except KafkaError as error:
        say("not committed:", repr(error))
    else:
        for at, offset in reached.items():
            say(f"committed {at.topic}:{at.partition} {offset}")


def say(*words):
    """A line at once: callbacks come from the library's thread."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def names(partitions):
    return [f"{at.topic}:{at.partition}" for at in partitions]
