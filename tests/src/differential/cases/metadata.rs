//! What a client asks first: ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions,
//! FindCoordinator.

use serde_json::{Value, json};

use super::{Result, every};
use crate::{Error, differential::recorder::Recorder};

const UNKNOWN_ID: &str = "TOPICxunknownxxxxxxxAA";

pub(super) fn api_versions(r: &mut Recorder) -> Result {
    const API: &str = "ApiVersions";
    let from = |name: &str, version: &str| {
        let (name, version) = (Value::from(name), Value::from(version));
        json!({"clientSoftwareName": name, "clientSoftwareVersion": version})
    };
    r.all(API, "from a client with a name", |_| {
        from("a-client", "1.0")
    })?;
    for (what, name, version) in [
        ("a name of a space", " ", "1.0"),
        ("an empty name", "", "1.0"),
        ("an empty version", "client", ""),
        ("a name that begins with a dot", ".client", "1.0"),
        ("a name that ends with a dash", "client-", "1.0"),
        ("a name with a slash", "a/b", "1.0"),
        ("a version with a plus", "client", "1+2"),
        (
            "a name and a version of all that is allowed",
            "a.B-9",
            "v1.2-x",
        ),
    ] {
        r.versions(API, what, [3, 4], |_| from(name, version))?;
    }
    Ok(())
}

pub(super) fn metadata(r: &mut Recorder) -> Result {
    const API: &str = "Metadata";
    r.topics_of(2, ["two"], &[])?;
    r.topics(["one"], &[])?;
    let request = |topics: Value| json!({"topics": topics, "allowAutoTopicCreation": false});
    let name = |name: &str| json!({"name": name});
    r.all(API, "all topics", |version| {
        request(if version == 0 { json!([]) } else { Value::Null })
    })?;
    r.versions(API, "no topics", every(API).skip(1), |_| request(json!([])))?;
    r.all(API, "one topic", |_| request(json!([name("two")])))?;
    r.all(API, "a topic twice", |_| {
        request(json!([name("one"), name("one")]))
    })?;
    r.all(API, "an unknown topic", |_| {
        request(json!([name("nowhere"), name("one")]))
    })?;
    r.all(API, "a name that no topic can have", |_| {
        request(json!([name("a/b")]))
    })?;
    r.versions(API, "an empty name", [1, 9, 12, 13], |_| {
        request(json!([name("")]))
    })?;
    r.versions(API, "a name of 250 letters", [1, 12], |_| {
        request(json!([name(&"x".repeat(250))]))
    })?;
    let id = r.id("one");
    r.versions(API, "a topic by id", 10..=13, |_| {
        request(json!([{"topicId": id, "name": null}]))
    })?;
    r.versions(API, "a topic by id and name", 10..=13, |_| {
        request(json!([{"topicId": id, "name": "one"}]))
    })?;
    r.versions(API, "an unknown id", 10..=13, |_| {
        request(json!([{"topicId": UNKNOWN_ID, "name": null}]))
    })?;
    r.versions(API, "neither id nor name", 10..=13, |_| {
        request(json!([{"name": null}]))
    })?;
    r.versions(API, "ids and names together", 10..=13, |_| {
        request(json!([{"topicId": id, "name": null}, {"name": "two"}]))
    })?;
    r.versions(API, "with what may be done", [8, 10, 11, 13], |_| {
        let mut body = request(json!([name("one")]));
        body["includeClusterAuthorizedOperations"] = json!(true);
        body["includeTopicAuthorizedOperations"] = json!(true);
        body
    })
}

pub(super) fn auto_creation(r: &mut Recorder) -> Result {
    const API: &str = "Metadata";
    let request = |name: &str, allow: bool| {
        let topics = json!([{"name": name}]);
        json!({"topics": topics, "allowAutoTopicCreation": allow})
    };
    for version in every(API) {
        let name = format!("created-v{version}");
        r.one(
            API,
            "a topic that may be created",
            version,
            &request(&name, true),
        )?;
    }
    r.versions(API, "a topic that may not be created", 4..=13, |_| {
        request("other", false)
    })?;
    r.versions(API, "a name that cannot be created", [1, 12], |_| {
        request("a/b", true)
    })?;
    r.topics(["much.alike"], &[])?;
    r.versions(API, "a name too much like another's", [1, 12], |_| {
        request("much_alike", true)
    })
}

pub(super) fn describe_cluster(r: &mut Recorder) -> Result {
    const API: &str = "DescribeCluster";
    r.all(API, "the brokers", |_| json!({}))?;
    r.all(
        API,
        "with what may be done",
        |_| json!({"includeClusterAuthorizedOperations": true}),
    )?;
    for (what, endpoint) in [("the controllers", 2), ("an unknown kind of endpoint", 9)] {
        r.versions(API, what, [1, 2], |_| json!({"endpointType": endpoint}))?;
    }
    r.versions(
        API,
        "with fenced brokers",
        [2],
        |_| json!({"includeFencedBrokers": true}),
    )
}

pub(super) fn describe_topics(r: &mut Recorder) -> Result {
    const API: &str = "DescribeTopicPartitions";
    r.topics_of(3, ["b", "a"], &[])?;
    r.topics(["c"], &[])?;
    let names = |names: &[&str]| {
        let names = names.iter().map(|name| json!({"name": name}));
        json!({"topics": names.collect::<Vec<_>>()})
    };
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    let cursor = |topic: &str, index: i32| json!({"topicName": topic, "partitionIndex": index});
    let all = || names(&["c", "a", "b"]);
    for (what, body) in [
        ("three topics", all()),
        ("all topics", names(&[])),
        ("a topic twice", names(&["a", "a"])),
        ("an unknown topic", names(&["nowhere", "a"])),
        ("a name that no topic can have", names(&["a/b"])),
        (
            "two partitions at most",
            with(all(), "responsePartitionLimit", json!(2)),
        ),
        (
            "four partitions at most",
            with(all(), "responsePartitionLimit", json!(4)),
        ),
        (
            "no partitions at most",
            with(all(), "responsePartitionLimit", json!(0)),
        ),
        (
            "fewer than no partitions at most",
            with(all(), "responsePartitionLimit", json!(-1)),
        ),
        ("from the middle", with(all(), "cursor", cursor("a", 2))),
        ("from a topic's end", with(all(), "cursor", cursor("a", 3))),
        (
            "from an unknown topic",
            with(all(), "cursor", cursor("aa", 0)),
        ),
        (
            "from a topic not asked for",
            with(names(&["c"]), "cursor", cursor("b", 1)),
        ),
        (
            "from the middle of all",
            with(names(&[]), "cursor", cursor("b", 1)),
        ),
        (
            "from a negative partition",
            with(all(), "cursor", cursor("a", -1)),
        ),
        (
            "from past the last topic",
            with(all(), "cursor", cursor("z", 0)),
        ),
    ] {
        r.all(API, what, |_| body.clone())?;
    }
    Ok(())
}

pub(super) fn find_coordinator(r: &mut Recorder) -> Result {
    const API: &str = "FindCoordinator";
    let request =
        |key: &str, kind: i8| json!({"key": key, "keyType": kind, "coordinatorKeys": [key]});
    // Kafka makes the topic of the groups when a coordinator is first asked for.
    settled(r, |r| {
        let answer = r.ask(API, 2, &request("group", 0))?;
        Ok(answer["errorCode"] == 0)
    })?;
    r.all(API, "of a group", |_| request("group", 0))?;
    r.all(API, "of an empty group id", |_| request("", 0))?;
    r.versions(API, "of an unknown kind", [1, 4, 6], |_| request("key", 9))?;
    r.versions(
        API,
        "of a share partition, before version 6",
        [1, 4, 5],
        |_| request("group:AAAAAAAAAAAAAAAAAAAAAA:0", 2),
    )?;
    r.versions(API, "of a share partition that is none", [6], |_| {
        request("group", 2)
    })?;
    r.versions(
        API,
        "of several groups",
        [4, 6],
        |_| json!({"coordinatorKeys": ["a", "b"]}),
    )?;
    r.versions(API, "of no group", [4, 6], |_| json!({}))
}

/// Asks until it holds: some things take Kafka a moment after it has answered.
fn settled(
    r: &mut Recorder,
    holds: impl Fn(&Recorder) -> std::result::Result<bool, Error>,
) -> Result {
    for _ in 0..10_000 {
        if holds(r)? {
            return Ok(());
        }
    }
    Err(Error::failed("what should come soon did not"))
}
