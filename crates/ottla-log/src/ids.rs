//! The ids and numbers of a log, each a type of its own so that none is taken for another.

use std::fmt;
use std::sync::Arc;

/// Declares a number with a meaning of its own. For the crates of this workspace, whose ids all
/// look the same.
#[doc(hidden)]
#[macro_export]
macro_rules! id_number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The value as this type.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The plain number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::core::convert::From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

id_number! {
    /// A record's position in its log, counted in records from 0.
    Offset(i64)
}
id_number! {
    /// The term of a partition's leader; rises with each change of leader and with each unclean
    /// start (KIP-101, KIP-320). -1 means none.
    LeaderEpoch(i32)
}
id_number! {
    /// The id of an idempotent or transactional producer (KIP-98). -1 means none.
    ProducerId(i64)
}
id_number! {
    /// The epoch of a producer id (KIP-98). -1 means none.
    ProducerEpoch(i16)
}
id_number! {
    /// The sequence number of a producer's record in one partition (KIP-98); wraps from
    /// `i32::MAX` to 0. -1 means none.
    Sequence(i32)
}
id_number! {
    /// Milliseconds since the Unix epoch. -1 means none.
    Timestamp(i64)
}

impl LeaderEpoch {
    /// No leader epoch is known.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// The batch has no producer id.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// The batch has no producer epoch.
    pub const NONE: Self = Self(-1);
}

impl Timestamp {
    /// The record has no timestamp.
    pub const NONE: Self = Self(-1);
}

impl Offset {
    /// The first offset of a new log.
    pub const ZERO: Self = Self(0);

    /// The offset `count` records further on; saturates at the largest offset.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// The unique id of a topic (KIP-516), the same over all its partitions.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId([u8; 16]);

impl TopicId {
    /// The id that stands for "none" on the wire: all zeros.
    pub const ZERO: Self = Self([0; 16]);

    /// The id with these 16 bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id in the form Kafka writes it: 22 characters of URL-safe base64 without padding.
    #[must_use]
    pub fn to_base64(self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads the form that [`TopicId::to_base64`] writes; `None` where `text` is not of that form.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// A topic's name: 1 to 249 characters of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
///
/// Only a name that passed this rule may become part of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The longest name Kafka allows, in characters.
    pub const LEN_MAX: usize = 249;

    /// Checks `name` against the rule.
    ///
    /// # Errors
    /// [`InvalidTopicName`] says which part of the rule `name` breaks.
    pub fn new(name: &str) -> Result<Self, InvalidTopicName> {
        if name.is_empty() {
            return Err(InvalidTopicName::Empty);
        }
        if name.len() > Self::LEN_MAX {
            return Err(InvalidTopicName::TooLong(name.len()));
        }
        if name == "." || name == ".." {
            return Err(InvalidTopicName::Dots);
        }
        match name
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
        {
            Some(c) => Err(InvalidTopicName::Character(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TopicName {
    /// A map by name is asked with a plain `&str`: order and equality are those of the text.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not a topic's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTopicName {
    /// No character at all.
    #[error("the topic name is empty")]
    Empty,
    /// Longer than [`TopicName::LEN_MAX`].
    #[error("the topic name has {0} characters; at most 249 are allowed")]
    TooLong(usize),
    /// `.` or `..`.
    #[error("the topic name cannot be \".\" or \"..\"")]
    Dots,
    /// A character that is none of `[a-zA-Z0-9._-]`.
    #[error(
        "the topic name has the character {0:?}; only a-z, A-Z, 0-9, '.', '_', '-' are allowed"
    )]
    Character(char),
}

/// Which log of a store: a topic's partition. Its directory is `<topic>-<partition>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    topic: TopicName,
    partition: i32,
}

impl LogId {
    /// The log of partition `partition` (0 or more) of `topic`.
    ///
    /// # Panics
    /// If `partition` is negative: a caller's mistake, never a peer's (the wire is checked first).
    #[must_use]
    pub fn new(topic: TopicName, partition: i32) -> Self {
        assert!(
            partition >= 0,
            "partition {partition} of {topic} is negative"
        );
        Self { topic, partition }
    }

    /// The topic's name.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The partition's number, from 0.
    #[must_use]
    pub const fn partition(&self) -> i32 {
        self.partition
    }

    /// The name of the log's directory.
    #[must_use]
    pub fn dir_name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// Reads a directory's name; `None` where it is not `<topic>-<partition>`.
    #[must_use]
    pub fn from_dir_name(name: &str) -> Option<Self> {
        let (topic, partition) = name.rsplit_once('-')?;
        let number: i32 = partition.parse().ok()?;
        // Only the form that `dir_name` writes: "t-007" or "t-+7" would be a second name.
        (number >= 0 && number.to_string() == partition).then(|| {
            TopicName::new(topic).ok().map(|topic| Self {
                topic,
                partition: number,
            })
        })?
    }
}

impl TryFrom<&str> for LogId {
    type Error = InvalidTopicName;

    /// Partition 0 of the topic `name`, for a program that needs just one log by that name.
    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Ok(Self {
            topic: TopicName::new(name)?,
            partition: 0,
        })
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_the_rule() {
        for good in ["a", "A.b_c-9", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(TopicName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\0",
            "caf\u{e9}",
            &"x".repeat(250),
        ] {
            assert!(TopicName::new(bad).is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn dir_names_read_back() {
        let id = LogId::new(TopicName::new("a-1").unwrap(), 12);
        assert_eq!(id.dir_name(), "a-1-12");
        assert_eq!(LogId::from_dir_name("a-1-12"), Some(id));
        for bad in [
            "a",
            "a-",
            "a-01",
            "a-+1",
            "-1",
            "a-1-delete",
            "a-2147483648",
        ] {
            assert_eq!(LogId::from_dir_name(bad), None, "{bad:?} passed");
        }
    }

    #[test]
    fn topic_ids_read_back() {
        let id = TopicId::from_bytes(*b"0123456789abcdef");
        assert_eq!(TopicId::from_base64(&id.to_base64()), Some(id));
        assert_eq!(id.to_base64().len(), 22);
        assert_eq!(TopicId::from_base64("short"), None);
    }
}
