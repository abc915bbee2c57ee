//! ListOffsets, OffsetForLeaderEpoch and DeleteRecords: questions about positions in a log.

use serde_json::{Value, json};

use super::{Result, produce_one, produce_to, versions_of};
use crate::differential::{
    batch::{Batch, TIME, record},
    recorder::Recorder,
};

pub(super) fn list_offsets(r: &mut Recorder) -> Result {
    const API: &str = "ListOffsets";
    r.topics(["filled", "empty", "trimmed"], &[])?;
    let batch = |first: i64| {
        let records = [
            record("a", "1"),
            record("b", "2").after(50),
            record("c", "3").after(20),
        ];
        Batch::of(records).with(|b| b.base_timestamp = TIME + first)
    };
    for topic in ["filled", "trimmed"] {
        produce_to(r, topic, 0, &batch(0))?;
        produce_to(r, topic, 0, &batch(1000))?;
        produce_to(r, topic, 0, &batch(100))?;
    }
    let delete = json!({"timeoutMs": 10_000, "topics": [
        {"name": "trimmed", "partitions": [{"partitionIndex": 0, "offset": 4}]}]});
    r.ask("DeleteRecords", 2, &delete)?;
    let request = |topic: &str, timestamp: i64| {
        json!({"replicaId": -1, "topics": [{"name": topic, "partitions": [
            {"partitionIndex": 0, "timestamp": timestamp}]}]})
    };
    for (what, timestamp) in [
        ("latest", -1),
        ("earliest", -2),
        ("max timestamp", -3),
        ("earliest local", -4),
        ("latest tiered", -5),
        ("earliest pending upload", -6),
        ("-7, which means nothing", -7),
    ] {
        r.all(API, what, |_| request("filled", timestamp))?;
        for (topic, state) in [
            ("empty", "of an empty log"),
            ("trimmed", "of a trimmed log"),
        ] {
            let what = format!("{what}, {state}");
            r.versions(API, &what, [1, 11], |_| request(topic, timestamp))?;
        }
    }
    for (what, timestamp) in [
        ("time 0", 0),
        ("the time of the first record", TIME),
        ("a time inside a batch", TIME + 30),
        ("a time between batches", TIME + 500),
        ("the latest time", TIME + 1050),
        ("after the latest time", TIME + 1051),
    ] {
        r.versions(API, what, [1, 4, 7, 11], |_| request("filled", timestamp))?;
        let what = format!("{what}, of a trimmed log");
        r.versions(API, &what, [11], |_| request("trimmed", timestamp))?;
    }
    r.all(API, "an unknown topic", |_| request("nowhere", -1))?;
    r.versions(API, "a name that no topic can have", [1, 11], |_| {
        request("a/b", -1)
    })?;
    let partitions =
        |list: Value| json!({"replicaId": -1, "topics": [{"name": "filled", "partitions": list}]});
    let asked = |index: i32| json!({"partitionIndex": index, "timestamp": -1});
    r.all(API, "an unknown partition", |_| {
        partitions(json!([asked(9)]))
    })?;
    r.versions(API, "a partition twice", [1, 4, 11], |_| {
        partitions(json!([asked(0), asked(0)]))
    })?;
    r.versions(API, "no partitions", [1, 11], |_| partitions(json!([])))?;
    r.versions(API, "no topics", [1, 11], |_| json!({"replicaId": -1}))?;
    for (what, epoch) in [("the leader's epoch", 0), ("a leader epoch to come", 5)] {
        let mut asked = asked(0);
        asked["currentLeaderEpoch"] = json!(epoch);
        r.versions(API, what, [4, 11], |_| partitions(json!([asked])))?;
    }
    for (what, replica) in [("as a debugging consumer", -2), ("as replica 1", 1)] {
        let mut body = request("filled", -1);
        body["replicaId"] = json!(replica);
        r.versions(API, what, [1, 11], |_| body.clone())?;
    }
    for (what, level) in [("read committed", 1), ("an unknown isolation level", 7)] {
        let mut body = request("filled", -1);
        body["isolationLevel"] = json!(level);
        r.versions(API, what, [2, 11], |_| body.clone())?;
    }
    Ok(())
}

pub(super) fn leader_epochs(r: &mut Recorder) -> Result {
    const API: &str = "OffsetForLeaderEpoch";
    r.topics(["filled", "empty"], &[])?;
    produce_one(r, "filled")?;
    let request = |topic: &str, partition: i32, current: i32, asked: i32| {
        json!({"replicaId": -1, "topics": [{"topic": topic, "partitions": [
            {"partition": partition, "currentLeaderEpoch": current, "leaderEpoch": asked}]}]})
    };
    for (what, body) in [
        ("the only epoch", request("filled", 0, -1, 0)),
        ("the only epoch of an empty log", request("empty", 0, -1, 0)),
        ("an epoch to come", request("filled", 0, -1, 3)),
        ("an epoch before all", request("filled", 0, -1, -1)),
        ("the leader's epoch", request("filled", 0, 0, 0)),
        ("a leader epoch to come", request("filled", 0, 5, 0)),
        ("an unknown partition", request("filled", 9, -1, 0)),
        ("an unknown topic", request("nowhere", 0, -1, 0)),
        ("no topics", json!({"replicaId": -1})),
    ] {
        r.all(API, what, |_| body.clone())?;
    }
    for (what, replica) in [("as a debugging consumer", -2), ("as replica 1", 1)] {
        let mut body = request("filled", 0, -1, 0);
        body["replicaId"] = json!(replica);
        r.versions(API, what, [3, 4], |_| body.clone())?;
    }
    Ok(())
}

pub(super) fn delete_records(r: &mut Recorder) -> Result {
    const API: &str = "DeleteRecords";
    r.topics(versions_of("filled", API), &[])?;
    r.topics(["compacted"], &[("cleanup.policy", "compact")])?;
    for version in super::every(API) {
        let topic = format!("filled-v{version}");
        for _ in 0..3 {
            produce_one(r, &topic)?;
        }
        let request = |topic: &str, partition: i32, offset: i64| {
            json!({"timeoutMs": 10_000, "topics": [{"name": topic, "partitions": [
                {"partitionIndex": partition, "offset": offset}]}]})
        };
        for (what, body) in [
            ("the first record", request(&topic, 0, 1)),
            ("the same again", request(&topic, 0, 1)),
            ("less than before", request(&topic, 0, 0)),
            ("more than there is", request(&topic, 0, 4)),
            ("a negative offset", request(&topic, 0, -2)),
            ("everything", request(&topic, 0, -1)),
            ("everything again", request(&topic, 0, -1)),
            ("an unknown partition", request(&topic, 9, 0)),
            ("an unknown topic", request("nowhere", 0, 0)),
            ("a compacted topic", request("compacted", 0, 0)),
            ("no topics", json!({"timeoutMs": 10_000})),
        ] {
            r.one(API, what, version, &body)?;
        }
        let twice = json!({"timeoutMs": 10_000, "topics": [{"name": topic, "partitions": [
            {"partitionIndex": 0, "offset": 3}, {"partitionIndex": 0, "offset": 2}]}]});
        r.one(API, "a partition twice", version, &twice)?;
    }
    Ok(())
}
