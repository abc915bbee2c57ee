//! Broker keys of our own.

use super::key;
use crate::metadata::config::def::{Check, ConfigDef, ConfigKind, Mark, Update};

pub(super) const OTTLA: &[ConfigDef] = &[
    key(
        "ottla.flush.mode",
        ConfigKind::String,
        Some("sync"),
        Check::OneOf(&["sync", "os"]),
        Update::ReadOnly,
        Mark::Effective,
        "What an acks=all answer survives: a power cut (\"sync\": it waits for the disk) or a \
         killed process (\"os\": it waits for the operating system, as Apache Kafka does).",
    ),
    key(
        "ottla.scrub.bytes.per.second",
        ConfigKind::Long,
        Some("8388608"),
        Check::AtLeast(0),
        Update::ReadOnly,
        Mark::Effective,
        "How fast everything on the disk is read again, once a week and from an hour after the \
         start on, to find what does not match its checksums; 0 turns it off.",
    ),
];
