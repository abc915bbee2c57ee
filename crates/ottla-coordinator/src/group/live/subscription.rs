//! What consumers tell their leader, as far as the coordinator looks into it: the topics that they
//! are subscribed to.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use ottla_protocol::StrBytes;

use super::Live;

impl Live {
    /// The topics that the members are subscribed to; `None` where that is not known: in groups of
    /// other types, and where a subscription cannot be read.
    pub(super) fn subscriptions(&self) -> Option<BTreeSet<StrBytes>> {
        if !self.is_consumer() {
            return None;
        }
        if !self.members.is_empty() && self.protocol_name.is_none() {
            return None;
        }
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            read_topics(self.chosen_metadata(member), &mut all)?;
        }
        Some(all)
    }
}

/// Adds the topics of a consumer's subscription to `all`. All versions begin alike: the version,
/// then the topics.
fn read_topics(mut subscription: Bytes, all: &mut BTreeSet<StrBytes>) -> Option<()> {
    let version = subscription.try_get_i16().ok()?;
    if version < 0 {
        return None;
    }
    let count = subscription.try_get_i32().ok()?;
    for _ in 0..count.max(0) {
        let length = usize::try_from(subscription.try_get_i16().ok()?).ok()?;
        if length > subscription.len() {
            return None;
        }
        let name = subscription.split_to(length);
        // Many members have the same topics: the copy is made for the first.
        let name = StrBytes::from_utf8(name).ok()?;
        if !all.contains(&name) {
            all.insert(super::super::text::own(&name));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> Option<Vec<String>> {
        let mut all = BTreeSet::new();
        read_topics(Bytes::from_static(bytes), &mut all)?;
        Some(all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_topics_of_any_version_are_read() {
        let v0 = b"\x00\x00\x00\x00\x00\x02\x00\x01b\x00\x01a\xff\xff\xff\xff";
        assert_eq!(read(v0), Some(vec!["a".to_owned(), "b".to_owned()]));
        let v9 = b"\x00\x09\x00\x00\x00\x01\x00\x01a later versions add what they like";
        assert_eq!(read(v9), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn what_is_no_subscription_is_not_taken_for_an_empty_one() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x00"), None);
        assert_eq!(
            read(b"\xff\xff\x00\x00\x00\x00"),
            None,
            "a negative version"
        );
        assert_eq!(
            read(b"\x00\x00\x00\x00\x00\x01"),
            None,
            "a topic is missing"
        );
        assert_eq!(
            read(b"\x00\x00\x7f\xff\xff\xff\x00\x01a"),
            None,
            "far too many"
        );
        assert_eq!(read(b"\x00\x00\x00\x00\x00\x01\x00\x05a"), None, "too long");
        assert_eq!(
            read(b"\x00\x00\x00\x00\x00\x01\x00\x01\xff"),
            None,
            "no text"
        );
    }
}
