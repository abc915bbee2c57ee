//! The Kafka wire protocol, sans-IO: framing, guard, codecs, the API table, persisted schemas.
//!
//! A request comes in by these steps, each of which refuses what is wrong before the next one:
//! [`frame`] says where a frame ends, [`RequestHeader::decode`] looks its API and version up in the
//! table of [`api`], [`guard`] walks over its body without allocating and adds up the memory that
//! it will take, and [`decode_request`] makes the [`Request`] of it. A [`Response`] goes out by
//! [`encode_response`], in segments between which records are sent from where they are.
//!
//! Nothing in this crate reads a socket, a clock or a file, and nothing that a peer can send makes
//! it panic or allocate more than [`guard`] allows.

pub mod acl;
pub mod api;
mod api_key;
pub mod api_versions;
pub mod client;
mod document;
mod error;
pub mod fetch;
mod field;
mod fields;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod guard;
mod header;
mod leader;
pub mod messages;
pub mod persisted;
pub mod produce;
mod request;
mod response;
mod segments;
pub mod seq;
pub mod shape;
mod wire;

pub use api::{Request, Response};
pub use api_key::ApiKey;
pub use document::protocol_markdown;
pub use error::ErrorCode;
pub use field::EncodeError;
pub use header::{HeaderError, RequestHeader, TAGS_BYTES_MAX};
pub use kafka_protocol::protocol::StrBytes;
pub use request::{Charge, Checked, DecodeError, OverBudget, decode_request};
pub use response::{encode_request, encode_response, encode_unsupported_version};
pub use segments::{Encoded, Segment};
pub use seq::Seq;
pub use wire::Fault;

#[cfg(test)]
mod tests;
