//! Records for tests: plain ones, and strategies that draw any.

use ottla_log::{LeaderEpoch, ProducerId, TopicId, TopicName};
use proptest::prelude::*;

use super::record::*;
use crate::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch};

pub(super) fn broker(id: i32, epoch: i64) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: BrokerId::new(id),
        incarnation_id: IncarnationId::from_bytes([7; 16]),
        broker_epoch: BrokerEpoch::new(epoch),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported: 7,
            max_supported: 30,
        }],
        rack: (id == 2).then(|| "a".into()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![DirectoryId::from_bytes([9; 16])],
    }
}

pub(super) fn id(n: u8) -> TopicId {
    TopicId::from_bytes([n; 16])
}

pub(super) fn topic(n: u8, name: &str) -> MetadataRecord {
    MetadataRecord::Topic(TopicRecord {
        name: TopicName::new(name).unwrap(),
        topic_id: id(n),
    })
}

pub(super) fn partition(topic: u8, number: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        partition_id: number,
        topic_id: id(topic),
        replicas: vec![BrokerId::new(1)],
        isr: vec![BrokerId::new(1)],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: Some(BrokerId::new(1)),
        recovering: false,
        leader_epoch: LeaderEpoch::new(0),
        partition_epoch: PartitionEpoch::new(0),
        directories: vec![DirectoryId::UNASSIGNED],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    })
}

pub(super) fn config(resource: ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource,
        name: name.into(),
        value: value.map(Into::into),
    })
}

fn ids() -> impl Strategy<Value = Vec<BrokerId>> {
    prop::collection::vec((1i32..4).prop_map(BrokerId::new), 0..3)
}

fn change() -> impl Strategy<Value = MetadataRecord> {
    let lists = (
        prop::option::of(ids()),
        prop::option::of(ids()),
        prop::option::of(ids()),
        prop::option::of(ids()),
    );
    let leader = prop::option::of(prop::option::of((1i32..4).prop_map(BrokerId::new)));
    let directories = prop::option::of(Just(vec![DirectoryId::UNASSIGNED]));
    let rest = (leader, prop::option::of(any::<bool>()), directories);
    (0u8..6, 0i32..4, lists, rest).prop_map(|(n, number, lists, rest)| {
        let (isr, replicas, elr, removing_replicas) = lists;
        let (leader, recovering, directories) = rest;
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            isr,
            leader,
            replicas,
            removing_replicas,
            recovering,
            directories,
            last_known_elr: elr.clone(),
            elr,
            ..PartitionChangeRecord::new(id(n), number)
        })
    })
}

fn broker_change() -> impl Strategy<Value = MetadataRecord> {
    let fenced = prop::option::of(any::<bool>());
    (1i32..4, 0i64..9, fenced, any::<bool>()).prop_map(|(n, epoch, fenced, leaving)| {
        MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: BrokerId::new(n),
            broker_epoch: BrokerEpoch::new(epoch),
            fenced,
            in_controlled_shutdown: leaving,
            log_dirs: leaving.then(|| vec![DirectoryId::from_bytes([3; 16])]),
        })
    })
}

fn any_config() -> impl Strategy<Value = MetadataRecord> {
    let resources = prop_oneof![
        prop::sample::select(NAMES).prop_map(ConfigResource::topic),
        (1i32..3).prop_map(|n| ConfigResource::broker(BrokerId::new(n))),
        Just(ConfigResource::all_brokers()),
        prop::sample::select(NAMES).prop_map(ConfigResource::group),
        prop::sample::select(NAMES).prop_map(ConfigResource::client_metrics),
    ];
    let keys = prop::sample::select(vec!["retention.ms", "segment.ms"]);
    let values = prop::option::weighted(0.8, "[0-9]{1,3}");
    (resources, keys, values)
        .prop_map(|(resource, key, value)| config(resource, key, value.as_deref()))
}

const NAMES: &[&str] = &["a", "a.b", "a_b", "c-d", "__consumer_offsets"];

/// Records that mostly fit one another.
pub(super) fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let names = prop::sample::select(NAMES);
    prop_oneof![
        6 => (0u8..6, names.clone()).prop_map(|(n, name)| topic(n, name)),
        8 => (0u8..6, 0i32..4).prop_map(|(n, number)| partition(n, number)),
        4 => change(),
        2 => (0u8..6).prop_map(|n| {
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(n) })
        }),
        4 => any_config(),
        2 => (1i32..4, 0i64..9)
            .prop_map(|(n, epoch)| MetadataRecord::RegisterBroker(broker(n, epoch))),
        1 => broker_change(),
        1 => (1i32..4, 0i64..9).prop_map(|(n, epoch)| {
            MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
                broker_id: BrokerId::new(n),
                broker_epoch: BrokerEpoch::new(epoch),
            })
        }),
        1 => (0i16..3).prop_map(|level| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: "some.feature".into(),
                level,
            })
        }),
        1 => (0i64..9000).prop_map(|next| {
            MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: BrokerId::new(1),
                broker_epoch: BrokerEpoch::new(0),
                next_producer_id: ProducerId::new(next),
            })
        }),
        1 => prop::option::of(names).prop_map(|name| {
            let topic = name.map(|name| TopicName::new(name).unwrap());
            MetadataRecord::ClearElr(ClearElrRecord { topic })
        }),
        1 => Just(MetadataRecord::NoOp),
    ]
}
