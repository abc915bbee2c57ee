//! Runs of the whole broker from the outside: real clients and the differential comparison with
//! Apache Kafka.
//!
//! Nothing here uses the broker's own codec: what it says on the wire is read by other people's
//! clients ([`clients`]) or by a codec of this package's own ([`differential`]). Only what no
//! client can write yet is written by its log ([`transactions`]).

pub mod broker;
pub mod clients;
pub mod differential;
pub mod error;
pub mod first_record;
pub mod handover;
pub mod kill;
pub mod tools;
pub mod transactions;

pub use error::Error;
