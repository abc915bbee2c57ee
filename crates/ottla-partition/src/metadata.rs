//! Cluster metadata: an immutable image, the records that change it, and the controller.
//!
//! Every change is decided by the controller as one batch of [`MetadataRecord`]s, committed by the
//! metadata quorum and only then replayed into a new [`Image`].

pub mod config;
pub mod controller;
mod image;
mod map;
mod record;

pub use image::{
    Broker, ConfigMap, Delta, Image, Partition, ReplayError, Topic, is_internal_topic,
};
pub use map::{Change, SortedMap};
pub use record::*;
