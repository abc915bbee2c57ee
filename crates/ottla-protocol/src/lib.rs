//! The Kafka wire protocol, sans-IO: framing, guard, codecs, the API table, persisted schemas.
