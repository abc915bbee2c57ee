//! Configuration: the tables of all keys, and how a value is read, checked and resolved.
//!
//! Keys, types, defaults and ranges are Kafka's (4.3.1), so that what a tool sets or shows has the
//! same meaning here; keys of our own begin with `ottla.`. Values stay strings in the metadata, as
//! in Kafka's records; they are parsed where they are used.

mod broker;
mod check;
mod client_metrics;
mod def;
mod describe;
mod group;
mod reason;
mod resolve;
mod topic;
mod topic_config;
mod value;

pub(in crate::metadata) use broker::dynamic_refusal;
pub use broker::{
    BrokerConfig, ConfigProblem, ConfigWarning, broker_def, broker_defs, known_broker_keys,
};
pub use check::address_counts;
pub(in crate::metadata) use client_metrics::{INTERVAL_MS, check_patterns, client_metrics_def};
pub use def::{Check, ConfigDef, ConfigKind, Mark, Update};
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use group::{group_def, group_defs};
pub use resolve::ConfigView;
pub use topic::{topic_def, topic_defs, validate_topic_config};
pub use topic_config::{CleanupPolicy, TopicConfig};
pub use value::{ConfigValue, InvalidConfig};
