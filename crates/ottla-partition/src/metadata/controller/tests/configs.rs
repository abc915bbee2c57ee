use super::*;
use crate::metadata::record::ConfigResource;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn op(name: &str, op: i8, value: Option<&str>) -> AlterOp {
    AlterOp {
        name: name.into(),
        op,
        value: value.map(Into::into),
    }
}

fn alter(kind: i8, name: &str, ops: Vec<AlterOp>) -> AlterResource {
    AlterResource {
        kind,
        name: name.into(),
        ops,
        denied: None,
    }
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create(NewTopic::new("t")).unwrap();
    cluster
}

fn run(cluster: &mut Cluster, resource: AlterResource) -> ApiResult<()> {
    let mut outcome = cluster.run(|c, _| c.incremental_alter_configs(&[resource], false));
    outcome.remove(0).result
}

fn topic_keys(cluster: &Cluster) -> Vec<(String, String)> {
    let keys = cluster.image.config(&ConfigResource::topic("t"));
    keys.into_iter()
        .flat_map(|keys| keys.iter())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn keys_are_set_added_to_taken_from_and_deleted() {
    let mut cluster = cluster();
    for (ops, expected) in [
        (
            vec![op("cleanup.policy", 2, Some("compact,delete"))],
            "delete,compact",
        ),
        (vec![op("cleanup.policy", 3, Some("delete"))], "compact"),
        (vec![op("cleanup.policy", 3, Some("compact"))], ""),
        (vec![op("cleanup.policy", 0, Some("delete"))], "delete"),
    ] {
        run(&mut cluster, alter(TOPIC, "t", ops)).unwrap();
        assert_eq!(
            topic_keys(&cluster),
            [("cleanup.policy".into(), expected.into())]
        );
    }
    run(
        &mut cluster,
        alter(TOPIC, "t", vec![op("cleanup.policy", 1, None)]),
    )
    .unwrap();
    assert_eq!(topic_keys(&cluster), []);
}

#[test]
fn one_refused_key_refuses_the_resource() {
    let mut cluster = cluster();
    let ops = vec![
        op("retention.ms", 0, Some("1")),
        op("segment.ms", 0, Some("0")),
    ];
    let (code, message) = refusal(run(&mut cluster, alter(TOPIC, "t", ops)));
    assert_eq!(code, ErrorCode::InvalidConfig);
    assert_eq!(
        message,
        "Invalid value 0 for configuration segment.ms: Value must be at least 1"
    );
    assert_eq!(topic_keys(&cluster), []);
}

#[test]
fn refusals_carry_kafkas_codes() {
    let mut cluster = cluster();
    let end = cluster.image.end();
    let set = |name: &str, value: &str| vec![op(name, 0, Some(value))];
    use ErrorCode::{
        InvalidConfig, InvalidRequest, InvalidTopicException, UnknownTopicOrPartition,
    };
    for (resource, expected) in [
        (
            alter(TOPIC, "nope", set("retention.ms", "1")),
            UnknownTopicOrPartition,
        ),
        (
            alter(TOPIC, "../x", set("retention.ms", "1")),
            InvalidTopicException,
        ),
        (alter(TOPIC, "", set("retention.ms", "1")), InvalidRequest),
        (alter(TOPIC, "t", set("no.such.key", "1")), InvalidConfig),
        (
            alter(TOPIC, "t", vec![op("retention.ms", 2, Some("1"))]),
            InvalidConfig,
        ),
        (
            alter(TOPIC, "t", vec![op("retention.ms", 9, Some("1"))]),
            InvalidRequest,
        ),
        (
            alter(TOPIC, "t", vec![op("retention.ms", 0, None)]),
            InvalidRequest,
        ),
        (
            alter(
                TOPIC,
                "t",
                [set("retention.ms", "1"), set("retention.ms", "2")].concat(),
            ),
            InvalidRequest,
        ),
        (
            alter(
                TOPIC,
                "t",
                [
                    set("min.compaction.lag.ms", "2"),
                    set("max.compaction.lag.ms", "1"),
                ]
                .concat(),
            ),
            InvalidConfig,
        ),
        (
            alter(BROKER, "2", set("log.retention.ms", "1")),
            InvalidRequest,
        ),
        (
            alter(BROKER, "x", set("log.retention.ms", "1")),
            InvalidRequest,
        ),
        (
            alter(BROKER, "1", set("num.partitions", "1")),
            InvalidRequest,
        ),
        (
            alter(BROKER, "1", set("log.retention.ms", "x")),
            InvalidRequest,
        ),
        (
            alter(BROKER, "1", set("min.insync.replicas", "1")),
            InvalidConfig,
        ),
        (
            alter(BROKER, "", vec![op("min.insync.replicas", 1, None)]),
            InvalidConfig,
        ),
        (
            alter(BROKER, "", set("listeners", "PLAINTEXT://:1")),
            InvalidRequest,
        ),
        (
            alter(BROKER, "1", set("ssl.keystore.type", "PEM")),
            InvalidRequest,
        ),
        (alter(8, "1", set("root", "DEBUG")), InvalidConfig),
        (alter(77, "1", set("root", "DEBUG")), InvalidRequest),
    ] {
        let name = format!("{resource:?}");
        assert_eq!(code(run(&mut cluster, resource)), expected, "{name}");
    }
    let mut denied = alter(TOPIC, "t", set("retention.ms", "1"));
    denied.denied = Some(ErrorCode::TopicAuthorizationFailed);
    assert_eq!(
        code(run(&mut cluster, denied)),
        ErrorCode::TopicAuthorizationFailed
    );
    assert_eq!(cluster.image.end(), end);
}

#[test]
fn a_resource_twice_is_refused_twice() {
    let mut cluster = cluster();
    let one = alter(TOPIC, "t", vec![op("retention.ms", 0, Some("1"))]);
    let outcome = cluster.run(|c, _| c.incremental_alter_configs(&[one.clone(), one], false));
    assert!(outcome.iter().all(|altered| altered.result.is_err()));
    assert_eq!(outcome.len(), 2);
    assert_eq!(topic_keys(&cluster), []);
}

#[test]
fn validation_alone_changes_nothing() {
    let mut cluster = cluster();
    let good = alter(TOPIC, "t", vec![op("retention.ms", 0, Some("1"))]);
    let outcome = cluster.run(|c, _| c.incremental_alter_configs(&[good], true));
    assert!(outcome[0].result.is_ok());
    assert_eq!(topic_keys(&cluster), []);
}

#[test]
fn a_whole_resource_forgets_what_is_not_named() {
    let mut cluster = cluster();
    let set = |configs: &[(&str, &str)]| SetResource {
        kind: TOPIC,
        name: "t".into(),
        configs: configs
            .iter()
            .map(|(name, value)| ((*name).into(), Some((*value).into())))
            .collect(),
        denied: None,
    };
    for keys in [
        &[("retention.ms", "1"), ("segment.ms", "2")][..],
        &[("segment.ms", "3")],
    ] {
        let outcome = cluster.run(|c, _| c.alter_configs(&[set(keys)], false));
        assert!(outcome[0].result.is_ok());
    }
    assert_eq!(topic_keys(&cluster), [("segment.ms".into(), "3".into())]);
}

#[test]
fn a_changed_min_isr_forgets_who_was_eligible() {
    let mut cluster = cluster();
    cluster.create_on("u", &[1, 2]);
    run(
        &mut cluster,
        alter(TOPIC, "u", vec![op("min.insync.replicas", 0, Some("2"))]),
    )
    .unwrap();
    cluster.fence(2);
    assert_eq!(cluster.state("u"), "1 e0 isr 1 elr 2");
    run(
        &mut cluster,
        alter(TOPIC, "u", vec![op("min.insync.replicas", 0, Some("1"))]),
    )
    .unwrap();
    assert_eq!(cluster.state("u"), "1 e0 isr 1");
}

#[test]
fn a_group_keeps_its_keys() {
    const GROUP: i8 = 32;
    const KEY: &str = "consumer.session.timeout.ms";
    let mut cluster = cluster();
    let value = |cluster: &Cluster| {
        let image = &cluster.image;
        let keys = image.config(&ConfigResource::group("g"));
        keys.and_then(|keys| keys.get(KEY).map(ToString::to_string))
    };
    let set = |text| alter(GROUP, "g", vec![op(KEY, 0, Some(text))]);
    run(&mut cluster, set("50000")).unwrap();
    assert_eq!(value(&cluster).as_deref(), Some("50000"));
    let refused = run(&mut cluster, set("1"));
    assert_eq!(code(refused), ErrorCode::InvalidConfig);
    assert_eq!(value(&cluster).as_deref(), Some("50000"));
    run(&mut cluster, alter(GROUP, "g", vec![op(KEY, 1, None)])).unwrap();
    assert!(cluster.image.config(&ConfigResource::group("g")).is_none());
}
