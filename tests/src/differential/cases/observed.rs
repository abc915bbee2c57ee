//! What is told of config resources and producers, and asked of clients' metrics.

use serde_json::{Value, json};

use super::{Batch, Recorder, Result, produce_to, producer_id};

pub(super) fn config_resources(r: &mut Recorder) -> Result {
    const API: &str = "ListConfigResources";
    r.topics(["listed"], &[])?;
    let set = |kind: i32, name: &str, key: &str, value: &str| {
        let config = json!({"name": key, "configOperation": 0, "value": value});
        json!({"resourceType": kind, "resourceName": name, "configs": [config]})
    };
    let resources = json!([
        set(16, "wanted", "interval.ms", "60000"),
        set(32, "group", "consumer.session.timeout.ms", "50000"),
    ]);
    let body = json!({"resources": resources, "validateOnly": false});
    r.ask("IncrementalAlterConfigs", 1, &body)?;
    r.settle()?;
    for (what, kinds) in [
        ("all", json!([])),
        ("topics", json!([2])),
        ("brokers", json!([4])),
        ("loggers", json!([8])),
        ("client metrics", json!([16])),
        ("groups", json!([32])),
        ("two kinds", json!([32, 2])),
        ("a kind that has no configs", json!([3])),
        ("an unknown kind", json!([2, 99])),
    ] {
        let list = |version: i16| match version {
            0 => json!({}),
            _ => json!({"resourceTypes": kinds}),
        };
        r.all(API, what, list)?;
    }
    Ok(())
}

pub(super) fn producers(r: &mut Recorder) -> Result {
    const API: &str = "DescribeProducers";
    r.topics_of(2, ["written"], &[])?;
    let id = producer_id(r)?;
    for (epoch, sequence) in [(0, 0), (0, 1), (1, 0)] {
        let batch = Batch::one().from_producer(id, epoch, sequence);
        produce_to(r, "written", 0, &batch)?;
    }
    produce_to(r, "written", 1, &Batch::one())?;
    let of = |name: &str, partitions: &[i32]| json!({"name": name, "partitionIndexes": partitions});
    for (what, topics) in [
        ("of a partition", json!([of("written", &[0])])),
        (
            "of a partition without producers",
            json!([of("written", &[1])]),
        ),
        (
            "of several",
            json!([of("written", &[0, 1, 9]), of("nowhere", &[0, 1])]),
        ),
        (
            "of a name that cannot be",
            json!([of("no/topic", &[0]), of("", &[0])]),
        ),
        ("of no partition", json!([of("written", &[])])),
        ("of nothing", json!([])),
    ] {
        r.all(API, what, |_| json!({"topics": topics}))?;
    }
    Ok(())
}

/// Without a plugin that would take metrics, and without a subscription. One client for each
/// request: Kafka throttles one that comes again too soon.
pub(super) fn telemetry(r: &mut Recorder) -> Result {
    let get = |id: &str| json!({"clientInstanceId": id});
    for (what, id) in [
        ("a client's subscription", "dGhlIGNsaWVudCBudW1iZQ"),
        ("another client's", "MTIzNDU2Nzg5MDEyMzQ1Ng"),
        ("of the id one", "AAAAAAAAAAAAAAAAAAAAAQ"),
    ] {
        r.all("GetTelemetrySubscriptions", what, |_| get(id))?;
    }
    let pushes: [(&str, &str, i64, i8, Option<usize>); 8] = [
        ("nothing", "cHVzaGVzIG5vdGhpbmcgMQ", 0, 0, Some(0)),
        (
            "what no one reads",
            "cHVzaGVzIGEgbGl0dGxlIA",
            0,
            0,
            Some(100),
        ),
        (
            "that are not zstd",
            "cHVzaGVzIG5vIHpzdGQhIA",
            0,
            4,
            Some(100),
        ),
        (
            "for another subscription",
            "cHVzaGVzIGZvciBhbm90aA",
            1,
            0,
            Some(0),
        ),
        (
            "in an unknown compression",
            "cHVzaGVzIHVua25vd24gMQ",
            0,
            9,
            Some(0),
        ),
        (
            "too much",
            "cHVzaGVzIHRvbyBtdWNoIQ",
            0,
            0,
            Some(1024 * 1024 + 1),
        ),
        ("for the id zero", "AAAAAAAAAAAAAAAAAAAAAA", 0, 0, Some(0)),
        ("for the id one", "AAAAAAAAAAAAAAAAAAAAAQ", 0, 0, Some(0)),
    ];
    for (what, id, off, compression, len) in pushes {
        let subscription = match id.starts_with("AAAA") {
            true => 0,
            false => {
                let answer = r.ask("GetTelemetrySubscriptions", 0, &get(id))?;
                answer["subscriptionId"].as_i64().unwrap_or_default()
            }
        };
        let metrics = len.map(|len| "m".repeat(len));
        let body = json!({"clientInstanceId": id, "subscriptionId": subscription ^ off,
            "terminating": false, "compressionType": compression, "metrics": metrics});
        let what = format!("metrics, {what}");
        r.all("PushTelemetry", &what, |_: i16| -> Value { body.clone() })?;
    }
    Ok(())
}
