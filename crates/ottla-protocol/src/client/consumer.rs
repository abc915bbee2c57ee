//! What the members of a consumer group tell each other through the broker: what they subscribe
//! to, and what they are assigned. Each begins with its version.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::shapes::{ASSIGNMENT, SUBSCRIPTION};
use crate::guard::{self, Encoding};
use crate::shape::Shape;

/// A version that every consumer reads: of both, and without what cooperative members add.
const VERSION: i16 = 0;
/// The newest version that is read, of both; a newer one is read as this, as Kafka's consumers do.
const NEWEST: i16 = 3;

/// Topics with partitions of theirs.
pub type Partitions = Vec<(String, Vec<i32>)>;

/// A subscription to `topics`.
#[must_use]
pub fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics
        .iter()
        .map(|name| StrBytes::from_string((*name).to_owned()));
    write(&ConsumerProtocolSubscription::default().with_topics(topics.collect()))
}

/// The topics that a member subscribes to; `None` where it is not said in this form.
#[must_use]
pub fn subscribed(bytes: &Bytes) -> Option<Vec<String>> {
    let read: ConsumerProtocolSubscription = read(&SUBSCRIPTION, bytes)?;
    Some(read.topics.iter().map(ToString::to_string).collect())
}

/// An assignment.
#[must_use]
pub fn assignment(partitions: &Partitions) -> Bytes {
    let topic = |(name, numbers): &(String, Vec<i32>)| {
        TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_string(name.clone())))
            .with_partitions(numbers.clone())
    };
    let topics = partitions.iter().map(topic).collect();
    write(&ConsumerProtocolAssignment::default().with_assigned_partitions(topics))
}

/// What a member is assigned: nothing where there are no bytes, `None` where it is not said in
/// this form.
#[must_use]
pub fn assigned(bytes: &Bytes) -> Option<Partitions> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let read: ConsumerProtocolAssignment = read(&ASSIGNMENT, bytes)?;
    let topics = read.assigned_partitions.into_iter();
    let topics = topics.map(|topic| (topic.topic.to_string(), topic.partitions));
    Some(topics.collect())
}

fn write<M: Encodable>(message: &M) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    let written = message.encode(&mut out, VERSION);
    written.expect("version 0 carries topics and partitions");
    out.freeze()
}

/// The bytes are another member's: the broker passes them on without a look.
fn read<M: Decodable>(shape: &'static Shape, bytes: &Bytes) -> Option<M> {
    let mut bytes = bytes.clone();
    let version = bytes.try_get_i16().ok().filter(|version| *version >= 0)?;
    let version = version.min(NEWEST);
    let encoding = Encoding {
        version,
        flexible: false,
    };
    guard::check(shape, encoding, &bytes).ok()?;
    M::decode(&mut bytes, version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let topics = subscription(&["a", "b"]);
        assert_eq!(subscribed(&topics), Some(vec!["a".into(), "b".into()]));
        let partitions = vec![("a".to_owned(), vec![0, 2]), ("b".to_owned(), vec![])];
        assert_eq!(assigned(&assignment(&partitions)), Some(partitions));
        assert_eq!(assigned(&Bytes::new()), Some(Vec::new()));
    }

    #[test]
    fn other_bytes_are_no_assignment() {
        for bytes in [&b"\0"[..], b"\xff\xff\0\0\0\0", b"\0\0\0\0\0\x01\0\x09a"] {
            let bytes = Bytes::from_static(bytes);
            assert_eq!((assigned(&bytes), subscribed(&bytes)), (None, None));
        }
    }

    #[test]
    fn a_count_that_lies_is_refused() {
        let bomb = Bytes::from_static(b"\0\0\x7f\xff\xff\xff\0\x01a");
        assert_eq!((assigned(&bomb), subscribed(&bomb)), (None, None));
        // Behind a good topic: the count of the owned partitions.
        let bomb = b"\0\x01\0\0\0\x01\0\x01a\xff\xff\xff\xff\x7f\xff\xff\xff";
        assert_eq!(subscribed(&Bytes::from_static(bomb)), None);
        let bomb = b"\0\0\0\0\0\x01\0\x01a\x7f\xff\xff\xff\0\0\0\0";
        assert_eq!(assigned(&Bytes::from_static(bomb)), None);
    }
}
