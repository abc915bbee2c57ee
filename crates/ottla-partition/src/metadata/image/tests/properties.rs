//! Properties of any image that any records make.

use proptest::prelude::*;

use super::*;

/// Records that mostly fit one another; those that do not are refused and change nothing.
fn record() -> impl Strategy<Value = MetadataRecord> {
    let names = prop::sample::select(vec!["a", "a.b", "a_b", "c-d", "__consumer_offsets"]);
    let ids = || 0u8..6;
    let brokers = || prop::collection::vec((1i32..4).prop_map(BrokerId::new), 0..3);
    let resources = prop_oneof![
        names.clone().prop_map(ConfigResource::topic),
        (1i32..3).prop_map(|n| ConfigResource::broker(BrokerId::new(n))),
        Just(ConfigResource::all_brokers()),
    ];
    let keys = prop::sample::select(vec!["retention.ms", "segment.ms"]);
    let values = prop::option::weighted(0.8, "[0-9]{1,3}");
    prop_oneof![
        6 => (ids(), names).prop_map(|(n, name)| topic(n, name)),
        8 => (ids(), 0i32..4).prop_map(|(n, number)| partition(n, number)),
        4 => (ids(), 0i32..4, brokers(), prop::option::of(brokers()), any::<bool>()).prop_map(
            |(n, number, isr, elr, elect)| {
                MetadataRecord::PartitionChange(PartitionChangeRecord {
                    leader: elect.then(|| isr.first().copied()),
                    isr: Some(isr),
                    elr,
                    ..PartitionChangeRecord::new(id(n), number)
                })
            }
        ),
        2 => ids().prop_map(|n| {
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(n) })
        }),
        4 => (resources, keys, values).prop_map(|(resource, key, value)| {
            config(resource, key, value.as_deref())
        }),
        2 => (1i32..4, 0i64..9)
            .prop_map(|(n, epoch)| MetadataRecord::RegisterBroker(broker(n, epoch))),
        1 => (1i32..4, 0i64..9, any::<bool>()).prop_map(|(n, epoch, fenced)| {
            MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
                broker_id: BrokerId::new(n),
                broker_epoch: BrokerEpoch::new(epoch),
                fenced: Some(fenced),
                in_controlled_shutdown: false,
                log_dirs: None,
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
        1 => Just(MetadataRecord::ClearElr(ClearElrRecord { topic: None })),
        1 => Just(MetadataRecord::NoOp),
    ]
}

/// The image that `records` make of `image`, those that do not fit left out.
fn make(image: Image, records: &[MetadataRecord]) -> Image {
    records.iter().fold(image, |image, record| {
        let next = image.replay(image.end(), std::slice::from_ref(record));
        next.unwrap_or(image)
    })
}

proptest! {
    #[test]
    fn a_snapshot_makes_the_same_image(records in prop::collection::vec(record(), 0..150)) {
        let image = make(Image::new("c"), &records);
        let snapshot: Vec<MetadataRecord> = image.snapshot().collect();
        let again = Image::new("c").replay(Offset::ZERO, &snapshot).unwrap();
        prop_assert_eq!(again.clone().at_end(image.end()), image.clone());
        let third: Vec<MetadataRecord> = again.snapshot().collect();
        prop_assert_eq!(third, snapshot);
        for topic in image.topics() {
            let other = image.topics().find(|other| {
                other.name != topic.name
                    && other.name.as_str().replace('.', "_")
                        == topic.name.as_str().replace('.', "_")
            });
            let found = image.colliding_topic(topic.name.as_str());
            prop_assert_eq!(found.is_some(), other.is_some());
        }
    }

    #[test]
    fn a_delta_names_everything_that_differs(
        before in prop::collection::vec(record(), 0..80),
        after in prop::collection::vec(record(), 0..40),
    ) {
        let old = make(Image::new("c"), &before);
        let new = make(old.clone(), &after);
        let delta = old.delta(&new);
        for topic in new.topics() {
            let known = old.topic_by_id(topic.id);
            let created = delta.created.contains(topic);
            let changed = delta.changed.iter().any(|(_, new)| new == topic);
            prop_assert_eq!(created, known.is_none());
            prop_assert_eq!(changed, known.is_some_and(|known| known != topic));
        }
        for topic in old.topics() {
            let gone = new.topic_by_id(topic.id).is_none();
            prop_assert_eq!(delta.removed.contains(topic), gone);
        }
        for resource in old.configs().chain(new.configs()).map(|(resource, _)| resource) {
            let differs = old.config(resource) != new.config(resource);
            prop_assert_eq!(delta.configs.contains(resource), differs);
        }
        let same = |a: &Image, b: &Image| a.brokers().eq(b.brokers());
        prop_assert_eq!(delta.brokers, !same(&old, &new));
        prop_assert!(new.delta(&new).is_empty());
    }

    #[test]
    fn a_batch_replays_whole_or_not_at_all(records in prop::collection::vec(record(), 0..20)) {
        let image = make(Image::new("c"), &[topic(1, "a"), partition(1, 0)]);
        let copy = image.clone();
        if let Ok(next) = image.replay(image.end(), &records) {
            let one_by_one = records.iter().try_fold(image.clone(), |image, record| {
                image.replay(image.end(), std::slice::from_ref(record))
            });
            prop_assert_eq!(Ok(next), one_by_one);
        }
        prop_assert_eq!(image, copy);
    }
}
