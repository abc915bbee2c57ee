//! An event log that speaks the Kafka protocol.

#[cfg(feature = "cli")]
pub mod cli;
