//! The records of `__consumer_offsets`: committed offsets and classic groups.
//!
//! A record's key begins with its type, its value with its version, two bytes each. Keys are
//! never flexible; values are from version 4 on. Records of other types of groups (KIP-848,
//! KIP-932, KIP-1071) are recognised by their type and left as they are.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{RecordError, malformed};
use crate::field::{EncodeError, Field, Form, Reader};
use crate::fields::fields;
use crate::guard::{self, Encoding};
use crate::shape::Shape;
use crate::wire::Fault;

/// The type of the keys of offsets before Kafka 0.9; read, never written.
const LEGACY_OFFSET: i16 = 0;
/// The type of the keys of offsets.
const OFFSET: i16 = 1;
/// The type of the keys of classic groups.
const GROUP: i16 = 2;
/// The first version of values with compact lengths and tagged fields.
const FLEXIBLE: i16 = 4;
/// The highest version of either value.
const VALUE_VERSION_MAX: i16 = 4;

/// What a record of `__consumer_offsets` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// An offset.
    Offset(OffsetCommitKey),
    /// A classic group.
    Group(GroupMetadataKey),
    /// Something of another type of group: the type, and the group's id where the type is one
    /// that Kafka 4.4 knows, all of which begin with it.
    Other {
        /// The type.
        kind: i16,
        /// The group.
        group: Option<StrBytes>,
    },
}

/// The types of the other groups' keys that Kafka 4.4 knows.
const fn is_known(kind: i16) -> bool {
    matches!(kind, 3..=8 | 10..=17 | 19..=23)
}

impl Key {
    /// Reads a record's key.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] where it is no key, or not what its type says.
    pub fn decode(key: &Bytes) -> Result<Self, RecordError> {
        let (kind, body) = numbered("Key", key)?;
        match kind {
            LEGACY_OFFSET | OFFSET => read(&OffsetCommitKey::SHAPE, 0, &body).map(Self::Offset),
            GROUP => read(&GroupMetadataKey::SHAPE, 0, &body).map(Self::Group),
            _ if is_known(kind) => {
                // Every one of these keys begins with the group, and this one is nothing else.
                let key: GroupMetadataKey = read(&GroupMetadataKey::SHAPE, 0, &body)?;
                let group = Some(key.group);
                Ok(Self::Other { kind, group })
            }
            _ => Ok(Self::Other { kind, group: None }),
        }
    }
}

fields! {
    /// The key of an offset.
    #[derive(Eq)]
    pub struct OffsetCommitKey {
        /// The group.
        group: StrBytes,
        /// The topic.
        topic: StrBytes,
        /// The partition.
        partition: i32,
    }

    /// The key of a classic group.
    #[derive(Eq)]
    pub struct GroupMetadataKey {
        /// The group.
        group: StrBytes,
    }
}

fields! {
    /// A committed offset.
    #[derive(Eq)]
    pub struct OffsetCommitValue {
        /// The next offset to read.
        offset: i64,
        /// The leader epoch of the last record read; -1 for none.
        leader_epoch: i32 [3+] = -1,
        /// The client's note.
        metadata: StrBytes,
        /// When it was committed.
        commit_timestamp: i64,
        /// When it is to be forgotten; -1 for by the broker's retention.
        expire_timestamp: i64 [1-1] = -1,
        /// The id of the topic; zero for unknown.
        topic_id: Uuid [4+, tag 0],
    }
}

fields! {
    /// A classic group's generation.
    #[derive(Eq)]
    pub struct GroupMetadataValue {
        /// The protocol type; empty for none.
        protocol_type: StrBytes,
        /// The generation.
        generation: i32,
        /// The protocol; `None` without members.
        protocol: Option<StrBytes>,
        /// The leader; `None` without members.
        leader: Option<StrBytes>,
        /// When the group came into its state; -1 for unknown.
        current_state_timestamp: i64 [2+] = -1,
        /// The members.
        members: Vec<GroupMember>,
    }

    /// A member of a classic group.
    #[derive(Eq)]
    pub struct GroupMember {
        /// The member's id.
        member_id: StrBytes,
        /// Its `group.instance.id`.
        group_instance_id: Option<StrBytes> [3+, null 3+],
        /// Its `client.id`.
        client_id: StrBytes,
        /// Where it comes from.
        client_host: StrBytes,
        /// How long it may take to join again, in milliseconds; -1 for unknown.
        rebalance_timeout: i32 [1+] = -1,
        /// How long it may be silent, in milliseconds.
        session_timeout: i32,
        /// What it told the leader.
        subscription: Bytes,
        /// What the leader assigned to it.
        assignment: Bytes,
    }
}

impl OffsetCommitKey {
    /// The key as bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] where a name is longer than 32,767 bytes.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        write(self, OFFSET, 0)
    }
}

impl GroupMetadataKey {
    /// The key as bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] where the id is longer than 32,767 bytes.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        write(self, GROUP, 0)
    }
}

impl OffsetCommitValue {
    /// The version that Kafka 4.4 writes: 1 where only that can say when the offset expires.
    #[must_use]
    pub const fn version(&self) -> i16 {
        if self.expire_timestamp == -1 { 4 } else { 1 }
    }

    /// The value as bytes, in [`version`](Self::version).
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] where the note is longer than its length can say.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        write(self, self.version(), self.version())
    }

    /// Reads a value of any version.
    ///
    /// # Errors
    /// [`RecordError`] where it is none, or of an unknown version.
    pub fn decode(value: &Bytes) -> Result<Self, RecordError> {
        read_value("OffsetCommitValue", &Self::SHAPE, value)
    }
}

impl GroupMetadataValue {
    /// The version that Kafka 4.4 writes.
    pub const VERSION: i16 = 3;

    /// The value as bytes, in [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] where a text or list is longer than its length can say.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        write(self, Self::VERSION, Self::VERSION)
    }

    /// Reads a value of any version.
    ///
    /// # Errors
    /// [`RecordError`] where it is none, or of an unknown version.
    pub fn decode(value: &Bytes) -> Result<Self, RecordError> {
        read_value("GroupMetadataValue", &Self::SHAPE, value)
    }
}

const fn encoding(version: i16) -> Encoding {
    Encoding {
        version,
        flexible: version >= FLEXIBLE,
    }
}

/// The number in the first two bytes, and what follows.
fn numbered(name: &'static str, bytes: &Bytes) -> Result<(i16, Bytes), RecordError> {
    let mut body = bytes.clone();
    match body.try_get_i16() {
        Ok(number) => Ok((number, body)),
        Err(_) => {
            let (wanted, left) = (size_of::<i16>(), bytes.len());
            Err(malformed(name, Fault::Truncated { wanted, left }).into())
        }
    }
}

fn read_value<F: Field>(
    name: &'static str,
    shape: &'static Shape,
    value: &Bytes,
) -> Result<F, RecordError> {
    let (version, body) = numbered(name, value)?;
    if !(0..=VALUE_VERSION_MAX).contains(&version) {
        return Err(RecordError::UnknownVersion {
            name,
            version: u32::from(version.unsigned_abs()),
            max: VALUE_VERSION_MAX,
        });
    }
    read(shape, version, &body)
}

fn read<F: Field>(shape: &'static Shape, version: i16, body: &Bytes) -> Result<F, RecordError> {
    guard::check(shape, encoding(version), body)?;
    let form = Form::of(encoding(version)).never_null();
    F::read(&mut Reader::new(body), form)
        .map_err(|fault| RecordError::Malformed(malformed(shape.name, fault)))
}

/// `number`, then the record in `version`.
fn write<F: Field>(record: &F, number: i16, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    out.extend_from_slice(&number.to_be_bytes());
    record.write(&mut out, Form::of(encoding(version)))?;
    Ok(out.freeze())
}

#[cfg(test)]
mod tests;
