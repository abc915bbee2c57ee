//! CreateTopics, DeleteTopics and CreatePartitions, with every rule that refuses.

use serde_json::{Value, json};

use super::{Result, every, versions_of};
use crate::differential::recorder::Recorder;

const UNKNOWN_ID: &str = "TOPICxunknownxxxxxxxAA";

/// A topic with so many partitions and replicas.
fn topic(name: &str, partitions: i32, replicas: i16) -> Value {
    json!({"name": name, "numPartitions": partitions, "replicationFactor": replicas})
}

fn with_config(name: &str, key: &str, value: impl Into<Value>) -> Value {
    let mut topic = topic(name, 1, 1);
    topic["configs"] = json!([{"name": key, "value": value.into()}]);
    topic
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> Value {
    let mut topic = topic(name, -1, -1);
    let assignments = assignments
        .iter()
        .map(|(index, brokers)| json!({"partitionIndex": index, "brokerIds": brokers}));
    topic["assignments"] = assignments.collect();
    topic
}

pub(super) fn create(r: &mut Recorder) -> Result {
    const API: &str = "CreateTopics";
    let request = |topics: Value, only: bool| json!({"topics": topics, "validateOnly": only});
    for version in every(API) {
        let name = |what: &str| format!("{what}-v{version}");
        let mut configured = topic(&name("configured"), 2, 1);
        configured["configs"] = json!([
            {"name": "retention.ms", "value": "1234"},
            {"name": "cleanup.policy", "value": "compact,delete"},
            {"name": "min.insync.replicas", "value": null}]);
        for (what, wanted) in [
            ("one partition", topic(&name("plain"), 1, 1)),
            ("configs", configured),
            ("the default counts", topic(&name("defaults"), -1, -1)),
            (
                "an assignment",
                assigned(&name("assigned"), &[(0, &[1]), (1, &[1])]),
            ),
        ] {
            let body = request(json!([wanted]), true);
            r.one(API, &format!("{what}, validated only"), version, &body)?;
            r.one(API, what, version, &request(json!([wanted]), false))?;
        }
        let again = request(json!([topic(&name("plain"), 1, 1)]), false);
        r.one(API, "a topic that exists", version, &again)?;
        let again = request(json!([topic(&name("plain"), 1, 1)]), true);
        r.one(API, "a topic that exists, validated only", version, &again)?;
        let alike = name("plain").replace('-', ".");
        r.one(
            API,
            "a name with dots",
            version,
            &request(json!([topic(&alike, 1, 1)]), false),
        )?;
        let alike = alike.replace('.', "_");
        r.one(
            API,
            "a name too much like another's",
            version,
            &request(json!([topic(&alike, 1, 1)]), false),
        )?;
    }
    r.versions(API, "no topics", [2, 7], |_| request(json!([]), false))
}

pub(super) fn create_refused(r: &mut Recorder) -> Result {
    const API: &str = "CreateTopics";
    let long = "x".repeat(249);
    let longer = "x".repeat(250);
    let mut both = assigned("both", &[(0, &[1])]);
    both["numPartitions"] = json!(1);
    let mut factor = assigned("factor", &[(0, &[1])]);
    factor["replicationFactor"] = json!(1);
    let cases = [
        ("an empty name", topic("", 1, 1)),
        ("the name .", topic(".", 1, 1)),
        ("the name ..", topic("..", 1, 1)),
        ("a name with a slash", topic("a/b", 1, 1)),
        ("a name with a blank", topic("a b", 1, 1)),
        ("a name with an umlaut", topic("\u{e4}", 1, 1)),
        ("a name of 249 letters", topic(&long, 1, 1)),
        ("a name of 250 letters", topic(&longer, 1, 1)),
        ("the topic of the groups", topic("__consumer_offsets", 1, 1)),
        (
            "the topic of the metadata",
            topic("__cluster_metadata", 1, 1),
        ),
        ("no partitions", topic("t", 0, 1)),
        ("fewer than no partitions", topic("t", -2, 1)),
        ("no replicas", topic("t", 1, 0)),
        ("fewer than no replicas", topic("t", 1, -2)),
        ("more replicas than brokers", topic("t", 1, 2)),
        ("partitions and an assignment", both),
        ("replicas and an assignment", factor),
        (
            "an assignment that does not begin at 0",
            assigned("t", &[(1, &[1])]),
        ),
        (
            "an assignment with a gap",
            assigned("t", &[(0, &[1]), (2, &[1])]),
        ),
        (
            "an assignment of a partition twice",
            assigned("t", &[(0, &[1]), (0, &[1])]),
        ),
        ("an assignment of no broker", assigned("t", &[(0, &[])])),
        (
            "an assignment of an unknown broker",
            assigned("t", &[(0, &[7])]),
        ),
        (
            "an assignment of a broker twice",
            assigned("t", &[(0, &[1, 1])]),
        ),
        (
            "an assignment of a negative broker",
            assigned("t", &[(0, &[-1])]),
        ),
        (
            "an assignment of different counts",
            assigned("t", &[(0, &[1]), (1, &[1, 2])]),
        ),
        ("an unknown config", with_config("t", "retentoin.ms", "1")),
        ("an empty config name", with_config("t", "", "1")),
        (
            "a config that is no number",
            with_config("t", "retention.ms", "soon"),
        ),
        (
            "a config with blanks around it",
            with_config("t", "retention.ms", " 7 "),
        ),
        (
            "a config out of its range",
            with_config("t", "retention.ms", "-2"),
        ),
        (
            "a config over its range",
            with_config("t", "segment.ms", "99999999999999999999"),
        ),
        (
            "a segment under a MiB",
            with_config("t", "segment.bytes", "1048575"),
        ),
        (
            "an unknown policy",
            with_config("t", "cleanup.policy", "forget"),
        ),
        ("an empty policy", with_config("t", "cleanup.policy", "")),
        (
            "an unknown codec",
            with_config("t", "compression.type", "rar"),
        ),
        (
            "an unknown kind of timestamp",
            with_config("t", "message.timestamp.type", "Never"),
        ),
        (
            "a ratio over 1",
            with_config("t", "min.cleanable.dirty.ratio", "1.5"),
        ),
        (
            "a bool that is none",
            with_config("t", "preallocate", "maybe"),
        ),
        (
            "tiered storage",
            with_config("t", "remote.storage.enable", "true"),
        ),
        (
            "a null config",
            with_config("t", "retention.ms", Value::Null),
        ),
    ];
    for (what, topic) in cases {
        let body = json!({"topics": [topic], "timeoutMs": 10_000, "validateOnly": true});
        r.versions(API, what, [2, 5, 7], |_| body.clone())?;
    }
    let twice = json!({"topics": [topic("t", 1, 1), topic("t", 1, 1), topic("u", 1, 1)]});
    r.versions(API, "a topic twice", [2, 7], |_| twice.clone())?;
    let keys =
        json!([{"name": "retention.ms", "value": "1"}, {"name": "retention.ms", "value": "2"}]);
    let mut repeated = topic("repeated", 1, 1);
    repeated["configs"] = keys;
    let body = json!({"topics": [repeated], "validateOnly": true});
    r.versions(API, "a config twice", [2, 7], |_| body.clone())?;
    let mixed = json!({"topics": [topic("good", 1, 1), topic("a/b", 1, 1)], "validateOnly": true});
    r.versions(API, "right and wrong together", [2, 7], |_| mixed.clone())
}

pub(super) fn delete(r: &mut Recorder) -> Result {
    const API: &str = "DeleteTopics";
    r.topics(versions_of("named", API), &[])?;
    r.topics(["by-id", "kept", "both"], &[])?;
    let by_id = |id: &str| json!([{"topicId": id, "name": null}]);
    let by_name = |names: &[&str]| {
        let topics: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"topicNames": names, "topics": topics, "timeoutMs": 10_000})
    };
    for version in every(API) {
        let name = format!("named-v{version}");
        r.one(API, "a topic", version, &by_name(&[&name]))?;
        r.one(API, "a topic that is gone", version, &by_name(&[&name]))?;
    }
    r.all(API, "a name that no topic can have", |_| by_name(&["a/b"]))?;
    r.versions(API, "an empty name", [1, 6], |_| by_name(&[""]))?;
    r.versions(API, "no topics", [1, 6], |_| by_name(&[]))?;
    r.versions(API, "a topic twice", [1, 6], |_| by_name(&["kept", "kept"]))?;
    let topics = |topics: Value| json!({"topics": topics, "timeoutMs": 10_000});
    let (id, both) = (r.id("by-id"), r.id("both"));
    r.one(API, "a topic by its id", 6, &topics(by_id(&id)))?;
    r.one(API, "an id that is gone", 6, &topics(by_id(&id)))?;
    r.one(API, "an unknown id", 6, &topics(by_id(UNKNOWN_ID)))?;
    r.one(
        API,
        "neither id nor name",
        6,
        &topics(json!([{"name": null}])),
    )?;
    r.one(
        API,
        "id and name",
        6,
        &topics(json!([{"topicId": both, "name": "both"}])),
    )?;
    let named_and_id = json!([{"topicId": both, "name": null}, {"name": "both"}]);
    r.one(
        API,
        "a topic by id and another by the same name",
        6,
        &topics(named_and_id),
    )?;
    Ok(())
}

pub(super) fn partitions(r: &mut Recorder) -> Result {
    const API: &str = "CreatePartitions";
    r.topics(versions_of("grown", API), &[])?;
    r.topics_of(2, ["two"], &[])?;
    let request = |name: &str, count: i32, assignments: Value, validate_only: bool| {
        json!({"timeoutMs": 10_000, "validateOnly": validate_only, "topics": [
            {"name": name, "count": count, "assignments": assignments}]})
    };
    let on = |brokers: &[&[i32]]| -> Value {
        brokers
            .iter()
            .map(|ids| json!({"brokerIds": ids}))
            .collect()
    };
    for version in every(API) {
        let name = format!("grown-v{version}");
        r.one(
            API,
            "to three, validated only",
            version,
            &request(&name, 3, Value::Null, true),
        )?;
        r.one(
            API,
            "to three",
            version,
            &request(&name, 3, Value::Null, false),
        )?;
        r.one(
            API,
            "with an assignment",
            version,
            &request(&name, 4, on(&[&[1]]), false),
        )?;
    }
    for (what, body) in [
        ("to fewer", request("two", 1, Value::Null, false)),
        ("to as many", request("two", 2, Value::Null, false)),
        ("to none", request("two", 0, Value::Null, false)),
        ("to fewer than none", request("two", -1, Value::Null, false)),
        (
            "an unknown topic",
            request("nowhere", 3, Value::Null, false),
        ),
        (
            "a name that no topic can have",
            request("a/b", 3, Value::Null, false),
        ),
        (
            "an assignment of too few",
            request("two", 4, on(&[&[1]]), false),
        ),
        (
            "an assignment of too many",
            request("two", 3, on(&[&[1], &[1]]), false),
        ),
        (
            "an assignment of an unknown broker",
            request("two", 3, on(&[&[7]]), false),
        ),
        (
            "an assignment of a broker twice",
            request("two", 3, on(&[&[1, 1]]), false),
        ),
        (
            "an assignment of no broker",
            request("two", 3, on(&[&[]]), false),
        ),
        ("an empty assignment", request("two", 3, json!([]), true)),
        (
            "more than can be",
            request("two", 100_000, Value::Null, true),
        ),
        ("no topics", json!({"timeoutMs": 10_000})),
    ] {
        r.versions(API, what, [0, 3], |_| body.clone())?;
    }
    let twice = json!({"validateOnly": true, "topics": [
        {"name": "two", "count": 3}, {"name": "two", "count": 4}]});
    r.versions(API, "a topic twice", [0, 3], |_| twice.clone())
}
