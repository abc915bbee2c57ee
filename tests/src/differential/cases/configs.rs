//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs.

use serde_json::{Value, json};

use super::{Result, every, versions_of};
use crate::differential::recorder::Recorder;

/// Resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

pub(super) fn describe(r: &mut Recorder) -> Result {
    const API: &str = "DescribeConfigs";
    r.topics(["plain"], &[])?;
    r.topics(
        ["configured"],
        &[("retention.ms", "1234"), ("cleanup.policy", "compact")],
    )?;
    let request = |kind: i8, name: &str, keys: Value| {
        json!({"includeSynonyms": true, "resources": [
            {"resourceType": kind, "resourceName": name, "configurationKeys": keys}]})
    };
    r.all(API, "a topic", |_| {
        request(TOPIC, "configured", Value::Null)
    })?;
    let some = || json!(["retention.ms", "segment.bytes", "retentoin.ms"]);
    r.all(API, "some configs of a topic", |_| {
        request(TOPIC, "configured", some())
    })?;
    r.versions(API, "no configs of a topic", [1, 4], |_| {
        request(TOPIC, "plain", json!([]))
    })?;
    for (what, synonyms, documentation) in [
        ("without synonyms", false, false),
        ("with documentation", true, true),
    ] {
        r.all(API, what, |_| {
            let mut body = request(TOPIC, "configured", some());
            body["includeSynonyms"] = json!(synonyms);
            body["includeDocumentation"] = json!(documentation);
            body
        })?;
    }
    let few = || {
        json!([
            "node.id",
            "num.partitions",
            "log.retention.ms",
            "message.max.bytes"
        ])
    };
    r.all(API, "some configs of the broker", |_| {
        request(BROKER, "1", few())
    })?;
    r.all(API, "the defaults of all brokers", |_| {
        request(BROKER, "", Value::Null)
    })?;
    for (what, kind, name) in [
        ("an unknown topic", TOPIC, "nowhere"),
        ("a name that no topic can have", TOPIC, "a/b"),
        ("an empty topic name", TOPIC, ""),
        ("an unknown broker", BROKER, "7"),
        ("a broker that is no number", BROKER, "one"),
        ("an unknown kind", 77, "what"),
        ("the kind 0", 0, "what"),
    ] {
        r.versions(API, what, [1, 3, 4], |_| request(kind, name, Value::Null))?;
    }
    let two = json!({"resources": [
        {"resourceType": TOPIC, "resourceName": "plain", "configurationKeys": ["retention.ms"]},
        {"resourceType": TOPIC, "resourceName": "nowhere", "configurationKeys": null}]});
    r.versions(API, "right and wrong together", [1, 4], |_| two.clone())?;
    r.versions(API, "nothing", [1, 4], |_| json!({}))
}

pub(super) fn describe_broker(r: &mut Recorder) -> Result {
    let body = json!({"resources": [
        {"resourceType": BROKER, "resourceName": "1", "configurationKeys": null}]});
    r.one("DescribeConfigs", "all configs of the broker", 4, &body)?;
    Ok(())
}

/// What both ways of altering refuse, as (what, kind, name, key, value).
fn refused() -> Vec<(&'static str, i8, &'static str, &'static str, Value)> {
    vec![
        (
            "an unknown topic",
            TOPIC,
            "nowhere",
            "retention.ms",
            json!("1"),
        ),
        (
            "a name that no topic can have",
            TOPIC,
            "a/b",
            "retention.ms",
            json!("1"),
        ),
        ("an empty topic name", TOPIC, "", "retention.ms", json!("1")),
        ("an unknown key", TOPIC, "plain", "retentoin.ms", json!("1")),
        (
            "a value that is no number",
            TOPIC,
            "plain",
            "retention.ms",
            json!("soon"),
        ),
        (
            "a value out of its range",
            TOPIC,
            "plain",
            "retention.ms",
            json!("-2"),
        ),
        ("a null value", TOPIC, "plain", "retention.ms", Value::Null),
        (
            "an unknown broker",
            BROKER,
            "7",
            "message.max.bytes",
            json!("1000"),
        ),
        (
            "a broker that is no number",
            BROKER,
            "one",
            "message.max.bytes",
            json!("1000"),
        ),
        (
            "a broker's unknown key",
            BROKER,
            "1",
            "message.maximum",
            json!("1000"),
        ),
        (
            "a broker's key that is fixed",
            BROKER,
            "1",
            "node.id",
            json!("2"),
        ),
        (
            "a broker's value that is no number",
            BROKER,
            "1",
            "message.max.bytes",
            json!("big"),
        ),
        (
            "a listener for all brokers",
            BROKER,
            "",
            "listeners",
            json!("PLAINTEXT://:1"),
        ),
        ("an unknown kind", 77, "what", "key", json!("1")),
        ("the kind 0", 0, "what", "key", json!("1")),
    ]
}

pub(super) fn incremental(r: &mut Recorder) -> Result {
    const API: &str = "IncrementalAlterConfigs";
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    r.topics(versions_of("altered", API), &[])?;
    r.topics(["plain"], &[])?;
    let request = |kind: i8, name: &str, changes: &[(&str, i8, Value)], validate_only: bool| {
        let changes = changes
            .iter()
            .map(|(key, how, value)| json!({"name": key, "configOperation": how, "value": value}));
        json!({"validateOnly": validate_only, "resources": [
            {"resourceType": kind, "resourceName": name,
             "configs": changes.collect::<Vec<_>>()}]})
    };
    let steps = [
        (
            "set two",
            vec![
                ("retention.ms", SET, json!("5")),
                ("segment.ms", SET, json!("7")),
            ],
        ),
        ("set one again", vec![("retention.ms", SET, json!("6"))]),
        (
            "append to a list",
            vec![("cleanup.policy", APPEND, json!("compact"))],
        ),
        (
            "append what is there",
            vec![("cleanup.policy", APPEND, json!("compact"))],
        ),
        (
            "subtract from a list",
            vec![("cleanup.policy", SUBTRACT, json!("delete"))],
        ),
        (
            "subtract what is not there",
            vec![("cleanup.policy", SUBTRACT, json!("delete"))],
        ),
        ("delete", vec![("segment.ms", DELETE, Value::Null)]),
        (
            "delete what is not set",
            vec![("flush.ms", DELETE, Value::Null)],
        ),
    ];
    for version in every(API) {
        let topic = format!("altered-v{version}");
        for (what, changes) in &steps {
            r.one(API, what, version, &request(TOPIC, &topic, changes, false))?;
            let keys = ["retention.ms", "segment.ms", "cleanup.policy", "flush.ms"];
            show(r, &format!("after: {what}"), TOPIC, &topic, &keys)?;
        }
        let changes = [("retention.ms", SET, json!("8"))];
        r.one(
            API,
            "validate only",
            version,
            &request(TOPIC, &topic, &changes, true),
        )?;
        show(r, "after: validate only", TOPIC, &topic, &["retention.ms"])?;
    }
    for (what, kind, name, key, value) in refused() {
        let body = request(kind, name, &[(key, SET, value)], false);
        r.all(API, what, |_| body.clone())?;
    }
    for (what, changes) in [
        (
            "append to what is no list",
            vec![("retention.ms", APPEND, json!("1"))],
        ),
        (
            "an unknown operation",
            vec![("retention.ms", 9, json!("1"))],
        ),
        (
            "a key twice",
            vec![
                ("segment.ms", SET, json!("1")),
                ("segment.ms", DELETE, Value::Null),
            ],
        ),
        ("no changes", vec![]),
    ] {
        let body = request(TOPIC, "plain", &changes, false);
        r.all(API, what, |_| body.clone())?;
    }
    let twice = json!({"resources": [
        {"resourceType": TOPIC, "resourceName": "plain",
         "configs": [{"name": "retention.ms", "value": "1"}]},
        {"resourceType": TOPIC, "resourceName": "plain",
         "configs": [{"name": "retention.ms", "value": "2"}]}]});
    r.all(API, "a resource twice", |_| twice.clone())?;
    broker_configs(r, API, |name, key, value| {
        let how = if value.is_null() { DELETE } else { SET };
        request(BROKER, name, &[(key, how, value)], false)
    })
}

pub(super) fn alter(r: &mut Recorder) -> Result {
    const API: &str = "AlterConfigs";
    r.topics(versions_of("altered", API), &[("flush.ms", "9")])?;
    r.topics(["plain"], &[])?;
    let request = |kind: i8, name: &str, configs: &[(&str, Value)], validate_only: bool| {
        let configs = configs
            .iter()
            .map(|(key, value)| json!({"name": key, "value": value}));
        json!({"validateOnly": validate_only, "resources": [
            {"resourceType": kind, "resourceName": name,
             "configs": configs.collect::<Vec<_>>()}]})
    };
    for version in every(API) {
        let topic = format!("altered-v{version}");
        for (what, configs, validate_only) in [
            ("validate only", vec![("retention.ms", json!("4"))], true),
            (
                "two in place of another",
                vec![("retention.ms", json!("5")), ("segment.ms", json!("7"))],
                false,
            ),
            (
                "one in place of two",
                vec![("retention.ms", json!("6"))],
                false,
            ),
            ("none in place of one", vec![], false),
        ] {
            r.one(
                API,
                what,
                version,
                &request(TOPIC, &topic, &configs, validate_only),
            )?;
            let keys = ["retention.ms", "segment.ms", "flush.ms"];
            show(r, &format!("after: {what}"), TOPIC, &topic, &keys)?;
        }
    }
    for (what, kind, name, key, value) in refused() {
        let body = request(kind, name, &[(key, value)], false);
        r.all(API, what, |_| body.clone())?;
    }
    let twice = [("retention.ms", json!("1")), ("retention.ms", json!("2"))];
    let body = request(TOPIC, "plain", &twice, true);
    r.all(API, "a key twice", |_| body.clone())?;
    broker_configs(r, API, |name, key, value| {
        let configs = if value.is_null() {
            vec![]
        } else {
            vec![(key, value)]
        };
        request(BROKER, name, &configs, false)
    })
}

/// Groups, subscriptions to client metrics, and loggers.
pub(super) fn other_resources(r: &mut Recorder) -> Result {
    const API: &str = "DescribeConfigs";
    for (what, kind, name) in [
        ("the broker's loggers", LOGGER, "1"),
        ("a subscription that nobody made", METRICS, "metrics"),
        ("a group that nobody made", GROUP, "group"),
        ("loggers of an unknown broker", LOGGER, "7"),
        ("loggers of a broker that is no number", LOGGER, "one"),
        ("loggers of no broker", LOGGER, ""),
        ("a subscription without a name", METRICS, ""),
        ("a group without a name", GROUP, ""),
    ] {
        let body = json!({"includeSynonyms": true, "resources": [
            {"resourceType": kind, "resourceName": name, "configurationKeys": null}]});
        r.versions(API, what, [1, 4], |_| body.clone())?;
    }
    for (what, kind, name, key, values) in others() {
        for (how, op, value) in values {
            let change = json!({"name": key, "configOperation": op, "value": value});
            let body = json!({"resources": [
                {"resourceType": kind, "resourceName": name, "configs": [change]}]});
            let what = format!("{what}, {how}");
            r.one("IncrementalAlterConfigs", &what, 1, &body)?;
            if !name.is_empty() && kind != LOGGER {
                show(r, &format!("after: {what}"), kind, name, &[key])?;
            }
        }
    }
    for (what, kind, name, key, value) in [
        (
            "a group",
            GROUP,
            "legacy",
            "consumer.session.timeout.ms",
            "46000",
        ),
        (
            "a group again",
            GROUP,
            "legacy",
            "consumer.heartbeat.interval.ms",
            "6000",
        ),
        ("a subscription", METRICS, "legacy", "interval.ms", "1000"),
        (
            "a subscription's unknown key",
            METRICS,
            "legacy",
            "interval",
            "1000",
        ),
        ("a logger", LOGGER, "1", "root", "INFO"),
    ] {
        let body = json!({"resources": [
            {"resourceType": kind, "resourceName": name,
             "configs": [{"name": key, "value": value}]}]});
        r.one("AlterConfigs", what, 2, &body)?;
        if kind == GROUP {
            let keys = [
                "consumer.session.timeout.ms",
                "consumer.heartbeat.interval.ms",
            ];
            show(r, &format!("after: {what}"), kind, name, &keys)?;
        }
    }
    Ok(())
}

/// How a key is altered: what to say of it, the operation, and its value.
type Changes = Vec<(&'static str, i8, Value)>;

fn others() -> Vec<(&'static str, i8, &'static str, &'static str, Changes)> {
    let set = |what: &'static str, value: &str| (what, 0, json!(value));
    let timeouts = vec![
        set("set", "50000"),
        set("too low", "1000"),
        set("too high", "70000"),
        set("no number", "soon"),
        ("unset", 1, Value::Null),
    ];
    let offsets = vec![
        set("earliest", "earliest"),
        set("a duration", "by_duration:PT1H"),
        set("no duration", "by_duration:1h"),
        set("none", "none"),
    ];
    let lists = vec![
        set("set", "a.,b."),
        ("append", 2, json!("c.")),
        ("subtract", 3, json!("a.")),
        set("empty", ""),
    ];
    let patterns = vec![
        set("one", "client_id=a.*"),
        set("two", "client_id=b,client_source_port=9"),
        set("an unknown name", "client=b"),
        set("no expression", "client_id="),
        set("too many parts", "client_id=a=b"),
    ];
    let intervals = vec![
        set("set", "1000"),
        set("too low", "99"),
        set("too high", "3600001"),
        set("no number", "soon"),
    ];
    vec![
        (
            "a group's timeout",
            GROUP,
            "g",
            "consumer.session.timeout.ms",
            timeouts,
        ),
        (
            "a group's heartbeat",
            GROUP,
            "g",
            "consumer.heartbeat.interval.ms",
            vec![set("set", "6000"), set("too high", "15001")],
        ),
        (
            "a group's offsets",
            GROUP,
            "g",
            "share.auto.offset.reset",
            offsets,
        ),
        (
            "a group's unknown key",
            GROUP,
            "g",
            "session.timeout.ms",
            vec![set("set", "1")],
        ),
        (
            "a group without a name",
            GROUP,
            "",
            "consumer.session.timeout.ms",
            vec![set("set", "50000")],
        ),
        (
            "a subscription's interval",
            METRICS,
            "m",
            "interval.ms",
            intervals,
        ),
        ("a subscription's metrics", METRICS, "m", "metrics", lists),
        ("a subscription's match", METRICS, "m", "match", patterns),
        (
            "a subscription's unknown key",
            METRICS,
            "m",
            "interval",
            vec![set("set", "1")],
        ),
        (
            "a subscription without a name",
            METRICS,
            "",
            "interval.ms",
            vec![set("set", "1000")],
        ),
        (
            "an unknown logger",
            LOGGER,
            "1",
            "no.such.logger",
            vec![
                set("set", "INFO"),
                set("to no level", "LOUD"),
                ("unset", 1, Value::Null),
                ("append", 2, json!("INFO")),
                ("do what nobody knows", 9, json!("INFO")),
            ],
        ),
        (
            "a logger of an unknown broker",
            LOGGER,
            "7",
            "root",
            vec![set("set", "INFO")],
        ),
        (
            "a logger of a broker that is no number",
            LOGGER,
            "one",
            "root",
            vec![set("set", "INFO")],
        ),
    ]
}

/// A config of one broker, and of all, through its life.
fn broker_configs(
    r: &mut Recorder,
    api: &str,
    request: impl Fn(&str, &str, Value) -> Value,
) -> Result {
    const KEY: &str = "message.max.bytes";
    let last = every(api).last().unwrap_or_default();
    for (what, name, value) in [
        ("set for all brokers", "", json!("2000000")),
        ("set for one broker", "1", json!("3000000")),
        ("unset for one broker", "1", Value::Null),
        ("unset for all brokers", "", Value::Null),
    ] {
        r.one(api, what, last, &request(name, KEY, value))?;
        show(
            r,
            &format!("after: {what}, the broker"),
            BROKER,
            "1",
            &[KEY],
        )?;
        show(
            r,
            &format!("after: {what}, a topic"),
            TOPIC,
            "plain",
            &["max.message.bytes"],
        )?;
    }
    Ok(())
}

/// Describes some configs once the change before has come through.
fn show(r: &mut Recorder, what: &str, kind: i8, name: &str, keys: &[&str]) -> Result {
    let body = json!({"includeSynonyms": true, "resources": [
        {"resourceType": kind, "resourceName": name, "configurationKeys": keys}]});
    r.settle()?;
    r.one("DescribeConfigs", what, 4, &body)?;
    Ok(())
}
