use std::collections::{BTreeMap, BTreeSet};

use ottla_log::TopicId;

use super::*;

fn named(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic {
        partitions,
        replication_factor,
        ..NewTopic::new(name)
    }
}

fn on(assignments: &[(i32, &[i32])]) -> NewTopic {
    NewTopic {
        assignments: assignments
            .iter()
            .map(|(number, replicas)| (*number, ids(replicas)))
            .collect(),
        ..NewTopic::new("t")
    }
}

fn with_config(key: &str, value: Option<&str>) -> NewTopic {
    NewTopic {
        configs: vec![(key.into(), value.map(Into::into))],
        ..NewTopic::new("t")
    }
}

#[test]
fn defaults_fill_in_what_the_request_leaves_open() {
    let mut cluster = Cluster::of(&[1, 2, 3])
        .with_settings(&[("num.partitions", "4"), ("default.replication.factor", "2")]);
    let created = cluster.create(NewTopic::new("t")).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!(topic.id, created.topic_id);
    assert_eq!(topic.partitions.len(), 4);
    assert!(topic.partitions.values().all(|p| p.replicas.len() == 2));
    let configs = created.configs.unwrap();
    assert_eq!(configs.len(), 33);
    assert!(configs.iter().any(|entry| entry.name == "retention.ms"));
}

#[test]
fn a_refused_topic_leaves_no_record() {
    let mut cluster = Cluster::of(&[1]);
    cluster.create(NewTopic::new("a.b")).unwrap();
    let end = cluster.image.end();
    use ErrorCode::{
        InvalidConfig, InvalidPartitions, InvalidReplicaAssignment, InvalidReplicationFactor,
        InvalidRequest, InvalidTopicException, PolicyViolation, TopicAlreadyExists,
    };
    let mut manual_with_count = on(&[(0, &[1])]);
    manual_with_count.partitions = 1;
    let mut manual_with_factor = on(&[(0, &[1])]);
    manual_with_factor.replication_factor = 1;
    for (topic, expected) in [
        (NewTopic::new("a.b"), TopicAlreadyExists),
        (NewTopic::new("a_b"), InvalidTopicException),
        (NewTopic::new("../x"), InvalidTopicException),
        (NewTopic::new(""), InvalidTopicException),
        (NewTopic::new("__cluster_metadata"), InvalidRequest),
        (named("t", 0, -1), InvalidPartitions),
        (named("t", -2, -1), InvalidPartitions),
        (named("t", 10_001, -1), PolicyViolation),
        (named("t", -1, 0), InvalidReplicationFactor),
        (named("t", -1, -2), InvalidReplicationFactor),
        (named("t", -1, 2), InvalidReplicationFactor),
        (manual_with_count, InvalidRequest),
        (manual_with_factor, InvalidRequest),
        (on(&[(0, &[1]), (0, &[1])]), InvalidReplicaAssignment),
        (on(&[(0, &[1]), (2, &[1])]), InvalidReplicaAssignment),
        (on(&[(1, &[1])]), InvalidReplicaAssignment),
        (on(&[(0, &[])]), InvalidReplicaAssignment),
        (on(&[(0, &[1, 1])]), InvalidReplicaAssignment),
        (on(&[(0, &[2])]), InvalidReplicaAssignment),
        (with_config("no.such.key", Some("1")), InvalidConfig),
        (with_config("retention.ms", Some("x")), InvalidConfig),
        (with_config("retention.ms", None), InvalidConfig),
        (with_config("segment.bytes", Some("1048575")), InvalidConfig),
        (
            with_config("remote.storage.enable", Some("true")),
            InvalidConfig,
        ),
        (
            with_config("compression.type", Some(&"x".repeat(32_768))),
            InvalidConfig,
        ),
    ] {
        let name = format!("{topic:.200?}");
        assert_eq!(code(cluster.create(topic)), expected, "{name}");
    }
    assert_eq!(cluster.image.end(), end);
}

#[test]
fn a_name_twice_is_refused_and_its_neighbours_are_created() {
    let mut cluster = Cluster::of(&[1]);
    let request = CreateTopics {
        topics: ["x", "y", "x", "z"].map(NewTopic::new).to_vec(),
        validate_only: false,
    };
    let outcome = cluster.run(|c, entropy| c.create_topics(&request, entropy));
    let results: Vec<_> = outcome
        .iter()
        .map(|topic| (&*topic.name, topic.result.is_ok()))
        .collect();
    assert_eq!(results, [("x", false), ("y", true), ("z", true)]);
    assert_eq!(cluster.image.topics_len(), 2);
}

#[test]
fn validation_alone_creates_nothing_but_says_all() {
    let mut cluster = Cluster::of(&[1]);
    let request = CreateTopics {
        topics: vec![NewTopic::new("x"), named("y", -1, 2)],
        validate_only: true,
    };
    let outcome = cluster.run(|c, entropy| c.create_topics(&request, entropy));
    assert!(outcome[0].result.is_ok() && outcome[1].result.is_err());
    assert_eq!(cluster.image.topics_len(), 0);
}

#[test]
fn who_may_not_sees_nothing() {
    let mut cluster = Cluster::of(&[1]);
    let mut denied = NewTopic::new("x");
    denied.may_create = false;
    assert_eq!(
        code(cluster.create(denied)),
        ErrorCode::TopicAuthorizationFailed
    );
    let mut blind = NewTopic::new("x");
    blind.may_describe_configs = false;
    assert_eq!(cluster.create(blind).unwrap().configs, None);
}

#[test]
fn assignments_spread_over_brokers_and_leaders_over_all() {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.create(named("t", 30, 2)).unwrap();
    let topic = cluster.image.topic("t").unwrap();
    let mut leads: BTreeMap<BrokerId, usize> = BTreeMap::new();
    let mut holds: BTreeMap<BrokerId, usize> = BTreeMap::new();
    for partition in topic.partitions.values() {
        assert_eq!(partition.leader, partition.preferred_leader());
        assert_eq!(partition.isr, partition.replicas);
        *leads.entry(partition.leader.unwrap()).or_default() += 1;
        for replica in &partition.replicas {
            *holds.entry(*replica).or_default() += 1;
        }
    }
    assert_eq!(leads.values().copied().collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(holds.values().sum::<usize>(), 60);
    assert!(holds.values().all(|n| (15..=25).contains(n)), "{holds:?}");
}

#[test]
fn replicas_go_to_different_racks_and_no_fenced_broker_leads() {
    let mut cluster = Cluster::of(&[1]);
    for (broker, rack) in [(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c")] {
        let mut node = registration(broker, 1);
        node.rack = Some(rack.into());
        let epoch = cluster
            .run(|c, _| c.register_broker(&node, true, false))
            .unwrap();
        if broker != 4 {
            cluster
                .run(|c, _| c.unfence_broker(id(broker), epoch))
                .unwrap();
        }
    }
    cluster.create(named("t", 50, 3)).unwrap();
    let rack = |id: &BrokerId| cluster.image.broker(*id).unwrap().rack.clone().unwrap();
    for partition in cluster.image.topic("t").unwrap().partitions.values() {
        let racks: BTreeSet<String> = partition.replicas.iter().map(rack).collect();
        assert_eq!(racks.len(), 3, "{:?}", partition.replicas);
        assert_ne!(partition.replicas[0], id(4));
        assert!(!partition.isr.contains(&id(4)));
    }
}

#[test]
fn with_no_live_broker_nothing_can_be_placed() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.fence(1);
    cluster.create_on("t", &[1, 2]);
    assert_eq!(cluster.state("t"), "2 e0 isr 2");
    cluster.fence(2);
    let error = cluster.create(NewTopic::new("u"));
    assert_eq!(code(error), ErrorCode::InvalidReplicationFactor);
    assert_eq!(
        code(cluster.create(on(&[(0, &[1])]))),
        ErrorCode::TopicAlreadyExists
    );
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = Cluster::of(&[1]);
    for name in ["a", "b", "c", "d", "e", "f"] {
        cluster.create(NewTopic::new(name)).unwrap();
    }
    let of = |name: &str, cluster: &Cluster| cluster.image.topic_id(name).unwrap();
    let (b, c) = (of("b", &cluster), of("c", &cluster));
    let (e, f) = (of("e", &cluster), of("f", &cluster));
    let both = DeleteTopic {
        topic_id: c,
        ..DeleteTopic::by_name("c")
    };
    let neither = DeleteTopic {
        name: None,
        ..DeleteTopic::by_name("")
    };
    let hidden = DeleteTopic {
        may_describe: false,
        may_delete: false,
        ..DeleteTopic::by_id(c)
    };
    let request = [
        DeleteTopic::by_name("a"),
        DeleteTopic::by_id(b),
        DeleteTopic::by_name("b"),
        both,
        neither,
        hidden,
        DeleteTopic::by_name("d"),
        DeleteTopic::by_name("d"),
        DeleteTopic::by_name("nope"),
        DeleteTopic::by_id(TopicId::from_bytes([1; 16])),
        DeleteTopic::by_name("e"),
        DeleteTopic::by_id(e),
        DeleteTopic::by_id(e),
        DeleteTopic::by_id(f),
    ];
    let outcome = cluster.run(|c, _| c.delete_topics(&request));
    let got: Vec<_> = outcome
        .iter()
        .map(|d| (d.name.as_deref(), d.result.clone().err().map(|e| e.code)))
        .collect();
    use ErrorCode::{
        InvalidRequest, TopicAuthorizationFailed, UnknownTopicId, UnknownTopicOrPartition,
    };
    assert_eq!(
        got,
        [
            (Some("a"), None),
            (Some("b"), Some(InvalidRequest)),
            (Some("c"), Some(InvalidRequest)),
            (None, Some(InvalidRequest)),
            (None, Some(TopicAuthorizationFailed)),
            (Some("d"), Some(InvalidRequest)),
            (Some("nope"), Some(UnknownTopicOrPartition)),
            (None, Some(UnknownTopicId)),
            (Some("e"), Some(InvalidRequest)),
            (None, Some(InvalidRequest)),
            (Some("f"), None),
        ]
    );
    let left: Vec<_> = cluster.image.topics().map(|t| t.name.as_str()).collect();
    assert_eq!(left, ["b", "c", "d", "e"]);
}

#[test]
fn deletion_can_be_turned_off() {
    let mut cluster = Cluster::of(&[1]).with_settings(&[("delete.topic.enable", "false")]);
    cluster.create(NewTopic::new("a")).unwrap();
    let mut outcome = cluster.run(|c, _| c.delete_topics(&[DeleteTopic::by_name("a")]));
    let result = outcome.remove(0).result;
    assert_eq!(code(result), ErrorCode::TopicDeletionDisabled);
    assert_eq!(cluster.image.topics_len(), 1);
}

fn grow(topic: &str, count: i32, assignments: Option<&[&[i32]]>) -> NewPartitions {
    NewPartitions {
        topic: topic.into(),
        count,
        assignments: assignments.map(|all| all.iter().map(|replicas| ids(replicas)).collect()),
        may_alter: true,
    }
}

#[test]
fn partitions_only_ever_grow() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create(named("t", 2, 2)).unwrap();
    use ErrorCode::{
        InvalidPartitions, InvalidReplicaAssignment, PolicyViolation, UnknownTopicOrPartition,
    };
    for (request, expected) in [
        (grow("t", 2, None), InvalidPartitions),
        (grow("t", 1, None), InvalidPartitions),
        (grow("t", -1, None), InvalidPartitions),
        (grow("nope", 3, None), UnknownTopicOrPartition),
        (grow("t", i32::MAX, None), PolicyViolation),
        (grow("t", 3, Some(&[&[1]])), InvalidReplicaAssignment),
        (grow("t", 3, Some(&[])), InvalidReplicaAssignment),
        (
            grow("t", 3, Some(&[&[1, 2], &[1, 2]])),
            InvalidReplicaAssignment,
        ),
        (grow("t", 3, Some(&[&[1, 9]])), InvalidReplicaAssignment),
    ] {
        let name = format!("{request:?}");
        let mut outcome = cluster.run(|c, entropy| c.create_partitions(&[request], false, entropy));
        assert_eq!(code(outcome.remove(0).result), expected, "{name}");
    }
    let request = [grow("t", 4, None)];
    let outcome = cluster.run(|c, entropy| c.create_partitions(&request, true, entropy));
    assert!(outcome[0].result.is_ok());
    assert_eq!(cluster.image.topic("t").unwrap().partitions.len(), 2);
    let request = [grow("t", 3, Some(&[&[2, 1]]))];
    let outcome = cluster.run(|c, entropy| c.create_partitions(&request, false, entropy));
    assert!(outcome[0].result.is_ok());
    let added = cluster.image.topic("t").unwrap().partition(2).unwrap();
    assert_eq!(added.leader, Some(id(2)));
}

#[test]
fn ids_are_version_4_and_never_reserved() {
    let mut cluster = Cluster::of(&[1]);
    for n in 0..200 {
        let created = cluster.create(NewTopic::new(format!("t{n}"))).unwrap();
        let bytes = created.topic_id.to_bytes();
        assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (4, 2));
        assert!(!created.topic_id.to_base64().starts_with('-'));
    }
}
