//! Properties of any image that any records make.

use proptest::prelude::*;

use super::*;

/// The image that `records` make of `image`, those that do not fit left out.
fn make(image: Image, records: &[MetadataRecord]) -> Image {
    records.iter().fold(image, |image, record| {
        let next = image.replay(image.end(), std::slice::from_ref(record));
        next.unwrap_or(image)
    })
}

proptest! {
    #[test]
    fn a_snapshot_makes_the_same_image(records in prop::collection::vec(any_record(), 0..150)) {
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
        before in prop::collection::vec(any_record(), 0..80),
        after in prop::collection::vec(any_record(), 0..40),
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
    fn a_batch_replays_whole_or_not_at_all(records in prop::collection::vec(any_record(), 0..20)) {
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
