//! Produce: what a leader takes, refuses, and says about it.

use serde_json::{Value, json};

use super::{Result, every, producer_id, versions_of};
use crate::differential::{
    batch::{Batch, TIME, record},
    codec::{UNKNOWN_TAGS, bytes},
    recorder::Recorder,
};

const API: &str = "Produce";

/// One partition of one topic, by name and by id.
fn to(r: &Recorder, topic: &str, acks: i16, records: Value) -> Value {
    json!({"acks": acks, "timeoutMs": 10_000, "topicData": [
        {"name": topic, "topicId": r.id(topic),
         "partitionData": [{"index": 0, "records": records}]}]})
}

pub(super) fn accepted(r: &mut Recorder) -> Result {
    r.topics(versions_of("good", API), &[])?;
    for version in every(API) {
        let batch = Batch::of([
            record("key", "value").header("h", "1").header("h", "2"),
            record(None, None).header("h", None).after(5),
        ]);
        let body = to(r, &format!("good-v{version}"), -1, batch.value());
        r.one(API, "two records", version, &body)?;
        let body = to(r, &format!("good-v{version}"), 1, Batch::one().value());
        r.one(API, "acks 1, the second batch", version, &body)?;
        let body = to(r, &format!("good-v{version}"), 0, Batch::one().value());
        r.silent(API, "acks 0", version, &body)?;
        let mut body = to(r, &format!("good-v{version}"), -1, Batch::one().value());
        body[UNKNOWN_TAGS] = json!({"99": "unknown"});
        body["topicData"][0][UNKNOWN_TAGS] = json!({"7": ""});
        r.one(API, "unknown tagged fields", version, &body)?;
    }
    r.topics(["stamped"], &[("message.timestamp.type", "LogAppendTime")])?;
    let body = to(r, "stamped", -1, Batch::one().value());
    r.versions(API, "a topic with LogAppendTime", [3, 13], |_| body.clone())
}

pub(super) fn wrong_place(r: &mut Recorder) -> Result {
    r.topics(["there"], &[])?;
    let records = Batch::one().value();
    let partition = |index| json!({"index": index, "records": Batch::one().value()});
    let request = |topic: Value, acks: i16| json!({"acks": acks, "topicData": [topic]});
    r.all(API, "an unknown topic", |_| {
        let id = "TOPICxunknownxxxxxxxAA";
        request(
            json!({"name": "nowhere", "topicId": id, "partitionData": [partition(0)]}),
            -1,
        )
    })?;
    r.versions(API, "the zero topic id", [13], |_| {
        request(json!({"partitionData": [partition(0)]}), -1)
    })?;
    r.versions(API, "a name that no topic can have", [3, 12], |_| {
        request(json!({"name": "a/b", "partitionData": [partition(0)]}), -1)
    })?;
    r.versions(API, "an empty name", [3, 12], |_| {
        request(json!({"name": "", "partitionData": [partition(0)]}), -1)
    })?;
    let there = r.id("there");
    r.all(API, "an unknown partition", |_| {
        let topic = json!({"name": "there", "topicId": there, "partitionData": [partition(9)]});
        request(topic, -1)
    })?;
    r.versions(API, "a negative partition", [3, 13], |_| {
        let topic = json!({"name": "there", "topicId": there, "partitionData": [partition(-1)]});
        request(topic, -1)
    })?;
    let mixed = json!({"acks": -1, "topicData": [
        {"name": "there", "topicId": there, "partitionData": [partition(0), partition(5)]},
        {"name": "nowhere", "topicId": "TOPICxunknownxxxxxxxAA",
         "partitionData": [partition(0)]}]});
    r.versions(API, "right and wrong places together", [3, 12, 13], |_| {
        mixed.clone()
    })?;
    let body = to(r, "there", 2, records);
    r.all(API, "acks other than -1, 0 and 1", |_| body.clone())?;
    r.versions(API, "no topics", [3, 13], |_| json!({"acks": -1}))?;
    r.silent(API, "acks 0 and no topics", 13, &json!({"acks": 0}))?;
    let lost = request(
        json!({"name": "nowhere", "partitionData": [partition(0)]}),
        0,
    );
    r.silent(API, "acks 0 to an unknown topic", 9, &lost)
}

pub(super) fn wrong_batches(r: &mut Recorder) -> Result {
    let one = Batch::one;
    let two = || Batch::of([record("a", "1"), record("b", "2")]);
    // Not here: null records, to which Kafka does not answer at all.
    let cases: Vec<(&str, Value)> = vec![
        ("a wrong CRC", one().with(|b| b.crc = Some(1)).value()),
        ("magic 0", one().with(|b| b.magic = 0).value()),
        ("magic 1", one().with(|b| b.magic = 1).value()),
        ("magic 3", one().with(|b| b.magic = 3).value()),
        ("no bytes", json!("")),
        (
            "fewer bytes than a batch's header",
            bytes(&one().bytes()[..30]),
        ),
        ("a batch that is cut off", bytes(&one().bytes()[..65])),
        (
            "two batches",
            bytes(&[one().bytes(), one().bytes()].concat()),
        ),
        (
            "bytes after the batch",
            bytes(&[one().bytes(), vec![0; 7]].concat()),
        ),
        (
            "a length that is too small",
            one().with(|b| b.length_error = -1).value(),
        ),
        (
            "a length that is too large",
            one().with(|b| b.length_error = 1).value(),
        ),
        (
            "a negative length",
            one().with(|b| b.length_error = -1000).value(),
        ),
        ("a base offset", one().with(|b| b.base_offset = 5).value()),
        ("no records, count 0", Batch::of([]).value()),
        (
            "no records, last offset delta 0",
            Batch::of([]).with(zero_delta).value(),
        ),
        (
            "a count over the records",
            two().with(|b| b.count = Some(3)).value(),
        ),
        (
            "a count under the records",
            two().with(|b| b.count = Some(1)).value(),
        ),
        (
            "a negative count",
            two().with(|b| b.count = Some(-1)).value(),
        ),
        (
            "a last offset delta over the count",
            two().with(|b| b.last_offset_delta = Some(5)).value(),
        ),
        (
            "a last offset delta of -1",
            two().with(|b| b.last_offset_delta = Some(-1)).value(),
        ),
        (
            "records out of order",
            Batch::of([record("a", "1").at(1), record("b", "2").at(0)]).value(),
        ),
        (
            "a gap between records",
            Batch::of([record("a", "1"), record("b", "2").at(3)]).value(),
        ),
        ("bytes after the records", one().with(more_payload).value()),
        (
            "records that are nonsense",
            one().with(|b| b.payload = Some(vec![0xff; 20])).value(),
        ),
        (
            "a control batch",
            one().with(|b| b.attributes = 0x20).value(),
        ),
        (
            "a transactional batch",
            one()
                .with(|b| b.attributes = 0x10)
                .from_producer(1, 0, 0)
                .value(),
        ),
        (
            "a delete horizon",
            one().with(|b| b.attributes = 0x40).value(),
        ),
        (
            "reserved attributes",
            one().with(|b| b.attributes = 0x80).value(),
        ),
        ("an unknown codec", one().with(|b| b.attributes = 5).value()),
        ("gzip that is not", one().with(|b| b.attributes = 1).value()),
        (
            "snappy that is not",
            one().with(|b| b.attributes = 2).value(),
        ),
        ("lz4 that is not", one().with(|b| b.attributes = 3).value()),
        ("zstd that is not", one().with(|b| b.attributes = 4).value()),
        (
            "a producer id without a sequence",
            one().from_producer(7, 0, -1).value(),
        ),
        (
            "a sequence without a producer id",
            one().from_producer(-1, 0, 0).value(),
        ),
        (
            "a negative producer epoch",
            one().from_producer(7, -1, 0).value(),
        ),
    ];
    // A topic for each, so that what one leaves behind does not show in the next.
    let topics = |case: usize| [3, 7, 8, 13].map(|version| format!("case-{case}-v{version}"));
    r.topics((0..cases.len()).flat_map(topics), &[])?;
    for (case, (what, records)) in cases.into_iter().enumerate() {
        for version in [3, 7, 8, 13] {
            let body = to(r, &format!("case-{case}-v{version}"), -1, records.clone());
            r.one(API, what, version, &body)?;
        }
    }
    r.topics(["plain"], &[])?;
    let body = to(r, "plain", 0, one().with(|b| b.crc = Some(1)).value());
    r.silent(API, "acks 0 with a wrong CRC", 9, &body)?;
    let body = to(r, "plain", 1, one().with(|b| b.crc = Some(1)).value());
    r.versions(API, "acks 1 with a wrong CRC", [9], |_| body.clone())?;
    twice(r)
}

/// A partition twice in a request: which of its batches is in the log afterwards.
fn twice(r: &mut Recorder) -> Result {
    r.topics(["twice"], &[])?;
    let of = |count: usize| {
        let records = Batch::of(vec![record("k", "v"); count]).value();
        json!({"index": 0, "records": records})
    };
    let id = r.id("twice");
    let topic = |partitions: Value| {
        let mut topic = json!({"name": "twice", "topicId": id});
        topic["partitionData"] = partitions;
        topic
    };
    let latest = json!({"partitionIndex": 0, "timestamp": -1});
    let end = json!({"replicaId": -1, "topics": [{"name": "twice", "partitions": [latest]}]});
    let together = json!({"acks": -1, "topicData": [topic(json!([of(1), of(3)]))]});
    let apart = json!({"acks": -1, "topicData": [
        topic(json!([of(5)])), topic(json!([of(7)]))]});
    for (what, body) in [
        ("a partition twice in a topic", together),
        ("a topic with a partition twice", apart),
    ] {
        for version in [9, 13] {
            r.one(API, what, version, &body)?;
            r.one("ListOffsets", &format!("after {what}, v{version}"), 7, &end)?;
        }
    }
    Ok(())
}

fn zero_delta(batch: &mut Batch) {
    batch.last_offset_delta = Some(0);
}

fn more_payload(batch: &mut Batch) {
    let payload = &batch.bytes()[61..];
    batch.payload = Some([payload, &[0, 0, 0]].concat());
}

pub(super) fn topic_rules(r: &mut Recorder) -> Result {
    let text = |length: usize| &*"x".repeat(length).leak();
    r.topics(["small"], &[("max.message.bytes", "200")])?;
    let body = to(r, "small", -1, Batch::of([record("k", text(300))]).value());
    r.versions(API, "a batch over max.message.bytes", [3, 8, 13], |_| {
        body.clone()
    })?;
    let body = to(r, "small", -1, Batch::of([record("k", text(100))]).value());
    r.versions(API, "a batch under max.message.bytes", [13], |_| {
        body.clone()
    })?;

    r.topics(
        ["segments"],
        &[
            ("max.message.bytes", "3000000"),
            ("segment.bytes", "1048576"),
        ],
    )?;
    let body = to(
        r,
        "segments",
        -1,
        Batch::of([record("k", text(1_500_000))]).value(),
    );
    r.versions(API, "a batch over segment.bytes", [3, 13], |_| body.clone())?;

    r.topics(["compacted"], &[("cleanup.policy", "compact")])?;
    let batch = Batch::of([
        record("k", "v"),
        record(None, "1"),
        record("k", "v"),
        record(None, "2"),
    ]);
    let body = to(r, "compacted", -1, batch.value());
    r.all(API, "records without keys in a compacted topic", |_| {
        body.clone()
    })?;
    let body = to(r, "compacted", -1, Batch::one().value());
    r.versions(
        API,
        "a record with a key in a compacted topic",
        [13],
        |_| body.clone(),
    )?;

    let bounds = [
        ("message.timestamp.before.max.ms", "1000000"),
        ("message.timestamp.after.max.ms", "1000"),
    ];
    r.topics(["times"], &bounds)?;
    let at = |time| Batch::one().with(|b| b.base_timestamp = time).value();
    let day_ahead = i64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_millis()))
        .unwrap_or(0)
        + 86_400_000;
    for (what, time) in [
        ("a timestamp before message.timestamp.before.max.ms", TIME),
        (
            "a timestamp after message.timestamp.after.max.ms",
            day_ahead,
        ),
        ("no timestamp", -1),
        ("a negative timestamp", -2),
    ] {
        let body = to(r, "times", -1, at(time));
        r.versions(API, what, [3, 8, 13], |_| body.clone())?;
    }
    r.topics(["created", "appended"], &[])?;
    let stamped = Batch::one().with(|b| b.attributes = 8).value();
    let body = to(r, "created", -1, stamped);
    r.versions(API, "LogAppendTime set by the client", [3, 13], |_| {
        body.clone()
    })?;
    let wrong = Batch::one()
        .with(|b| b.max_timestamp = Some(TIME + 7))
        .value();
    let body = to(r, "appended", -1, wrong);
    r.versions(API, "a max timestamp that no record has", [3, 13], |_| {
        body.clone()
    })
}

pub(super) fn idempotence(r: &mut Recorder) -> Result {
    r.topics(versions_of("idempotent", API), &[])?;
    let id = producer_id(r)?;
    let of = |count: usize, epoch: i16, sequence: i32| {
        Batch::of(vec![record("k", "v"); count])
            .from_producer(id, epoch, sequence)
            .value()
    };
    let steps: Vec<(&str, Value)> = vec![
        ("idempotent, the first three records", of(3, 0, 0)),
        ("idempotent, the next two", of(2, 0, 3)),
        ("idempotent, the first batch again", of(3, 0, 0)),
        ("idempotent, the second batch again", of(2, 0, 3)),
        ("idempotent, a gap", of(1, 0, 9)),
        ("idempotent, a part of a batch again", of(1, 0, 1)),
        (
            "idempotent, a higher epoch that does not begin at 0",
            of(1, 1, 5),
        ),
        ("idempotent, a higher epoch", of(1, 1, 0)),
        ("idempotent, the old epoch", of(1, 0, 5)),
        ("idempotent, the higher epoch again", of(1, 1, 0)),
        ("idempotent, the higher epoch's second", of(1, 1, 1)),
        ("idempotent, the higher epoch's third", of(1, 1, 2)),
        ("idempotent, the higher epoch's fourth", of(1, 1, 3)),
        ("idempotent, the higher epoch's fifth", of(1, 1, 4)),
        ("idempotent, the higher epoch's sixth", of(1, 1, 5)),
        ("idempotent, the last but four again", of(1, 1, 1)),
        ("idempotent, the last but five again", of(1, 1, 0)),
    ];
    for version in every(API) {
        for (what, records) in &steps {
            let body = to(r, &format!("idempotent-v{version}"), -1, records.clone());
            r.one(API, what, version, &body)?;
        }
    }
    r.topics(["unknown-producer", "wrapping"], &[])?;
    let stranger = Batch::one().from_producer(999_999, 3, 17).value();
    let body = to(r, "unknown-producer", -1, stranger);
    r.versions(
        API,
        "a producer id that was never given out",
        [3, 13],
        |_| body.clone(),
    )?;
    let last = Batch::of(vec![record("k", "v"); 2])
        .from_producer(id, 0, i32::MAX - 1)
        .value();
    let body = to(r, "wrapping", -1, last);
    r.versions(API, "the last sequences before the wrap", [13], |_| {
        body.clone()
    })?;
    let body = to(r, "wrapping", -1, of(1, 0, 0));
    r.versions(API, "the first sequence after the wrap", [13], |_| {
        body.clone()
    })
}
