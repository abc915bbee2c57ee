//! The records that Kafka keeps in its own topics and files, in Kafka's schemas: the metadata
//! log's, the control records of the quorum's log, and those of `__consumer_offsets`.
//!
//! They hold plain numbers and strings as they lie in bytes, sentinels included; what these mean is
//! the matter of whoever replays them.

pub mod control;
pub mod metadata;
pub mod offsets;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::field::{EncodeError, Field, Form, Reader};
use crate::guard::{self, Encoding, Malformed};
use crate::shape::Shape;
use crate::wire::Fault;

/// Why some bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The frame around the record is of another version than 1.
    #[error("a metadata record has the frame version {0}; only version 1 is known")]
    Frame(u32),
    /// The type of the record is not known here.
    #[error("a metadata record has the type {kind}, which is not known here")]
    UnknownType {
        /// The type's number.
        kind: u32,
    },
    /// The version of the record is not known here.
    #[error("a record {name} has the version {version}; 0 to {max} are known")]
    UnknownVersion {
        /// The record's name.
        name: &'static str,
        /// The version.
        version: u32,
        /// The highest version known.
        max: i16,
    },
    /// The bytes are not the record that they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// All versions of persisted records are flexible.
const fn encoding(version: i16) -> Encoding {
    Encoding {
        version,
        flexible: true,
    }
}

/// Reads a record of `shape`, past the guard.
fn read<F: Field>(shape: &'static Shape, version: i16, body: &Bytes) -> Result<F, RecordError> {
    guard::check(shape, encoding(version), body)?;
    let read = Reader::new(body).only(Form::of(encoding(version)));
    read.map_err(|fault| RecordError::Malformed(malformed(shape.name, fault)))
}

fn write<F: Field>(record: &F, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {
    record.write(out, Form::of(encoding(version)))
}

const fn malformed(message: &'static str, fault: Fault) -> Malformed {
    Malformed {
        message,
        field: message,
        position: 0,
        fault,
    }
}

#[cfg(test)]
mod tests;
