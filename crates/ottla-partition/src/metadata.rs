//! Cluster metadata: an immutable image, the records that change it, and the controller.
//!
//! Every change is decided by the controller as one batch of [`MetadataRecord`]s, committed by the
//! metadata quorum and only then replayed into a new [`Image`].

mod codec;
pub mod config;
pub mod controller;
mod image;
mod map;
pub mod quorum;
mod record;
mod snapshot;
#[cfg(test)]
mod testing;

pub use codec::{CodecError, METADATA_VERSION_LEVEL};
pub use image::{
    Broker, ConfigMap, Delta, Image, Partition, ReplayError, Topic, is_internal_topic,
};
pub use map::{Change, SortedMap};
pub use record::*;
pub use snapshot::{SnapshotError, SnapshotId, read_snapshot, write_bootstrap, write_snapshot};
