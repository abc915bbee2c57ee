//! Broker keys of our own.

use super::key;
use crate::metadata::config::def::{Check, ConfigDef, ConfigKind, Mark, Update};

pub(super) const OTTLA: &[ConfigDef] = &[key(
    "ottla.flush.mode",
    ConfigKind::String,
    Some("sync"),
    Check::OneOf(&["sync", "os"]),
    Update::ReadOnly,
    Mark::Effective,
    "What an acks=all answer survives: a power cut (\"sync\": it waits for the disk) or a killed \
     process (\"os\": it waits for the operating system, as Apache Kafka does).",
)];
