//! An event log that speaks the Kafka protocol.
