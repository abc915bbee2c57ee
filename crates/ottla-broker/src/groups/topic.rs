//! The topic that groups are kept in: its creation, and where in it a group lies.

use std::sync::Arc;

use ottla_partition::metadata::Topic;
use ottla_partition::metadata::config::ConfigView;
use ottla_partition::metadata::controller::{CreateTopics, NewTopic};
use ottla_protocol::ErrorCode;

use crate::core::BrokerCore;

/// The topic that groups are kept in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Makes the topic where there is none.
pub(super) async fn ensure(core: &Arc<BrokerCore>) -> Result<(), ErrorCode> {
    let image = core.metadata().image();
    if image.topic(OFFSETS_TOPIC).is_some() {
        return Ok(());
    }
    let brokers = image.brokers().filter(|broker| !broker.fenced).count();
    let request = CreateTopics {
        topics: vec![describe(&core.config(&image), brokers)],
        validate_only: false,
    };
    let entropy = core.entropy();
    let change = core
        .metadata()
        .change(move |controller| controller.create_topics(&request, &*entropy));
    let unavailable = ErrorCode::CoordinatorNotAvailable;
    let created = change.await.map_err(|error| {
        tracing::error!(%error, "the topic of the consumer groups cannot be created");
        unavailable
    })?;
    for topic in created {
        match topic.result {
            Ok(_) => {}
            // Somebody else was faster.
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => {}
            Err(error) => {
                let why = error.message;
                tracing::error!(why, "the topic of the consumer groups cannot be created");
                return Err(unavailable);
            }
        }
    }
    Ok(())
}

/// The topic as Kafka makes it, with no more replicas than there are brokers.
fn describe(config: &ConfigView<'_>, brokers: usize) -> NewTopic {
    let number = |key: &str| config.broker(key).number();
    let partitions = number("offsets.topic.num.partitions");
    let replicas = number("offsets.topic.replication.factor");
    let brokers = i16::try_from(brokers).unwrap_or(i16::MAX).max(1);
    let replicas = replicas.and_then(|n| i16::try_from(n).ok());
    let segment = number("offsets.topic.segment.bytes");
    let mut topic = NewTopic::new(OFFSETS_TOPIC);
    topic.partitions = partitions.and_then(|n| i32::try_from(n).ok()).unwrap_or(50);
    topic.replication_factor = replicas.map_or(brokers, |n| n.min(brokers));
    let set = |key: &str, value: String| (key.to_owned(), Some(value));
    topic.configs = vec![
        set("cleanup.policy", "compact".to_owned()),
        set("compression.type", "producer".to_owned()),
    ];
    topic
        .configs
        .extend(segment.map(|bytes| set("segment.bytes", bytes.to_string())));
    topic
}

/// The partition that Kafka keeps `group` in: by Java's hash of a text. `None` where the topic has
/// no partitions.
pub(crate) fn partition_of(group: &str, topic: &Topic) -> Option<i32> {
    let partitions = i32::try_from(topic.partitions.len()).ok();
    place(group, partitions.filter(|count| *count > 0)?)
}

fn place(group: &str, partitions: i32) -> Option<i32> {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0).checked_rem(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_kafka_puts_them() {
        let place = |group| place(group, 50);
        // Java: "test".hashCode() is 3556498.
        assert_eq!(place("test"), Some(48));
        assert_eq!(place(""), Some(0));
        // "polygenelubricants".hashCode() is the least number there is.
        assert_eq!(place("polygenelubricants"), Some(0));
        // Surrogate pairs count as two.
        assert_eq!(place("\u{1f600}"), Some(1_772_899 % 50));
    }
}
