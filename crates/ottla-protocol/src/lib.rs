//! The Kafka wire protocol, sans-IO: framing, guard, codecs, the API table, persisted schemas.
//!
//! What arrives from a socket is split by [`frame`], its [`RequestHeader`] is read and the API and
//! version are looked up in the table of [`api`]. Nothing in this crate reads a socket, a clock or
//! a file, and nothing that a peer can send makes it panic.

pub mod acl;
pub mod api;
mod api_key;
pub mod client;
mod error;
pub mod frame;
mod header;
mod wire;

pub use api_key::ApiKey;
pub use error::ErrorCode;
pub use header::{HeaderError, RequestHeader, TAGS_BYTES_MAX};
pub use kafka_protocol::protocol::StrBytes;
pub use wire::Fault;
