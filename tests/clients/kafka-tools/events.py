"""The events of VerifiableConsumer in the words of tests/src/clients/groups/group.rs."""

import json
import sys


def places(partitions):
    return " ".join(f"{at['topic']}:{at['partition']}" for at in partitions)


for line in sys.stdin:
    event = json.loads(line) if line.startswith("{") else {"name": line.strip()}
    match event["name"]:
        case "partitions_assigned" if event["partitions"]:
            print("assigned", places(event["partitions"]))
        case "partitions_revoked" if event["partitions"]:
            print("revoked", places(event["partitions"]))
        case "record_data":
            print("read", places([event]), event["offset"])
        case "offsets_committed" if event["success"]:
            for at in event["offsets"]:
                print("committed", places([at]), at["offset"])
        case "records_consumed":
            pass
        case other:
            print(other)
