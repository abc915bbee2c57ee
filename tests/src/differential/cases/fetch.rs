//! Fetch: data, bounds, sessions, epochs and errors.

use serde_json::{Value, json};

use super::{Result, every, produce_one, produce_to};
use crate::differential::{
    batch::{Batch, record},
    recorder::Recorder,
};

const API: &str = "Fetch";
const UNKNOWN_ID: &str = "TOPICxunknownxxxxxxxAA";

/// A request that does not wait, without a session.
fn request(topics: Value) -> Value {
    json!({"maxWaitMs": 0, "minBytes": 1, "maxBytes": 1_000_000, "topics": topics})
}

/// One partition from an offset on.
fn from(r: &Recorder, topic: &str, partition: i32, offset: i64) -> Value {
    json!({"topic": topic, "topicId": r.id(topic), "partitions": [
        {"partition": partition, "fetchOffset": offset, "partitionMaxBytes": 1_000_000}]})
}

fn partition_of(topic: &mut Value) -> &mut Value {
    &mut topic["partitions"][0]
}

pub(super) fn data(r: &mut Recorder) -> Result {
    r.topics(["filled", "empty"], &[])?;
    let batch = Batch::of([
        record("key", "value").header("h", "1"),
        record(None, None).after(7),
    ]);
    produce_to(r, "filled", 0, &batch)?;
    produce_to(r, "filled", 0, &batch)?;
    let body = request(json!([from(r, "filled", 0, 0)]));
    r.all(API, "everything", |_| body.clone())?;
    let body = request(json!([from(r, "filled", 0, 3)]));
    r.versions(API, "from inside a batch", [4, 18], |_| body.clone())?;
    let body = request(json!([from(r, "filled", 0, 4)]));
    r.all(API, "the end", |_| body.clone())?;
    let body = request(json!([from(r, "empty", 0, 0)]));
    r.versions(API, "an empty partition", [4, 18], |_| body.clone())?;

    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["maxBytes"] = json!(1);
    r.versions(API, "one byte at most", [4, 18], |_| body.clone())?;
    let mut topic = from(r, "filled", 0, 0);
    partition_of(&mut topic)["partitionMaxBytes"] = json!(1);
    let body = request(json!([topic]));
    r.versions(API, "one byte of a partition at most", [4, 18], |_| {
        body.clone()
    })?;
    partition_of(&mut topic)["partitionMaxBytes"] = json!(-1);
    let body = request(json!([topic]));
    r.versions(API, "a negative limit", [4, 18], |_| body.clone())?;
    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["minBytes"] = json!(1_000_000);
    r.versions(API, "more than there is, without waiting", [18], |_| {
        body.clone()
    })?;
    body["maxWaitMs"] = json!(1);
    r.versions(API, "more than there is, after waiting", [18], |_| {
        body.clone()
    })?;
    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["isolationLevel"] = json!(1);
    r.versions(API, "read committed", [4, 11, 18], |_| body.clone())?;
    body["isolationLevel"] = json!(7);
    r.versions(API, "an unknown isolation level", [4, 18], |_| body.clone())?;
    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["rackId"] = json!("rack");
    r.versions(API, "a rack", [11, 18], |_| body.clone())?;

    r.topics_of(2, ["two"], &[])?;
    produce_to(r, "two", 0, &Batch::one())?;
    produce_to(r, "two", 1, &Batch::one())?;
    let two = |first: i32, second: i32| {
        let partition = |index| json!({"partition": index, "partitionMaxBytes": 1_000_000});
        json!([{"topic": "two", "topicId": r.id("two"),
                "partitions": [partition(first), partition(second)]}])
    };
    let (rising, falling, twice) = (request(two(0, 1)), request(two(1, 0)), request(two(0, 0)));
    r.versions(API, "two partitions", [4, 12, 13, 18], |_| rising.clone())?;
    r.versions(API, "two partitions, the second first", [4, 18], |_| {
        falling.clone()
    })?;
    r.versions(API, "a partition twice", [4, 18], |_| twice.clone())?;
    let mut body = rising;
    body["maxBytes"] = json!(1);
    r.versions(API, "one byte of two partitions", [4, 18], |_| body.clone())?;
    r.versions(API, "no topics", [4, 18], |_| request(json!([])))?;

    r.topics(["zstd"], &[])?;
    produce_to(r, "zstd", 0, &Batch::one().zstd())?;
    let body = request(json!([from(r, "zstd", 0, 0)]));
    r.versions(API, "zstd", [4, 9, 10, 18], |_| body.clone())
}

pub(super) fn errors(r: &mut Recorder) -> Result {
    r.topics(["filled", "trimmed"], &[])?;
    for _ in 0..3 {
        produce_one(r, "filled")?;
        produce_one(r, "trimmed")?;
    }
    let delete = json!({"timeoutMs": 10_000, "topics": [
        {"name": "trimmed", "partitions": [{"partitionIndex": 0, "offset": 2}]}]});
    r.ask("DeleteRecords", 2, &delete)?;
    for (what, topic, offset) in [
        ("an offset past the end", "filled", 4),
        ("a negative offset", "filled", -1),
        ("an offset before the start", "trimmed", 1),
        ("the log start", "trimmed", 2),
    ] {
        let body = request(json!([from(r, topic, 0, offset)]));
        r.versions(API, what, [4, 5, 12, 18], |_| body.clone())?;
    }
    let unknown = json!({"topic": "nowhere", "topicId": UNKNOWN_ID, "partitions": [
        {"partition": 0, "partitionMaxBytes": 1_000_000}]});
    r.all(API, "an unknown topic", |_| request(json!([unknown])))?;
    let body = request(json!([from(r, "filled", 9, 0)]));
    r.all(API, "an unknown partition", |_| body.clone())?;
    let body = request(json!([from(r, "filled", -1, 0)]));
    r.versions(API, "a negative partition", [4, 18], |_| body.clone())?;
    let zero = json!({"partitions": [{"partition": 0, "partitionMaxBytes": 1_000_000}]});
    r.versions(API, "the zero topic id", [13, 18], |_| {
        request(json!([zero]))
    })?;
    r.versions(API, "an empty topic name", [4, 12], |_| {
        request(json!([zero]))
    })?;
    let body = request(json!([unknown, from(r, "filled", 0, 0)]));
    r.versions(API, "right and wrong topics together", [4, 12, 18], |_| {
        body.clone()
    })?;

    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["replicaId"] = json!(1);
    body["replicaState"] = json!({"replicaId": 1, "replicaEpoch": -1});
    r.versions(
        API,
        "as replica 1, which is the leader",
        [4, 14, 15, 18],
        |_| body.clone(),
    )?;
    body["replicaId"] = json!(7);
    body["replicaState"] = json!({"replicaId": 7, "replicaEpoch": -1});
    r.versions(API, "as replica 7, which is none", [4, 14, 15, 18], |_| {
        body.clone()
    })?;
    let mut body = request(json!([from(r, "filled", 0, 0)]));
    body["clusterId"] = json!("another");
    r.versions(API, "another cluster's id", [12, 18], |_| body.clone())
}

pub(super) fn epochs(r: &mut Recorder) -> Result {
    r.topics(["filled"], &[])?;
    produce_one(r, "filled")?;
    let with = |field: &str, epoch: i32, offset: i64| {
        let mut topic = from(r, "filled", 0, offset);
        partition_of(&mut topic)[field] = json!(epoch);
        request(json!([topic]))
    };
    let requests = [
        ("the leader's epoch", with("currentLeaderEpoch", 0, 0)),
        ("a leader epoch to come", with("currentLeaderEpoch", 5, 0)),
        ("a negative leader epoch", with("currentLeaderEpoch", -7, 0)),
        ("the last fetched epoch", with("lastFetchedEpoch", 0, 1)),
        (
            "a last fetched epoch past the end",
            with("lastFetchedEpoch", 0, 5),
        ),
        (
            "a last fetched epoch to come",
            with("lastFetchedEpoch", 5, 1),
        ),
    ];
    for (what, body) in requests {
        r.versions(API, what, [9, 11, 12, 13, 18], |_| body.clone())?;
    }
    Ok(())
}

pub(super) fn sessions(r: &mut Recorder) -> Result {
    r.topics_of(2, ["first", "second"], &[])?;
    produce_one(r, "first")?;
    for version in every(API).filter(|version| *version >= 7) {
        session(r, version)?;
    }
    let epoch = |id: i32, epoch: i32, topics: Value| {
        let mut body = request(topics);
        body["sessionId"] = json!(id);
        body["sessionEpoch"] = json!(epoch);
        body
    };
    let requests = [
        ("an unknown session", epoch(99, 1, json!([]))),
        (
            "a first epoch for an unknown session",
            epoch(99, 0, json!([from(r, "first", 0, 0)])),
        ),
        (
            "the last epoch of an unknown session",
            epoch(99, -1, json!([from(r, "first", 0, 0)])),
        ),
        (
            "no session but an epoch",
            epoch(0, 5, json!([from(r, "first", 0, 0)])),
        ),
        ("a session of nothing", epoch(0, 0, json!([]))),
    ];
    for (what, body) in requests {
        r.versions(API, what, [7, 12, 13, 18], |_| body.clone())?;
    }
    Ok(())
}

/// The life of one session.
fn session(r: &mut Recorder, version: i16) -> Result {
    let mut opening = request(json!([from(r, "first", 0, 0), from(r, "second", 1, 0)]));
    opening["sessionEpoch"] = json!(0);
    let opened = r.one(API, "a session opens", version, &opening)?;
    let id = opened["sessionId"].clone();
    let next = |epoch: i32, topics: Value, forgotten: Value| {
        let mut body = request(topics);
        body["sessionId"] = id.clone();
        body["sessionEpoch"] = json!(epoch);
        body["forgottenTopicsData"] = forgotten;
        body
    };
    let none = || json!([]);
    let at_end = json!([from(r, "first", 0, i64::from(i32::MAX))]);
    let forget = json!([{"topic": "first", "topicId": r.id("first"), "partitions": [0]}]);
    let unknown = json!([{"topic": "nowhere", "topicId": UNKNOWN_ID, "partitions": [
        {"partition": 0, "partitionMaxBytes": 1_000_000}]}]);
    let more = json!([from(r, "second", 0, 0)]);
    let steps = [
        ("a session, the same offsets again", next(1, none(), none())),
        ("a session, a wrong offset", next(2, at_end, none())),
        ("a session, the wrong offset again", next(3, none(), none())),
        (
            "a session, the wrong one forgotten",
            next(4, none(), forget),
        ),
        ("a session, one more partition", next(5, more, none())),
        ("a session, nothing new", next(6, none(), none())),
        ("a session, an unknown topic", next(7, unknown, none())),
        (
            "a session, the unknown topic again",
            next(8, none(), none()),
        ),
        ("a session, an epoch again", next(8, none(), none())),
        ("a session, an epoch left out", next(10, none(), none())),
        (
            "a session ends",
            next(-1, json!([from(r, "first", 0, 0)]), none()),
        ),
        ("a session that has ended", next(9, none(), none())),
    ];
    for (what, body) in steps {
        r.one(API, what, version, &body)?;
    }
    Ok(())
}
