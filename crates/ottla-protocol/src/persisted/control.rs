//! The control records of the quorum's log and its snapshots: who leads, who votes, where a
//! snapshot begins and ends.
//!
//! A control record's key is its type; its value is one of these, all in version 0, which is the
//! only one that Kafka writes. Their field `version` repeats that. The markers that end
//! transactions are control records too, but of any log, and belong to the log's crate.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{RecordError, read, write};
use crate::field::EncodeError;
use crate::fields::fields;

/// The version of the key of a control record.
const KEY_VERSION: i16 = 0;

/// Declares the control records: name, number, struct.
macro_rules! records {
    ($($name:ident = $kind:literal, $type:ty;)+) => {
        /// A control record of the quorum.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "a variant is the record of its name")]
        pub enum ControlRecord {
            $($name($type),)+
        }

        impl ControlRecord {
            /// The number of the record's type.
            #[must_use]
            pub const fn kind(&self) -> i16 {
                match self {
                    $(Self::$name(_) => $kind,)+
                }
            }

            /// The value of the record.
            ///
            /// # Errors
            /// [`EncodeError`] where a string or list is longer than its length can say.
            pub fn value(&self) -> Result<Bytes, EncodeError> {
                let mut out = BytesMut::new();
                match self {
                    $(Self::$name(record) => write(record, 0, &mut out)?,)+
                }
                Ok(out.freeze())
            }

            /// Reads a control record; `None` where its key is of another type, for example of a
            /// marker that ends a transaction.
            ///
            /// # Errors
            /// [`RecordError::Malformed`] where the value is not what the key says.
            pub fn decode(key: &[u8], value: &Bytes) -> Result<Option<Self>, RecordError> {
                let Some((KEY_VERSION, kind)) = key_of(key) else {
                    return Ok(None);
                };
                match kind {
                    $($kind => read(&<$type>::SHAPE, 0, value).map(|r| Some(Self::$name(r))),)+
                    _ => Ok(None),
                }
            }
        }
    };
}

records! {
    LeaderChange = 2, LeaderChangeMessage;
    SnapshotHeader = 3, SnapshotHeaderRecord;
    SnapshotFooter = 4, SnapshotFooterRecord;
    KRaftVersion = 5, KRaftVersionRecord;
    KRaftVoters = 6, VotersRecord;
}

impl ControlRecord {
    /// The key of the record: the key's version and the record's type.
    #[must_use]
    pub fn key(&self) -> Bytes {
        let key = [KEY_VERSION.to_be_bytes(), self.kind().to_be_bytes()].concat();
        Bytes::from(key)
    }
}

/// The version and the type in a control record's key, which later versions may extend.
fn key_of(key: &[u8]) -> Option<(i16, i16)> {
    let (version, rest) = key.split_first_chunk()?;
    let kind = rest.first_chunk()?;
    Some((i16::from_be_bytes(*version), i16::from_be_bytes(*kind)))
}

fields! {
    /// A leader was elected.
    pub struct LeaderChangeMessage {
        /// The version of the record.
        version: i16,
        /// The leader.
        leader_id: i32,
        /// Those who could vote.
        voters: Vec<Voter>,
        /// Those who voted for the leader.
        granting_voters: Vec<Voter>,
    }

    /// One who can vote.
    pub struct Voter {
        /// The replica.
        voter_id: i32,
        /// Its directory.
        voter_directory_id: Uuid [1+],
    }
}

fields! {
    /// A snapshot begins.
    pub struct SnapshotHeaderRecord {
        /// The version of the record.
        version: i16,
        /// When the last record that the snapshot stands for was appended.
        last_contained_log_timestamp: i64,
    }

    /// A snapshot ends.
    pub struct SnapshotFooterRecord {
        /// The version of the record.
        version: i16,
    }

    /// The version of the quorum's protocol (KIP-853).
    pub struct KRaftVersionRecord {
        /// The version of the record.
        version: i16,
        /// The version of the protocol.
        k_raft_version: i16,
    }
}

fields! {
    /// The voters of the quorum (KIP-853).
    pub struct VotersRecord {
        /// The version of the record.
        version: i16,
        /// The voters.
        voters: Vec<VoterRecord>,
    }

    /// A voter of the quorum.
    pub struct VoterRecord {
        /// The replica.
        voter_id: i32,
        /// Its directory.
        voter_directory_id: Uuid,
        /// Where it can be reached.
        endpoints: Vec<VoterEndpoint>,
        /// The versions of the protocol that it supports.
        k_raft_version_feature: KRaftVersionFeature,
    }

    /// A listener of a voter.
    pub struct VoterEndpoint {
        /// The listener's name.
        name: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
    }

    /// A range of versions of the quorum's protocol.
    pub struct KRaftVersionFeature {
        /// The lowest version.
        min_supported_version: i16,
        /// The highest version.
        max_supported_version: i16,
    }
}
