//! Persisted records against the bytes that Kafka itself writes.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::RecordError;
use super::control::{
    ControlRecord, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage,
    SnapshotFooterRecord, SnapshotHeaderRecord, Voter, VoterEndpoint, VoterRecord, VotersRecord,
};
use super::metadata::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ClearElrRecord, ConfigRecord,
    FeatureLevelRecord, FenceBrokerRecord, NoOpRecord, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, Record, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
    UnfenceBrokerRecord, UnregisterBrokerRecord,
};
use crate::shape::{Kind, Shape};
use crate::tests::filler::{Style, fill};
use crate::tests::golden;

const GOLDEN: &str = include_str!("../../testdata/persisted.txt");

fn id(n: u64) -> Uuid {
    Uuid::from_u64_pair(0x1112_1314_1516_1700 + n, 0x2122_2324_2526_2700 + n)
}

fn register_broker(version: i16) -> Record {
    RegisterBrokerRecord {
        broker_id: 3,
        is_migrating_zk_broker: version >= 2,
        incarnation_id: id(1),
        broker_epoch: 77,
        end_points: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 40_000,
            security_protocol: 2,
        }],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_version: 7,
            max_supported_version: 30,
        }],
        rack: Some("r1".into()),
        fenced: false,
        in_controlled_shutdown: version >= 1,
        log_dirs: if version >= 3 {
            vec![id(2), id(3)]
        } else {
            vec![]
        },
        cordoned_log_dirs: (version >= 4).then(|| vec![id(3)]),
    }
    .into()
}

fn partition(version: i16) -> Record {
    PartitionRecord {
        partition_id: 5,
        topic_id: id(4),
        replicas: vec![1, 2, 3],
        isr: vec![1, 2],
        removing_replicas: vec![3],
        adding_replicas: vec![4],
        leader: 2,
        leader_recovery_state: 1,
        leader_epoch: 8,
        partition_epoch: 9,
        directories: if version >= 1 {
            vec![id(5), id(6), id(7)]
        } else {
            vec![]
        },
        eligible_leader_replicas: (version >= 2).then(|| vec![3]),
        last_known_elr: (version >= 2).then(|| vec![1]),
    }
    .into()
}

fn partition_change(version: i16) -> Record {
    PartitionChangeRecord {
        partition_id: 5,
        topic_id: id(4),
        isr: Some(vec![1]),
        leader: 1,
        replicas: Some(vec![1, 2]),
        removing_replicas: Some(vec![]),
        adding_replicas: Some(vec![7]),
        leader_recovery_state: 0,
        eligible_leader_replicas: (version >= 2).then(|| vec![2]),
        last_known_elr: (version >= 2).then(Vec::new),
        directories: (version >= 1).then(|| vec![id(5), id(6)]),
    }
    .into()
}

fn registration_change(version: i16) -> Record {
    BrokerRegistrationChangeRecord {
        broker_id: 3,
        broker_epoch: 77,
        fenced: -1,
        in_controlled_shutdown: i8::from(version >= 1),
        log_dirs: if version >= 2 { vec![id(2)] } else { vec![] },
        cordoned_log_dirs: (version >= 3).then(Vec::new),
    }
    .into()
}

fn config(resource_type: i8, resource: &str, name: &str, value: Option<&str>) -> Record {
    ConfigRecord {
        resource_type,
        resource_name: resource.into(),
        name: name.into(),
        value: value.map(Into::into),
    }
    .into()
}

/// The records of the file, in its order, each with its version.
fn metadata_records() -> Vec<(Record, i16)> {
    let mut records: Vec<(Record, i16)> = Vec::new();
    records.extend((0..=4).map(|v| (register_broker(v), v)));
    let (broker, epoch) = (3, 77);
    let unregister = UnregisterBrokerRecord {
        broker_id: broker,
        broker_epoch: epoch,
    };
    records.push((unregister.into(), 0));
    let topic = TopicRecord {
        name: "orders".into(),
        topic_id: id(4),
    };
    records.push((topic.into(), 0));
    records.extend((0..=2).map(|v| (partition(v), v)));
    records.push((config(2, "orders", "retention.ms", Some("1000")), 0));
    records.push((config(4, "", "a", None), 0));
    records.extend((0..=2).map(|v| (partition_change(v), v)));
    let nothing = PartitionChangeRecord {
        partition_id: 5,
        topic_id: id(4),
        ..PartitionChangeRecord::default()
    };
    records.push((nothing.into(), 2));
    records.push((FenceBrokerRecord { id: broker, epoch }.into(), 0));
    records.push((UnfenceBrokerRecord { id: broker, epoch }.into(), 0));
    records.push((RemoveTopicRecord { topic_id: id(4) }.into(), 0));
    let feature = FeatureLevelRecord {
        name: "group.version".into(),
        feature_level: 1,
    };
    records.push((feature.into(), 0));
    let ids = ProducerIdsRecord {
        broker_id: broker,
        broker_epoch: epoch,
        next_producer_id: 2000,
    };
    records.push((ids.into(), 0));
    records.extend((0..=3).map(|v| (registration_change(v), v)));
    records.push((NoOpRecord {}.into(), 0));
    let topic_name = "orders".into();
    records.push((ClearElrRecord { topic_name }.into(), 0));
    records
}

fn control_records() -> Vec<ControlRecord> {
    let voter = |voter_id| Voter {
        voter_id,
        voter_directory_id: Uuid::nil(),
    };
    vec![
        ControlRecord::LeaderChange(LeaderChangeMessage {
            version: 0,
            leader_id: 3,
            voters: vec![voter(3), voter(4)],
            granting_voters: vec![voter(3)],
        }),
        ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
            version: 0,
            last_contained_log_timestamp: 1_700_000_000_000,
        }),
        ControlRecord::SnapshotFooter(SnapshotFooterRecord { version: 0 }),
        ControlRecord::KRaftVersion(KRaftVersionRecord {
            version: 0,
            k_raft_version: 1,
        }),
        ControlRecord::KRaftVoters(VotersRecord {
            version: 0,
            voters: vec![VoterRecord {
                voter_id: 3,
                voter_directory_id: id(2),
                endpoints: vec![VoterEndpoint {
                    name: "CONTROLLER".into(),
                    host: "localhost".into(),
                    port: 40_001,
                }],
                k_raft_version_feature: KRaftVersionFeature {
                    min_supported_version: 0,
                    max_supported_version: 1,
                },
            }],
        }),
    ]
}

#[test]
fn metadata_records_are_those_that_kafka_writes() {
    let records = metadata_records();
    let golden = golden(GOLDEN);
    assert_eq!(golden.len(), records.len() + control_records().len());
    for ((record, version), (name, expected_version, bytes)) in records.iter().zip(&golden) {
        assert!(
            format!("{record:?}").starts_with(&format!("{name}(")),
            "{name}"
        );
        assert_eq!(version, expected_version, "{name}");
        assert_eq!(record.encode(*version).unwrap(), bytes, "{name} v{version}");
        assert_eq!(Record::decode(bytes), Ok((record.clone(), *version)));
    }
}

#[test]
fn control_records_are_those_that_kafka_writes() {
    let golden = golden(GOLDEN).split_off(metadata_records().len());
    for (record, (name, _, value)) in control_records().iter().zip(&golden) {
        assert!(
            format!("{record:?}").starts_with(&format!("{name}(")),
            "{name}"
        );
        assert_eq!(record.value().unwrap(), value, "{name}");
        let read = ControlRecord::decode(&record.key(), value);
        assert_eq!(read, Ok(Some(record.clone())), "{name}");
    }
    // A marker of a transaction, a later type, and no key of a control record.
    for key in [&[0, 0, 0, 1][..], &[0, 0, 0, 7], &[0, 1, 0, 3], &[0]] {
        assert_eq!(
            ControlRecord::decode(key, &Bytes::new()),
            Ok(None),
            "{key:?}"
        );
    }
    let cut = ControlRecord::decode(&[0, 0, 0, 3], &Bytes::from_static(&[0, 0]));
    assert!(
        cut.unwrap_err()
            .to_string()
            .contains("last_contained_log_timestamp")
    );
}

#[test]
fn versions_follow_the_level_of_the_cluster() {
    let at = |record: &Record| [7, 16, 17, 22, 23, 29, 30].map(|level| record.version_at(level));
    assert_eq!(at(&register_broker(4)), [1, 1, 3, 3, 3, 3, 4]);
    assert_eq!(at(&partition(2)), [0, 0, 1, 1, 2, 2, 2]);
    assert_eq!(at(&partition_change(2)), [0, 0, 1, 1, 2, 2, 2]);
    for version in 0..=3 {
        assert_eq!(registration_change(version).version_at(30), version);
    }
    assert_eq!(at(&NoOpRecord {}.into()), [0; 7]);
}

#[test]
fn what_is_no_record_is_refused() {
    let refused = |bytes: &'static [u8]| Record::decode(&Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(refused(&[0, 20, 0, 0]), RecordError::Frame(0));
    assert_eq!(refused(&[2, 20, 0, 0]), RecordError::Frame(2));
    assert_eq!(
        refused(&[1, 99, 0, 0]),
        RecordError::UnknownType { kind: 99 }
    );
    let newer = refused(&[1, 3, 3, 0]).to_string();
    assert_eq!(
        newer,
        "a record Partition has the version 3; 0 to 2 are known"
    );
    assert!(matches!(refused(&[1, 20]), RecordError::Malformed(_)));
    assert!(matches!(refused(&[1, 20, 0]), RecordError::Malformed(_)));
    assert!(matches!(
        refused(&[1, 20, 0, 0, 0]),
        RecordError::Malformed(_)
    ));
    // 2^31 replicas.
    let bomb = [
        &[1, 3, 0, 0, 0, 0, 5][..],
        &[7; 16],
        &[0xff, 0xff, 0xff, 0xff, 7],
    ]
    .concat();
    let bomb = Record::decode(&bomb.into()).unwrap_err().to_string();
    assert!(bomb.contains("in replicas"), "{bomb}");
}

const SHAPES: &[(u32, i16, &Shape)] = &[
    (0, 4, &RegisterBrokerRecord::SHAPE),
    (3, 2, &PartitionRecord::SHAPE),
    (4, 0, &ConfigRecord::SHAPE),
    (5, 2, &PartitionChangeRecord::SHAPE),
    (17, 3, &BrokerRegistrationChangeRecord::SHAPE),
];

proptest! {
    #[test]
    fn records_read_back(seed in any::<u64>()) {
        for &(kind, max, shape) in SHAPES {
            for version in 0..=max {
                let style = Style {
                    version,
                    flexible: true,
                    elements_max: 3,
                    nulls: true,
                    strangers: false,
                };
                let mut bytes = vec![1, kind as u8, version as u8];
                bytes.extend(fill(shape, style, seed).bytes);
                let (record, read) = Record::decode(&bytes.into()).unwrap();
                prop_assert_eq!(read, version);
                let again = record.encode(version).unwrap();
                prop_assert_eq!(Record::decode(&again), Ok((record, version)));
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), kind in 0_u8..30) {
        let framed = [&[1, kind, 0][..], &bytes].concat();
        let _ = Record::decode(&framed.into());
        let _ = ControlRecord::decode(&[0, 0, 0, kind % 7], &Bytes::from(bytes));
    }
}

#[test]
fn tags_rise_in_the_order_of_the_fields() {
    fn check(shape: &Shape) {
        let tags: Vec<u32> = shape.fields.iter().filter_map(|f| f.tag).collect();
        assert!(tags.is_sorted(), "{}: {tags:?}", shape.name);
        for field in shape.fields {
            match field.kind {
                Kind::Struct(inner) | Kind::Maybe(inner) => check(inner),
                Kind::Array(element) => {
                    if let Kind::Struct(inner) = element.kind {
                        check(inner);
                    }
                }
                Kind::Fixed(_) | Kind::String | Kind::Bytes => {}
            }
        }
    }
    SHAPES.iter().for_each(|(_, _, shape)| check(shape));
    crate::api::APIS.iter().for_each(|api| check(api.request));
    check(&crate::produce::ProduceResponse::SHAPE);
    check(&crate::fetch::FetchResponse::SHAPE);
    check(&crate::api_versions::ApiVersionsResponse::SHAPE);
}
