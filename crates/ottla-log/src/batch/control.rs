//! Control records: what a coordinator or a leader writes between the data (KIP-98, KIP-595).

use bytes::Bytes;

use crate::Record;
use crate::cursor::{Cursor, Malformed};

/// What a control record says; the second number of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// A quorum has a new leader.
    LeaderChange,
    /// The first record of a snapshot.
    SnapshotHeader,
    /// The last record of a snapshot.
    SnapshotFooter,
    /// The version of the quorum's protocol.
    KraftVersion,
    /// The voters of the quorum.
    KraftVoters,
    /// A type of a later version; readers skip it.
    Unknown(i16),
}

impl ControlType {
    /// Reads the key of a control record; `None` where it is none.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(key);
        // A later version may only append fields.
        let version = cursor.i16().ok()?;
        let number = cursor.i16().ok()?;
        (version >= 0).then_some(match number {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            other => Self::Unknown(other),
        })
    }

    /// The key of a control record of this type.
    #[must_use]
    pub fn key(self) -> Bytes {
        let number: i16 = match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(number) => number,
        };
        let mut key = vec![0, 0];
        key.extend(number.to_be_bytes());
        key.into()
    }
}

/// The record that ends a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Committed or aborted.
    pub committed: bool,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The marker as a control record.
    #[must_use]
    pub fn to_record(self) -> Record {
        let kind = if self.committed {
            ControlType::Commit
        } else {
            ControlType::Abort
        };
        let mut value = vec![0, 0];
        value.extend(self.coordinator_epoch.to_be_bytes());
        Record::new(value).with_key(kind.key())
    }

    /// Reads a control record; `None` where it is no end of a transaction.
    #[must_use]
    pub fn from_record(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let committed = match ControlType::of_key(key?)? {
            ControlType::Abort => false,
            ControlType::Commit => true,
            _ => return None,
        };
        let mut cursor = Cursor::new(value?);
        let mut read = || -> Result<(i16, i32), Malformed> { Ok((cursor.i16()?, cursor.i32()?)) };
        let (version, coordinator_epoch) = read().ok()?;
        (version >= 0).then_some(Self {
            committed,
            coordinator_epoch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_read_back() {
        for committed in [true, false] {
            let marker = EndTransactionMarker {
                committed,
                coordinator_epoch: 7,
            };
            let record = marker.to_record();
            assert_eq!(
                EndTransactionMarker::from_record(record.key.as_deref(), record.value.as_deref()),
                Some(marker)
            );
        }
        assert_eq!(&ControlType::Commit.key()[..], [0, 0, 0, 1]);
        assert_eq!(ControlType::of_key(&[0, 0, 0]), None);
        assert_eq!(ControlType::of_key(&[0xff, 0xff, 0, 0]), None);
        assert_eq!(
            ControlType::of_key(&[0, 0, 0, 99]),
            Some(ControlType::Unknown(99))
        );
        let key = ControlType::Abort.key();
        assert_eq!(
            EndTransactionMarker::from_record(Some(&key), Some(&[0, 0, 1])),
            None
        );
    }
}
