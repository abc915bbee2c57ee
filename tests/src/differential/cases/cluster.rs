//! The rest of what an administrator asks: producer ids, log directories, elections, reassignments,
//! the quorum.

use serde_json::{Value, json};

use super::{Result, every, produce_one, producer_id};
use crate::{Error, differential::recorder::Recorder};

pub(super) fn producer_ids(r: &mut Recorder) -> Result {
    const API: &str = "InitProducerId";
    // The last version of the table is not stable: Kafka does not serve it.
    let stable = || every(API).filter(|version| *version < 6);
    let request = |id: i64, epoch: i16| {
        json!({"transactionalId": null, "transactionTimeoutMs": 60_000,
               "producerId": id, "producerEpoch": epoch})
    };
    producer_id(r)?;
    r.versions(API, "a new id", stable(), |_| request(-1, -1))?;
    r.versions(API, "a version that is not stable", [6], |_| {
        request(-1, -1)
    })?;
    r.versions(API, "an id to go on with", [3, 5], |_| request(0, 0))?;
    r.versions(API, "an id without an epoch", [3, 5], |_| request(0, -1))?;
    r.versions(API, "an epoch without an id", [3, 5], |_| request(-1, 0))?;
    let mut body = request(-1, -1);
    body["transactionTimeoutMs"] = json!(-1);
    r.versions(API, "a negative timeout", [0, 5], |_| body.clone())?;
    body["transactionalId"] = json!("");
    r.versions(API, "an empty transactional id", stable(), |_| body.clone())
}

pub(super) fn log_dirs(r: &mut Recorder) -> Result {
    const API: &str = "DescribeLogDirs";
    r.topics_of(2, ["filled"], &[])?;
    r.topics(["other"], &[])?;
    produce_one(r, "filled")?;
    produce_one(r, "other")?;
    let topic = |name: &str, partitions: &[i32]| json!({"topic": name, "partitions": partitions});
    r.all(
        API,
        "a partition",
        |_| json!({"topics": [topic("filled", &[0])]}),
    )?;
    r.all(
        API,
        "an unknown topic",
        |_| json!({"topics": [topic("nowhere", &[0])]}),
    )?;
    r.versions(
        API,
        "an unknown partition",
        [1, 5],
        |_| json!({"topics": [topic("filled", &[9])]}),
    )?;
    r.versions(API, "no topics", [1, 5], |_| json!({"topics": []}))?;
    // Partitions of which nothing was written are left out: Kafka makes their directories at once.
    r.versions(
        API,
        "two topics",
        [1, 5],
        |_| json!({"topics": [topic("other", &[0]), topic("filled", &[0])]}),
    )
}

pub(super) fn elections(r: &mut Recorder) -> Result {
    const API: &str = "ElectLeaders";
    r.topics_of(2, ["elected"], &[])?;
    let request =
        |kind: i8, topics: Value| json!({"electionType": kind, "topicPartitions": topics});
    let some = |name: &str, partitions: &[i32]| json!([{"topic": name, "partitions": partitions}]);
    for (what, body) in [
        ("the preferred leader", request(0, some("elected", &[0, 1]))),
        ("an unclean leader", request(1, some("elected", &[0]))),
        (
            "an unknown kind of election",
            request(7, some("elected", &[0])),
        ),
        ("an unknown partition", request(0, some("elected", &[9]))),
        ("an unknown topic", request(0, some("nowhere", &[0]))),
        ("all preferred leaders", request(0, Value::Null)),
        ("of nothing", request(0, json!([]))),
    ] {
        r.all(API, what, |_| body.clone())?;
    }
    Ok(())
}

pub(super) fn reassignments(r: &mut Recorder) -> Result {
    const API: &str = "ListPartitionReassignments";
    r.topics(["still"], &[])?;
    let topics = |name: &str, indexes: &[i32]| json!([{"name": name, "partitionIndexes": indexes}]);
    for (what, topics) in [
        ("all", Value::Null),
        ("of a topic", topics("still", &[0])),
        ("of an unknown topic", topics("nowhere", &[0])),
        ("of an unknown partition", topics("still", &[9])),
        ("of nothing", json!([])),
    ] {
        r.all(
            API,
            what,
            |_| json!({"topics": topics, "timeoutMs": 10_000}),
        )?;
    }
    Ok(())
}

pub(super) fn quorum(r: &mut Recorder) -> Result {
    const API: &str = "DescribeQuorum";
    let of = |topic: &str, partition: i32| {
        let partitions = json!([{"partitionIndex": partition}]);
        json!({"topics": [{"topicName": topic, "partitions": partitions}]})
    };
    for (what, body) in [
        ("of the metadata", of("__cluster_metadata", 0)),
        ("of an unknown partition", of("__cluster_metadata", 9)),
        ("of another topic", of("other", 0)),
        ("of nothing", json!({})),
    ] {
        r.all(API, what, |_| body.clone())?;
    }
    Ok(())
}

/// What a broker without SASL, authorizer and quotas says.
pub(super) fn security(r: &mut Recorder) -> Result {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", ""] {
        let what = format!("the mechanism {mechanism:?}");
        r.all("SaslHandshake", &what, |_| json!({"mechanism": mechanism}))?;
    }
    r.all(
        "SaslAuthenticate",
        "without a handshake",
        |_| json!({"authBytes": "\0user\0password"}),
    )?;

    let filter = json!({"resourceTypeFilter": 1, "resourceNameFilter": null,
        "patternTypeFilter": 1, "principalFilter": null, "hostFilter": null,
        "operation": 1, "permissionType": 1});
    r.all("DescribeAcls", "all", |_| filter.clone())?;
    let acl = json!({"resourceType": 2, "resourceName": "topic", "resourcePatternType": 3,
        "principal": "User:a", "host": "*", "operation": 3, "permissionType": 3});
    r.all("CreateAcls", "one", |_| json!({"creations": [acl]}))?;
    r.all("CreateAcls", "none", |_| json!({}))?;
    r.all("DeleteAcls", "all", |_| json!({"filters": [filter]}))?;
    r.all("DeleteAcls", "none", |_| json!({}))?;

    let user = json!([{"entityType": "user", "matchType": 2, "match": null}]);
    for (what, components, strict) in [
        ("all", json!([]), false),
        ("of users", user, true),
        (
            "of an unknown entity",
            json!([{"entityType": "what", "matchType": 2}]),
            false,
        ),
        (
            "of an unknown match",
            json!([{"entityType": "user", "matchType": 9}]),
            false,
        ),
    ] {
        r.all(
            "DescribeClientQuotas",
            what,
            |_| json!({"components": components, "strict": strict}),
        )?;
    }
    for (what, users) in [
        ("all", Value::Null),
        ("no users", json!([])),
        ("an unknown user", json!([{"name": "a"}])),
        ("an empty user", json!([{"name": ""}])),
        ("a user twice", json!([{"name": "a"}, {"name": "a"}])),
    ] {
        r.all(
            "DescribeUserScramCredentials",
            what,
            |_| json!({"users": users}),
        )?;
    }
    Ok::<(), Error>(())
}
