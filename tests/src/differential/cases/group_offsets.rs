//! The offsets that groups commit.

use serde_json::{Value, json};

use super::groups::{Member, ready, stable};
use super::{Result, every};
use crate::differential::recorder::Recorder;

fn offset(partition: i32, offset: i64) -> Value {
    json!({"partitionIndex": partition, "committedOffset": offset, "committedLeaderEpoch": 3,
           "committedMetadata": "a note"})
}

/// A commit for a topic, by its name and its id.
fn commit(r: &Recorder, member: &Member, topic: &str, offsets: &[Value]) -> Value {
    json!({"groupId": member.group, "memberId": member.id,
           "generationIdOrMemberEpoch": member.generation,
           "topics": [{"name": topic, "topicId": r.id(topic), "partitions": offsets}]})
}

fn simple(group: &str) -> Member {
    Member {
        group: group.to_owned(),
        id: String::new(),
        generation: -1,
    }
}

pub(super) fn committed(r: &mut Recorder) -> Result {
    const API: &str = "OffsetCommit";
    r.topics_of(3, ["orders"], &[])?;
    ready(r, "any")?;
    for (what, offsets) in [
        ("an offset", vec![offset(0, 5)]),
        ("two offsets", vec![offset(0, 5), offset(2, 7)]),
        (
            "a partition that is not there",
            vec![offset(3, 5), offset(1, 1)],
        ),
        ("a negative partition", vec![offset(-1, 5)]),
        ("a partition twice", vec![offset(0, 5), offset(0, 6)]),
        ("no partitions", vec![]),
    ] {
        let body = commit(r, &simple("simple"), "orders", &offsets);
        r.all(API, what, |_| body.clone())?;
    }
    let mut body = commit(r, &simple("simple"), "orders", &[offset(0, 5)]);
    body["topics"] = json!([]);
    r.all(API, "no topics", |_| body.clone())?;
    body["topics"] = json!([{"name": "nowhere", "topicId": "TOPICxunknownxxxxxxxAA",
        "partitions": [offset(0, 1)]}]);
    r.all(API, "an unknown topic", |_| body.clone())?;
    let mut long = offset(0, 5);
    long["committedMetadata"] = json!("x".repeat(4097));
    let body = commit(r, &simple("simple"), "orders", &[long, offset(1, 5)]);
    r.all(API, "a long note", |_| body.clone())?;
    let mut none = offset(0, 5);
    none["committedMetadata"] = Value::Null;
    let body = commit(r, &simple("simple"), "orders", &[none]);
    r.all(API, "no note", |_| body.clone())?;
    let body = commit(r, &simple(""), "orders", &[offset(0, 5)]);
    r.all(API, "of an empty group id", |_| body.clone())?;
    let body = commit(r, &simple("simple"), "orders", &[offset(0, -7)]);
    r.all(API, "a negative offset", |_| body.clone())
}

pub(super) fn fenced(r: &mut Recorder) -> Result {
    const API: &str = "OffsetCommit";
    r.topics_of(3, ["orders"], &[])?;
    let member = stable(r, "g")?;
    let with = |id: &str, generation: i64, group: &str| Member {
        group: group.to_owned(),
        id: id.to_owned(),
        generation,
    };
    for (what, member) in [
        ("of a member", member.clone()),
        ("of another generation", with(&member.id, 7, "g")),
        ("of no generation", with(&member.id, -1, "g")),
        ("of an unknown member", with("nobody", 1, "g")),
        ("of no member of a group that has some", with("", -1, "g")),
        ("of a member of no group", with("nobody", 1, "none")),
        ("of a generation of no group", with("", 1, "none-either")),
    ] {
        let body = commit(r, &member, "orders", &[offset(0, 5)]);
        r.all(API, what, |_| body.clone())?;
    }
    let mut body = commit(r, &member, "orders", &[offset(0, 5)]);
    body["groupInstanceId"] = json!("no-instance");
    r.versions(API, "of an unknown static member", 7..=10, |_| body.clone())
}

/// Partitions of a topic, by its name and its id.
fn named(name: &str, id: &str, partitions: &[i32]) -> Value {
    json!({"name": name, "topicId": id, "partitionIndexes": partitions})
}

pub(super) fn fetched(r: &mut Recorder) -> Result {
    const API: &str = "OffsetFetch";
    r.topics_of(3, ["orders", "unread"], &[])?;
    ready(r, "any")?;
    let body = commit(
        r,
        &simple("simple"),
        "orders",
        &[offset(0, 5), offset(2, 7)],
    );
    r.ask("OffsetCommit", 9, &body)?;
    let (orders, unread) = (r.id("orders"), r.id("unread"));
    let request = |group: &str, topics: Value| {
        let mut by_name = topics.clone();
        for topic in by_name.as_array_mut().into_iter().flatten() {
            if let Some(topic) = topic.as_object_mut() {
                topic.remove("topicId");
            }
        }
        let group_of = json!({"groupId": group, "topics": topics});
        json!({"groupId": group, "topics": by_name, "groups": [group_of]})
    };
    for (what, group, topics) in [
        (
            "what there is",
            "simple",
            json!([named("orders", &orders, &[0, 2])]),
        ),
        (
            "what there is not",
            "simple",
            json!([named("orders", &orders, &[1, 9, -1])]),
        ),
        (
            "another topic",
            "simple",
            json!([named("unread", &unread, &[0])]),
        ),
        (
            "an unknown topic",
            "simple",
            json!([named("nowhere", "TOPICxunknownxxxxxxxAA", &[0])]),
        ),
        ("no topics", "simple", json!([])),
        (
            "no partitions",
            "simple",
            json!([named("orders", &orders, &[])]),
        ),
        (
            "of an unknown group",
            "none",
            json!([named("orders", &orders, &[0])]),
        ),
        (
            "of an empty group id",
            "",
            json!([named("orders", &orders, &[0])]),
        ),
    ] {
        r.all(API, what, |_| request(group, topics.clone()))?;
    }
    for (what, group) in [
        ("everything", "simple"),
        ("everything of an unknown group", "none"),
    ] {
        r.versions(API, what, 2..=10, |_| request(group, Value::Null))?;
    }
    let mut stable = request("simple", json!([named("orders", &orders, &[0, 1])]));
    stable["requireStable"] = json!(true);
    r.versions(API, "what is stable", 7..=10, |_| stable.clone())?;
    let several = json!({"groups": [
        {"groupId": "simple", "topics": null}, {"groupId": "none", "topics": null},
        {"groupId": "simple", "memberId": "nobody", "memberEpoch": 4,
         "topics": [named("orders", &orders, &[0])]}]});
    r.versions(API, "of several groups", 8..=10, |_| several.clone())?;
    r.versions(API, "of no group", 8..=10, |_| json!({}))
}

pub(super) fn deleted(r: &mut Recorder) -> Result {
    const API: &str = "OffsetDelete";
    r.topics_of(2, ["orders", "other"], &[])?;
    let member = stable(r, "g")?;
    for topic in ["orders", "other"] {
        let body = commit(r, &member, topic, &[offset(0, 5), offset(1, 6)]);
        r.ask("OffsetCommit", 9, &body)?;
    }
    let request = |group: &str, topic: &str, partitions: &[i32]| {
        let partitions = partitions.iter().map(|p| json!({"partitionIndex": p}));
        json!({"groupId": group,
               "topics": [{"name": topic, "partitions": partitions.collect::<Vec<_>>()}]})
    };
    for (what, body) in [
        ("of a topic that is read", request("g", "orders", &[0])),
        ("of one that is not", request("g", "other", &[0])),
        ("again", request("g", "other", &[0])),
        (
            "of partitions that are not there",
            request("g", "other", &[1, 7]),
        ),
        ("of an unknown topic", request("g", "nowhere", &[0])),
        ("of an unknown group", request("none", "other", &[0])),
        ("of an empty group id", request("", "other", &[0])),
        ("of no topic", json!({"groupId": "g"})),
    ] {
        r.one(API, what, 0, &body)?;
    }
    let all = json!({"groupId": "g", "topics": null});
    r.one("OffsetFetch", "what is left", 5, &all)?;
    r.ask(
        "DeleteTopics",
        5,
        &json!({"topicNames": ["orders"], "timeoutMs": 10_000}),
    )?;
    r.settle()?;
    for version in every("OffsetFetch").filter(|version| *version >= 2) {
        let body = json!({"groupId": "g", "topics": null,
                          "groups": [{"groupId": "g", "topics": null}]});
        r.one("OffsetFetch", "when a topic is gone", version, &body)?;
    }
    Ok(())
}
