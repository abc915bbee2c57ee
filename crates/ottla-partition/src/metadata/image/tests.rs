mod properties;

use ottla_log::{LeaderEpoch, Offset, ProducerId};

use super::*;
use crate::metadata::record::*;
use crate::metadata::testing::{any_record, broker, config, id, partition, topic};
use crate::{BrokerEpoch, PartitionEpoch};

fn replay(image: &Image, records: &[MetadataRecord]) -> Image {
    image.replay(image.end(), records).unwrap()
}

#[test]
fn topics_are_found_by_name_and_by_id() {
    let empty = Image::new("c");
    let image = replay(&empty, &[topic(1, "b"), partition(1, 0), topic(2, "a")]);
    assert_eq!(image.end(), Offset::new(3));
    assert_eq!(image.topic("b").unwrap().id, id(1));
    assert_eq!(image.topic_by_id(id(2)).unwrap().name.as_str(), "a");
    assert_eq!(image.topic("b").unwrap().replication_factor(), 1);
    let names: Vec<_> = image.topics().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let names: Vec<_> = image.topics_from("aa").map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["b"]);
    assert!(empty.topic("b").is_none(), "the older image changed");
}

#[test]
fn a_removed_topic_takes_its_configuration_and_its_name_along() {
    let image = replay(
        &Image::new("c"),
        &[
            topic(1, "a.b"),
            config(ConfigResource::topic("a.b"), "retention.ms", Some("1")),
        ],
    );
    assert_eq!(image.colliding_topic("a_b").unwrap().as_str(), "a.b");
    assert_eq!(image.colliding_topic("a.b"), None);
    let removed = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(1) });
    let image = replay(&image, std::slice::from_ref(&removed));
    assert!(image.topic("a.b").is_none());
    assert!(image.config(&ConfigResource::topic("a.b")).is_none());
    assert_eq!(image.colliding_topic("a_b"), None);
    let error = image.replay(image.end(), &[removed]).unwrap_err();
    assert!(matches!(error, ReplayError::UnknownTopic { .. }));
    let again = replay(&image, &[topic(2, "a.b")]);
    assert_eq!(again.topic("a.b").unwrap().id, id(2));
}

#[test]
fn a_change_raises_the_partition_epoch_and_one_of_the_leader_the_leader_epoch() {
    let image = replay(&Image::new("c"), &[topic(1, "a"), partition(1, 0)]);
    let isr_only = PartitionChangeRecord {
        isr: Some(Vec::new()),
        ..PartitionChangeRecord::new(id(1), 0)
    };
    let same_leader = PartitionChangeRecord {
        leader: Some(Some(BrokerId::new(1))),
        ..PartitionChangeRecord::new(id(1), 0)
    };
    let image = replay(&image, &[MetadataRecord::PartitionChange(isr_only)]);
    let changed = image.topic("a").unwrap().partition(0).unwrap();
    assert_eq!(changed.leader_epoch, LeaderEpoch::new(0));
    assert_eq!(changed.partition_epoch, PartitionEpoch::new(1));
    assert!(changed.isr.is_empty());
    let image = replay(&image, &[MetadataRecord::PartitionChange(same_leader)]);
    let changed = image.topic("a").unwrap().partition(0).unwrap();
    assert_eq!(changed.leader_epoch, LeaderEpoch::new(1));
    assert_eq!(changed.partition_epoch, PartitionEpoch::new(2));
}

#[test]
fn configuration_keys_are_set_and_deleted() {
    let resource = ConfigResource::broker(BrokerId::new(1));
    let set = config(resource.clone(), "a", Some("1"));
    let image = replay(&Image::new("c"), &[set.clone(), set]);
    assert_eq!(image.config(&resource).unwrap().len(), 1);
    let image = replay(&image, &[config(resource.clone(), "a", None)]);
    assert_eq!(image.config(&resource), None);
}

#[test]
fn a_broker_is_active_once_unfenced_in_its_newest_registration() {
    let change = |epoch, fenced, leaving| {
        MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: BrokerId::new(1),
            broker_epoch: BrokerEpoch::new(epoch),
            fenced,
            in_controlled_shutdown: leaving,
            log_dirs: None,
        })
    };
    let one = BrokerId::new(1);
    let image = replay(
        &Image::new("c"),
        &[MetadataRecord::RegisterBroker(broker(1, 0))],
    );
    assert!(!image.is_active(one));
    let image = replay(&image, &[change(0, Some(false), false)]);
    assert!(image.is_active(one));
    let stale = image
        .replay(image.end(), &[change(9, Some(true), false)])
        .unwrap_err();
    assert!(matches!(stale, ReplayError::UnknownBroker { .. }));
    let image = replay(&image, &[change(0, None, true)]);
    assert!(!image.is_active(one));
    let gone = MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
        broker_id: one,
        broker_epoch: BrokerEpoch::new(0),
    });
    assert!(replay(&image, &[gone]).broker(one).is_none());
}

#[test]
fn producer_ids_and_offsets_never_go_back() {
    let ids = |next| {
        MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId::new(1),
            broker_epoch: BrokerEpoch::new(0),
            next_producer_id: ProducerId::new(next),
        })
    };
    let image = replay(&Image::new("c"), &[ids(1000)]);
    assert_eq!(image.next_producer_id(), ProducerId::new(1000));
    let error = image.replay(image.end(), &[ids(999)]).unwrap_err();
    assert!(matches!(
        error,
        ReplayError::ProducerIdsGoBack { next: 999, .. }
    ));
    let error = image.replay(Offset::new(0), &[]).unwrap_err();
    assert!(matches!(error, ReplayError::Offset { .. }));
    assert_eq!(
        image.replay(Offset::new(5), &[ids(2000)]).unwrap().end(),
        Offset::new(6)
    );
}
